//! Cases of the family `atomic`: counters.

mod counters;
mod races;
mod refusals;
pub(super) mod stored;

use crate::case::case;
use crate::{Case, Needs};

use counters::{
    any_write_makes_a_counter, deltas_of_both_signs, extremes_are_reached, increment_by_zero, increment_from_nothing,
    random_deltas, set_makes_a_counter, shown_as_decimal_text,
};
use races::{against_deletes, against_sets, many_counters_at_once, sixty_four_tasks};
use refusals::{other_values_are_no_counters, overflow_above, overflow_below};

pub(super) const CASES: &[Case] = &[
    case!(Atomic, increment_from_nothing, ["ATM-1"]).needs(Needs::Atomic),
    case!(Atomic, increment_by_zero, ["ATM-1"]).needs(Needs::Atomic),
    case!(Atomic, deltas_of_both_signs, ["ATM-1"]).needs(Needs::Atomic),
    case!(Atomic, random_deltas, ["ATM-1", "ATM-2"]).needs(Needs::Atomic),
    case!(Atomic, extremes_are_reached, ["ATM-1", "ATM-2"]).needs(Needs::Atomic),
    case!(Atomic, shown_as_decimal_text, ["ATM-2"]).needs(Needs::Atomic),
    case!(Atomic, set_makes_a_counter, ["ATM-2"]).needs(Needs::Atomic),
    case!(Atomic, any_write_makes_a_counter, ["ATM-2"]).needs(Needs::AtomicAndCache),
    case!(Atomic, other_values_are_no_counters, ["ATM-3"]).needs(Needs::Atomic),
    case!(Atomic, overflow_above, ["ATM-3"]).needs(Needs::Atomic),
    case!(Atomic, overflow_below, ["ATM-3"]).needs(Needs::Atomic),
    case!(Atomic, sixty_four_tasks, ["ATM-1"]).needs(Needs::Atomic),
    case!(Atomic, against_deletes, ["ATM-1"]).needs(Needs::Atomic),
    case!(Atomic, against_sets, ["ATM-1", "ATM-2"]).needs(Needs::Atomic),
    case!(Atomic, many_counters_at_once, ["ATM-1"]).needs(Needs::Atomic),
];
