//! One rule of X-Ray: which requests it is about, and what it grants.

use std::{cmp::Ordering, sync::Arc};

use crate::sampling::{SamplingRequest, host_match, wildcard_match};

/// A sampling rule, as X-Ray has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CentralRule {
    pub(super) name: Arc<str>,
    pub(super) priority: i64,
    pub(super) fixed_rate: f64,
    pub(super) reservoir_size: u32,
    pub(super) service_name: String,
    pub(super) service_type: String,
    pub(super) host: String,
    pub(super) http_method: String,
    pub(super) url_path: String,
    pub(super) resource_arn: String,
    pub(super) attributes: Vec<(String, String)>,
    /// X-Ray may boost its rate, and wants to hear of anomalies.
    pub(super) boosts: bool,
}

/// What rules may ask about the service: it is the same for every request.
#[derive(Clone, Debug, Default)]
pub(super) struct Identity {
    pub(super) service_type: Option<String>,
    pub(super) resource_arn: Option<String>,
    pub(super) attributes: Vec<(String, String)>,
}

impl CentralRule {
    /// Whether the rule is about any request to this service.
    pub(super) fn is_about(&self, service: &Identity) -> bool {
        let has = |(key, pattern): &(String, String)| {
            service.attributes.iter().any(|(known, value)| known == key && wildcard_match(pattern, value))
        };
        matches(&self.service_type, service.service_type.as_deref())
            && matches(&self.resource_arn, service.resource_arn.as_deref())
            && self.attributes.iter().all(has)
    }

    /// Whether the rule is about this request to a service that it is about.
    pub(super) fn matches(&self, request: &SamplingRequest<'_>) -> bool {
        matches(&self.url_path, request.url_path)
            && matches(&self.http_method, request.http_method)
            && (self.host == ANY || request.host.is_some_and(|host| host_match(&self.host, host).is_some()))
            && matches(&self.service_name, Some(request.service_name))
    }

    /// The order in which rules are tried: by priority, then by name, and `Default` last whatever its priority.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let key = |rule: &Self| (*rule.name == *"Default", rule.priority);
        key(self).cmp(&key(other)).then_with(|| self.name.cmp(&other.name))
    }
}

/// A value that is missing matches `*` only: a rule for one kind of service is not about one of unknown kind.
fn matches(pattern: &str, value: Option<&str>) -> bool {
    pattern == ANY || value.is_some_and(|value| wildcard_match(pattern, value))
}

pub(super) const ANY: &str = "*";
