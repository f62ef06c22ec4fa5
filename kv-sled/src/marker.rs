//! A small file beside sled's: that there is a store here, and whether it was closed in order.
//!
//! sled opens a damaged log up to the damage, or as an empty store. With the marker a store that lost its beginning
//! is told from a new one, and a store that was closed in order and has lost its end is told from a whole one
//! (DUR-3).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

const NAME: &str = "kv";
const NEW_NAME: &str = "kv.new";
const TITLE: &str = "kv-sled 1";

/// How the markers of all our providers begin, and this one's.
const FAMILY: &str = "kv-";
const OWN: &str = "kv-sled ";

/// What the marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// There is no marker: no store was ever opened here.
    None,
    /// The store is open, or ended without being closed.
    Open,
    /// The store was closed in order, for the n-th time.
    Closed(u64),
    /// The folder belongs to another provider of kv.
    Foreign,
}

/// Reads and writes the marker.
pub(crate) struct Marker;

impl Marker {
    pub(crate) fn read(folder: &Path) -> io::Result<Mark> {
        let text = match fs::read(folder.join(NAME)) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Mark::None),
            Err(cause) => return Err(cause),
        };
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines();
        let title = lines.next();
        if title.is_some_and(|title| title.starts_with(FAMILY) && !title.starts_with(OWN)) {
            return Ok(Mark::Foreign);
        }
        let closed = lines.next().and_then(|line| line.strip_prefix("closed ")).and_then(|times| times.parse().ok());
        Ok(match (title, closed) {
            (Some(TITLE), Some(times)) => Mark::Closed(times),
            // A damaged marker is no reason to refuse data that may be whole.
            _ => Mark::Open,
        })
    }

    /// Replaces the marker in one step that survives a power cut.
    pub(crate) fn write(folder: &Path, mark: Mark) -> io::Result<()> {
        let text = match mark {
            Mark::None | Mark::Open | Mark::Foreign => format!("{TITLE}\nopen\n"),
            Mark::Closed(times) => format!("{TITLE}\nclosed {times}\n"),
        };
        let new = folder.join(NEW_NAME);
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(new, folder.join(NAME))?;
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Marker::read(folder.path()).unwrap(), Mark::None);
        for mark in [Mark::Open, Mark::Closed(0), Mark::Closed(u64::MAX)] {
            Marker::write(folder.path(), mark).unwrap();
            assert_eq!(Marker::read(folder.path()).unwrap(), mark);
        }
        for (text, mark) in [(&b"\xffrubbish"[..], Mark::Open), (b"kv-rocksdb 1\nopen\n", Mark::Foreign)] {
            fs::write(folder.path().join(NAME), text).unwrap();
            assert_eq!(Marker::read(folder.path()).unwrap(), mark);
        }
    }
}
