//! Cases of the family `runtime`: both of tokio's runtimes, handles that move between them, polls that do not block,
//! and what concurrent readers may see.

mod budget;
mod concurrent;
pub(super) mod elsewhere;
mod flavours;
pub(super) mod meter;
mod polls;

use crate::case::case;
use crate::{Case, Needs};

use budget::{busy_reader_yields, busy_watcher_yields, busy_writer_yields};
use concurrent::{
    aborted_writers_leave_whole_values, callers_get_their_own_replies, one_register_never_goes_back,
    reads_follow_own_writes, values_are_never_mixed,
};
use flavours::{
    dropped_outside_a_runtime, futures_and_handles_are_send, handle_on_both_flavours, opened_where_the_runtime_ended,
    runtime_ends_in_mid_call, several_runtimes_at_once, vacancy_of_an_ended_runtime, watch_of_an_ended_runtime,
};
use polls::{large_values_do_not_block, polls_are_short};

pub(super) const CASES: &[Case] = &[
    case!(Runtime, handle_on_both_flavours, ["RUN-1"]),
    case!(Runtime, several_runtimes_at_once, ["RUN-1", "BKT-2"]),
    case!(Runtime, opened_where_the_runtime_ended, ["RUN-1"]),
    case!(Runtime, runtime_ends_in_mid_call, ["RUN-1", "CAN-1"]),
    case!(Runtime, watch_of_an_ended_runtime, ["RUN-1", "WCH-1"]).needs(Needs::Watch),
    case!(Runtime, vacancy_of_an_ended_runtime, ["RUN-1", "TTL-4"]).needs(Needs::Cache),
    case!(Runtime, futures_and_handles_are_send, ["RUN-1"]),
    case!(Runtime, dropped_outside_a_runtime, ["RUN-1"]),
    case!(Runtime, busy_reader_yields, ["RUN-2"]),
    case!(Runtime, busy_writer_yields, ["RUN-2"]),
    case!(Runtime, busy_watcher_yields, ["RUN-2"]).needs(Needs::Watch),
    case!(Runtime, polls_are_short, ["RUN-2"]),
    case!(Runtime, large_values_do_not_block, ["RUN-2"]),
    case!(Runtime, reads_follow_own_writes, ["RW-5"]),
    case!(Runtime, one_register_never_goes_back, ["RW-5"]).needs(Needs::Linearizable),
    case!(Runtime, callers_get_their_own_replies, ["RW-5", "CAN-1"]),
    case!(Runtime, values_are_never_mixed, ["RW-2", "RW-6"]),
    case!(Runtime, aborted_writers_leave_whole_values, ["RW-6", "CAN-1"]),
];
