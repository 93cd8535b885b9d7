//! What is told about a document of sampling rules that is wrong: which rule, which field, and what to write instead.

use std::fs;

use serde_json::{Value, json};
use tower_xray::sampling::Rules;

/// A good document, with one change.
fn refused(change: impl FnOnce(&mut Value)) -> String {
    let mut document = json!({
        "version": 2,
        "rules": [
            {"description": "checkout", "host": "*", "http_method": "POST", "url_path": "/checkout/*", "fixed_target": 10, "rate": 1},
            {"host": "*", "http_method": "GET", "url_path": "/", "fixed_target": 1, "rate": 0.5},
        ],
        "default": {"fixed_target": 1, "rate": 0.05},
    });
    assert!(Rules::from_json(&document.to_string()).is_ok());
    change(&mut document);
    Rules::from_json(&document.to_string()).unwrap_err().to_string()
}

/// The same with a part replaced, or taken out.
fn refused_with(pointer: &str, other: Value) -> String {
    refused(|document| *document.pointer_mut(pointer).unwrap() = other)
}

fn refused_without(object: &str, key: &str) -> String {
    refused(|document| {
        document.pointer_mut(object).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    })
}

#[test]
fn what_is_not_json_is_told_with_its_line_and_column() {
    for (text, message) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{\n  \"version\": 2,\n}", "trailing comma at line 3 column 1"),
        ("{\n  // ours\n  \"version\": 2}", "key must be a string at line 2 column 3"),
        ("version: 2", "expected value at line 1 column 1"),
        (&"[".repeat(100_000), "recursion limit exceeded at line 1 column 128"),
    ] {
        let error = Rules::from_json(text).unwrap_err();
        assert_eq!(error.to_string(), format!("sampling rules: the text is not valid JSON: {message}"));
    }
}

#[test]
fn a_document_that_is_wrong_as_a_whole_is_told_what_it_has_to_have() {
    let example = r#"{"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.05}}"#;
    for other in [json!([]), json!(null), json!("version 2")] {
        assert_eq!(refused_with("", other), format!("sampling rules: the document must be an object: write {example}"),);
    }
    assert_eq!(refused_without("", "version"), r#"sampling rules: version is missing: write "version": 2"#);
    for other in [json!(0), json!(3), json!(1.5), json!("2"), json!(null)] {
        let message = r#"sampling rules: version must be the number 1 or 2: write "version": 2"#;
        assert_eq!(refused_with("/version", other), message);
    }
    for other in [json!({}), json!(null)] {
        let message = r#"sampling rules: rules must be an array: write "rules": [] for none"#;
        assert_eq!(refused_with("/rules", other), message);
    }
    assert_eq!(
        refused(|document| document["rule"] = json!([])),
        r#"sampling rules: "rule" is not known: a document has version, rules and default"#,
    );
}

#[test]
fn a_default_rule_that_is_not_just_two_numbers_is_refused() {
    let write = r#"write "default": {"fixed_target": 1, "rate": 0.05}"#;
    assert_eq!(refused_without("", "default"), format!("sampling rules: default is missing: {write}"));
    assert_eq!(
        refused_with("/default", json!(0.05)),
        format!(r#"sampling rule "Default": default must be an object: {write}"#),
    );
    for key in ["url_path", "host", "service_name", "http_method", "description"] {
        assert_eq!(
            refused(|document| document["default"][key] = "*".into()),
            format!(
                r#"sampling rule "Default": "{key}" is not known: the default rule matches everything, and has fixed_target and rate"#
            ),
        );
    }
}

#[test]
fn numbers_that_are_missing_or_make_no_sense_are_refused_in_every_rule() {
    for (pointer, name) in [("/rules/0", "checkout"), ("/rules/1", "rule 2"), ("/default", "Default")] {
        assert_eq!(
            refused_without(pointer, "fixed_target"),
            format!(
                r#"sampling rule "{name}": fixed_target is missing: write "fixed_target": 1 for one request per second"#
            ),
        );
        assert_eq!(
            refused_without(pointer, "rate"),
            format!(r#"sampling rule "{name}": rate is missing: write "rate": 0.05 for 5 %"#),
        );
        for other in [json!(-1), json!(0.5), json!(4_294_967_296_u64), json!("1"), json!(null)] {
            assert_eq!(
                refused_with(&format!("{pointer}/fixed_target"), other),
                format!(
                    r#"sampling rule "{name}": fixed_target must be a whole number from 0 to 4294967295: write 1 for one request per second"#
                ),
            );
        }
        for other in [json!(-0.01), json!(1.01), json!(5), json!("0.05"), json!(null)] {
            assert_eq!(
                refused_with(&format!("{pointer}/rate"), other),
                format!(r#"sampling rule "{name}": rate must be a number from 0 to 1: write 0.05 for 5 %"#),
            );
        }
    }
}

#[test]
fn patterns_that_are_missing_or_empty_or_no_strings_are_refused() {
    for field in ["host", "http_method", "url_path"] {
        assert_eq!(
            refused_without("/rules/1", field),
            format!(r#"sampling rule "rule 2": {field} is missing: write "{field}": "*" to match everything"#),
        );
        let pointer = format!("/rules/0/{field}");
        assert_eq!(
            refused_with(&pointer, json!("")),
            format!(
                r#"sampling rule "checkout": {field} is empty and would match nothing: write "*" to match everything"#
            ),
        );
        for other in [json!(7), json!(null), json!(["GET", "POST"])] {
            assert_eq!(
                refused_with(&pointer, other),
                format!(r#"sampling rule "checkout": {field} must be a string: write "*" to match everything"#),
            );
        }
    }
}

#[test]
fn a_rule_of_the_other_version_is_told_so() {
    assert_eq!(
        refused(|document| document["rules"][1]["service_name"] = "*".into()),
        r#"sampling rule "rule 2": service_name belongs to version 1: write "host", or "version": 1"#,
    );
    assert_eq!(
        refused_with("/version", json!(1)),
        r#"sampling rule "checkout": host belongs to version 2: write "service_name", or "version": 2"#,
    );
}

#[test]
fn keys_that_no_rule_has_are_refused() {
    let known = "a rule has description, host, http_method, url_path, fixed_target and rate";
    for key in ["priority", "rule_name", "URL_path", "", "url_path "] {
        assert_eq!(
            refused(|document| document["rules"][0][key] = "*".into()),
            format!(r#"sampling rule "checkout": "{key}" is not known: {known}"#),
        );
    }
    assert_eq!(
        refused_with("/rules/1", json!("GET /")),
        r#"sampling rule "rule 2": the rule must be an object: write {"url_path": "/orders/*", …}"#,
    );
    assert_eq!(
        refused_with("/rules/0/description", json!(7)),
        r#"sampling rule "rule 1": description must be a string: it names the rule"#,
    );
}

#[test]
fn a_file_is_read_and_its_errors_start_with_its_path() {
    let directory = std::env::temp_dir().join(format!("tower-xray-rules-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("rules.json");
    let told = || format!("{:?}", Rules::from_file(&path).unwrap_err());
    let path_told = path.display();

    let missing = told();
    assert!(missing.starts_with(&format!("RulesFileError({path_told}: cannot be read: ")), "{missing}");
    fs::write(&path, b"\xff").unwrap();
    assert!(told().contains("cannot be read: stream did not contain valid UTF-8"), "{}", told());
    fs::write(&path, r#"{"version": 2}"#).unwrap();
    let message = r#"sampling rules: default is missing: write "default": {"fixed_target": 1, "rate": 0.05}"#;
    assert_eq!(told(), format!("RulesFileError({path_told}: {message})"));
    fs::write(&path, r#"{"version": 2, "default": {"fixed_target": 1, "rate": 0.05}}"#).unwrap();
    assert_eq!(Rules::from_file(&path).unwrap(), Rules::default());
    fs::remove_dir_all(&directory).unwrap();
}
