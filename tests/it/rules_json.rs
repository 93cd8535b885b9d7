//! Sampling rules from JSON: the document of the X-Ray SDKs, and what is told about a document that is none.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tower_xray::sampling::{LocalizedStrategy, Rule, Rules, RulesBuilder, SamplingRequest, SamplingStrategy};

const NOW: Duration = Duration::from_secs(1_755_443_396);

/// A document of a version with these rules, and the default rule.
fn document(version: u32, rules: &Value, default: &Value) -> String {
    json!({"version": version, "rules": rules, "default": default}).to_string()
}

fn rule(host: &str, method: &str, path: &str, target: u32, rate: f64) -> Value {
    json!({"host": host, "http_method": method, "url_path": path, "fixed_target": target, "rate": rate})
}

/// The same rule as version 1 writes it.
fn rule_v1(host: &str, method: &str, path: &str, target: u32, rate: f64) -> Value {
    json!({"service_name": host, "http_method": method, "url_path": path, "fixed_target": target, "rate": rate})
}

fn nothing() -> Value {
    json!({"fixed_target": 0, "rate": 0})
}

/// Which rule decides about a request, and how.
fn decided(strategy: &LocalizedStrategy, [host, method, path]: [Option<&str>; 3]) -> String {
    let mut request = SamplingRequest::new("orders", NOW, 0.5);
    (request.host, request.http_method, request.url_path) = (host, method, path);
    let decision = strategy.decide(&request);
    format!("{} {}", decision.rule_name().unwrap(), decision.is_sampled())
}

fn strategy(json: &str) -> LocalizedStrategy {
    LocalizedStrategy::new(Rules::from_json(json).unwrap())
}

fn assert_rules(json: &str, default: Rule, rules: impl IntoIterator<Item = Rule>) {
    let builder = rules.into_iter().fold(Rules::builder(), RulesBuilder::rule);
    assert_eq!(Rules::from_json(json).unwrap(), builder.default_rule(default).build().unwrap());
}

#[test]
fn a_document_is_the_same_as_rules_in_the_program() {
    let json = r#"{
        "version": 2,
        "rules": [
            {"description": "health checks", "host": "*", "http_method": "GET", "url_path": "/healthz", "fixed_target": 0, "rate": 0.0},
            {"host": "shop.example.com", "http_method": "P?ST", "url_path": "/orders/*", "fixed_target": 5, "rate": 0.2}
        ],
        "default": {"fixed_target": 3, "rate": 1}
    }"#;
    let health = Rule::new("health checks").http_method("GET").url_path("/healthz").reservoir(0).fixed_rate(0.0);
    let orders = Rule::new("rule 2").host("shop.example.com").http_method("P?ST").url_path("/orders/*");
    let rules = [health, orders.reservoir(5).fixed_rate(0.2)];
    assert_rules(json, Rule::default().reservoir(3).fixed_rate(1.0), rules.clone());
    assert_rules(&format!("\u{feff}{json}"), Rule::default().reservoir(3).fixed_rate(1.0), rules);
}

#[test]
fn version_1_calls_the_pattern_of_the_host_service_name() {
    let expected = Rule::new("rule 1").host("shop.*").url_path("/checkout").reservoir(10).fixed_rate(0.05);
    let default = || Rule::default().reservoir(0).fixed_rate(0.0);
    let v1 = document(1, &json!([rule_v1("shop.*", "*", "/checkout", 10, 0.05)]), &nothing());
    let v2 = document(2, &json!([rule("shop.*", "*", "/checkout", 10, 0.05)]), &nothing());
    assert_rules(&v1, default(), [expected.clone()]);
    assert_rules(&v2, default(), [expected]);

    let strategy = strategy(&v1);
    assert_eq!(decided(&strategy, [Some("shop.example"), Some("GET"), Some("/checkout")]), "rule 1 true");
    assert_eq!(decided(&strategy, [Some("orders"), Some("GET"), Some("/checkout")]), "Default false");
}

#[test]
fn rules_may_be_left_out_or_empty_and_the_largest_numbers_are_good() {
    let default = Rule::default().reservoir(u32::MAX).fixed_rate(1.0);
    let json = r#"{"version": 1, "default": {"fixed_target": 4294967295, "rate": 1.0}}"#;
    assert_rules(json, default.clone(), []);
    assert_rules(&document(2, &json!([]), &json!({"fixed_target": u32::MAX, "rate": 1})), default, []);
}

#[test]
fn a_rule_is_named_by_its_description_or_its_position_and_never_like_another() {
    let thirty = "x".repeat(30);
    let long = format!("{thirty} orders of a kind");
    let accents = "\u{e9}".repeat(40);
    let descriptions = [
        Some("Player moves."),
        None,
        Some("  "),
        Some("Player moves."),
        Some("rule 6"),
        None,
        Some("Default"),
        Some("Player moves. #9"),
        Some("Player moves."),
        Some(&long),
        Some(&long),
        Some(&accents),
        Some(&accents),
    ];
    let rules = descriptions.map(|description| {
        let mut rule = rule("*", "*", "*", 1, 1.0);
        if let Some(description) = description {
            rule["description"] = description.into();
        }
        rule
    });
    let stats = strategy(&document(2, &json!(rules), &nothing())).stats();
    assert_eq!(
        stats.rules.iter().map(|rule| rule.name.to_string()).collect::<Vec<_>>(),
        [
            "Player moves.",
            "rule 2",
            "rule 3",
            "Player moves. #4",
            "rule 6",
            "rule 6 #6",
            "Default #7",
            "Player moves. #9",
            "Player moves. #10",
            &format!("{thirty} o"),
            &format!("{} #11", &thirty[..28]),
            &"\u{e9}".repeat(32),
            &format!("{} #13", "\u{e9}".repeat(28)),
            "Default",
        ],
    );
}

#[test]
fn documents_of_the_official_sdks_decide_as_they_do_there() {
    let test = Some("test");
    let by_path = strategy(&document(1, &json!([rule_v1("*", "*", "/test", 1, 0.05)]), &nothing()));
    assert_eq!(decided(&by_path, [test, test, Some("/test")]), "rule 1 true");
    assert_eq!(decided(&by_path, [test, test, Some("/no")]), "Default false");
    assert_eq!(decided(&by_path, [None, None, None]), "Default false");

    let hosts = json!([rule_v1("test", "*", "*", 0, 0.0), rule_v1("test2", "*", "*", 1, 0.05)]);
    let by_host = strategy(&document(1, &hosts, &nothing()));
    for (host, expected) in [("test", "rule 1 false"), ("test2", "rule 2 true"), ("no", "Default false")] {
        assert_eq!(decided(&by_host, [Some(host), test, Some("/")]), expected);
    }

    let methods = ["test", "?est", "test"].map(|method| rule_v1("*", method, "*", u32::from(method == "?est"), 0.0));
    let by_method = strategy(&document(1, &json!(methods), &nothing()));
    for (method, expected) in [("test", "rule 1 false"), ("rest", "rule 2 true"), ("no", "Default false")] {
        assert_eq!(decided(&by_method, [test, Some(method), Some("/")]), expected);
    }

    let all = json!({"fixed_target": 1, "rate": 1});
    let moves = strategy(&document(2, &json!([rule("*", "*", "/api/move/*", 0, 0.0)]), &all));
    assert_eq!(decided(&moves, [None, Some("GET"), Some("/view")]), "Default true");
    assert_eq!(decided(&moves, [Some("name"), Some("method"), Some("/api/move/left")]), "rule 1 false");
    assert_eq!(decided(&moves, [None, Some("POST"), Some("/api/move/up")]), "rule 1 false");
    assert_eq!(decided(&moves, [None, None, None]), "Default true");
}

proptest! {
    /// Half of them are documents with one part that is something else.
    #[test]
    fn no_json_makes_the_reader_panic_and_what_it_takes_decides(json in prop_oneof![any_json(), spoilt_document()]) {
        if let Ok(rules) = Rules::from_json(&json.to_string()) {
            let names: Vec<_> = LocalizedStrategy::new(rules).stats().rules.iter().map(|rule| rule.name.clone()).collect();
            prop_assert_eq!(names.last().map(|name| &**name), Some("Default"));
            for (position, name) in names.iter().enumerate() {
                prop_assert!((1..=32).contains(&name.chars().count()) && !names[..position].contains(name), "{:?}", names);
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>(), cut in 0_usize..200) {
        prop_assert!(Rules::from_json(&text).is_err());
        let whole = document(2, &json!([rule("*", "*", "/\u{e9}", 1, 0.5)]), &nothing());
        let cut: String = whole.chars().take(cut).collect();
        prop_assert_eq!(Rules::from_json(&cut).is_ok(), cut.len() == whole.len());
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let keys = "version|rules|default|description|host|service_name|http_method|url_path|fixed_target|rate|[a-z]{0,2}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0_u32..3).prop_map(Value::from),
        "[*?a\u{e9} ]{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..7).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn spoilt_document() -> impl Strategy<Value = Value> {
    let descriptions = prop::collection::vec("|a|rule [1-3]|Default|[a\u{e9} ]{30,40}", 0..6);
    let pointers =
        ["", "/version", "/rules", "/rules/0", "/rules/0/host", "/rules/1/rate", "/default", "/default/rate"];
    (descriptions, prop::sample::select(pointers.to_vec()), prop::option::of(any_json())).prop_map(
        |(descriptions, pointer, other)| {
            let rules = descriptions.iter().map(|description| {
                let mut rule = rule("*", "GET", "/", 1, 0.5);
                rule["description"] = description.as_str().into();
                rule
            });
            let rules: Vec<_> = rules.collect();
            let mut document = json!({"version": 2, "rules": rules, "default": nothing()});
            if let (Some(part), Some(other)) = (document.pointer_mut(pointer), other) {
                *part = other;
            }
            document
        },
    )
}
