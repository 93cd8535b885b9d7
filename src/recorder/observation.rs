//! A decision whose outcome a strategy wants to know.

use std::{sync::Arc, time::Duration};

use super::core::Core;
use crate::{classify::Flags, clock::Moment, sampling::Outcome};

/// What a strategy has decided about a request that has not ended yet.
pub(crate) struct Observation {
    pub(super) core: Arc<Core>,
    pub(super) rule_name: Arc<str>,
    pub(super) sampled: bool,
    pub(super) service_name: Box<str>,
    pub(super) began: Moment,
    pub(crate) route: Option<Box<str>>,
}

impl Observation {
    /// Tells the strategy how the request has ended.
    pub(crate) fn end(self, status: Option<u16>, flags: Flags) {
        let clock = &self.core.clock;
        let elapsed = self.began.now_micros(clock).saturating_sub(self.began.micros());
        self.core.observe(&Outcome {
            rule_name: &self.rule_name,
            sampled: self.sampled,
            service_name: &self.service_name,
            route: self.route.as_deref(),
            status,
            error: flags.error,
            throttle: flags.throttle,
            fault: flags.fault,
            duration: Duration::from_micros(elapsed),
            now: clock.since_epoch(),
        });
    }
}
