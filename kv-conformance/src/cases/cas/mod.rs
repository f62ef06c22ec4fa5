//! Cases of the family `cas`: comparing values, and versioned handles.

mod changes;
mod handles;
mod no_writes;
mod races;
pub(super) mod swaps;
mod values;

use crate::case::case;
use crate::{Case, Needs};

use changes::{
    batch_delete_loses, batch_set_loses, compare_and_swap_loses, creation_loses, creation_undone_loses,
    deadline_change_loses, delete_and_recreate_loses, delete_loses, dropped_bucket_loses, expiry_loses, fill_loses,
    increment_by_zero_loses, other_handles_swap_loses, set_and_back_loses, set_of_same_bytes_loses,
};
use handles::{
    current_is_the_value_taken, dropped_handles_leave_nothing, handle_after_close, handles_free_their_place,
    handles_on_one_key, swap_is_what_readers_see, swap_of_refused_value,
};
use no_writes::{
    delete_of_absent_is_none, failed_increment_is_none, failed_swap_is_none, neighbours_are_none, reads_are_none,
    removal_of_expired_is_none, swaps_elsewhere_are_none,
};
use races::{
    counting_by_handle, counting_by_value, fresh_handle_has_the_winner, one_winner_by_value, one_winner_removes,
    swaps_beside_neighbours, thirty_two_creators,
};
use values::{
    absence_is_expected, empty_is_not_absent, every_byte_is_compared, expected_value_is_swapped, found_value_is_told,
    new_none_removes,
};

pub(super) const CASES: &[Case] = &[
    case!(Cas, expected_value_is_swapped, ["CAS-1"]).needs(Needs::Atomic),
    case!(Cas, found_value_is_told, ["CAS-1"]).needs(Needs::Atomic),
    case!(Cas, absence_is_expected, ["CAS-1"]).needs(Needs::Atomic),
    case!(Cas, empty_is_not_absent, ["CAS-1", "RW-1"]).needs(Needs::Atomic),
    case!(Cas, new_none_removes, ["CAS-1"]).needs(Needs::Atomic),
    case!(Cas, every_byte_is_compared, ["CAS-1"]).needs(Needs::Atomic),
    case!(Cas, one_winner_by_value, ["CAS-1"]).needs(Needs::Atomic),
    case!(Cas, one_winner_removes, ["CAS-1"]).needs(Needs::Atomic),
    case!(Cas, counting_by_value, ["CAS-1"]).needs(Needs::Atomic),
    case!(Cas, set_of_same_bytes_loses, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, set_and_back_loses, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, delete_loses, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, delete_and_recreate_loses, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, creation_loses, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, creation_undone_loses, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, increment_by_zero_loses, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, batch_set_loses, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, batch_delete_loses, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, compare_and_swap_loses, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, deadline_change_loses, ["CAS-2"]).needs(Needs::AtomicAndCache),
    case!(Cas, fill_loses, ["CAS-2"]).needs(Needs::AtomicAndCache),
    case!(Cas, expiry_loses, ["CAS-2", "TTL-2"]).needs(Needs::AtomicAndCache),
    case!(Cas, dropped_bucket_loses, ["CAS-2", "BKT-3"]).needs(Needs::Atomic),
    case!(Cas, other_handles_swap_loses, ["CAS-2", "CAS-3"]).needs(Needs::Atomic),
    case!(Cas, delete_of_absent_is_none, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, failed_swap_is_none, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, failed_increment_is_none, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, reads_are_none, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, removal_of_expired_is_none, ["CAS-2"]).needs(Needs::AtomicAndCache),
    case!(Cas, neighbours_are_none, ["CAS-3"]).needs(Needs::Atomic),
    case!(Cas, swaps_elsewhere_are_none, ["CAS-3"]).needs(Needs::Atomic),
    case!(Cas, current_is_the_value_taken, ["CAS-2"]).needs(Needs::Atomic),
    case!(Cas, swap_is_what_readers_see, ["CAS-3"]).needs(Needs::Atomic),
    case!(Cas, swap_of_refused_value, ["CAS-3", "LIM-2"]).needs(Needs::Atomic),
    case!(Cas, handles_on_one_key, ["CAS-3"]).needs(Needs::Atomic),
    case!(Cas, fresh_handle_has_the_winner, ["CAS-3"]).needs(Needs::Atomic),
    case!(Cas, thirty_two_creators, ["CAS-2", "CAS-3"]).needs(Needs::Atomic),
    case!(Cas, counting_by_handle, ["CAS-3", "CAS-2"]).needs(Needs::Atomic),
    case!(Cas, swaps_beside_neighbours, ["CAS-3"]).needs(Needs::Atomic),
    case!(Cas, dropped_handles_leave_nothing, ["CAS-3"]).needs(Needs::Atomic),
    case!(Cas, handles_free_their_place, ["LIM-1", "CAS-3"]).needs(Needs::Atomic),
    case!(Cas, handle_after_close, ["CAS-2", "BKT-5"]).needs(Needs::Atomic),
];
