//! Mutants that the family `batch` must catch.

mod answers;
mod steps;

use super::{Mutant, mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant!(Batch, "get_many_drops_missing", answers::DropsMissing, "BAT-1"),
    mutant!(Batch, "get_many_merges_repeats", answers::MergesRepeats, "BAT-1"),
    mutant!(Batch, "get_many_sorts", answers::Sorts, "BAT-1"),
    mutant!(Batch, "get_many_missing_is_empty", answers::MissingIsEmpty, "BAT-1"),
    mutant!(Batch, "get_many_empty_is_missing", answers::EmptyIsMissing, "BAT-1"),
    mutant!(Batch, "get_many_cuts_large_values", answers::CutsLargeValues, "BAT-1"),
    mutant!(Batch, "get_many_is_stale", answers::Stale::default(), "BAT-1"),
    mutant!(Batch, "get_many_mixes_long_batches_up", answers::MixesLongBatches, "BAT-1"),
    mutant!(Batch, "first_of_a_repeated_key_stays", answers::FirstStays, "BAT-2"),
    mutant!(Batch, "long_batch_keeps_the_first", answers::LongBatchKeepsFirst, "BAT-2"),
    mutant!(Batch, "delete_many_of_absent_is_error", answers::DeleteAbsentFails, "BAT-2"),
    mutant!(Batch, "delete_many_stops_at_absent", answers::DeleteStops, "BAT-2"),
    mutant!(Batch, "delete_many_by_prefix", answers::DeleteByPrefix, "BAT-2"),
    mutant!(Batch, "nothing_to_do_is_error", answers::NothingToDo, "BAT-3"),
    mutant!(Batch, "set_many_keeps_old_tail", answers::KeepsOldTail, "RW-2"),
    mutant!(Batch, "set_many_keeps_what_exists", answers::KeepsWhatExists, "RW-2"),
    mutant!(Batch, "batch_is_cut_at_ten_thousand", answers::CutAtTenThousand, "LIM-1"),
    mutant!(Batch, "batch_over_32_mib_is_refused", answers::Over32Mib, "LIM-1"),
    mutant!(Batch, "longest_key_is_refused", answers::LongestKeyRefused, "LIM-1"),
    mutant!(Batch, "reply_limit_is_ignored", answers::IgnoresBudget, "LIM-2"),
    mutant!(Batch, "reply_limit_holds_for_each_slice", answers::BudgetOfSlices, "LIM-2"),
    mutant!(Batch, "reply_limit_is_one_off", answers::BudgetOneOff, "LIM-2"),
    mutant!(Batch, "reply_limit_counts_each_key_once", answers::BudgetOfDistinct, "LIM-2"),
    mutant!(Batch, "reply_limit_has_words_of_its_own", answers::OwnWords, "LIM-2"),
    mutant!(Batch, "batch_in_two_halves", steps::Halves, "BAT-4"),
    mutant!(Batch, "long_batch_in_chunks", steps::Chunks, "BAT-4"),
    mutant!(Batch, "delete_many_one_by_one", steps::DeletesOneByOne, "BAT-4"),
    mutant!(Batch, "get_many_one_by_one", steps::ReadsOneByOne, "BAT-4"),
    mutant!(Batch, "batch_locks_keys_in_its_order", steps::LocksInOrder::default(), "BAT-4"),
    mutant!(Batch, "long_batch_blocks_its_thread", steps::BlocksThread, "BAT-4"),
    mutant!(Batch, "increment_beside_batches_is_two_steps", steps::IncrementInTwoSteps, "BAT-4"),
];
