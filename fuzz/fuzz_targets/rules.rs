//! Files of rules never panic, what is accepted is within bounds, and both readers accept the same.

#![no_main]

use std::{collections::BTreeSet, time::Duration};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use tower_xray::sampling::{LocalizedStrategy, Rule, Rules, SamplingRequest, SamplingStrategy};
use tower_xray_fuzz::Data;
use xray_local::SamplingRules;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Text(&'a str),
    Local { version: Field, default: [Field; 2], rules: Vec<[Field; 6]>, more: Option<(String, Data)> },
    Central(Vec<[Field; 11]>),
    Built { rules: Vec<(&'a str, [&'a str; 4], u32, f64)>, default: (u32, f64) },
}

/// A field of a rule: as it should be, as it may be, or missing.
#[derive(Arbitrary, Debug)]
enum Field {
    Missing,
    Usual,
    Text(String),
    Number(u16),
    Rate(f32),
    Other(Data),
}

fuzz_target!(|input: Input<'_>| {
    match input {
        Input::Text(text) => check(text),
        Input::Local { version, default, rules, more } => {
            let version = field(version, json!(2));
            let host = if version == Some(json!(1)) { "service_name" } else { "host" };
            let rule = |fields: [Field; 6]| {
                let keys = ["description", host, "http_method", "url_path", "fixed_target", "rate"];
                let usual = [json!("checkout"), json!("*"), json!("GET"), json!("/a/*"), json!(3), json!(0.5)];
                object(keys, fields, usual)
            };
            let rules: Vec<Value> = rules.into_iter().map(rule).collect();
            let default = object(["fixed_target", "rate"], default, [json!(1), json!(0.05)]);
            let mut file = json!({ "version": version, "default": default, "rules": rules });
            if let Some((key, value)) = more {
                file[key] = serde_json::to_value(value).unwrap_or_default();
            }
            check(&file.to_string());
        }
        Input::Central(records) => {
            let record = |fields: [Field; 11]| {
                let keys = [
                    "RuleName",
                    "Priority",
                    "FixedRate",
                    "ReservoirSize",
                    "ServiceName",
                    "ServiceType",
                    "Host",
                    "HTTPMethod",
                    "URLPath",
                    "ResourceARN",
                    "Version",
                ];
                let any = || json!("*");
                let usual = [
                    json!("Orders"),
                    json!(7),
                    json!(0.1),
                    json!(2),
                    any(),
                    any(),
                    any(),
                    any(),
                    any(),
                    any(),
                    json!(1),
                ];
                json!({ "SamplingRule": object(keys, fields, usual) })
            };
            let records: Vec<Value> = records.into_iter().map(record).collect();
            check(&json!({ "SamplingRuleRecords": records }).to_string());
        }
        Input::Built { rules, default: (reservoir, rate) } => {
            let mut builder = Rules::builder().default_rule(Rule::default().reservoir(reservoir).fixed_rate(rate));
            let mut first = None;
            for (name, [service, host, method, path], reservoir, rate) in rules {
                let rule = Rule::new(name).service_name(service).host(host).http_method(method).url_path(path);
                let matches = rule.matches(&request(0.0));
                first = first.or(matches.then_some(name));
                builder = builder.rule(rule.reservoir(reservoir).fixed_rate(rate));
            }
            match builder.build() {
                Ok(rules) => assert_eq!(decide(rules), first.unwrap_or("Default"), "the first that matches decides"),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
});

fn object<const N: usize>(keys: [&str; N], fields: [Field; N], usual: [Value; N]) -> Value {
    let entries = keys.into_iter().zip(fields).zip(usual);
    let entries = entries.filter_map(|((key, given), usual)| Some((key.to_owned(), field(given, usual)?)));
    Value::Object(entries.collect::<Map<_, _>>())
}

fn field(given: Field, usual: Value) -> Option<Value> {
    Some(match given {
        Field::Missing => return None,
        Field::Usual => usual,
        Field::Text(text) => text.into(),
        Field::Number(number) => number.into(),
        Field::Rate(rate) => rate.into(),
        Field::Other(data) => serde_json::to_value(data).unwrap_or_default(),
    })
}

fn check(text: &str) {
    let local = Rules::from_json(text);
    let served = SamplingRules::from_json(text);
    if let Err(error) = &served {
        assert!(!error.to_string().is_empty());
    }
    match local {
        Ok(rules) => {
            assert!(served.is_ok(), "the local daemon takes what the SDK takes: {served:?}");
            bounds(&serde_json::from_str(text.trim_start_matches('\u{feff}')).expect("it has been read"));
            assert!((1..=32).contains(&decide(rules).chars().count()));
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(served.is_err() || has_records(text), "{error}, but the local daemon takes it: {served:?}");
        }
    }
}

/// Whether it is a file in the form of X-Ray's API, which only the local daemon reads.
fn has_records(text: &str) -> bool {
    let file: Result<Value, _> = serde_json::from_str(text.trim_start_matches('\u{feff}'));
    file.is_ok_and(|file| !file["SamplingRuleRecords"].is_null())
}

/// What the text says of rules that have been taken.
fn bounds(file: &Value) {
    let rules = file["rules"].as_array().into_iter().flatten();
    for rule in rules.clone() {
        for key in [if file["version"] == 1 { "service_name" } else { "host" }, "http_method", "url_path"] {
            assert!(rule[key].as_str().is_some_and(|pattern| !pattern.is_empty()), "{key}: {rule}");
        }
    }
    for rule in rules.chain([&file["default"]]) {
        assert!(rule["rate"].as_f64().is_some_and(|rate| (0.0..=1.0).contains(&rate)), "{rule}");
        assert!(rule["fixed_target"].as_u64().is_some_and(|target| target <= u32::MAX.into()), "{rule}");
    }
}

fn request(random: f64) -> SamplingRequest<'static> {
    SamplingRequest::new("orders", Duration::from_secs(1), random)
        .host("shop.example.com:80")
        .http_method("GET")
        .url_path("/a/b")
}

/// Which of the rules decides; every one has a name of its own.
fn decide(rules: Rules) -> String {
    let strategy = LocalizedStrategy::new(rules);
    let [first, second] = [0.0, 0.999].map(|random| strategy.decide(&request(random)));
    assert_eq!(first.rule_name(), second.rule_name());
    let stats = strategy.stats();
    let names: BTreeSet<_> = stats.rules.iter().map(|rule| &rule.name).collect();
    assert_eq!(names.len(), stats.rules.len(), "{names:?}");
    first.rule_name().expect("the default rule matches everything").to_owned()
}
