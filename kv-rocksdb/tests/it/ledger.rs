//! A store with a history of known order, so that a damaged one can be told from an older one.

use std::path::Path;

use kv_core::{Durability, ErrorKind, Store};

use crate::child::say;
use crate::support::{open, value};

/// Entries of the first part, which is closed in order: in table files from then on.
const OLD: usize = 600;

/// Steps of the second part, which is in the log until the engine moves it.
pub(crate) const STEPS: usize = 400;

/// Some large ones, which are neither all deleted nor all overwritten.
fn size(n: usize) -> usize {
    if n % 40 == 7 { 40 << 10 } else { 10 + n % 300 }
}

fn old(n: usize) -> String {
    format!("old{n:05}")
}

/// What the entry of the first part is when the second begins: every fifth is deleted, every third overwritten.
fn old_name(n: usize) -> Option<String> {
    match n {
        n if n.is_multiple_of(5) => None,
        n if n.is_multiple_of(3) => Some(format!("{} again", old(n))),
        n => Some(old(n)),
    }
}

/// The first part: writes, overwrites and deletes, closed in between so that they are in different files.
pub(crate) async fn fill_old(folder: &Path) -> kv_core::Result<()> {
    let store = open(folder, Durability::Process).await?;
    let bucket = store.open_bucket("b").await?;
    for n in 0..OLD {
        bucket.set(&old(n), value(&old(n), size(n))).await?;
    }
    store.close().await?;
    let store = open(folder, Durability::Process).await?;
    let bucket = store.open_bucket("b").await?;
    for n in 0..OLD {
        match old_name(n) {
            None => bucket.delete(&old(n)).await?,
            Some(name) if name != old(n) => bucket.set(&old(n), value(&name, size(n))).await?,
            Some(_) => {}
        }
    }
    store.close().await
}

/// The second part: each step sets an entry, every fourth also deletes one of the first part.
pub(crate) async fn fill_new(store: &Store) -> kv_core::Result<()> {
    let bucket = store.open_bucket("b").await?;
    for n in 0..STEPS {
        let key = format!("new{n:05}");
        bucket.set(&key, value(&key, size(n))).await?;
        if let Some(key) = taken(n) {
            bucket.delete(&key).await?;
        }
    }
    Ok(())
}

/// Which entry of the first part the n-th step deletes.
fn taken(n: usize) -> Option<String> {
    n.is_multiple_of(4).then(|| old(n + 1))
}

/// The child: reads all, and says what it found: how many reads told of damage, how far the history goes, and what
/// can't have been.
pub(crate) async fn read(store: &Store) {
    let found = async {
        let bucket = store.open_bucket("b").await?;
        let mut found = Vec::new();
        let keys = (0..OLD).map(old).chain((0..STEPS).map(|n| format!("new{n:05}")));
        for key in keys {
            found.push(match bucket.get(&key).await {
                Ok(value) => Some(value),
                Err(error) if error.kind() == ErrorKind::Corrupt => None,
                Err(error) => return Err(error),
            });
        }
        let mut listed = Some(Vec::new());
        let mut cursor = None;
        loop {
            match bucket.keys("", cursor.as_deref(), None).await {
                Ok(page) => {
                    listed.iter_mut().for_each(|listed| listed.extend(page.keys.iter().cloned()));
                    cursor = page.cursor;
                }
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    listed = None;
                    break;
                }
                Err(error) => return Err(error),
            }
            if cursor.is_none() {
                break;
            }
        }
        Ok((found, listed))
    };
    match found.await {
        Err(error) => say(&format!("refused {} {}", error.kind(), error.trace())),
        Ok((found, listed)) => say(&judge(&found, listed.as_deref())),
    }
}

/// One read: nothing where it told of damage.
type Found = Option<Option<kv_core::IncomingValue>>;

fn judge(found: &[Found], listed: Option<&[String]>) -> String {
    let told = found.iter().filter(|found| found.is_none()).count() + usize::from(listed.is_none());
    // Every state that the store had is one of these; a read that told of damage agrees with each.
    let fits = (0..=STEPS * 2).rev().find(|half| {
        let is_so =
            |(at, found): (usize, &Found)| found.as_ref().is_none_or(|found| agrees(at, *half, found.as_deref()));
        found.iter().enumerate().all(is_so)
    });
    if let (Some(half), Some(listed)) = (fits, listed) {
        let keys = (0..OLD).map(old).chain((0..STEPS).map(|n| format!("new{n:05}")));
        let expected = keys.zip(found).filter(|(_, found)| matches!(found, None | Some(Some(_)))).map(|(key, _)| key);
        let (mut expected, mut listed) = (expected.collect::<Vec<_>>(), listed.to_vec());
        expected.sort();
        listed.sort();
        // What a read told of as damaged may be there or not.
        if told == 0 && expected != listed {
            return format!("wrong {half} the listing does not agree with the reads");
        }
    }
    match fits {
        Some(half) => format!("read {told} {}", STEPS * 2 - half),
        None => {
            let first = found.iter().enumerate().find(|(at, found)| {
                let Some(found) = found else { return false };
                !(0..=STEPS * 2).any(|half| agrees(*at, half, found.as_deref()))
            });
            match first {
                Some((at, Some(found))) => {
                    format!("wrong the entry {at} of {} bytes never was", found.as_ref().map_or(0, |found| found.len()))
                }
                _ => "wrong the entries are of different times".to_owned(),
            }
        }
    }
}

/// Whether an entry can be so after so many halves of the second part's steps.
fn agrees(at: usize, half: usize, found: Option<&[u8]>) -> bool {
    if at >= OLD {
        let n = at - OLD;
        return match found {
            None => half < n * 2 + 1,
            Some(found) => half > n * 2 && found == value(&format!("new{n:05}"), size(n)),
        };
    }
    // The step that takes it, if one does, has done so by its second half.
    let step = at.checked_sub(1).filter(|n| n.is_multiple_of(4) && *n < STEPS);
    let is_taken = step.is_some_and(|n| half >= n * 2 + 2);
    match (old_name(at), found) {
        (None, found) => found.is_none(),
        (Some(_), None) => is_taken,
        (Some(name), Some(found)) => !is_taken && found == value(&name, size(at)),
    }
}
