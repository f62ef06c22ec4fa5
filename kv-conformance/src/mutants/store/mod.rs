//! Mutants that the family `store` must catch.

mod buckets;
mod limits;
mod read_write;

use super::{Mutant, mutant};

use buckets::{
    AfterDrop, BucketsCapped, BucketsOnceWritten, BucketsRepeated, DropAbsentFails, DropComesBack, DropHandles,
    DropKeyByKey, DropLeavesLast, DropSparesHandles, DropStalls,
};
use limits::{
    CasTableFillsUp, LargeBatchRefused, PageLongerThanAsked, ReplyBudgetIgnored, ReplyBudgetOffByOne,
    ReplyCountsRepeatedOnce, ReplyLimitInOtherWords,
};
use read_write::{
    AbsentIsEmpty, DeleteAbsentFails, DeleteByPrefix, DeletedForGood, EmptyIsAbsent, EmptyNotListed, EmptySetDeletes,
    ExistsAfterDelete, ExistsNotForEmpty, NoOverwrite, OverwriteKeepsTail, SetDeletesFirst, SetInHalves,
};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant!(Store, "absent_is_empty", AbsentIsEmpty, "RW-1"),
    mutant!(Store, "empty_is_absent", EmptyIsAbsent, "RW-1"),
    mutant!(Store, "empty_set_deletes", EmptySetDeletes, "RW-1"),
    mutant!(Store, "empty_not_listed", EmptyNotListed, "RW-1"),
    mutant!(Store, "no_overwrite", NoOverwrite, "RW-2"),
    mutant!(Store, "overwrite_keeps_tail", OverwriteKeepsTail, "RW-2"),
    mutant!(Store, "set_in_halves", SetInHalves, "RW-2"),
    mutant!(Store, "set_deletes_first", SetDeletesFirst, "RW-6"),
    mutant!(Store, "delete_absent_fails", DeleteAbsentFails, "RW-3"),
    mutant!(Store, "delete_by_prefix", DeleteByPrefix, "RW-3"),
    mutant!(Store, "deleted_for_good", DeletedForGood::default(), "RW-3"),
    mutant!(Store, "exists_after_delete", ExistsAfterDelete::default(), "RW-4"),
    mutant!(Store, "exists_not_for_empty", ExistsNotForEmpty, "RW-4"),
    mutant!(Store, "buckets_keep_emptied_ones", BucketsOnceWritten::default(), "BKT-3"),
    mutant!(Store, "buckets_keep_expired_ones", BucketsOnceWritten::by_ttl(), "BKT-3"),
    mutant!(Store, "buckets_stop_at_256", BucketsCapped, "BKT-3"),
    mutant!(Store, "buckets_repeated_by_entry", BucketsRepeated, "BKT-3"),
    mutant!(Store, "drop_absent_fails", DropAbsentFails, "BKT-3"),
    mutant!(Store, "drop_leaves_last_entry", DropLeavesLast, "BKT-3"),
    mutant!(Store, "drop_key_by_key", DropKeyByKey, "BKT-3"),
    mutant!(Store, "drop_ends_handles", DropHandles::new(AfterDrop::Refuse), "BKT-3"),
    mutant!(Store, "drop_swallows_later_writes", DropHandles::new(AfterDrop::Swallow), "BKT-3"),
    mutant!(Store, "drop_spares_cas_handles", DropSparesHandles::default(), "BKT-3"),
    mutant!(Store, "drop_stalls_others", DropStalls::default(), "BKT-3"),
    mutant!(Store, "drop_comes_back_on_reopening", DropComesBack::default(), "BKT-3"),
    mutant!(Store, "reply_budget_ignored", ReplyBudgetIgnored, "LIM-2"),
    mutant!(Store, "reply_limit_in_other_words", ReplyLimitInOtherWords, "LIM-2"),
    mutant!(Store, "reply_counts_repeated_keys_once", ReplyCountsRepeatedOnce, "LIM-2"),
    mutant!(Store, "reply_budget_off_by_one", ReplyBudgetOffByOne, "LIM-1"),
    mutant!(Store, "large_batch_refused", LargeBatchRefused, "LIM-1"),
    mutant!(Store, "page_longer_than_asked", PageLongerThanAsked, "LIM-1"),
    mutant!(Store, "cas_table_fills_up", CasTableFillsUp::default(), "LIM-1"),
];
