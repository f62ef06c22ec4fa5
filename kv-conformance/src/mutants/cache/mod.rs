//! Mutants that the family `cache` must catch.

mod deadlines;
mod fills;
mod ghosts;

use super::{Mutant, mutant};

use deadlines::{
    Ceils, ClearedByIncrement, ForgetsOnRestart, IsNeverSwept, Keeps, KeepsOlder, RestartsClock, RevivesOnRestart,
    SetsLater, SweepsByKey, SweepsOnlyOnceWritten, TellsWrong, Truncates, Wrong,
};
use fills::{FillsInTwoSteps, FindsOwn, IgnoresTtl, MissesTheFill, Overwrites, SaysStored};
use ghosts::{Ghosts, Seen};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant!(Cache, "expired_is_there_to_get", Ghosts::to(Seen::Get), "TTL-2"),
    mutant!(Cache, "expired_is_there_to_exists", Ghosts::to(Seen::Exists), "TTL-2"),
    mutant!(Cache, "expired_is_there_to_ttl", Ghosts::to(Seen::Ttl), "TTL-2"),
    mutant!(Cache, "expired_is_there_to_get_many", Ghosts::to(Seen::GetMany), "TTL-2"),
    mutant!(Cache, "expired_is_listed", Ghosts::to(Seen::Keys), "TTL-2"),
    mutant!(Cache, "expired_keeps_its_bucket", Ghosts::to(Seen::Buckets), "TTL-2"),
    mutant!(Cache, "expired_counter_goes_on", Ghosts::to(Seen::Increment), "TTL-2"),
    mutant!(Cache, "expired_is_there_to_compare_and_swap", Ghosts::to(Seen::CompareAndSwap), "TTL-2"),
    mutant!(Cache, "expired_is_there_to_cas", Ghosts::to(Seen::Cas), "TTL-2"),
    mutant!(Cache, "expired_is_there_to_fill", Ghosts::to(Seen::Fill), "TTL-2"),
    mutant!(Cache, "storage_waits_for_a_reader", IsNeverSwept, "TTL-2"),
    mutant!(Cache, "reopened_store_waits_for_a_deadline", SweepsOnlyOnceWritten::default(), "TTL-2"),
    mutant!(Cache, "sweeper_takes_what_was_rewritten", SweepsByKey, "TTL-3"),
    mutant!(Cache, "time_to_live_in_whole_seconds", Ceils, "TTL-1"),
    mutant!(Cache, "time_to_live_in_31_bits", Truncates, "TTL-1"),
    mutant!(Cache, "deadline_by_a_second_call", SetsLater, "TTL-1"),
    mutant!(Cache, "older_deadline_stays", KeepsOlder, "TTL-1"),
    mutant!(Cache, "restart_forgets_deadlines", ForgetsOnRestart::default(), "TTL-1"),
    mutant!(Cache, "restart_starts_the_clock_anew", RestartsClock::default(), "TTL-1"),
    mutant!(Cache, "restart_revives_the_expired", RevivesOnRestart::default(), "TTL-1"),
    mutant!(Cache, "set_keeps_the_deadline", Keeps::Set, "TTL-3"),
    mutant!(Cache, "set_many_keeps_the_deadline", Keeps::SetMany, "TTL-3"),
    mutant!(Cache, "compare_and_swap_keeps_the_deadline", Keeps::CompareAndSwap, "TTL-3"),
    mutant!(Cache, "swap_keeps_the_deadline", Keeps::Swap, "TTL-3"),
    mutant!(Cache, "increment_clears_the_deadline", ClearedByIncrement, "TTL-3"),
    mutant!(Cache, "ttl_of_absent_is_forever", TellsWrong(Wrong::AbsentIsForever), "TTL-3"),
    mutant!(Cache, "ttl_of_forever_is_absent", TellsWrong(Wrong::ForeverIsAbsent), "TTL-3"),
    mutant!(Cache, "ttl_in_whole_seconds", TellsWrong(Wrong::InSeconds), "TTL-3"),
    mutant!(Cache, "ttl_reaches_zero", TellsWrong(Wrong::ReachesZero), "TTL-3"),
    mutant!(Cache, "ttl_tells_what_was_given", TellsWrong(Wrong::AsGiven), "TTL-3"),
    mutant!(Cache, "fill_overwrites", Overwrites, "TTL-4"),
    mutant!(Cache, "fill_says_stored", SaysStored, "TTL-4"),
    mutant!(Cache, "fill_finds_its_own_value", FindsOwn, "TTL-4"),
    mutant!(Cache, "fill_in_two_steps", FillsInTwoSteps, "TTL-4"),
    mutant!(Cache, "fill_ignores_its_deadline", IgnoresTtl, "TTL-4"),
    mutant!(Cache, "look_misses_the_fill", MissesTheFill::default(), "TTL-4"),
];
