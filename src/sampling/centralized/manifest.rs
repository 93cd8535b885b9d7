//! The rules in force, in the order in which they are tried, and when they were fetched.
//!
//! In: rules as X-Ray has them. Out: the rule that is about a request, with its state.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    rule::{CentralRule, Identity},
    state::RuleState,
};
use crate::sampling::SamplingRequest;

/// Rules that could not be fetched again for this long are not applied any more, in seconds.
const EXPIRES_AFTER: u64 = 3600;

/// All rules that are about this service.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) entries: Vec<Entry>,
    /// The time just before they were fetched.
    pub(super) fetched: Duration,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) rule: CentralRule,
    pub(super) state: Arc<RuleState>,
}

impl Manifest {
    /// Sorts the rules; one that was there before keeps its state.
    pub(super) fn new(
        mut rules: Vec<CentralRule>,
        service: &Identity,
        fetched: Duration,
        before: Option<&Self>,
    ) -> Self {
        rules.retain(|rule| rule.is_about(service));
        rules.sort_by(CentralRule::order);
        let entry = |rule: CentralRule| {
            let known = before.and_then(|before| before.by_name(&rule.common.name));
            if let Some(known) = known.filter(|known| known.rule.common.fixed_rate != rule.common.fixed_rate) {
                known.state.forget_rate();
            }
            Entry { state: known.map(|known| known.state.clone()).unwrap_or_default(), rule }
        };
        Self { entries: rules.into_iter().map(entry).collect(), fetched }
    }

    /// The first rule that is about the request.
    pub(super) fn find(&self, request: &SamplingRequest<'_>) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.rule.common.matches(request))
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| *entry.rule.common.name == *name)
    }

    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        now.as_secs().saturating_sub(self.fetched.as_secs()) <= EXPIRES_AFTER
    }
}

/// Where requests find the rules. They are replaced in an instant, so no request waits for a fetch.
#[derive(Debug, Default)]
pub(super) struct Current {
    manifest: RwLock<Option<Arc<Manifest>>>,
    /// Whether X-Ray may boost the rate of any of the rules.
    boosts: AtomicBool,
}

impl Current {
    pub(super) fn boosts(&self) -> bool {
        self.boosts.load(Relaxed)
    }

    pub(super) fn get(&self) -> Option<Arc<Manifest>> {
        self.manifest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, manifest: Manifest) {
        self.boosts.store(manifest.entries.iter().any(|entry| entry.rule.boosts), Relaxed);
        let manifest = Some(Arc::new(manifest));
        let mut current = self.manifest.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, manifest);
        // The old rules may be freed here, but not while requests wait.
        drop(current);
        drop(before);
    }
}
