//! What an emitter has sent and dropped.
//!
//! In: the counters of emitters. Out: a copy of them, for `Recorder::stats`.

/// Counters of an emitter since it was built. A segment that was split counts once for each piece.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct EmitterStats {
    /// Documents handed over to the socket, to the writer, or to the list in memory. UDP has no receipts, so some of them
    /// may not have arrived.
    pub emitted: u64,
    /// Documents that were dropped, by reason.
    pub dropped: Dropped,
}

/// Counts documents that were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Dropped {
    /// The queue was full: its bound in bytes was reached.
    pub overflow: u64,
    /// The daemon does not listen at its address: the kernel said so. This is never retried.
    pub refused: u64,
    /// The daemon's host name has no address, nor had it one when that was retried.
    pub unresolved: u64,
    /// The socket's buffer stayed full, through all retries.
    pub would_block: u64,
    /// Too large for a datagram, even after everything was cut.
    pub too_large: u64,
    /// Any other error: of the socket, through all retries, or of the writer.
    pub io: u64,
    /// Emitted after the shutdown, or still queued at its deadline; or left in a forked child, which cannot send.
    pub shutdown: u64,
}

impl Dropped {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let Self { overflow, refused, unresolved, would_block, too_large, io, shutdown } = *self;
        overflow + refused + unresolved + would_block + too_large + io + shutdown
    }
}
