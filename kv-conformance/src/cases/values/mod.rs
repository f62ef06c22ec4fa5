//! Cases of the family `values`: every sequence of bytes is a value.

mod kinds;
mod sizes;
mod streams;

use crate::Case;
use crate::case::case;

use kinds::{
    every_byte, held_value_stays, invalid_utf8, nul_in_values, protocol_look_alikes, spaces_and_line_ends,
    values_move_between_keys,
};
use sizes::{
    at_the_value_limit, large_and_small_by_turns, over_the_value_limit, random_values_after_reopening,
    sixteen_large_at_once, sixteen_mebibytes, sizes_around_thresholds,
};
use streams::{body_comes_in_pieces, failing_stream_writes_nothing, stream_over_the_limit, streamed_values};

pub(super) const CASES: &[Case] = &[
    case!(Values, every_byte, ["RW-2"]),
    case!(Values, nul_in_values, ["RW-2"]),
    case!(Values, invalid_utf8, ["RW-2"]),
    case!(Values, spaces_and_line_ends, ["RW-2"]),
    case!(Values, protocol_look_alikes, ["RW-2", "RW-1"]),
    case!(Values, sizes_around_thresholds, ["RW-2", "LIM-1"]),
    case!(Values, sixteen_mebibytes, ["LIM-1", "DUR-1"]),
    case!(Values, at_the_value_limit, ["LIM-1"]),
    case!(Values, over_the_value_limit, ["LIM-2"]),
    case!(Values, sixteen_large_at_once, ["RW-2"]),
    case!(Values, large_and_small_by_turns, ["RW-2"]),
    case!(Values, random_values_after_reopening, ["RW-2", "DUR-1"]),
    case!(Values, held_value_stays, ["RW-2"]),
    case!(Values, values_move_between_keys, ["RW-2"]),
    case!(Values, streamed_values, ["RW-2"]),
    case!(Values, failing_stream_writes_nothing, ["RW-6"]),
    case!(Values, stream_over_the_limit, ["LIM-2", "RW-6"]),
    case!(Values, body_comes_in_pieces, ["RW-2"]),
];
