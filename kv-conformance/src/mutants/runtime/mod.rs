//! Mutants that the family `runtime` must catch.

mod concurrent;
mod polls;
mod runtimes;

use super::{Mutant, mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant!(Runtime, "needs_a_multi_thread_runtime", runtimes::NeedsMultiThread, "RUN-1"),
    mutant!(Runtime, "bound_to_the_runtime_that_opened_it", runtimes::BoundToOpening::default(), "RUN-1"),
    mutant!(Runtime, "watch_pumped_by_the_runtime_that_began_it", runtimes::PumpedWatch, "RUN-1"),
    mutant!(Runtime, "stream_dropped_only_on_a_runtime", runtimes::DropNeedsRuntime, "RUN-1"),
    mutant!(Runtime, "call_cut_off_leaves_its_lock", runtimes::LeavesLock::default(), "RUN-1"),
    mutant!(Runtime, "one_runtime_at_a_time", runtimes::OneAtATime::default(), "RUN-1"),
    mutant!(Runtime, "reads_use_no_budget", polls::ReadsUseNoBudget, "RUN-2"),
    mutant!(Runtime, "listing_uses_no_budget", polls::ListingUsesNoBudget, "RUN-2"),
    mutant!(Runtime, "writes_use_no_budget", polls::WritesUseNoBudget, "RUN-2"),
    mutant!(Runtime, "watch_reads_ahead", polls::WatchReadsAhead, "RUN-2"),
    mutant!(Runtime, "slow_disk_inline", polls::SlowDiskInline::default(), "RUN-2"),
    mutant!(Runtime, "large_values_inline", polls::LargeValuesInline, "RUN-2"),
    mutant!(Runtime, "stale_read_once_in_500", concurrent::StaleRead::default(), "RW-5"),
    mutant!(Runtime, "write_behind", concurrent::WriteBehind, "RW-5"),
    mutant!(Runtime, "batch_reads_from_a_replica", concurrent::ReplicaReads::default(), "RW-5"),
    mutant!(Runtime, "replies_exchanged", concurrent::RepliesExchanged::default(), "RW-5"),
    mutant!(Runtime, "torn_read", concurrent::TornRead::default(), "RW-2"),
    mutant!(Runtime, "large_value_in_two_steps", concurrent::TwoSteps, "RW-6"),
    mutant!(Runtime, "cut_off_write_leaves_half", concurrent::CutOffLeavesHalf, "RW-6"),
];
