//! Mutants that the family `open` must catch.

mod close;
mod lease;
mod share;

use super::{Mutant, mutant};

use close::{
    ClassOverstated, CloseForgets, CloseInBackground, CloseLast, CloseNothing, Closed, ClosedAnswers,
    DroppedStaysLocked, Forgets, LockedIsUnavailable, OldHandlesWriteOn, SecondCloseFails, SecondOpen, SecondOpenIs,
};
use lease::OneDropEndsAll;
use share::{
    FirstOpensRace, NumbersByOpening, OpenClones, OpenCreatesEntry, OpenListsBuckets, OpensLeakFiles, OpensLeakMemory,
    OpensLeakThreads, ReopeningLeaksFiles,
};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant!(Open, "open_creates_an_entry", OpenCreatesEntry, "BKT-1"),
    mutant!(Open, "open_lists_all_buckets", OpenListsBuckets, "BKT-1"),
    mutant!(Open, "open_clones_the_data", OpenClones::default(), "BKT-2"),
    mutant!(Open, "first_opens_race", FirstOpensRace::default(), "BKT-2"),
    mutant!(Open, "buckets_numbered_by_opening", NumbersByOpening::default(), "BKT-2"),
    mutant!(Open, "one_dropped_handle_ends_all", OneDropEndsAll::default(), "BKT-4"),
    mutant!(Open, "opens_leak_files", OpensLeakFiles::default(), "BKT-4"),
    mutant!(Open, "opens_leak_memory", OpensLeakMemory::default(), "BKT-4"),
    mutant!(Open, "opens_leak_threads", OpensLeakThreads::default(), "BKT-4"),
    mutant!(Open, "reopening_leaks_files", ReopeningLeaksFiles::default(), "BKT-4"),
    mutant!(Open, "dropped_store_stays_locked", DroppedStaysLocked::default(), "BKT-4"),
    mutant!(Open, "close_does_nothing", CloseNothing, "BKT-5"),
    mutant!(Open, "close_ends_in_the_background", CloseInBackground, "BKT-5"),
    mutant!(Open, "second_close_fails", SecondCloseFails::default(), "BKT-5"),
    mutant!(Open, "late_close_closes_the_new_store", CloseLast::default(), "BKT-5"),
    mutant!(Open, "closed_store_answers_absent", ClosedAnswers(Closed::Absent), "BKT-5"),
    mutant!(Open, "closed_store_answers_another_kind", ClosedAnswers(Closed::AnotherKind), "BKT-5"),
    mutant!(Open, "closed_store_hangs", ClosedAnswers(Closed::Hang), "BKT-5"),
    mutant!(Open, "old_handles_write_on", OldHandlesWriteOn::default(), "BKT-5"),
    mutant!(Open, "write_acknowledged_after_close", ClosedAnswers(Closed::Acknowledge), "DUR-1"),
    mutant!(Open, "close_loses_the_last_write", CloseForgets::new(Forgets::Write), "DUR-1"),
    mutant!(Open, "close_revives_the_last_deleted", CloseForgets::new(Forgets::Delete), "DUR-1"),
    mutant!(Open, "close_loses_the_last_batch", CloseForgets::new(Forgets::Batch), "DUR-1"),
    mutant!(Open, "class_overstated", ClassOverstated, "DUR-2"),
    mutant!(Open, "second_open_shares_an_exclusive_store", SecondOpen::new(SecondOpenIs::Shared), "DUR-4"),
    mutant!(Open, "second_open_takes_the_store_away", SecondOpen::new(SecondOpenIs::Taken), "DUR-4"),
    mutant!(Open, "locked_is_unavailable", LockedIsUnavailable, "DUR-4"),
];
