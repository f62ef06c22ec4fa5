//! What belongs to a level of conformance.

use crate::{Case, Family, cases};

/// How many cases level K1 has. A run with fewer proves nothing, so the number stands here and not only in the list.
pub const K1_CASES: usize = 292;

/// Cases whose name holds the text, or that prove the clause of that number; the one case of exactly that name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter(Option<String>);

impl Filter {
    pub(crate) fn new(text: &str) -> Self {
        Self(Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned))
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The cases of `list` that it lets through, in their order.
    pub(crate) fn choose(&self, list: impl Iterator<Item = &'static Case>) -> Vec<&'static Case> {
        let list: Vec<_> = list.collect();
        let Some(text) = self.text() else { return list };
        if let Some(exact) = list.iter().find(|case| case.name == text) {
            return vec![exact];
        }
        let proves = |case: &Case| case.clauses.iter().any(|clause| clause.eq_ignore_ascii_case(text));
        list.into_iter().filter(|case| case.name.contains(text) || proves(case)).collect()
    }
}

/// The cases that a filter takes, in their order: those whose name holds the text or that prove the clause of that number, or
/// the one of exactly that name; all for an empty text.
#[must_use]
pub fn chosen(filter: &str) -> Vec<&'static Case> {
    Filter::new(filter).choose(cases())
}

/// A hash of the case list: two reports with the same one ran the same cases.
///
/// FNV-1a over names, clauses and needs. Not against forgery; it tells lists apart.
#[must_use]
pub fn list_hash() -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for case in cases() {
        let line = format!("{} {} {:?}\n", case.name, case.clauses.join(","), case.needs);
        for byte in line.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

/// The cases of one family, in their order.
pub(crate) fn family(family: Family) -> Vec<&'static Case> {
    cases().filter(|case| case.family == family).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_stated_number_is_the_lists() {
        assert_eq!(cases().count(), K1_CASES, "a case was added or taken away: say so in K1_CASES");
    }

    #[test]
    fn names_are_unique_and_begin_with_their_family() {
        let mut seen = HashSet::new();
        for case in cases() {
            assert!(seen.insert(case.name), "{} is there twice", case.name);
            let family = case.name.split_once("::").map(|(family, _)| family);
            assert_eq!(family, Some(case.family.as_str()), "{}", case.name);
            assert_eq!(case.name.matches("::").count(), 1, "{}", case.name);
        }
    }

    #[test]
    fn a_filter_takes_a_name_a_part_or_a_clause() {
        let one = cases().next().unwrap();
        assert_eq!(Filter::new(one.name).choose(cases()).len(), 1);
        let whole = format!("{}::", one.family.as_str());
        assert_eq!(Filter::new(&whole).choose(cases()).len(), family(one.family).len());
        let clause = Filter::new("rw-3").choose(cases());
        assert!(!clause.is_empty() && clause.iter().all(|case| case.clauses.contains(&"RW-3")));
        assert_eq!(Filter::new(" ").choose(cases()).len(), cases().count());
        assert!(Filter::new("no such case").choose(cases()).is_empty());
    }
}
