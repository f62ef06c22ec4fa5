//! Cases of the family `keys`: every string is a key, byte for byte.

mod alike;
mod kinds;
mod many;
mod sizes;

use crate::Case;
use crate::case::case;

use alike::{byte_order_marks_and_extremes, internal_names, normal_forms_and_case, number_look_alikes};
use kinds::{
    every_ascii_code, globs_and_hash_tags, nul_at_each_place, paths_and_percent, prefix_chains, spaces_and_line_ends,
    the_empty_key,
};
use many::{every_scalar_value, prefixes_select_by_bytes, ten_thousand_random_keys};
use sizes::{longest_keys_differ_in_the_last_byte, one_byte_over_the_limit, sizes_to_the_limit};

pub(super) const CASES: &[Case] = &[
    case!(Keys, the_empty_key, ["NAM-2"]),
    case!(Keys, every_ascii_code, ["NAM-1"]),
    case!(Keys, nul_at_each_place, ["NAM-1"]),
    case!(Keys, spaces_and_line_ends, ["NAM-1"]),
    case!(Keys, globs_and_hash_tags, ["NAM-1"]),
    case!(Keys, paths_and_percent, ["NAM-1"]),
    case!(Keys, normal_forms_and_case, ["NAM-1"]),
    case!(Keys, byte_order_marks_and_extremes, ["NAM-1"]),
    case!(Keys, number_look_alikes, ["NAM-1"]),
    case!(Keys, internal_names, ["NAM-1", "NAM-3"]),
    case!(Keys, prefix_chains, ["NAM-1", "RW-3"]),
    case!(Keys, prefixes_select_by_bytes, ["NAM-1", "LST-1"]),
    case!(Keys, every_scalar_value, ["NAM-1"]),
    case!(Keys, ten_thousand_random_keys, ["NAM-1"]),
    case!(Keys, sizes_to_the_limit, ["LIM-1"]),
    case!(Keys, longest_keys_differ_in_the_last_byte, ["LIM-1", "NAM-1"]),
    case!(Keys, one_byte_over_the_limit, ["LIM-2"]),
];
