//! Cases of the family `cancellation`: futures dropped half way.

mod drops;
mod footprint;
mod groups;
mod many;
mod others;
pub(super) mod polls;
mod waiting;

use crate::case::case;
use crate::{Case, Needs};

use drops::{
    dropped_calls_hold_no_lock, dropped_reads_after_each_poll, dropped_writes_after_each_poll,
    dropped_writes_beside_a_batch,
};
use groups::{
    dropped_batch_is_whole, dropped_close_can_be_repeated, dropped_drop_is_whole, dropped_ttl_keeps_its_deadline,
};
use many::{ten_thousand_timeouts, thousand_random_drops};
use others::{dropped_increments_are_not_repeated, dropped_replies_reach_nobody, dropped_waits_lose_no_event};
use waiting::{dropped_handles_are_not_counted, dropped_swaps_leave_the_key_free, dropped_vacancies_pass_on};

pub(super) const CASES: &[Case] = &[
    case!(Cancellation, dropped_writes_after_each_poll, ["RW-6", "CAN-1"]),
    case!(Cancellation, dropped_writes_beside_a_batch, ["RW-6", "CAN-1"]),
    case!(Cancellation, dropped_reads_after_each_poll, ["CAN-1"]),
    case!(Cancellation, dropped_calls_hold_no_lock, ["CAN-1"]),
    case!(Cancellation, dropped_batch_is_whole, ["CAN-1", "BAT-4"]).needs(Needs::AtomicBatches),
    case!(Cancellation, dropped_drop_is_whole, ["CAN-1", "BKT-3"]),
    case!(Cancellation, dropped_ttl_keeps_its_deadline, ["CAN-1", "TTL-1"]).needs(Needs::Cache),
    case!(Cancellation, dropped_close_can_be_repeated, ["CAN-1", "BKT-5"]),
    case!(Cancellation, dropped_replies_reach_nobody, ["CAN-1"]),
    case!(Cancellation, dropped_increments_are_not_repeated, ["ERR-6", "CAN-1"]).needs(Needs::Atomic),
    case!(Cancellation, dropped_waits_lose_no_event, ["CAN-1", "WCH-1"]).needs(Needs::WatchEvery),
    case!(Cancellation, dropped_handles_are_not_counted, ["CAN-1", "LIM-1"]).needs(Needs::Atomic),
    case!(Cancellation, dropped_swaps_leave_the_key_free, ["CAN-1", "CAS-3"]).needs(Needs::Atomic),
    case!(Cancellation, dropped_vacancies_pass_on, ["CAN-1", "TTL-4"]).needs(Needs::Cache),
    case!(Cancellation, thousand_random_drops, ["RW-6", "CAN-1"]),
    case!(Cancellation, ten_thousand_timeouts, ["CAN-1", "BKT-4"]).exclusive(),
];
