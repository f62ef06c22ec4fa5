use std::fmt;

use serde::Serialize;

use super::limits;
use crate::engines::Class;
use crate::further::Further;
use crate::pair::Compared;

/// Something that is promised beside the ratios to the raw driver.
#[derive(Debug, Serialize)]
pub(crate) struct Promised {
    pub(crate) engine: &'static str,
    pub(crate) durability: &'static str,
    /// The promise's name, for filters.
    pub(crate) promise: &'static str,
    /// What was measured.
    pub(crate) measured: &'static str,
    /// What stands beside it.
    pub(crate) beside: &'static str,
    /// Median nanoseconds of what was measured.
    pub(crate) measured_ns: f64,
    /// Likewise of what stands beside it.
    pub(crate) beside_ns: f64,
    /// Median of the ratios of the pairs of rounds.
    pub(crate) ratio: f64,
    pub(crate) ratio_min: f64,
    pub(crate) ratio_max: f64,
    /// The most that the ratio may be.
    pub(crate) limit: f64,
    /// Whether it is kept.
    pub(crate) met: bool,
    /// What a reader has to know to judge the figures.
    pub(crate) note: Option<String>,
}

impl Promised {
    pub(crate) fn new(
        further: Further,
        engine: &'static str,
        class: Class,
        compared: Compared,
        note: Option<String>,
    ) -> Self {
        let [measured, beside] = further.sides();
        let limit = limits::further(further);
        let Compared { provider_ns, raw_ns, ratio, ratio_min, ratio_max } = compared;
        Self {
            engine,
            durability: class.name,
            promise: further.name(),
            measured,
            beside,
            measured_ns: provider_ns,
            beside_ns: raw_ns,
            ratio,
            ratio_min,
            ratio_max,
            limit,
            met: ratio <= limit,
            note,
        }
    }

    /// How it ended, in a word.
    pub(crate) fn verdict(&self) -> &'static str {
        if self.met { "kept" } else { "**missed**" }
    }
}

/// The line that is shown while the run goes on.
impl fmt::Display for Promised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measured_ns, beside_ns, ratio, ratio_min, ratio_max, limit, .. } = self;
        write!(
            f,
            "    {measured_ns:.0} ns  beside {beside_ns:.0} ns  ratio {ratio:.3} ({ratio_min:.3} to {ratio_max:.3})  at \
             most {limit:.3}: {}",
            self.verdict().replace("**missed**", "MISSED")
        )?;
        match &self.note {
            Some(note) => write!(f, "\n    {note}"),
            None => Ok(()),
        }
    }
}
