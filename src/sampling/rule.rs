//! One sampling rule.
//!
//! In: patterns, a reservoir and a rate; then requests. Out: whether the rule matches a request.

use std::sync::Arc;

use super::{
    SamplingRequest,
    wildcard::{host_match, wildcard_match},
};

/// Which requests it is about, and how many of them are recorded.
///
/// The first [`reservoir`](Self::reservoir) requests of every second are, and of the others the
/// [`fixed_rate`](Self::fixed_rate). Patterns know `*` and `?`, see [`wildcard_match`](super::wildcard_match); one that
/// is not set matches everything. Limits are checked when the [`Rules`](super::Rules) are built.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Rule {
    pub(crate) name: Arc<str>,
    pub(crate) service_name: String,
    pub(crate) host: String,
    pub(crate) http_method: String,
    pub(crate) url_path: String,
    pub(crate) reservoir: u32,
    pub(crate) fixed_rate: f64,
}

impl Rule {
    /// A rule that matches everything and records what [`Rule::default`] does: one request per second and 5 %.
    ///
    /// The name goes into the segments that the rule has chosen (X-Ray sampling rules: 1 to 32 characters).
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Only segments with such a name.
    pub fn service_name(mut self, pattern: impl Into<String>) -> Self {
        self.service_name = pattern.into();
        self
    }

    /// Only requests to such a host; tried with the port first, then without.
    pub fn host(mut self, pattern: impl Into<String>) -> Self {
        self.host = pattern.into();
        self
    }

    /// Only requests with such a method.
    pub fn http_method(mut self, pattern: impl Into<String>) -> Self {
        self.http_method = pattern.into();
        self
    }

    /// Only requests with such a path, compared without the query string.
    pub fn url_path(mut self, pattern: impl Into<String>) -> Self {
        self.url_path = pattern.into();
        self
    }

    /// How many requests per second are recorded before the fixed rate applies.
    pub fn reservoir(mut self, per_second: u32) -> Self {
        self.reservoir = per_second;
        self
    }

    /// The part of the other requests that is recorded, from 0 (none) to 1 (all).
    pub fn fixed_rate(mut self, rate: f64) -> Self {
        self.fixed_rate = rate;
        self
    }

    /// Whether the rule is about this request. A value that the request does not have matches `*` only.
    #[must_use]
    pub fn matches(&self, request: &SamplingRequest<'_>) -> bool {
        let host = |host| host_match(&self.host, host).is_some();
        pattern_matches(&self.url_path, request.url_path)
            && pattern_matches(&self.http_method, request.http_method)
            && (self.host == ANY || request.host.is_some_and(host))
            && pattern_matches(&self.service_name, Some(request.service_name))
    }

    /// Whether the rule leaves every field of a request open.
    pub(super) fn matches_all(&self) -> bool {
        [&self.service_name, &self.host, &self.http_method, &self.url_path].iter().all(|pattern| *pattern == ANY)
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            name: "Default".into(),
            service_name: ANY.into(),
            host: ANY.into(),
            http_method: ANY.into(),
            url_path: ANY.into(),
            reservoir: 1,
            fixed_rate: 0.05,
        }
    }
}

/// A value that is missing matches `*` only: a rule for one kind of service is not about one of unknown kind.
pub(super) fn pattern_matches(pattern: &str, value: Option<&str>) -> bool {
    pattern == ANY || value.is_some_and(|value| wildcard_match(pattern, value))
}

pub(super) const ANY: &str = "*";
