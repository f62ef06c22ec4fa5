//! Cases of the family `open`: opening, sharing, closing and opening again.

mod close;
mod footprint;
mod share;

use crate::case::case;
use crate::{Case, Needs};

use close::{
    acknowledged_writes_outlive_close, class_is_the_declared_one, close_beside_writers, close_twice,
    dropped_store_lets_go, old_handles_stay_closed, opens_at_once_after_close, second_open_disturbs_nothing,
    second_open_is_locked, use_after_close,
};
use footprint::{many_buckets_cost_the_same, reopening_leaves_nothing, ten_thousand_opens_leave_nothing};
use share::{
    dropped_handle_disturbs_no_other, first_opens_at_once, one_bucket_after_reopening_and_beside,
    opening_creates_nothing, tasks_share_a_bucket, two_handles_are_one_bucket,
};

pub(super) const CASES: &[Case] = &[
    case!(Open, opening_creates_nothing, ["BKT-1", "BKT-3"]),
    case!(Open, many_buckets_cost_the_same, ["BKT-1"]),
    case!(Open, two_handles_are_one_bucket, ["BKT-2"]),
    case!(Open, tasks_share_a_bucket, ["BKT-2"]),
    case!(Open, first_opens_at_once, ["BKT-2", "BKT-1"]),
    case!(Open, one_bucket_after_reopening_and_beside, ["BKT-2", "DUR-1"]),
    case!(Open, dropped_handle_disturbs_no_other, ["BKT-4"]),
    case!(Open, ten_thousand_opens_leave_nothing, ["BKT-4"]).exclusive(),
    case!(Open, reopening_leaves_nothing, ["BKT-4", "BKT-5"]).exclusive(),
    case!(Open, dropped_store_lets_go, ["BKT-4"]),
    case!(Open, opens_at_once_after_close, ["BKT-5"]),
    case!(Open, close_twice, ["BKT-5"]),
    case!(Open, use_after_close, ["BKT-5", "ERR-2"]),
    case!(Open, old_handles_stay_closed, ["BKT-5"]),
    case!(Open, acknowledged_writes_outlive_close, ["DUR-1", "BKT-5"]),
    case!(Open, close_beside_writers, ["DUR-1", "BKT-5", "RW-6"]),
    case!(Open, class_is_the_declared_one, ["DUR-2"]),
    case!(Open, second_open_is_locked, ["DUR-4"]).needs(Needs::Exclusive),
    case!(Open, second_open_disturbs_nothing, ["DUR-4", "BKT-2"]),
];
