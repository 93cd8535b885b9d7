//! What became of everything.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{
    emitter::{Dropped, EmitterStats},
    sampling::SamplingStats,
};

/// Counts since the recorder was made.
///
/// A document is a segment, one in progress, or a subsegment that travels by itself. As soon as the emitter's queue is empty,
/// `documents = emitted + dropped.total() + emitter_panics`, except that the pieces of a split document count one by one.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Segments begun, recorded or not.
    pub opened: u64,
    /// Segments that are recorded.
    pub sampled: u64,
    /// Segments that were not sampled, and sent after all: see [`Capture`](crate::sampling::Capture).
    pub captured: u64,
    /// Segments that would have been captured, but for the limit per second.
    pub capture_limited: u64,
    /// Requests whose header said `Sampled=1` beyond the limit of
    /// [`XRayLayer::limit_forced`](crate::XRayLayer::limit_forced).
    pub forced_limited: u64,
    /// Requests that got the fallback name, because clients had asked for too many hosts: see
    /// [`Naming::by_host`](crate::server::Naming::by_host).
    pub names_limited: u64,
    /// Sampled segments that the program has discarded: see [`Entity::discard`](crate::Entity::discard).
    pub discarded: u64,
    /// Documents that the emitter has handed over.
    pub emitted: u64,
    /// Documents that were dropped, by reason.
    pub dropped: Dropped,
    /// Documents that an emitter of the user's has lost by a panic.
    pub emitter_panics: u64,
    /// Panics of a strategy of the user's; a decision that it has failed to make counts as "not sampled".
    pub strategy_panics: u64,
    /// What the sampling strategy has decided, by rule.
    pub sampling: SamplingStats,
    /// Annotations, metadata and other details that were refused: not finite, no JSON, too large, or too late.
    pub refused: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    opened: AtomicU64,
    sampled: AtomicU64,
    captured: AtomicU64,
    capture_limited: AtomicU64,
    forced_limited: AtomicU64,
    names_limited: AtomicU64,
    discarded: AtomicU64,
    emitter_panics: AtomicU64,
    strategy_panics: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    pub(super) fn open(&self, sampled: bool) {
        self.opened.fetch_add(1, Relaxed);
        if sampled {
            self.sampled.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn capture(&self) {
        self.captured.fetch_add(1, Relaxed);
    }

    pub(super) fn limit_capture(&self) {
        self.capture_limited.fetch_add(1, Relaxed);
    }

    pub(super) fn limit_forced(&self) {
        self.forced_limited.fetch_add(1, Relaxed);
    }

    pub(super) fn limit_name(&self) {
        self.names_limited.fetch_add(1, Relaxed);
    }

    pub(super) fn discard(&self) {
        self.discarded.fetch_add(1, Relaxed);
    }

    pub(super) fn emitter_panic(&self) {
        self.emitter_panics.fetch_add(1, Relaxed);
    }

    pub(super) fn strategy_panic(&self) {
        self.strategy_panics.fetch_add(1, Relaxed);
    }

    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn stats(&self, emitter: EmitterStats, sampling: SamplingStats) -> Stats {
        Stats {
            opened: self.opened.load(Relaxed),
            sampled: self.sampled.load(Relaxed),
            captured: self.captured.load(Relaxed),
            capture_limited: self.capture_limited.load(Relaxed),
            forced_limited: self.forced_limited.load(Relaxed),
            names_limited: self.names_limited.load(Relaxed),
            discarded: self.discarded.load(Relaxed),
            emitted: emitter.emitted,
            dropped: emitter.dropped,
            emitter_panics: self.emitter_panics.load(Relaxed),
            strategy_panics: self.strategy_panics.load(Relaxed),
            sampling,
            refused: self.refused.load(Relaxed),
        }
    }
}
