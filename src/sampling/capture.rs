//! Outcome capture: segments that were not sampled, and turn out to be worth it.
//!
//! In: the outcome of a segment that was recorded in memory only. Out: whether its documents are sent after all.

use std::time::Duration;

use super::Reservoir;
use crate::classify::Flags;

/// Sends segments that were not sampled when they end badly.
///
/// Every segment is recorded in memory then, so that each request costs about what a sampled one does, but for the
/// sending. Whoever is called still sees `Sampled=0`: a captured trace has the segments of this service only. They carry
/// the annotation `captured`, which says why: `error`, `fault`, `slow` or `kept`.
///
/// At most one segment per second is sent, unless [`per_second`](Self::per_second) says otherwise; others are counted in
/// [`Stats::capture_limited`](crate::recorder::Stats::capture_limited).
///
/// ```
/// use std::time::Duration;
/// use tower_xray::{Recorder, sampling::Capture};
///
/// let recorder = Recorder::builder().capture(Capture::faults().slower_than(Duration::from_secs(3))).build()?;
/// # Ok::<(), tower_xray::recorder::BuildError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct Capture {
    errors: bool,
    faults: bool,
    slower_than: Option<Duration>,
    limit: Reservoir,
}

impl Capture {
    /// Captures nothing but what [`Entity::keep`](crate::Entity::keep) asks for.
    pub const fn kept() -> Self {
        Self { errors: false, faults: false, slower_than: None, limit: Reservoir::new(1) }
    }

    /// Captures faults: a status of 5xx, an `Err`, a panic.
    pub const fn faults() -> Self {
        Self { faults: true, ..Self::kept() }
    }

    /// Captures faults and client errors: a status of 4xx, a client that left.
    pub const fn errors() -> Self {
        Self { errors: true, ..Self::faults() }
    }

    /// Captures also what takes longer than this.
    pub const fn slower_than(mut self, duration: Duration) -> Self {
        self.slower_than = Some(duration);
        self
    }

    /// Limits how many segments are captured per second; the default is 1. What is kept on request does not count.
    pub const fn per_second(mut self, segments: u32) -> Self {
        self.limit = Reservoir::new(segments);
        self
    }

    /// Why a segment would be captured, if it would.
    pub(crate) fn reason(&self, flags: Flags, duration: Duration) -> Option<&'static str> {
        if self.faults && flags.fault {
            Some("fault")
        } else if self.errors && flags.error {
            Some("error")
        } else if self.slower_than.is_some_and(|limit| duration > limit) {
            Some("slow")
        } else {
            None
        }
    }

    /// Whether one more segment may be captured in this second.
    pub(crate) fn allows(&self, second: u64) -> bool {
        self.limit.take(second)
    }
}
