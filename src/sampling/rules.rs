//! A checked list of sampling rules.
//!
//! In: rules. Out: rules that a strategy can apply, or an error that says which of them cannot be.

use std::{borrow::Cow, fmt};

use super::rule::Rule;

/// Rules in the order in which they are tried, and the default rule for what none of them matches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    pub(crate) rules: Vec<Rule>,
    pub(crate) default: Rule,
}

impl Rules {
    /// No rules yet, and the default of every X-Ray SDK: one request per second and 5 %.
    pub fn builder() -> RulesBuilder {
        RulesBuilder::default()
    }
}

/// Collects rules. See the [module documentation](super) for an example.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RulesBuilder(Rules);

impl RulesBuilder {
    /// Adds a rule after those that are there; the first one that matches decides.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.0.rules.push(rule);
        self
    }

    /// Replaces the default rule.
    pub fn default_rule(mut self, rule: Rule) -> Self {
        self.0.default = rule;
        self
    }

    /// Checks the rules: this is the one place where a bad rule is an error.
    ///
    /// # Errors
    ///
    /// When a name is empty, longer than 32 characters or used twice (the default rule has one too), when a pattern is
    /// empty, when a fixed rate is not between 0 and 1, or when the default rule does not match everything.
    pub fn build(self) -> Result<Rules, RulesError> {
        let Rules { rules, default } = &self.0;
        for (position, rule) in rules.iter().enumerate() {
            check(rule)?;
            if rules[..position].iter().chain([default]).any(|other| other.name == rule.name) {
                return Err(RulesError::new(
                    Some(&rule.name),
                    "name",
                    "is used twice: give every rule a name of its own",
                ));
            }
        }
        check(default)?;
        if !default.matches_all() {
            let wrong = "must match everything: add it with `.rule(…)` instead, or leave its patterns out";
            return Err(RulesError::new(Some(&default.name), "default rule", wrong));
        }
        Ok(self.0)
    }
}

fn check(rule: &Rule) -> Result<(), RulesError> {
    if !(1..=32).contains(&rule.name.chars().count()) {
        return Err(RulesError::new(Some(&rule.name), "name", "must have 1 to 32 characters"));
    }
    let patterns = [
        ("service_name", &rule.service_name),
        ("host", &rule.host),
        ("http_method", &rule.http_method),
        ("url_path", &rule.url_path),
    ];
    for (field, pattern) in patterns {
        if pattern.is_empty() {
            return Err(RulesError::new(
                Some(&rule.name),
                field,
                "is empty and would match nothing: write `*` to match everything",
            ));
        }
    }
    if !(0.0..=1.0).contains(&rule.fixed_rate) {
        return Err(RulesError::new(Some(&rule.name), "fixed_rate", "must be between 0 and 1: write 0.05 for 5 %"));
    }
    Ok(())
}

/// Says which rule is wrong, in which field, and what to write instead.
#[derive(Clone, Eq, PartialEq)]
pub struct RulesError {
    rule: Option<String>,
    field: Cow<'static, str>,
    wrong: Cow<'static, str>,
}

impl RulesError {
    /// About a rule, or about all of them together.
    pub(super) fn new(
        rule: Option<&str>,
        field: impl Into<Cow<'static, str>>,
        wrong: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { rule: rule.map(str::to_owned), field: field.into(), wrong: wrong.into() }
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, field, wrong } = self;
        match rule {
            Some(rule) => write!(f, "sampling rule {rule:?}: {field} {wrong}"),
            None => write!(f, "sampling rules: {field} {wrong}"),
        }
    }
}

impl fmt::Debug for RulesError {
    /// As text: this is what `main` prints of an error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RulesError({self})")
    }
}

impl std::error::Error for RulesError {}
