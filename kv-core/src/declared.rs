/// What a provider promises beyond what all of them do (contract, section 2).
///
/// The suite holds a provider to its declaration, both ways: what is declared must be there and keep its
/// clauses, what is not declared must answer [`Unsupported`](crate::ErrorKind::Unsupported) (ERR-5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The engine and its version, for reports: `sled 0.34.7`.
    pub engine: String,
    /// Whether buckets have [`Atomic`](crate::Atomic).
    pub atomic: bool,
    /// Whether buckets have [`Cache`](crate::Cache).
    pub cache: bool,
    /// Whether buckets have [`Watch`](crate::Watch), and what their streams show.
    pub watch: Option<Watching>,
    /// How operations on one key are ordered (RW-5).
    pub consistency: Consistency,
    /// Whether a batch is one step (BAT-4).
    pub batches: Batches,
    /// What an acknowledged write survives (DUR-1).
    pub durability: Durability,
    /// Whether this process holds the store for itself, so that a second open is
    /// [`Locked`](crate::ErrorKind::Locked) (DUR-4) and nobody else can write.
    pub exclusive: bool,
}

/// What an acknowledged write survives (DUR-1). Ordered: a later class survives all that an earlier one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// Nothing but an orderly [`close`](crate::Provider::close).
    Volatile,
    /// The sudden end of this process. The default of every embedded provider (DUR-2).
    Process,
    /// A power cut.
    Power,
}

impl Durability {
    /// The class in lower case, as reports and URLs write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Volatile => "volatile",
            Self::Process => "process",
            Self::Power => "power",
        }
    }
}

/// How operations on one key are ordered (RW-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// Each operation takes effect at one instant between its call and its return, for all clients.
    LinearizablePerKey,
    /// A handle sees its own writes; other clients may see older values for a while.
    ReadYourWrites,
    /// Any handle may see older values for a while, also after its own writes: reads come from copies that follow.
    Eventual,
}

/// Whether a batch is one step (BAT-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Batches {
    /// No reader and no crash sees part of a batch.
    Atomic,
    /// Each key of a batch is a step of its own.
    PerKey,
}

/// What a watch shows (WCH-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watching {
    /// Each write, in order per key.
    Every,
    /// After a key's last change at least one event with the value then current.
    Latest,
}
