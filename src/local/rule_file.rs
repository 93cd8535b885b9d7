//! In: a file with sampling rules, in one of two forms. Out: the rules, as `GetSamplingRules` answers with them.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::text;
use crate::sampling::Rules;

const DEFAULT: &str = "Default";
const DEFAULT_PRIORITY: u64 = 10_000;

/// The sampling rules that a [`LocalDaemon`](super::LocalDaemon) hands out.
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
    /// Reads rules in the form of X-Ray's API or of an SDK's local rules.
    ///
    /// The first is what `aws xray get-sampling-rules` prints. A rule may leave out what has an obvious value: patterns
    /// are `*` then. Without a rule `Default`, the usual one is added.
    ///
    /// ```
    /// use tower_xray::local::SamplingRules;
    ///
    /// let rules = SamplingRules::from_json(
    ///     r#"{"SamplingRuleRecords": [{"SamplingRule": {
    ///         "RuleName": "Orders", "Priority": 100, "FixedRate": 0.1, "ReservoirSize": 5, "URLPath": "/orders/*"
    ///     }}]}"#,
    /// )?;
    /// # Ok::<(), tower_xray::local::Problem>(())
    /// ```
    ///
    /// The second is what [`Rules::from_json`] reads; its rules are tried in their order.
    ///
    /// ```
    /// # use tower_xray::local::SamplingRules;
    /// let rules = SamplingRules::from_json(
    ///     r#"{
    ///         "version": 2,
    ///         "rules": [{
    ///             "description": "Orders", "host": "*", "http_method": "*", "url_path": "/orders/*",
    ///             "fixed_target": 5, "rate": 0.1
    ///         }],
    ///         "default": { "fixed_target": 1, "rate": 0.05 }
    ///     }"#,
    /// )?;
    /// # Ok::<(), tower_xray::local::Problem>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Says what the first mistake is, and where.
    pub fn from_json(json: &str) -> Result<Self, Problem> {
        let json = json.strip_prefix('\u{feff}').unwrap_or(json);
        let file: Value =
            serde_json::from_str(json).map_err(|error| Problem::rejected("$", format!("is not JSON: {error}")))?;
        let file = Fields::of(&file, "$")?;
        match (file.has("SamplingRuleRecords"), file.has("rules") || file.has("default")) {
            (true, false) => from_records(&file),
            (false, true) => from_local_rules(json),
            (true, true) => Err(file.wrong("has rules in two forms: SamplingRuleRecords, and rules or default")),
            (false, false) => Err(file.wrong("has neither SamplingRuleRecords nor rules and default")),
        }
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
    fn new(name: &str, priority: u64, reservoir: u64, fixed_rate: f64, mut json: Map<String, Value>) -> Self {
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

fn from_records(file: &Fields<'_>) -> Result<SamplingRules, Problem> {
    let mut rules = Vec::new();
    let mut names = HashSet::new();
    for record in file.list("SamplingRuleRecords")? {
        let given = record.fields("SamplingRule")?;
        let name = given.text("RuleName", 32)?.ok_or_else(|| given.missing("RuleName"))?;
        if name.is_empty() {
            return Err(given.wrong_at("RuleName", "is empty"));
        }
        if !names.insert(name) {
            return Err(given.wrong_at("RuleName", format!("is taken: {}", text::fit(name, 32))));
        }
        for (key, longest) in
            [("ServiceName", 64), ("ServiceType", 64), ("Host", 64), ("HTTPMethod", 10), ("URLPath", 128)]
        {
            given.text(key, longest)?;
        }
        given.text("ResourceARN", 500)?;
        let last = if name == DEFAULT { DEFAULT_PRIORITY } else { DEFAULT_PRIORITY - 1 };
        rules.push(Rule::new(
            name,
            given.whole("Priority", 1, last)?,
            given.whole("ReservoirSize", 0, i32::MAX as u64)?,
            given.rate("FixedRate")?,
            given.object.clone(),
        ));
    }
    if !names.contains(DEFAULT) {
        rules.extend(SamplingRules::default().rules);
    }
    Ok(SamplingRules { rules })
}

/// Local rules become central ones in their order.
fn from_local_rules(json: &str) -> Result<SamplingRules, Problem> {
    let Rules { rules, default } =
        Rules::from_json(json).map_err(|error| Problem::rejected("$", format!("is wrong: {error}")))?;
    let rules = (1..).zip(rules).chain([(DEFAULT_PRIORITY, default)]);
    let rules = rules.map(|(priority, rule)| {
        let patterns = [
            ("ServiceName", rule.service_name),
            ("Host", rule.host),
            ("HTTPMethod", rule.http_method),
            ("URLPath", rule.url_path),
        ];
        let patterns = patterns.map(|(key, pattern)| (key.to_owned(), Value::String(pattern)));
        Rule::new(&rule.name, priority, rule.reservoir.into(), rule.fixed_rate, patterns.into_iter().collect())
    });
    Ok(SamplingRules { rules: rules.collect() })
}

/// A JSON object and where it is.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value, path: &str) -> Result<Self, Problem> {
        let object = value.as_object().ok_or_else(|| Problem::rejected(path, "is not an object"))?;
        Ok(Self { object, path: path.to_owned() })
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn fields(&self, key: &str) -> Result<Self, Problem> {
        Self::of(self.get(key).ok_or_else(|| self.missing(key))?, &self.path_to(key))
    }

    pub(super) fn list(&self, key: &str) -> Result<Vec<Self>, Problem> {
        let list = self.get(key).ok_or_else(|| self.missing(key))?;
        let list = list.as_array().ok_or_else(|| self.wrong_at(key, "is not an array"))?;
        let path = self.path_to(key);
        list.iter().enumerate().map(|(at, item)| Self::of(item, &format!("{path}[{at}]"))).collect()
    }

    pub(super) fn text(&self, key: &str, longest: usize) -> Result<Option<&'a str>, Problem> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let text = value.as_str().ok_or_else(|| self.wrong_at(key, "is not a string"))?;
        if text.chars().count() > longest {
            return Err(self.wrong_at(key, format!("is longer than {longest} characters")));
        }
        Ok(Some(text))
    }

    pub(super) fn whole(&self, key: &str, first: u64, last: u64) -> Result<u64, Problem> {
        let value = self.get(key).ok_or_else(|| self.missing(key))?;
        let number = value.as_u64().filter(|number| (first..=last).contains(number));
        number.ok_or_else(|| self.wrong_at(key, format!("is not a whole number from {first} to {last}")))
    }

    pub(super) fn number(&self, key: &str) -> Result<f64, Problem> {
        let value = self.get(key).ok_or_else(|| self.missing(key))?;
        value.as_f64().ok_or_else(|| self.wrong_at(key, "is not a number"))
    }

    fn rate(&self, key: &str) -> Result<f64, Problem> {
        let rate = self.number(key)?;
        if (0.0..=1.0).contains(&rate) { Ok(rate) } else { Err(self.wrong_at(key, "is not a number from 0 to 1")) }
    }

    pub(super) fn missing(&self, key: &str) -> Problem {
        self.wrong_at(key, "is missing")
    }

    pub(super) fn wrong_at(&self, key: &str, message: impl Into<String>) -> Problem {
        Problem::rejected(&self.path_to(key), message)
    }

    fn wrong(&self, message: &str) -> Problem {
        Problem::rejected(&self.path, message)
    }

    /// A field that is null is one that is not there.
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    fn path_to(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }
}
