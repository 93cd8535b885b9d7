//! What a strategy has decided, by rule.
//!
//! In: the counters of strategies. Out: a copy of them, for `Recorder::stats`.

use std::{sync::Arc, time::Duration};

/// Where the rules in force come from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum SamplingSource {
    /// From X-Ray, by way of the daemon.
    Central,
    /// Central rules were asked for, and there are none yet, or none any more.
    Fallback,
    /// From the program.
    #[default]
    Local,
}

/// What a strategy has decided since it was made.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SamplingStats {
    /// Where the rules in force come from.
    pub source: SamplingSource,
    /// How old central rules are; nothing for others.
    pub age: Option<Duration>,
    /// In the order in which the rules are tried.
    pub rules: Vec<RuleStats>,
}

/// What one rule has decided since it was there.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RuleStats {
    /// The rule's name.
    pub name: Arc<str>,
    /// Segments that it has decided about.
    pub requests: u64,
    /// Of these, the sampled ones, borrowed ones included.
    pub sampled: u64,
    /// Of these, the ones that were sampled before a quota had been assigned.
    pub borrowed: u64,
    /// How many segments per second are sampled before the rate applies: the reservoir of a local rule, or the quota
    /// that X-Ray has assigned; nothing while it has assigned none.
    pub quota: Option<u32>,
    /// The part of the others that is sampled.
    pub rate: f64,
}
