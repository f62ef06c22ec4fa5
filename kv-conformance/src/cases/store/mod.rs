//! Cases of the family `store`: single entries, the list of buckets, dropping, and limits.

mod buckets;
mod drop_bucket;
pub(super) mod entries;
mod limits;
mod read_write;

use crate::case::case;
use crate::{Case, Needs};

use buckets::{buckets_after_expiry, buckets_by_the_hundred, buckets_follow_each_write};
use drop_bucket::{
    drop_absent, drop_beside_writers, drop_empties_every_view, drop_fails_live_cas_handles, drop_is_one_step,
    drop_outlives_reopening, drop_stalls_no_other, write_after_drop_revives,
};
use limits::{
    batch_limits, cas_handles_limit, lowered_limits, page_limit, raised_limits_are_refused, reply_at_its_limit,
    reply_over_its_limit,
};
use read_write::{
    absent_is_none, delete_absent, delete_and_set_again, delete_touches_no_neighbour, empty_value_is_a_value,
    exists_equals_get, overwrite_long_by_short, readers_see_whole_values, set_replaces, thousand_random_keys,
};

pub(super) const CASES: &[Case] = &[
    case!(Store, absent_is_none, ["RW-1"]),
    case!(Store, empty_value_is_a_value, ["RW-1", "RW-4"]),
    case!(Store, set_replaces, ["RW-2"]),
    case!(Store, overwrite_long_by_short, ["RW-2"]),
    case!(Store, readers_see_whole_values, ["RW-6", "RW-2"]),
    case!(Store, delete_absent, ["RW-3"]),
    case!(Store, delete_touches_no_neighbour, ["RW-3"]),
    case!(Store, delete_and_set_again, ["RW-3", "RW-1"]),
    case!(Store, exists_equals_get, ["RW-4"]),
    case!(Store, thousand_random_keys, ["RW-4", "RW-3"]),
    case!(Store, buckets_follow_each_write, ["BKT-3"]),
    case!(Store, buckets_after_expiry, ["BKT-3", "TTL-2"]).needs(Needs::Cache),
    case!(Store, buckets_by_the_hundred, ["BKT-3"]),
    case!(Store, drop_absent, ["BKT-3"]),
    case!(Store, drop_empties_every_view, ["BKT-3"]),
    case!(Store, write_after_drop_revives, ["BKT-3"]),
    case!(Store, drop_fails_live_cas_handles, ["BKT-3", "CAS-2"]).needs(Needs::Atomic),
    case!(Store, drop_is_one_step, ["BKT-3"]).needs(Needs::Linearizable),
    case!(Store, drop_beside_writers, ["BKT-3"]),
    case!(Store, drop_stalls_no_other, ["BKT-3"]),
    case!(Store, drop_outlives_reopening, ["BKT-3", "DUR-1"]),
    case!(Store, batch_limits, ["LIM-1", "LIM-2"]),
    case!(Store, page_limit, ["LIM-1", "LIM-2"]),
    case!(Store, reply_at_its_limit, ["LIM-1"]),
    case!(Store, reply_over_its_limit, ["LIM-2"]),
    case!(Store, lowered_limits, ["LIM-1", "LIM-2"]),
    case!(Store, raised_limits_are_refused, ["LIM-1"]),
    case!(Store, cas_handles_limit, ["LIM-1", "LIM-2"]).needs(Needs::Atomic),
];
