//! Rules from the local rules document of the X-Ray SDKs.
//!
//! In: JSON. Out: rules, or an error that names the rule and what is wrong with it.

use std::{fmt, fs, io, iter, path::Path};

use serde_json::{Map, Value};

use super::{
    Rule,
    rules::{Rules, RulesError},
};

impl Rules {
    /// Reads the local rules document of the X-Ray SDKs, version 1 or 2.
    ///
    /// ```
    /// use tower_xray::sampling::{Rule, Rules};
    ///
    /// let json = r#"{
    ///     "version": 2,
    ///     "rules": [
    ///         {"description": "checkout", "host": "*", "http_method": "POST", "url_path": "/checkout/*",
    ///          "fixed_target": 10, "rate": 1.0}
    ///     ],
    ///     "default": {"fixed_target": 1, "rate": 0.05}
    /// }"#;
    /// let checkout = Rule::new("checkout").http_method("POST").url_path("/checkout/*").reservoir(10).fixed_rate(1.0);
    /// assert_eq!(Rules::from_json(json)?, Rules::builder().rule(checkout).build()?);
    /// # Ok::<(), tower_xray::sampling::RulesError>(())
    /// ```
    ///
    /// `fixed_target` is the reservoir and `rate` the fixed rate. Version 1 writes `service_name` for `host`; it is the
    /// pattern of the host all the same. `version` and `default` are required, `rules` may be left out.
    ///
    /// A rule is named by the first 32 characters of its `description`, and by its position (`rule 1`) without one. A
    /// name that is taken already, by an earlier rule or by the default rule, which is `Default`, gets the position
    /// behind it (`checkout #4`).
    ///
    /// Where the SDKs differ, this is as strict as the strictest, because a rule that is not understood is a rule that
    /// does not do what it says: keys other than these are refused (in the default rule, too: it has `fixed_target` and
    /// `rate` only), `fixed_target` has to be a whole number, and `rate` has to be from 0 to 1. Comments, which the SDK
    /// for Java takes, are not JSON. A byte order mark is skipped.
    ///
    /// # Errors
    ///
    /// When the text is not JSON, or not such a document. The error names the rule and the field, and for text that is
    /// not JSON the line and the column.
    pub fn from_json(json: &str) -> Result<Self, RulesError> {
        let json = json.strip_prefix('\u{feff}').unwrap_or(json);
        let document: Value = serde_json::from_str(json)
            .map_err(|error| RulesError::new(None, "the text", format!("is not valid JSON: {error}")))?;
        let document = Object::new(None, "the document", &document, DOCUMENT)?;
        let host = match document.get("version", VERSION)?.as_u64() {
            Some(1) => "service_name",
            Some(2) => "host",
            _ => return Err(document.error("version", format!("must be the number 1 or 2: write {VERSION}"))),
        };
        document.only(&["version", "rules", "default"], "a document has version, rules and default")?;

        let rules = match document.fields.get("rules") {
            None => &[][..],
            Some(Value::Array(rules)) => rules,
            Some(_) => return Err(document.error("rules", r#"must be an array: write "rules": [] for none"#)),
        };
        let mut builder = Self::builder();
        let mut names = vec![DEFAULT.to_owned()];
        for (position, rule) in (1..).zip(rules) {
            let description = rule.get("description").and_then(Value::as_str).unwrap_or_default();
            let name = name(description, position, &names);
            builder = builder.rule(read_rule(&name, host, rule)?);
            names.push(name);
        }

        let default = document.get("default", DEFAULT_RULE)?;
        let default = Object::new(Some(DEFAULT), "default", default, DEFAULT_RULE)?;
        default
            .only(&["fixed_target", "rate"], "the default rule matches everything, and has fixed_target and rate")?;
        builder.default_rule(default.quota(Rule::new(DEFAULT))?).build()
    }

    /// Reads a file with the document of [`from_json`](Self::from_json).
    ///
    /// It blocks while it reads, and is meant for the start of a program.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not such a document.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, RulesFileError> {
        let path = path.as_ref();
        let error = |wrong| RulesFileError { path: path.display().to_string(), wrong };
        let json = fs::read_to_string(path).map_err(|io| error(Wrong::Io(io)))?;
        Self::from_json(&json).map_err(|rules| error(Wrong::Rules(rules)))
    }
}

const DEFAULT: &str = "Default";
const DOCUMENT: &str = r#"{"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.05}}"#;
const VERSION: &str = r#""version": 2"#;
const DEFAULT_RULE: &str = r#""default": {"fixed_target": 1, "rate": 0.05}"#;

/// A name of at most 32 characters that no other rule has.
fn name(description: &str, position: usize, taken: &[String]) -> String {
    let cut = |text: &str, length| text.chars().take(length).collect::<String>().trim_end().to_owned();
    let mut name = cut(description.trim_start(), 32);
    if name.is_empty() {
        name = format!("rule {position}");
    }
    let numbered =
        (position..).map(|number| format!(" #{number}")).map(|number| cut(&name, 32 - number.len()) + &number);
    iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name)).expect("there is always another number")
}

fn read_rule(name: &str, host: &'static str, rule: &Value) -> Result<Rule, RulesError> {
    let rule = Object::new(Some(name), "the rule", rule, r#"{"url_path": "/orders/*", …}"#)?;
    let (misplaced, advice) = match host {
        "host" => ("service_name", r#"belongs to version 1: write "host", or "version": 1"#),
        _ => ("host", r#"belongs to version 2: write "service_name", or "version": 2"#),
    };
    if rule.fields.contains_key(misplaced) {
        return Err(rule.error(misplaced, advice));
    }
    let known = format!("a rule has description, {host}, http_method, url_path, fixed_target and rate");
    rule.only(&["description", host, "http_method", "url_path", "fixed_target", "rate"], &known)?;
    if rule.fields.get("description").is_some_and(|description| !description.is_string()) {
        return Err(rule.error("description", "must be a string: it names the rule"));
    }
    let patterns = Rule::new(name)
        .host(rule.pattern(host)?)
        .http_method(rule.pattern("http_method")?)
        .url_path(rule.pattern("url_path")?);
    rule.quota(patterns)
}

/// An object of the document, and the rule that it is.
struct Object<'a> {
    rule: Option<&'a str>,
    fields: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    fn new(rule: Option<&'a str>, what: &'static str, value: &'a Value, example: &str) -> Result<Self, RulesError> {
        let error = || RulesError::new(rule, what, format!("must be an object: write {example}"));
        value.as_object().map(|fields| Self { rule, fields }).ok_or_else(error)
    }

    fn only(&self, known: &[&str], advice: &str) -> Result<(), RulesError> {
        match self.fields.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(RulesError::new(self.rule, format!("{key:?}"), format!("is not known: {advice}"))),
            None => Ok(()),
        }
    }

    fn get(&self, field: &'static str, example: &str) -> Result<&'a Value, RulesError> {
        self.fields.get(field).ok_or_else(|| self.error(field, format!("is missing: write {example}")))
    }

    fn pattern(&self, field: &'static str) -> Result<&'a str, RulesError> {
        match self.get(field, &format!(r#""{field}": "*" to match everything"#))?.as_str() {
            None => Err(self.error(field, r#"must be a string: write "*" to match everything"#)),
            Some("") => Err(self.error(field, r#"is empty and would match nothing: write "*" to match everything"#)),
            Some(pattern) => Ok(pattern),
        }
    }

    /// Both numbers, which every rule has.
    fn quota(&self, rule: Rule) -> Result<Rule, RulesError> {
        let target = self.get("fixed_target", r#""fixed_target": 1 for one request per second"#)?.as_u64();
        let Some(target) = target.and_then(|target| u32::try_from(target).ok()) else {
            let wrong = "must be a whole number from 0 to 4294967295: write 1 for one request per second";
            return Err(self.error("fixed_target", wrong));
        };
        let rate = self.get("rate", r#""rate": 0.05 for 5 %"#)?.as_f64();
        let Some(rate) = rate.filter(|rate| (0.0..=1.0).contains(rate)) else {
            return Err(self.error("rate", "must be a number from 0 to 1: write 0.05 for 5 %"));
        };
        Ok(rule.reservoir(target).fixed_rate(rate))
    }

    fn error(&self, field: &'static str, wrong: impl Into<String>) -> RulesError {
        RulesError::new(self.rule, field, wrong.into())
    }
}

/// Says which file of rules is wrong, and why.
pub struct RulesFileError {
    path: String,
    wrong: Wrong,
}

enum Wrong {
    Io(io::Error),
    Rules(RulesError),
}

impl fmt::Display for RulesFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wrong {
            Wrong::Io(error) => write!(f, "{}: cannot be read: {error}", self.path),
            Wrong::Rules(error) => write!(f, "{}: {error}", self.path),
        }
    }
}

impl fmt::Debug for RulesFileError {
    /// As text: this is what `main` prints of an error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RulesFileError({self})")
    }
}

/// Without a source: its text is part of this one's.
impl std::error::Error for RulesFileError {}
