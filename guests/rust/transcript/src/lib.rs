//! What the exercisers of all shapes share: the lines of a tour, and the calls that every shape has.

mod common;
mod show;

pub use common::{COUNTED, Shape, batches, counters, singles};
pub use show::Show;

/// The lines of a tour, one for each call. Nothing in them depends on time, chance or the provider.
#[derive(Default)]
pub struct Transcript {
    lines: Vec<String>,
}

impl Transcript {
    /// Notes a call and what it gave.
    pub fn note(&mut self, call: &str, gave: &impl Show) {
        self.lines.push(format!("{call} -> {}", gave.show()));
    }

    /// All lines, in order.
    pub fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

/// A value longer than a page of memory and than one write of a stream, without any repetition that would hide a
/// piece that is missing or in the wrong place.
pub fn long_value(bytes: usize) -> Vec<u8> {
    (0..bytes as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}
