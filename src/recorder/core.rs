//! What all segments of a recorder have in common.
//!
//! In: settings, and what is known of requests and of segments that end. Out: decisions of the sampling strategy,
//! documents for the emitter, and counters. Panics of strategies are contained here.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    time::Duration,
};

use super::stats::Counters;
use crate::{
    classify::Flags,
    clock::Clock,
    document::{Resource, SegmentDocument, SegmentName},
    emitter::Emitter,
    id::IdSource,
    sampling::{Capture, Decision, Outcome, SamplingRequest, SamplingStrategy},
};

/// All that an open segment needs of its recorder, which is a handle to it.
pub(crate) struct Core {
    pub(super) emitter: Box<dyn Emitter>,
    pub(super) strategy: Box<dyn SamplingStrategy>,
    pub(super) capture: Option<Capture>,
    pub(crate) resource: Arc<Resource>,
    /// The name that the environment gives to every segment.
    pub(super) name: Option<SegmentName>,
    pub(super) enabled: bool,
    pub(crate) backtraces: bool,
    #[cfg(feature = "sqlparser")]
    pub(crate) sql_statements: bool,
    pub(crate) clock: Clock,
    pub(crate) ids: IdSource,
    pub(super) counters: Counters,
}

impl Core {
    /// Asks the strategy; a panic means "not sampled".
    pub(super) fn decide(&self, request: &SamplingRequest<'_>) -> Decision {
        panic::catch_unwind(AssertUnwindSafe(|| self.strategy.decide(request))).unwrap_or_else(|_| {
            self.counters.strategy_panic();
            Decision::new(false)
        })
    }

    /// Asks whether the strategy wants to know how requests end; a panic means that it does not.
    pub(super) fn wants_outcomes(&self) -> bool {
        panic::catch_unwind(AssertUnwindSafe(|| self.strategy.wants_outcomes())).unwrap_or_else(|_| {
            self.counters.strategy_panic();
            false
        })
    }

    /// Ends the strategy. A panic of it does not keep documents from being sent.
    pub(super) fn shut_strategy_down(&self) {
        if panic::catch_unwind(AssertUnwindSafe(|| self.strategy.shutdown())).is_err() {
            self.counters.strategy_panic();
        }
    }

    /// Reports to the strategy how a request has ended.
    pub(super) fn observe(&self, outcome: &Outcome<'_>) {
        if panic::catch_unwind(AssertUnwindSafe(|| self.strategy.observe(outcome))).is_err() {
            self.counters.strategy_panic();
        }
    }

    /// Why a segment that was not sampled is sent after all, if it is.
    pub(crate) fn capture(&self, flags: Flags, duration: Duration) -> Option<&'static str> {
        let capture = self.capture.as_ref()?;
        let reason = capture.reason(flags, duration)?;
        if capture.allows(self.clock.since_epoch().as_secs()) {
            self.count_captured();
            Some(reason)
        } else {
            self.counters.limit_capture();
            None
        }
    }

    /// Hands a document to the emitter, whose panics are the caller's to contain.
    pub(crate) fn emit(&self, document: SegmentDocument) {
        self.emitter.emit(document);
    }

    pub(crate) fn count_captured(&self) {
        self.counters.capture();
    }

    pub(crate) fn count_discarded(&self) {
        self.counters.discard();
    }

    pub(crate) fn count_emitter_panic(&self) {
        self.counters.emitter_panic();
    }

    pub(crate) fn count_refused(&self) {
        self.counters.refuse();
    }
}
