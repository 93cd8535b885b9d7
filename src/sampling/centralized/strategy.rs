//! Decides by the rules that are in force.
//!
//! In: requests, and how they have ended. Out: decisions, and counts for the next report.

use std::{fmt, sync::Arc};

use super::{Poller, manifest::Entry, shared::Shared, thread::StartOnFirstUse};
use crate::sampling::{
    Decision, LocalizedStrategy, Outcome, Rule, Rules, SamplingRequest, SamplingSource, SamplingStats, SamplingStrategy,
};

/// Decides by the sampling rules of X-Ray. See the [module documentation](super).
pub struct CentralizedStrategy {
    shared: Arc<Shared>,
    fallback: LocalizedStrategy,
    thread: StartOnFirstUse,
}

impl CentralizedStrategy {
    /// Without a poller, the program runs that itself.
    pub(super) fn from_parts(shared: Arc<Shared>, poller: Option<Poller>) -> Self {
        let rules = Rules { default: Rule::new("fallback"), ..Rules::default() };
        Self { shared, fallback: LocalizedStrategy::new(rules), thread: StartOnFirstUse::new(poller) }
    }
}

impl SamplingStrategy for CentralizedStrategy {
    fn decide(&self, request: &SamplingRequest<'_>) -> Decision {
        self.thread.start();
        let manifest = self.shared.fresh(request.now);
        match manifest.as_ref().and_then(|manifest| manifest.find(request)) {
            Some(Entry { rule, state }) => {
                Decision::new(state.decide(&rule.common, request)).by_rule(rule.common.name.clone())
            }
            // No rule of X-Ray's has decided, so none is named.
            None => Decision::new(self.fallback.decide(request).is_sampled()),
        }
    }

    /// Only rules that X-Ray may boost are worth it.
    fn wants_outcomes(&self) -> bool {
        self.shared.current.boosts()
    }

    fn observe(&self, outcome: &Outcome<'_>) {
        let manifest = self.shared.current.get();
        let entry = manifest.as_ref().and_then(|manifest| manifest.by_name(outcome.rule_name));
        if let Some(entry) = entry.filter(|entry| entry.rule.boosts) {
            entry.state.count_outcome(outcome, (self.shared.anomaly)(outcome));
        }
    }

    /// The rules in force, and the local fallback.
    fn stats(&self) -> SamplingStats {
        let now = self.shared.clock.since_epoch();
        let fallback = self.fallback.stats().rules;
        let Some(manifest) = self.shared.fresh(now) else {
            return SamplingStats { source: SamplingSource::Fallback, age: None, rules: fallback };
        };
        let rules = manifest.entries.iter().map(|entry| entry.state.stats(&entry.rule.common, now)).chain(fallback);
        let age = Some(now.saturating_sub(manifest.fetched));
        SamplingStats { source: SamplingSource::Central, age, rules: rules.collect() }
    }

    fn shutdown(&self) {
        self.thread.cancel();
        self.shared.stop.notify_one();
    }
}

impl Drop for CentralizedStrategy {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl fmt::Debug for CentralizedStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CentralizedStrategy").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
