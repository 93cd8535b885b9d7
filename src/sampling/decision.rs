//! What a strategy answers.
//!
//! In: yes or no, and the name of a rule. Out: what the recorder and the document say about it.

use std::sync::Arc;

/// The decision of a strategy about one segment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct Decision {
    sampled: bool,
    rule_name: Option<Arc<str>>,
}

impl Decision {
    /// Records the segment, or does not.
    pub const fn new(sampled: bool) -> Self {
        Self { sampled, rule_name: None }
    }

    /// Names the rule that decided; it goes into `aws.xray.sampling_rule_name`.
    pub fn by_rule(mut self, name: impl Into<Arc<str>>) -> Self {
        self.rule_name = Some(name.into());
        self
    }

    /// Returns whether the segment is recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// Returns the name of the rule that decided, if one did.
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
