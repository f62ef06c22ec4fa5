//! Cases of the family `cache`: entries that expire, and vacancies that one caller fills.

pub(super) mod clock;
mod deadlines;
mod expiry;
mod fills;
mod storage;
mod vacancies;

use crate::case::case;
use crate::{Case, Needs};

use deadlines::{
    deadline_is_replaced, increment_keeps_the_deadline, restart_keeps_the_deadline, swaps_clear_the_deadline,
    times_out_of_range, ttl_has_three_forms, ttl_is_never_zero, ttl_of_extremes, value_and_deadline_together,
    writes_clear_the_deadline,
};
use expiry::{
    expired_is_absent_to_batches, expired_is_absent_to_cas, expired_is_absent_to_compare_and_swap,
    expired_is_absent_to_increment, expired_is_absent_to_reads, expired_is_no_bucket, expired_is_not_listed,
    expired_is_vacant, expires_while_closed, only_the_due_expire,
};
use fills::{failed_fill_frees_the_vacancy, fill_with_a_deadline, first_fill_wins, set_meanwhile_wins};
use storage::{reopened_is_swept, rewritten_is_not_swept, storage_is_given_back};
use vacancies::{
    dropped_vacancy_wakes_one, dropped_waiter_passes_it_on, hundred_callers_one_fill, vacancies_are_by_key,
};

pub(super) const CASES: &[Case] = &[
    case!(Cache, expired_is_absent_to_reads, ["TTL-2", "RW-4"]).needs(Needs::Cache),
    case!(Cache, expired_is_absent_to_batches, ["TTL-2", "BAT-2"]).needs(Needs::Cache),
    case!(Cache, expired_is_not_listed, ["TTL-2"]).needs(Needs::Cache),
    case!(Cache, expired_is_no_bucket, ["TTL-2", "BKT-3"]).needs(Needs::Cache),
    case!(Cache, expired_is_absent_to_increment, ["TTL-2", "ATM-1"]).needs(Needs::AtomicAndCache),
    case!(Cache, expired_is_absent_to_compare_and_swap, ["TTL-2", "CAS-1"]).needs(Needs::AtomicAndCache),
    case!(Cache, expired_is_absent_to_cas, ["TTL-2", "CAS-2"]).needs(Needs::AtomicAndCache),
    case!(Cache, expired_is_vacant, ["TTL-2", "TTL-4"]).needs(Needs::Cache),
    case!(Cache, only_the_due_expire, ["TTL-2", "TTL-1"]).needs(Needs::Cache),
    case!(Cache, expires_while_closed, ["TTL-1", "TTL-2"]).needs(Needs::Cache),
    case!(Cache, restart_keeps_the_deadline, ["TTL-1"]).needs(Needs::Cache),
    case!(Cache, value_and_deadline_together, ["TTL-1"]).needs(Needs::Cache),
    case!(Cache, times_out_of_range, ["TTL-1"]).needs(Needs::Cache),
    case!(Cache, ttl_of_extremes, ["TTL-1"]).needs(Needs::Cache),
    case!(Cache, ttl_has_three_forms, ["TTL-3"]).needs(Needs::Cache),
    case!(Cache, ttl_is_never_zero, ["TTL-3"]).needs(Needs::Cache),
    case!(Cache, deadline_is_replaced, ["TTL-1"]).needs(Needs::Cache),
    case!(Cache, writes_clear_the_deadline, ["TTL-3"]).needs(Needs::Cache),
    case!(Cache, swaps_clear_the_deadline, ["TTL-3"]).needs(Needs::AtomicAndCache),
    case!(Cache, increment_keeps_the_deadline, ["TTL-3"]).needs(Needs::AtomicAndCache),
    case!(Cache, storage_is_given_back, ["TTL-2"]).needs(Needs::WatchAndCache),
    case!(Cache, reopened_is_swept, ["TTL-2", "WCH-1"]).needs(Needs::WatchAndCache),
    case!(Cache, rewritten_is_not_swept, ["TTL-3", "TTL-2"]).needs(Needs::Cache),
    case!(Cache, hundred_callers_one_fill, ["TTL-4"]).needs(Needs::Cache),
    case!(Cache, vacancies_are_by_key, ["TTL-4"]).needs(Needs::Cache),
    case!(Cache, dropped_vacancy_wakes_one, ["TTL-4"]).needs(Needs::Cache),
    case!(Cache, dropped_waiter_passes_it_on, ["TTL-4", "CAN-1"]).needs(Needs::Cache),
    case!(Cache, first_fill_wins, ["TTL-4"]).needs(Needs::Cache),
    case!(Cache, set_meanwhile_wins, ["TTL-4"]).needs(Needs::Cache),
    case!(Cache, failed_fill_frees_the_vacancy, ["TTL-4", "LIM-2"]).needs(Needs::Cache),
    case!(Cache, fill_with_a_deadline, ["TTL-4", "TTL-1"]).needs(Needs::Cache),
];
