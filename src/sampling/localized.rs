//! Sampling by rules that are part of the program.
//!
//! In: checked rules, and requests. Out: decisions of the first rule that matches, counted by rule.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{
    Decision, Reservoir, Rule, RuleStats, Rules, SamplingRequest, SamplingSource, SamplingStats, SamplingStrategy,
};

/// Decides by [`Rules`]: the first rule that matches, its reservoir, then its fixed rate.
///
/// The default is that of every X-Ray SDK: one request per second and 5 % of the others. Every process counts for
/// itself.
#[derive(Debug)]
pub struct LocalizedStrategy {
    rules: Vec<Counted>,
    default: Counted,
}

/// A rule, what is left of its reservoir, and what it has decided.
#[derive(Debug)]
struct Counted {
    rule: Rule,
    reservoir: Reservoir,
    requests: AtomicU64,
    sampled: AtomicU64,
}

impl LocalizedStrategy {
    /// Applies these rules, with full reservoirs.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let Rules { rules, default } = rules;
        Self { rules: rules.into_iter().map(Counted::new).collect(), default: Counted::new(default) }
    }
}

impl Default for LocalizedStrategy {
    fn default() -> Self {
        Self::new(Rules::default())
    }
}

impl SamplingStrategy for LocalizedStrategy {
    fn decide(&self, request: &SamplingRequest<'_>) -> Decision {
        self.rules.iter().find(|counted| counted.rule.matches(request)).unwrap_or(&self.default).decide(request)
    }

    fn stats(&self) -> SamplingStats {
        let rules = self.rules.iter().chain([&self.default]).map(Counted::stats).collect();
        SamplingStats { source: SamplingSource::Local, age: None, rules }
    }
}

impl Counted {
    fn new(rule: Rule) -> Self {
        let reservoir = Reservoir::new(rule.reservoir);
        Self { rule, reservoir, requests: AtomicU64::new(0), sampled: AtomicU64::new(0) }
    }

    fn decide(&self, request: &SamplingRequest<'_>) -> Decision {
        let sampled = self.reservoir.take(request.now.as_secs()) || request.random < self.rule.fixed_rate;
        self.requests.fetch_add(1, Relaxed);
        self.sampled.fetch_add(u64::from(sampled), Relaxed);
        Decision::new(sampled).by_rule(self.rule.name.clone())
    }

    fn stats(&self) -> RuleStats {
        RuleStats {
            name: self.rule.name.clone(),
            requests: self.requests.load(Relaxed),
            sampled: self.sampled.load(Relaxed),
            borrowed: 0,
            quota: Some(self.rule.reservoir),
            rate: self.rule.fixed_rate,
        }
    }
}
