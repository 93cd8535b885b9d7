//! Sampling: which requests are recorded.
//!
//! In: what is known before any work is done ([`SamplingRequest`]). Out: a [`Decision`], and the rule that made it.
//! A strategy is asked only when the caller has not decided already (`Sampled=0` or `Sampled=1` in its header).
//!
//! ```
//! use tower_xray::{Recorder, sampling::{LocalizedStrategy, Rule, Rules}};
//!
//! let rules = Rules::builder()
//!     .rule(Rule::new("health").url_path("/healthz").reservoir(0).fixed_rate(0.0))
//!     .rule(Rule::new("checkout").http_method("POST").url_path("/checkout/*").reservoir(10).fixed_rate(1.0))
//!     .default_rule(Rule::default().reservoir(1).fixed_rate(0.05))
//!     .build()?;
//! let recorder = Recorder::builder().sampling(LocalizedStrategy::new(rules)).build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Customization
//!
//! [`SampleAll`] and [`SampleNone`] need no rules; anything else is an implementation of [`SamplingStrategy`].

mod capture;
#[cfg(feature = "centralized-sampling")]
pub mod centralized;
mod constant;
mod decision;
mod json;
mod localized;
mod outcome;
mod request;
mod reservoir;
mod rule;
mod rules;
mod stats;
mod strategy;
mod wildcard;

#[cfg(feature = "centralized-sampling")]
pub use self::centralized::CentralizedStrategy;
pub(crate) use self::wildcard::{host_match, without_port};
pub use self::{
    capture::Capture,
    constant::{SampleAll, SampleNone},
    decision::Decision,
    json::RulesFileError,
    localized::LocalizedStrategy,
    outcome::Outcome,
    request::SamplingRequest,
    reservoir::Reservoir,
    rule::Rule,
    rules::{Rules, RulesBuilder, RulesError},
    stats::{RuleStats, SamplingSource, SamplingStats},
    strategy::SamplingStrategy,
    wildcard::wildcard_match,
};
