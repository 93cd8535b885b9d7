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
mod json;
mod localized;
mod outcome;
mod reservoir;
mod rule;
mod rules;
mod stats;
mod wildcard;

use std::{sync::Arc, time::Duration};

#[cfg(feature = "centralized-sampling")]
pub use self::centralized::CentralizedStrategy;
pub(crate) use self::wildcard::{host_match, without_port};
pub use self::{
    capture::Capture,
    json::RulesFileError,
    localized::LocalizedStrategy,
    outcome::Outcome,
    reservoir::Reservoir,
    rule::Rule,
    rules::{Rules, RulesBuilder, RulesError},
    stats::{RuleStats, SamplingSource, SamplingStats},
    wildcard::wildcard_match,
};

/// Decides whether a segment is recorded.
///
/// It runs on the request path, so it must not block. A panic is caught, counted
/// ([`Stats::strategy_panics`](crate::recorder::Stats::strategy_panics)), and means "not sampled".
pub trait SamplingStrategy: Send + Sync {
    /// Decides about one segment.
    fn decide(&self, request: &SamplingRequest<'_>) -> Decision;

    /// Whether it wants to know how the requests end about which it decides.
    fn wants_outcomes(&self) -> bool {
        false
    }

    /// Hears how a request has ended about which one of its rules has decided, if it
    /// [wants to](Self::wants_outcomes). This runs on the request path, too.
    fn observe(&self, outcome: &Outcome<'_>) {
        let _ = outcome;
    }

    /// What it has decided so far, by rule.
    fn stats(&self) -> SamplingStats {
        SamplingStats::default()
    }

    /// The recorder is shut down: what the strategy does in the background ends.
    fn shutdown(&self) {}
}

macro_rules! impl_for_pointer {
    ($pointer:ident) => {
        impl<S: SamplingStrategy + ?Sized> SamplingStrategy for $pointer<S> {
            fn decide(&self, request: &SamplingRequest<'_>) -> Decision {
                (**self).decide(request)
            }

            fn wants_outcomes(&self) -> bool {
                (**self).wants_outcomes()
            }

            fn observe(&self, outcome: &Outcome<'_>) {
                (**self).observe(outcome);
            }

            fn stats(&self) -> SamplingStats {
                (**self).stats()
            }

            fn shutdown(&self) {
                (**self).shutdown();
            }
        }
    };
}

impl_for_pointer!(Arc);
impl_for_pointer!(Box);

/// What is known about a segment when it begins.
///
/// Segments that are not begun by an HTTP request have no host, method and path, and match only rules that leave
/// these open.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SamplingRequest<'a> {
    /// The name of the segment.
    pub service_name: &'a str,
    /// The `Host` header or `:authority`, with its port.
    pub host: Option<&'a str>,
    /// The method.
    pub http_method: Option<&'a str>,
    /// The path, without the query string.
    pub url_path: Option<&'a str>,
    /// Now, since the Unix epoch.
    pub now: Duration,
    /// A random number in `[0, 1)`.
    pub random: f64,
}

impl<'a> SamplingRequest<'a> {
    /// A segment of which only the name is known, at this time and with this random number in `[0, 1)`.
    #[must_use]
    pub const fn new(service_name: &'a str, now: Duration, random: f64) -> Self {
        Self { service_name, host: None, http_method: None, url_path: None, now, random }
    }

    /// Sets the host, with or without a port.
    #[must_use]
    pub const fn host(mut self, host: &'a str) -> Self {
        self.host = Some(host);
        self
    }

    /// Sets the method.
    #[must_use]
    pub const fn http_method(mut self, method: &'a str) -> Self {
        self.http_method = Some(method);
        self
    }

    /// Sets the path, without a query string.
    #[must_use]
    pub const fn url_path(mut self, path: &'a str) -> Self {
        self.url_path = Some(path);
        self
    }
}

/// What a strategy has decided.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct Decision {
    sampled: bool,
    rule_name: Option<Arc<str>>,
}

impl Decision {
    /// The segment is recorded, or it is not.
    pub const fn new(sampled: bool) -> Self {
        Self { sampled, rule_name: None }
    }

    /// Names the rule that decided; it goes into `aws.xray.sampling_rule_name`.
    pub fn by_rule(mut self, name: impl Into<Arc<str>>) -> Self {
        self.rule_name = Some(name.into());
        self
    }

    /// Whether the segment is recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The rule that decided, if one did.
    #[must_use]
    pub fn rule_name(&self) -> Option<&str> {
        self.rule_name.as_deref()
    }

    pub(crate) fn shared_rule_name(&self) -> Option<Arc<str>> {
        self.rule_name.clone()
    }

    pub(crate) fn into_rule_name(self) -> Option<Arc<str>> {
        self.rule_name
    }
}

/// Records every segment.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampleAll;

impl SamplingStrategy for SampleAll {
    fn decide(&self, _: &SamplingRequest<'_>) -> Decision {
        Decision::new(true)
    }
}

/// Records no segment, except where the caller has decided otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampleNone;

impl SamplingStrategy for SampleNone {
    fn decide(&self, _: &SamplingRequest<'_>) -> Decision {
        Decision::new(false)
    }
}
