//! Results as the tour writes them: values as text, unlike `Debug`, which keeps values to itself.

use kv::{Bucket, Cas, CasSwap, Event, Events, IncomingValue, Page, Store, Swap, Ttl};

/// A result that the tour can show.
pub(super) trait Show {
    fn show(&self) -> String;
}

impl Show for () {
    fn show(&self) -> String {
        "()".to_owned()
    }
}

impl Show for bool {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Show for i64 {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Show for IncomingValue {
    fn show(&self) -> String {
        format!("{:?}", String::from_utf8_lossy(self))
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "None".to_owned(), |some| format!("Some({})", some.show()))
    }
}

impl<T: Show> Show for Vec<T> {
    fn show(&self) -> String {
        format!("[{}]", self.iter().map(Show::show).collect::<Vec<_>>().join(", "))
    }
}

/// Sorted, for no order is promised.
impl Show for Page {
    fn show(&self) -> String {
        let mut keys = self.keys.clone();
        keys.sort_unstable();
        format!("{keys:?}")
    }
}

/// To the minute, for time goes on meanwhile.
impl Show for Ttl {
    fn show(&self) -> String {
        match self {
            Self::Absent => "Absent".to_owned(),
            Self::Forever => "Forever".to_owned(),
            Self::Left(left) => format!("Left({} min)", left.as_secs().div_ceil(60)),
        }
    }
}

impl Show for Swap {
    fn show(&self) -> String {
        match self {
            Self::Swapped => "Swapped".to_owned(),
            Self::Found(found) => format!("Found({})", found.show()),
        }
    }
}

impl Show for Cas {
    fn show(&self) -> String {
        format!("a handle on {}", self.current().cloned().show())
    }
}

impl Show for CasSwap {
    fn show(&self) -> String {
        match self {
            Self::Swapped => "Swapped".to_owned(),
            Self::Lost(fresh) => format!("Lost to {}", fresh.current().cloned().show()),
        }
    }
}

impl Show for Event {
    fn show(&self) -> String {
        match self {
            Self::Set { key, value } => format!("Set {{ {key:?}, {} }}", value.show()),
            Self::Deleted { key } => format!("Deleted {{ {key:?} }}"),
            Self::Expired { key } => format!("Expired {{ {key:?} }}"),
            Self::Dropped => "Dropped".to_owned(),
            Self::Lagged(missed) => format!("Lagged({missed})"),
            Self::Resync => "Resync".to_owned(),
        }
    }
}

impl Show for Store {
    fn show(&self) -> String {
        "a store".to_owned()
    }
}

impl Show for Bucket {
    fn show(&self) -> String {
        "a bucket".to_owned()
    }
}

impl Show for Events {
    fn show(&self) -> String {
        "a stream".to_owned()
    }
}
