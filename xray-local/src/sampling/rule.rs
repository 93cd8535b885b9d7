//! In: what is known of a sampling rule. Out: the rule as `GetSamplingRules` answers with it.

use serde_json::{Map, Value, json};

pub(super) const DEFAULT: &str = "Default";
pub(super) const DEFAULT_PRIORITY: u64 = 10_000;

/// The sampling rules that a [`LocalDaemon`](crate::LocalDaemon) serves.
///
/// The default is the one rule that X-Ray always has, `Default`: one request per second, and 5 % of the others.
#[derive(Clone, Debug)]
pub struct SamplingRules {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) reservoir: u64,
    pub(super) fixed_rate: f64,
    /// The whole rule, with what only the SDKs understand.
    pub(super) json: Map<String, Value>,
}

impl SamplingRules {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    pub(super) fn into_rules(self) -> Vec<Rule> {
        self.rules
    }
}

impl Default for SamplingRules {
    fn default() -> Self {
        Self { rules: vec![Rule::new(DEFAULT, DEFAULT_PRIORITY, 1, 0.05, Map::new())] }
    }
}

impl Rule {
    /// Completes what is known of a rule.
    pub(super) fn new(
        name: &str,
        priority: u64,
        reservoir: u64,
        fixed_rate: f64,
        mut json: Map<String, Value>,
    ) -> Self {
        let open = ["ResourceARN", "ServiceName", "ServiceType", "Host", "HTTPMethod", "URLPath"];
        let known = [
            ("RuleName", json!(name)),
            ("Priority", json!(priority)),
            ("ReservoirSize", json!(reservoir)),
            ("FixedRate", json!(fixed_rate)),
        ];
        json.extend(known.map(|(key, value)| (key.to_owned(), value)));
        let arn = json!(format!("arn:aws:xray:local:000000000000:sampling-rule/{name}"));
        let usual = [("RuleARN", arn), ("Version", json!(1)), ("Attributes", json!({}))];
        for (key, value) in open.map(|key| (key, json!("*"))).into_iter().chain(usual) {
            let given = json.entry(key).or_insert(Value::Null);
            if given.is_null() {
                *given = value;
            }
        }
        Self { name: name.to_owned(), reservoir, fixed_rate, json }
    }
}
