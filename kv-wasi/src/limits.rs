/// How much of the host one guest may use.
///
/// What a store itself takes (keys, values, batches, replies) is in its [`Limits`](kv_core::Limits). Time is the embedder's:
/// stop polling a call and the guest is gone, as long as the engine interrupts code that never waits (see
/// [`Guest::prepare`](crate::Guest::prepare)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Handles that an instance holds at once: buckets, values, errors, futures. 90,000, since wasmtime itself stops a guest
    /// that holds 100,000 of whatever kind.
    pub handles: usize,
    /// Bytes that one call hands from the guest to the host: 128 MiB.
    pub call_bytes: usize,
    /// Bytes of values that the host keeps for an instance's handles: 256 MiB, so that two values of the largest size and a
    /// reply of the largest size fit.
    pub held_bytes: usize,
    /// Bytes of an instance's linear memories, and of its garbage collector's heap, together: 1 GiB.
    pub memory_bytes: usize,
    /// Bytes of the memories of all a guest's instances together: 4 GiB. Where they have that, growth is refused, and so
    /// is an instance that needs more to begin with.
    pub total_memory_bytes: usize,
    /// Calls to the cache that an instance has under way: 1,024.
    pub pending: usize,
    /// Versioned handles (`cas`) that a guest holds at once, all its instances together: 128 of the 1,024 that a store has.
    pub cas_handles: usize,
    /// Cursors that are kept for a guest, all its instances together: 1,024; the oldest go first.
    pub cursors: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handles: 90_000,
            call_bytes: 128 << 20,
            held_bytes: 256 << 20,
            memory_bytes: 1 << 30,
            total_memory_bytes: 4 << 30,
            pending: 1_024,
            cas_handles: 128,
            cursors: 1_024,
        }
    }
}
