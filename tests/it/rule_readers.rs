//! Both readers of local rules documents, this crate's and that of `xray-local`, agree about every document.

use serde_json::{Value, json};
use tower_xray::sampling::{LocalizedStrategy, Rules, SamplingStrategy};
use xray_local::{LocalDaemon, SamplingRules};

/// A good document of version 2, with a rule that is named and one that is not.
fn document() -> Value {
    json!({
        "version": 2,
        "rules": [
            {"description": "checkout", "host": "*", "http_method": "POST", "url_path": "/checkout/*", "fixed_target": 10, "rate": 1},
            {"host": "shop.example.com", "http_method": "GET", "url_path": "/", "fixed_target": 0, "rate": 0.5},
        ],
        "default": {"fixed_target": 1, "rate": 0.05},
    })
}

/// The same verdict; for a good document the same names, for a wrong one the same reason.
fn assert_agree(text: &str) {
    match (Rules::from_json(text), SamplingRules::from_json(text)) {
        (Ok(rules), Ok(served)) => {
            let stats = LocalizedStrategy::new(rules).stats();
            let names: Vec<String> = stats.rules.iter().map(|rule| rule.name.to_string()).collect();
            let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
            daemon.set_sampling_rules(served);
            let reports = daemon.sampling_reports();
            assert_eq!(reports.into_iter().map(|report| report.rule_name).collect::<Vec<_>>(), names, "{text}");
        }
        (Err(error), Err(problem)) => assert_eq!(problem.message(), format!("is wrong: {error}"), "{text}"),
        (rules, served) => panic!("{text}: {rules:?}, but {served:?}"),
    }
}

#[test]
fn a_document_that_one_reader_takes_is_taken_by_the_other() {
    assert_agree(&document().to_string());
    assert_agree(&format!("\u{feff}{}", document()));
    assert_agree(r#"{"version": 1, "default": {"fixed_target": 0, "rate": 0}}"#);
    assert_agree(
        &document().to_string().replace("\"host\"", "\"service_name\"").replace("\"version\":2", "\"version\":1"),
    );
    assert_agree(&json!({"version": 2, "rules": [], "default": {"fixed_target": u32::MAX, "rate": 1}}).to_string());
}

#[test]
fn rules_have_the_same_names() {
    let long = "x".repeat(40);
    let names =
        ["a", "a", "", " ", "a #2", "a", "Default", "rule 3", long.as_str(), long.as_str(), "  ü  ", "rule 12", ""];
    let rule = |name: &&str| json!({"description": name, "host": "*", "http_method": "*", "url_path": "*", "fixed_target": 1, "rate": 1});
    let mut document = document();
    document["rules"] = names.iter().map(rule).collect();
    assert_agree(&document.to_string());
}

#[test]
fn a_document_with_one_mistake_is_refused_by_both_for_the_same_reason() {
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(2),
        json!(3),
        json!(0.5),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(4_294_967_296_u64),
        json!(""),
        json!("*"),
        json!("\u{202e}\u{1b}"),
        json!([]),
        json!([1]),
        json!({}),
    ];
    let places = [
        "/version",
        "/rules",
        "/rules/0",
        "/rules/0/description",
        "/rules/0/host",
        "/rules/1/http_method",
        "/rules/1/url_path",
        "/rules/1/fixed_target",
        "/rules/1/rate",
        "/default",
        "/default/fixed_target",
        "/default/rate",
    ];
    for place in places {
        for other in &others {
            let mut document = document();
            *document.pointer_mut(place).unwrap() = other.clone();
            assert_agree(&document.to_string());
        }
        let (object, key) = place.rsplit_once('/').unwrap();
        let mut without = document();
        if let Value::Object(fields) = without.pointer_mut(object).unwrap() {
            fields.remove(key);
        }
        assert_agree(&without.to_string());
    }
    for object in ["", "/rules/0", "/default"] {
        for key in ["Rate", "service_name", "description", "host", "more", "\u{202e}"] {
            let mut document = document();
            document.pointer_mut(object).unwrap().as_object_mut().unwrap().insert(key.to_owned(), json!("*"));
            assert_agree(&document.to_string());
        }
    }
}
