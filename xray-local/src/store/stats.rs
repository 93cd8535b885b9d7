//! In: events of the daemon. Out: their counts.

/// Counts of a [`LocalDaemon`](crate::LocalDaemon) since it was bound.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LocalStats {
    /// Datagrams received, good or bad.
    pub datagrams: u64,
    /// Documents accepted.
    pub documents: u64,
    /// Datagrams refused, for their header or for their document.
    pub invalid: u64,
    /// Warnings about documents, accepted or refused.
    pub warnings: u64,
    /// Traces that were removed to make room before the program took them.
    pub evicted_traces: u64,
}
