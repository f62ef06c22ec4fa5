//! Mutants that the family `watch` must catch.

mod events;
mod readers;

use super::{Mutant, mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant!(Watch, "watch_drops_events", events::DropsSome, "WCH-1"),
    mutant!(Watch, "watch_repeats_events", events::Repeats, "WCH-1"),
    mutant!(Watch, "watch_swaps_neighbours", events::SwapsNeighbours, "WCH-1"),
    mutant!(Watch, "watch_merges_changes", events::Merges, "WCH-1"),
    mutant!(Watch, "watch_reads_ahead_of_the_last_value", events::OutdatedLast, "WCH-1"),
    mutant!(Watch, "same_bytes_make_no_event", events::SameBytesAreSilent, "WCH-1"),
    mutant!(Watch, "increment_makes_no_event", events::IncrementIsSilent::default(), "WCH-1"),
    mutant!(Watch, "batch_makes_no_event", events::BatchIsSilent::default(), "WCH-1"),
    mutant!(Watch, "fill_makes_no_event", events::FillIsSilent::default(), "WCH-1"),
    mutant!(Watch, "drop_makes_no_event", events::DropIsSilent, "WCH-1"),
    mutant!(Watch, "drop_ends_the_watch", events::DropEnds, "WCH-1"),
    mutant!(Watch, "expiry_makes_no_event", events::ExpiryIsSilent, "WCH-1"),
    mutant!(Watch, "expiry_is_shown_as_delete", events::ExpiryIsDelete, "WCH-1"),
    mutant!(Watch, "delete_of_absent_key_makes_events", events::TombstoneOfAbsent, "WCH-1"),
    mutant!(Watch, "lost_swap_makes_an_event", events::LostSwapRewrites, "WCH-1"),
    mutant!(Watch, "watch_ignores_its_prefix", events::IgnoresPrefix, "WCH-1"),
    mutant!(Watch, "watch_sees_buckets_of_longer_names", events::LongerNames, "WCH-1"),
    mutant!(Watch, "watch_begins_at_first_poll", events::BeginsLate, "WCH-1"),
    mutant!(Watch, "watch_begins_with_what_is_stored", events::BeginsWithStored, "WCH-1"),
    mutant!(Watch, "watch_cuts_large_values", events::CutsLargeValues, "WCH-1"),
    mutant!(Watch, "reader_lags_too_early", readers::LagsEarly, "WCH-2"),
    mutant!(Watch, "lag_is_silent", readers::SilentLag, "WCH-2"),
    mutant!(Watch, "lag_is_miscounted", readers::MiscountedLag, "WCH-2"),
    mutant!(Watch, "lag_ends_the_watch", readers::LagEnds, "WCH-2"),
    mutant!(Watch, "slow_reader_stops_writers", readers::StopsWriters::default(), "WCH-2"),
    mutant!(Watch, "slow_reader_makes_others_lag", readers::SharedQueue::default(), "WCH-2"),
    mutant!(Watch, "dropped_watches_are_kept", readers::KeepsStreams::default(), "WCH-2"),
    mutant!(Watch, "watch_outlives_its_store", readers::OutlivesStore, "WCH-1"),
    mutant!(Watch, "abandoned_read_loses_an_event", readers::AbandonedReadLoses, "WCH-1"),
];
