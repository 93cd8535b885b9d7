//! One rule of X-Ray: which requests it is about, and what it grants.
//!
//! In: what the service is. Out: whether the rule is about it, and which rule is tried first.

use std::cmp::Ordering;

use crate::sampling::{Rule, rule::pattern_matches, wildcard_match};

/// A sampling rule, as X-Ray has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CentralRule {
    /// What local rules have as well: all about requests.
    pub(super) common: Rule,
    pub(super) priority: i64,
    pub(super) service_type: String,
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
        pattern_matches(&self.service_type, service.service_type.as_deref())
            && pattern_matches(&self.resource_arn, service.resource_arn.as_deref())
            && self.attributes.iter().all(has)
    }

    /// The order in which rules are tried: by priority, then by name, and `Default` last whatever its priority.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let key = |rule: &Self| (*rule.common.name == *"Default", rule.priority);
        key(self).cmp(&key(other)).then_with(|| self.common.name.cmp(&other.common.name))
    }
}
