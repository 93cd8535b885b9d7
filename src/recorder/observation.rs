//! A decision whose outcome a strategy wants to know.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    time::Duration,
};

use super::Recorder;
use crate::{clock::Moment, sampling::Outcome};

/// What a strategy has decided about a request that has not ended yet.
#[derive(Debug)]
pub(crate) struct Observation {
    pub(super) recorder: Recorder,
    pub(super) rule_name: Arc<str>,
    pub(super) sampled: bool,
    pub(super) service_name: Box<str>,
    pub(super) began: Moment,
    pub(crate) route: Option<Box<str>>,
}

impl Observation {
    /// Tells the strategy how the request has ended.
    pub(crate) fn end(self, status: Option<u16>, error: bool, fault: bool) {
        let clock = self.recorder.clock();
        let elapsed = self.began.now_micros(clock).saturating_sub(self.began.micros());
        let outcome = Outcome {
            rule_name: &self.rule_name,
            sampled: self.sampled,
            service_name: &self.service_name,
            route: self.route.as_deref(),
            status,
            error,
            fault,
            duration: Duration::from_micros(elapsed),
            now: clock.since_epoch(),
        };
        let strategy = &self.recorder.0.strategy;
        if panic::catch_unwind(AssertUnwindSafe(|| strategy.observe(&outcome))).is_err() {
            self.recorder.0.counters.strategy_panic();
        }
    }
}
