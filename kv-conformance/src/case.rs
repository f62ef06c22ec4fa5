use std::future::Future;
use std::pin::Pin;

use kv_core::Declared;

use crate::{Context, Outcome};

/// One thing that the suite tries, on a namespace of its own.
#[derive(Clone, Copy)]
pub struct Case {
    /// `family::what_is_tried`; never reused for something else.
    pub name: &'static str,
    /// The clauses that it proves, the main one first.
    pub clauses: &'static [&'static str],
    /// Where it belongs.
    pub family: Family,
    /// The declared power without which it does not apply.
    pub needs: Needs,
    /// Whether nothing else may run beside it in this process: it counts files, threads or memory.
    pub exclusive: bool,
    run: Run,
}

type Run = for<'a> fn(&'a Context) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

impl Case {
    /// Names a case. Write it as `case!(Store, delete_absent, ["RW-3"])`.
    pub(crate) const fn new(family: Family, name: &'static str, clauses: &'static [&'static str], run: Run) -> Self {
        Self { name, clauses, family, needs: Needs::Nothing, exclusive: false, run }
    }

    /// Applies only to providers that declare this.
    pub(crate) const fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    /// Runs alone in its process.
    pub(crate) const fn exclusive(mut self) -> Self {
        self.exclusive = true;
        self
    }

    /// Runs the case once.
    pub(crate) fn run<'a>(&self, cx: &'a Context) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        (self.run)(cx)
    }
}

/// What a case needs beyond what every provider has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Every provider has it.
    Nothing,
    /// Atomic operations.
    Atomic,
    /// Entries that expire.
    Cache,
    /// Both of them.
    AtomicAndCache,
    /// A stream of changes.
    Watch,
    /// A stream of changes, and entries that expire.
    WatchAndCache,
    /// A stream of changes, and atomic operations.
    WatchAndAtomic,
    /// A watch that shows every write.
    WatchEvery,
    /// Batches that are one step.
    AtomicBatches,
    /// Linearizable operations on one key.
    Linearizable,
    /// A store that one process holds for itself.
    Exclusive,
}

impl Needs {
    /// Why the case does not apply to what is declared; `None` if it does.
    #[must_use]
    pub fn missing(self, declared: &Declared) -> Option<&'static str> {
        use kv_core::{Batches, Consistency, Watching};
        const ATOMIC: &str = "atomic operations are not declared";
        const CACHE: &str = "entries that expire are not declared";
        const WATCH: &str = "watch is not declared";
        let lacks = |has: bool, reason| (!has).then_some(reason);
        let watch = declared.watch.is_some();
        if declared.consistency == Consistency::Eventual {
            return Some("reads may be behind the writes before them, which every case looks at");
        }
        match self {
            Self::Nothing => None,
            Self::Atomic => lacks(declared.atomic, ATOMIC),
            Self::Cache => lacks(declared.cache, CACHE),
            Self::AtomicAndCache => lacks(declared.atomic, ATOMIC).or(lacks(declared.cache, CACHE)),
            Self::Watch => lacks(watch, WATCH),
            Self::WatchAndCache => lacks(watch, WATCH).or(lacks(declared.cache, CACHE)),
            Self::WatchAndAtomic => lacks(watch, WATCH).or(lacks(declared.atomic, ATOMIC)),
            Self::WatchEvery => {
                lacks(declared.watch == Some(Watching::Every), "a watch that shows every write is not declared")
            }
            Self::AtomicBatches => lacks(declared.batches == Batches::Atomic, "atomic batches are not declared"),
            Self::Linearizable => lacks(
                declared.consistency == Consistency::LinearizablePerKey,
                "linearizable operations are not declared",
            ),
            Self::Exclusive => lacks(declared.exclusive, "the store is not declared exclusive to one process"),
        }
    }
}

/// The families of cases, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are those of the suite's design and of the folders")]
pub enum Family {
    Gate,
    Open,
    Store,
    Keys,
    Values,
    Isolation,
    Listing,
    Batch,
    Atomic,
    Cas,
    Cache,
    Watch,
    Errors,
    Cancellation,
    Runtime,
}

impl Family {
    /// The family's name as reports write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Open => "open",
            Self::Store => "store",
            Self::Keys => "keys",
            Self::Values => "values",
            Self::Isolation => "isolation",
            Self::Listing => "listing",
            Self::Batch => "batch",
            Self::Atomic => "atomic",
            Self::Cas => "cas",
            Self::Cache => "cache",
            Self::Watch => "watch",
            Self::Errors => "errors",
            Self::Cancellation => "cancellation",
            Self::Runtime => "runtime",
        }
    }
}

/// Names a case from its family, its function and the clauses that it proves.
macro_rules! case {
    ($family:ident, $function:ident, [$($clause:literal),+]) => {{
        const FAMILY: &str = $crate::Family::$family.as_str();
        const FUNCTION: &str = stringify!($function);
        const NAME: [u8; FAMILY.len() + 2 + FUNCTION.len()] = $crate::case::join(FAMILY, FUNCTION);
        $crate::case::Case::new($crate::Family::$family, $crate::case::text(&NAME), &[$($clause),+], |cx| {
            Box::pin($function(cx))
        })
    }};
}
pub(crate) use case;

/// `family::function`, whatever files the family is split into.
#[expect(clippy::indexing_slicing, reason = "runs at compile time, where being out of bounds is a build error")]
pub(crate) const fn join<const N: usize>(family: &str, function: &str) -> [u8; N] {
    let mut name = [b':'; N];
    let mut at = 0;
    while at < family.len() {
        name[at] = family.as_bytes()[at];
        at += 1;
    }
    let mut from = 0;
    while from < function.len() {
        name[at + 2 + from] = function.as_bytes()[from];
        from += 1;
    }
    name
}

/// Joined names are text again.
pub(crate) const fn text(name: &'static [u8]) -> &'static str {
    match std::str::from_utf8(name) {
        Ok(name) => name,
        Err(_) => panic!("names of families and functions are text"),
    }
}
