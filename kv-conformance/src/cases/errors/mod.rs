//! Cases of the family `errors`: what a failed call says, and whether that is true.

mod attempts;
mod once;
mod powers;
mod secrets;
mod tells;

use crate::case::case;
use crate::{Case, Needs};

use once::{increments_are_applied_once, sets_are_applied_once};
use powers::presence_equals_declaration;
use secrets::{no_value_in_any_debug, no_value_in_any_error};
use tells::{
    closed_is_unavailable, effect_is_told_truly, errors_reach_their_own_caller, every_kind_is_told,
    locked_may_be_tried_again, stream_errors_pass_through, texts_are_one_line,
};

pub(super) const CASES: &[Case] = &[
    case!(Errors, every_kind_is_told, ["ERR-2", "ERR-1"]),
    case!(Errors, closed_is_unavailable, ["ERR-2", "ERR-1"]),
    case!(Errors, locked_may_be_tried_again, ["ERR-1", "DUR-4"]).needs(Needs::Exclusive),
    case!(Errors, texts_are_one_line, ["ERR-1"]),
    case!(Errors, stream_errors_pass_through, ["ERR-1"]),
    case!(Errors, errors_reach_their_own_caller, ["ERR-1"]).needs(Needs::Atomic),
    case!(Errors, effect_is_told_truly, ["ERR-3"]),
    case!(Errors, no_value_in_any_error, ["ERR-4"]),
    case!(Errors, no_value_in_any_debug, ["ERR-4"]),
    case!(Errors, presence_equals_declaration, ["ERR-5"]),
    case!(Errors, increments_are_applied_once, ["ERR-6"]).needs(Needs::Atomic),
    case!(Errors, sets_are_applied_once, ["ERR-6", "WCH-1"]).needs(Needs::WatchEvery),
];
