//! Cases of the family `batch`: what a batch answers, where it is refused, and who sees part of it.

mod answers;
mod limits;
mod torn;

use crate::case::case;
use crate::{Case, Needs};

use answers::{
    delete_passes_over, empty_batches, get_many_agrees_with_get, get_many_is_positional, last_of_a_repeated_key,
    longer_and_longer_reads, mixed_sizes, set_many_overwrites, ten_thousand,
};
use limits::{largest_batches, one_invalid_entry, reply_at_its_limit, sixty_four_mib, small_limits_exactly};
use torn::{
    batches_beside_increments, large_batch_is_never_torn, large_batch_lets_others_run, listing_is_never_torn,
    opposite_orders, reads_are_never_torn, two_gets_never_go_back,
};

pub(super) const CASES: &[Case] = &[
    case!(Batch, get_many_is_positional, ["BAT-1"]),
    case!(Batch, get_many_agrees_with_get, ["BAT-1", "RW-4"]),
    case!(Batch, longer_and_longer_reads, ["BAT-1", "LIM-2"]),
    case!(Batch, mixed_sizes, ["BAT-1", "RW-1"]),
    case!(Batch, last_of_a_repeated_key, ["BAT-2"]),
    case!(Batch, set_many_overwrites, ["RW-2", "BAT-2"]),
    case!(Batch, delete_passes_over, ["BAT-2", "RW-3"]),
    case!(Batch, empty_batches, ["BAT-3"]),
    case!(Batch, ten_thousand, ["BAT-1", "BAT-2"]),
    case!(Batch, one_invalid_entry, ["LIM-2", "BAT-4"]),
    case!(Batch, small_limits_exactly, ["LIM-1", "LIM-2"]),
    case!(Batch, largest_batches, ["LIM-1", "LIM-2"]),
    case!(Batch, sixty_four_mib, ["LIM-1", "BAT-1"]),
    case!(Batch, reply_at_its_limit, ["LIM-2", "LIM-1"]),
    case!(Batch, reads_are_never_torn, ["BAT-4"]).needs(Needs::AtomicBatches),
    case!(Batch, two_gets_never_go_back, ["BAT-4"]).needs(Needs::AtomicBatches),
    case!(Batch, listing_is_never_torn, ["BAT-4"]).needs(Needs::AtomicBatches),
    case!(Batch, large_batch_is_never_torn, ["BAT-4"]).needs(Needs::AtomicBatches),
    case!(Batch, opposite_orders, ["BAT-4"]),
    case!(Batch, batches_beside_increments, ["BAT-4", "ATM-1"]).needs(Needs::Atomic),
    case!(Batch, large_batch_lets_others_run, ["BAT-4", "RUN-2"]),
];
