//! A small file beside the engine's: that there is a store of ours here, its layout, and whether it was closed in order.
//!
//! The engine opens any folder with its files in it, and takes a list of files that was cut for an older state of the
//! store. With the marker another program's database is left alone, and a store that was closed in order and has lost its
//! end is told from a whole one (DUR-3).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

const NAME: &str = "kv";
const NEW_NAME: &str = "kv.new";
const TITLE: &str = "kv-rocksdb ";

/// How the markers of all our providers begin.
const FAMILY: &str = "kv-";

/// The layout's version.
pub(crate) const VERSION: u32 = 2;

/// What the marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// There is no marker: no store was ever opened here.
    None,
    /// A store is being made.
    New,
    /// The store is open, or ended without being closed.
    Open,
    /// The store was closed in order, for the n-th time.
    Closed(u64),
    /// The store has another layout.
    Other,
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
        let title = lines.next().unwrap_or_default();
        if title.starts_with(FAMILY) && !title.starts_with(TITLE) {
            return Ok(Mark::Foreign);
        }
        let version = title.strip_prefix(TITLE).and_then(|version| version.parse::<u32>().ok());
        if version.is_some_and(|version| version != VERSION) {
            return Ok(Mark::Other);
        }
        let word = lines.next().unwrap_or_default();
        let closed = word.strip_prefix("closed ").and_then(|times| times.parse().ok());
        Ok(match (version, word, closed) {
            (Some(_), "new", _) => Mark::New,
            (Some(_), _, Some(times)) => Mark::Closed(times),
            // A damaged marker is no reason to refuse data that may be whole.
            _ => Mark::Open,
        })
    }

    /// Replaces the marker in one step that survives a power cut.
    pub(crate) fn write(folder: &Path, mark: Mark) -> io::Result<()> {
        let word = match mark {
            Mark::New => "new".to_owned(),
            Mark::None | Mark::Open | Mark::Other | Mark::Foreign => "open".to_owned(),
            Mark::Closed(times) => format!("closed {times}"),
        };
        let new = folder.join(NEW_NAME);
        let mut file = File::create(&new)?;
        file.write_all(format!("{TITLE}{VERSION}\n{word}\n").as_bytes())?;
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
        for mark in [Mark::New, Mark::Open, Mark::Closed(0), Mark::Closed(u64::MAX)] {
            Marker::write(folder.path(), mark).unwrap();
            assert_eq!(Marker::read(folder.path()).unwrap(), mark);
        }
        let put = |text: &[u8]| fs::write(folder.path().join(NAME), text).unwrap();
        put(b"\xffrubbish");
        assert_eq!(Marker::read(folder.path()).unwrap(), Mark::Open);
        put(b"kv-rocksdb 1\nclosed 1\n");
        assert_eq!(Marker::read(folder.path()).unwrap(), Mark::Other);
        put(b"kv-sled 1\nopen\n");
        assert_eq!(Marker::read(folder.path()).unwrap(), Mark::Foreign);
    }
}
