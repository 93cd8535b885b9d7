//! What a rule has decided, and what X-Ray has granted it.
//!
//! In: requests that the rule is about, and targets. Out: decisions, and counts to report.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::sampling::{Outcome, Rule, RuleStats, SamplingRequest};

/// A rule that X-Ray has not said otherwise about reports this often, in seconds.
const REPORT_EVERY: u64 = 10;

/// How often a rule was asked, and what it said. Borrowed requests are sampled ones too.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) sampled: u64,
    pub(super) borrowed: u64,
}

/// How many requests that a rule has decided about have ended, and how. They are for X-Ray to boost the rate by.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Anomalies {
    /// The service that they were requests to.
    pub(super) service_name: String,
    pub(super) total: u64,
    pub(super) anomalous: u64,
    /// Of the anomalous ones.
    pub(super) sampled: u64,
}

/// What X-Ray grants one rule.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) rule_name: String,
    pub(super) fixed_rate: f64,
    pub(super) quota: Option<u32>,
    /// In seconds since the epoch, as below.
    pub(super) quota_ttl: Option<f64>,
    pub(super) interval: Option<u64>,
    /// A rate, and its end.
    pub(super) boost: Option<(f64, f64)>,
}

/// The state of one rule; it is locked for a few comparisons, never while anything is waited for.
#[derive(Debug, Default)]
pub(super) struct RuleState(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    total: Counts,
    /// What of it has not been reported.
    unreported: Counts,
    anomalies: Anomalies,
    /// How many requests per second X-Ray grants.
    quota: Option<u32>,
    /// The end of the quota, in seconds since the epoch.
    quota_ttl: f64,
    /// Instead of the rule's own.
    rate: Option<f64>,
    /// A higher rate, and its end in seconds since the epoch.
    boost: Option<(f64, f64)>,
    interval: Option<u64>,
    /// The last report that has arrived, in seconds since the epoch.
    reported: Option<u64>,
    second: u64,
    used: u32,
    borrowed: bool,
}

impl RuleState {
    /// Decides about a request: by the quota, or a request borrowed while there is none; then by the rate.
    pub(super) fn decide(&self, rule: &Rule, request: &SamplingRequest<'_>) -> bool {
        let mut state = self.lock();
        let second = request.now.as_secs();
        // A request that has read the clock just before the second ended counts for the next one if that has begun.
        if second != state.second && state.second.checked_sub(1) != Some(second) {
            (state.second, state.used, state.borrowed) = (second, 0, false);
        }
        let borrows = match state.valid_quota(second) {
            Some(quota) if state.used < quota => {
                state.used += 1;
                return state.count(true, false);
            }
            Some(_) => false,
            None => rule.reservoir > 0 && !state.borrowed,
        };
        if borrows {
            state.borrowed = true;
            return state.count(true, true);
        }
        let sampled = request.random < state.rate(rule, request.now);
        state.count(sampled, false)
    }

    /// Counts a request that has ended.
    pub(super) fn count_outcome(&self, outcome: &Outcome<'_>, anomalous: bool) {
        let anomalies = &mut self.lock().anomalies;
        if anomalies.service_name != outcome.service_name {
            outcome.service_name.clone_into(&mut anomalies.service_name);
        }
        anomalies.total += 1;
        anomalies.anomalous += u64::from(anomalous);
        anomalies.sampled += u64::from(anomalous && outcome.sampled);
    }

    /// Whether there is something to report, and it is time.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        let state = self.lock();
        let interval = state.interval.unwrap_or(REPORT_EVERY);
        // A clock that has gone back is no reason to wait until it is where it was.
        let elapsed = |last| now.as_secs().checked_sub(last).is_none_or(|elapsed| elapsed >= interval);
        state.unreported.requests > 0 && state.reported.is_none_or(elapsed)
    }

    /// Takes the counts since the last report.
    pub(super) fn report(self: &Arc<Self>, name: &Arc<str>) -> Report {
        let mut state = self.lock();
        let (counts, anomalies) = (mem::take(&mut state.unreported), mem::take(&mut state.anomalies));
        Report { name: name.clone(), counts, anomalies, state: Some(self.clone()) }
    }

    /// Takes over what X-Ray has answered; what it has not said stays.
    pub(super) fn apply(&self, target: &Target) {
        let mut state = self.lock();
        state.rate = Some(target.fixed_rate);
        state.quota = target.quota.or(state.quota);
        state.quota_ttl = target.quota_ttl.unwrap_or(state.quota_ttl);
        state.boost = target.boost.or(state.boost);
        state.interval = target.interval.or(state.interval);
    }

    /// The rule has another rate now, so that of the last target is out of date.
    pub(super) fn forget_rate(&self) {
        self.lock().rate = None;
    }

    pub(super) fn stats(&self, rule: &Rule, now: Duration) -> RuleStats {
        let state = self.lock();
        let Counts { requests, sampled, borrowed } = state.total;
        let (quota, rate) = (state.valid_quota(now.as_secs()), state.rate(rule, now));
        RuleStats { name: rule.name.clone(), requests, sampled, borrowed, quota, rate }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A quota holds through the second in which it ends.
    fn valid_quota(&self, second: u64) -> Option<u32> {
        self.quota.filter(|_| self.quota_ttl >= second as f64)
    }

    fn rate(&self, rule: &Rule, now: Duration) -> f64 {
        let fixed = self.rate.unwrap_or(rule.fixed_rate);
        match self.boost {
            Some((boosted, ttl)) if now.as_secs_f64() < ttl && boosted >= fixed => boosted,
            _ => fixed,
        }
    }

    fn count(&mut self, sampled: bool, borrowed: bool) -> bool {
        for counts in [&mut self.total, &mut self.unreported] {
            counts.requests += 1;
            counts.sampled += u64::from(sampled);
            counts.borrowed += u64::from(borrowed);
        }
        sampled
    }
}

/// Counts on their way to X-Ray. They go back to the rule unless they have arrived, also when the call is dropped.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) name: Arc<str>,
    pub(super) counts: Counts,
    pub(super) anomalies: Anomalies,
    state: Option<Arc<RuleState>>,
}

impl Report {
    /// X-Ray has the counts of this time.
    pub(super) fn arrived(mut self, now: Duration) {
        if let Some(state) = self.state.take() {
            state.lock().reported = Some(now.as_secs());
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(state) = &self.state {
            let State { unreported, anomalies, .. } = &mut *state.lock();
            unreported.requests += self.counts.requests;
            unreported.sampled += self.counts.sampled;
            unreported.borrowed += self.counts.borrowed;
            anomalies.total += self.anomalies.total;
            anomalies.anomalous += self.anomalies.anomalous;
            anomalies.sampled += self.anomalies.sampled;
            if anomalies.service_name.is_empty() {
                anomalies.service_name = mem::take(&mut self.anomalies.service_name);
            }
        }
    }
}
