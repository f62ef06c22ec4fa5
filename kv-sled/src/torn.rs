//! What a batch replaced that the engine failed to apply whole, for a disk that is full for one.
//!
//! Nothing can be written then, not even back. Until the store is reopened, which completes the batch or drops it,
//! readers are given what was there before it: no reader sees part of a batch (BAT-4), and earlier data stays
//! readable (DUR-5). A listing leaves out keys that the batch had already removed.

use std::collections::HashMap;
use std::sync::OnceLock;

use sled::IVec;

use crate::overflow::Pin;

/// Physical keys with the records that they had.
type Before = HashMap<Vec<u8>, Option<IVec>>;

#[derive(Default)]
pub(crate) struct Torn(OnceLock<(Before, Option<Pin>)>);

impl Torn {
    /// What stood under a physical key before a batch was torn; `None` if none was that changed it.
    pub(crate) fn before(&self, entry: &[u8]) -> Option<&Option<IVec>> {
        self.0.get()?.0.get(entry)
    }

    /// Begins to note what a batch replaces; the pin keeps the pieces of what it does.
    pub(crate) fn watch(&self, pin: Option<Pin>) -> Undo<'_> {
        Undo { torn: self, before: Before::new(), pin }
    }
}

/// What a batch has replaced so far. Dropped before the batch is whole, it says that it was torn.
pub(crate) struct Undo<'a> {
    torn: &'a Torn,
    before: Before,
    pin: Option<Pin>,
}

impl Undo<'_> {
    pub(crate) fn note(&mut self, entry: &[u8], record: Option<IVec>) {
        self.before.insert(entry.to_vec(), record);
    }

    /// The batch is whole.
    pub(crate) fn forget(mut self) {
        self.before.clear();
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if !self.before.is_empty() {
            // Writing is off after the first torn batch, so there is no second.
            let _ = self.torn.0.set((std::mem::take(&mut self.before), self.pin.take()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_batch_that_stays_torn_is_remembered() {
        let torn = Torn::default();
        let mut undo = torn.watch(None);
        undo.note(b"k", None);
        undo.forget();
        assert!(torn.before(b"k").is_none());
        let mut undo = torn.watch(None);
        undo.note(b"k", Some(IVec::from(b"old")));
        drop(undo);
        assert_eq!(torn.before(b"k"), Some(&Some(IVec::from(b"old"))));
        assert!(torn.before(b"other").is_none());
    }
}
