//! In: the local rules document of the X-Ray SDKs, version 1 or 2. Out: its rules as central ones, in their order.

use serde_json::{Map, Value, json};

use super::rule::{DEFAULT, DEFAULT_PRIORITY, Rule, SamplingRules};
use crate::check::problem::Problem;

const DOCUMENT: &str = r#"{"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.05}}"#;
const VERSION: &str = r#""version": 2"#;
const DEFAULT_RULE: &str = r#""default": {"fixed_target": 1, "rate": 0.05}"#;

pub(super) fn read(document: &Value) -> Result<SamplingRules, Problem> {
    rules(document).map(SamplingRules::new).map_err(|error| Problem::rejected("$", format!("is wrong: {error}")))
}

fn rules(document: &Value) -> Result<Vec<Rule>, String> {
    let document = Object::of("sampling rules".to_owned(), "the document", document, DOCUMENT)?;
    let host = match document.get("version", VERSION)?.as_u64() {
        Some(1) => "service_name",
        Some(2) => "host",
        _ => return Err(document.wrong("version", &format!("must be the number 1 or 2: write {VERSION}"))),
    };
    document.only(&["version", "rules", "default"], "a document has version, rules and default")?;

    let given = match document.fields.get("rules") {
        None => &[][..],
        Some(Value::Array(rules)) => rules,
        Some(_) => return Err(document.wrong("rules", r#"must be an array: write "rules": [] for none"#)),
    };
    let mut rules: Vec<Rule> = Vec::with_capacity(given.len() + 1);
    for (position, rule) in (1..).zip(given) {
        let description = rule.get("description").and_then(Value::as_str).unwrap_or_default();
        let name = name(description, position, &rules);
        rules.push(rule_of(&name, position, host, rule)?);
    }

    let default = Object::of(about(DEFAULT), "default", document.get("default", DEFAULT_RULE)?, DEFAULT_RULE)?;
    default.only(&["fixed_target", "rate"], "the default rule matches everything, and has fixed_target and rate")?;
    let (reservoir, rate) = default.quota()?;
    rules.push(Rule::new(DEFAULT, DEFAULT_PRIORITY, reservoir, rate, Map::new()));
    Ok(rules)
}

/// A name of at most 32 characters that no other rule has.
fn name(description: &str, position: u64, others: &[Rule]) -> String {
    let cut = |text: &str, length| text.chars().take(length).collect::<String>().trim_end().to_owned();
    let is_free = |name: &String| name != DEFAULT && others.iter().all(|other| other.name != *name);
    let mut name = cut(description.trim_start(), 32);
    if name.is_empty() {
        name = format!("rule {position}");
    }
    let first = name.clone();
    let numbered =
        (position..).map(|number| format!(" #{number}")).map(|number| cut(&name, 32 - number.len()) + &number);
    std::iter::once(first).chain(numbered).find(is_free).expect("there is always another number")
}

fn rule_of(name: &str, priority: u64, host: &'static str, rule: &Value) -> Result<Rule, String> {
    let rule = Object::of(about(name), "the rule", rule, r#"{"url_path": "/orders/*", …}"#)?;
    let (misplaced, advice) = match host {
        "host" => ("service_name", r#"belongs to version 1: write "host", or "version": 1"#),
        _ => ("host", r#"belongs to version 2: write "service_name", or "version": 2"#),
    };
    if rule.fields.contains_key(misplaced) {
        return Err(rule.wrong(misplaced, advice));
    }
    let known = format!("a rule has description, {host}, http_method, url_path, fixed_target and rate");
    rule.only(&["description", host, "http_method", "url_path", "fixed_target", "rate"], &known)?;
    if rule.fields.get("description").is_some_and(|description| !description.is_string()) {
        return Err(rule.wrong("description", "must be a string: it names the rule"));
    }
    let mut patterns = Map::new();
    for (field, key) in [(host, "Host"), ("http_method", "HTTPMethod"), ("url_path", "URLPath")] {
        patterns.insert(key.to_owned(), json!(rule.pattern(field)?));
    }
    let (reservoir, rate) = rule.quota()?;
    Ok(Rule::new(name, priority, reservoir, rate, patterns))
}

fn about(rule: &str) -> String {
    format!("sampling rule {rule:?}")
}

/// An object of the document, and what a message calls it.
struct Object<'a> {
    about: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    fn of(about: String, what: &str, value: &'a Value, example: &str) -> Result<Self, String> {
        match value {
            Value::Object(fields) => Ok(Self { about, fields }),
            _ => Err(format!("{about}: {what} must be an object: write {example}")),
        }
    }

    fn only(&self, known: &[&str], advice: &str) -> Result<(), String> {
        match self.fields.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(self.wrong(&format!("{key:?}"), &format!("is not known: {advice}"))),
            None => Ok(()),
        }
    }

    fn get(&self, field: &str, example: &str) -> Result<&'a Value, String> {
        self.fields.get(field).ok_or_else(|| self.wrong(field, &format!("is missing: write {example}")))
    }

    fn pattern(&self, field: &str) -> Result<&'a str, String> {
        match self.get(field, &format!(r#""{field}": "*" to match everything"#))?.as_str() {
            None => Err(self.wrong(field, r#"must be a string: write "*" to match everything"#)),
            Some("") => Err(self.wrong(field, r#"is empty and would match nothing: write "*" to match everything"#)),
            Some(pattern) => Ok(pattern),
        }
    }

    /// Reservoir and rate, which every rule has.
    fn quota(&self) -> Result<(u64, f64), String> {
        let target = self.get("fixed_target", r#""fixed_target": 1 for one request per second"#)?.as_u64();
        let Some(target) = target.filter(|target| *target <= u32::MAX.into()) else {
            let wrong = "must be a whole number from 0 to 4294967295: write 1 for one request per second";
            return Err(self.wrong("fixed_target", wrong));
        };
        let rate = self.get("rate", r#""rate": 0.05 for 5 %"#)?.as_f64();
        let Some(rate) = rate.filter(|rate| (0.0..=1.0).contains(rate)) else {
            return Err(self.wrong("rate", "must be a number from 0 to 1: write 0.05 for 5 %"));
        };
        Ok((target, rate))
    }

    fn wrong(&self, field: &str, wrong: &str) -> String {
        format!("{}: {field} {wrong}", self.about)
    }
}
