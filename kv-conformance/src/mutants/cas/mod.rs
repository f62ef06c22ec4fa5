//! Mutants that the family `cas` must catch.

mod by_value;
mod guards;
mod ledger;

use super::{Mutant, mutant};

use by_value::{
    AbsentIsEmpty, ComparesPrefix, ComparesText, FoundIsExpected, IgnoresExpected, NoneStoresEmpty, SwapsInTwoSteps,
    TellsFailure,
};
use guards::{
    AlwaysSwaps, CreationOverwrites, FreshIsStale, LeaksGuards, LostButWritten, OneGuardForAll, ReportsSuccess,
    RetriesBehind, SlotsAreUsedUp, StaleCurrent, SurvivesClose, SwapsWithoutWriting, ValueOnly,
};
use ledger::{Blind, Ledger, Touchy};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant!(Cas, "compare_and_swap_in_two_steps", SwapsInTwoSteps, "CAS-1"),
    mutant!(Cas, "compare_and_swap_takes_absent_for_empty", AbsentIsEmpty, "CAS-1"),
    mutant!(Cas, "compare_and_swap_compares_a_prefix", ComparesPrefix, "CAS-1"),
    mutant!(Cas, "compare_and_swap_compares_text", ComparesText, "CAS-1"),
    mutant!(Cas, "compare_and_swap_stores_empty_for_none", NoneStoresEmpty, "CAS-1"),
    mutant!(Cas, "compare_and_swap_ignores_none_expected", IgnoresExpected, "CAS-1"),
    mutant!(Cas, "compare_and_swap_tells_what_was_expected", FoundIsExpected, "CAS-1"),
    mutant!(Cas, "compare_and_swap_swaps_and_tells_failure", TellsFailure, "CAS-1"),
    mutant!(Cas, "value_only_swap", ValueOnly, "CAS-2"),
    mutant!(Cas, "swap_always_succeeds", AlwaysSwaps, "CAS-2"),
    mutant!(Cas, "creation_race_overwrites", CreationOverwrites, "CAS-2"),
    mutant!(Cas, "handle_survives_close", SurvivesClose::default(), "CAS-2"),
    mutant!(Cas, "handle_misses_a_set_of_same_bytes", Ledger::blind(Blind::SameBytes), "CAS-2"),
    mutant!(Cas, "handle_misses_set_and_back", Ledger::blind(Blind::Set), "CAS-2"),
    mutant!(Cas, "handle_misses_a_delete", Ledger::blind(Blind::Delete), "CAS-2"),
    mutant!(Cas, "handle_misses_a_creation", Ledger::blind(Blind::Creation), "CAS-2"),
    mutant!(Cas, "handle_misses_increment", Ledger::blind(Blind::Increment), "CAS-2"),
    mutant!(Cas, "handle_misses_increment_by_zero", Ledger::blind(Blind::IncrementByZero), "CAS-2"),
    mutant!(Cas, "handle_misses_set_many", Ledger::blind(Blind::SetMany), "CAS-2"),
    mutant!(Cas, "handle_misses_delete_many", Ledger::blind(Blind::DeleteMany), "CAS-2"),
    mutant!(Cas, "handle_misses_compare_and_swap", Ledger::blind(Blind::CompareAndSwap), "CAS-2"),
    mutant!(Cas, "handle_misses_a_deadline", Ledger::blind(Blind::SetWithTtl), "CAS-2"),
    mutant!(Cas, "handle_misses_a_fill", Ledger::blind(Blind::Fill), "CAS-2"),
    mutant!(Cas, "handle_misses_expiry", Ledger::blind(Blind::Expiry), "CAS-2"),
    mutant!(Cas, "handle_misses_a_dropped_bucket", Ledger::blind(Blind::DropBucket), "CAS-2"),
    mutant!(Cas, "handle_misses_anothers_swap", Ledger::blind(Blind::Swap), "CAS-2"),
    mutant!(Cas, "delete_of_absent_is_a_write", Ledger::touchy(Touchy::DeleteOfAbsent), "CAS-2"),
    mutant!(Cas, "failed_swap_is_a_write", Ledger::touchy(Touchy::FailedSwap), "CAS-2"),
    mutant!(Cas, "failed_increment_is_a_write", Ledger::touchy(Touchy::FailedIncrement), "CAS-2"),
    mutant!(Cas, "read_is_a_write", Ledger::touchy(Touchy::Get), "CAS-2"),
    mutant!(Cas, "taking_a_handle_is_a_write", Ledger::touchy(Touchy::Taking), "CAS-2"),
    mutant!(Cas, "removal_of_expired_is_a_write", Ledger::touchy(Touchy::RemovalOfExpired), "CAS-2"),
    mutant!(Cas, "one_version_for_many_keys", Ledger::touchy(Touchy::Neighbours), "CAS-3"),
    mutant!(Cas, "swap_on_another_key_is_a_write", Ledger::touchy(Touchy::OtherSwaps), "CAS-3"),
    mutant!(Cas, "handle_shows_the_current_value_late", StaleCurrent::default(), "CAS-2"),
    mutant!(Cas, "swap_writes_and_reports_failure", LostButWritten, "CAS-3"),
    mutant!(Cas, "swap_loses_and_reports_success", ReportsSuccess, "CAS-3"),
    mutant!(Cas, "swap_succeeds_without_writing", SwapsWithoutWriting::default(), "CAS-3"),
    mutant!(Cas, "fresh_handle_shows_the_old_value", FreshIsStale, "CAS-3"),
    mutant!(Cas, "lost_swap_is_retried", RetriesBehind, "CAS-3"),
    mutant!(Cas, "swap_clears_other_guards", OneGuardForAll::default(), "CAS-3"),
    mutant!(Cas, "dropped_handles_are_kept", LeaksGuards::default(), "CAS-3"),
    mutant!(Cas, "only_64_handles_fit", SlotsAreUsedUp::default(), "LIM-1"),
];
