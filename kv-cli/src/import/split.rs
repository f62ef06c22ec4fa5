//! A file in lines, of which none is held that is too long.

use std::io::{self, BufRead, BufReader, Read};

/// Lines of a file, without their ends `\n` or `\r\n`.
pub(super) struct Split<R> {
    source: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    most: usize,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// It is at most as long as a line may be.
    Whole(&'a [u8]),
    /// It is longer; its bytes were passed over.
    TooLong,
}

impl<R: Read> Split<R> {
    /// Reads lines of at most `most` bytes.
    pub(super) fn new(source: R, most: usize) -> Self {
        Self { source: BufReader::with_capacity(64 * 1024, source), line: Vec::new(), number: 0, most }
    }

    /// Reads the next line and counts it from 1.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        self.line.clear();
        // Room for the line and its end.
        let room = u64::try_from(self.most).unwrap_or(u64::MAX).saturating_add(2);
        let found = self.source.by_ref().take(room).read_until(b'\n', &mut self.line)?;
        if found == 0 {
            return Ok(None);
        }
        self.number += 1;
        let is_ended = self.line.last() == Some(&b'\n');
        if !is_ended {
            self.skip_rest()?;
        }
        let line = self.line.strip_suffix(b"\n").map_or(&*self.line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        let line = if line.len() > self.most { Line::TooLong } else { Line::Whole(line) };
        Ok(Some((self.number, line)))
    }

    /// Passes over what is left of a line.
    fn skip_rest(&mut self) -> io::Result<()> {
        loop {
            let piece = self.source.fill_buf()?;
            let (used, is_end) = match piece.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (piece.len(), piece.is_empty()),
            };
            self.source.consume(used);
            if is_end {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &[u8], most: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Split::new(text, most);
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            assert_eq!(number, found.len() as u64 + 1);
            found.push(match line {
                Line::Whole(line) => Some(line.to_vec()),
                Line::TooLong => None,
            });
        }
        found
    }

    #[test]
    fn lines_end_with_or_without_a_carriage_return() {
        let some = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(split(b"", 9), []);
        assert_eq!(split(b"a\nb\r\n\nc\rd", 9), [some("a"), some("b"), some(""), some("c\rd")]);
        assert_eq!(split(b"a\r", 9), [some("a\r")]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_whole() {
        let some = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(split(b"abc\nabcd\nabc\r\nabcde", 3), [some("abc"), None, some("abc"), None]);
        let long = [vec![b'x'; 300_000], b"\nend".to_vec()].concat();
        assert_eq!(split(&long, 3), [None, some("end")]);
        assert_eq!(split(b"abcde\n\nx", 3), [None, some(""), some("x")]);
    }
}
