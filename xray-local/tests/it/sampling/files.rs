//! The files with sampling rules: both forms, what is wrong with them, and changes while the daemon runs.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use xray_local::{LocalDaemon, Problem, SamplingRules};

use super::{A, START, Setup, answered, default_rule, orders, record, statistics};

#[test]
fn records_are_handed_out_as_they_are_with_what_they_leave_out() {
    let file = json!({
        "SamplingRuleRecords": [
            { "SamplingRule": {
                "RuleName": "Default", "Priority": 10_000, "FixedRate": 0, "ReservoirSize": 0, "Host": null,
            }, "ModifiedAt": "2025-08-17T15:10:00+00:00" },
            { "SamplingRule": {
                "RuleName": "Orders", "RuleARN": "arn:orders", "Priority": 9_999, "FixedRate": 1.0, "ReservoirSize": 7,
                "ServiceName": "shop", "ServiceType": "AWS::ECS::Container", "Host": "shop.example.test",
                "HTTPMethod": "POST", "URLPath": "/orders/*", "ResourceARN": "arn:*", "Version": 1,
                "Attributes": { "tier": "gold" }, "SamplingRateBoost": { "MaxRate": 0.5, "CooldownWindowMinutes": 10 },
            } },
        ],
        "NextToken": null,
    });
    let mut setup = Setup::with(SamplingRules::from_json(&file.to_string()).unwrap());
    let mut orders = file["SamplingRuleRecords"][1].clone();
    orders["CreatedAt"] = json!(START as f64);
    orders["ModifiedAt"] = json!(START as f64);
    assert_eq!(setup.rules(), answered([record("Default", 10_000, 0, 0.0, "*"), orders]));
}

#[test]
fn local_rules_become_central_ones_in_their_order() {
    let rule = |description: &str, path: &str| {
        json!({
            "description": description, "host": "*", "http_method": "*", "url_path": path,
            "fixed_target": 2, "rate": 0.5,
        })
    };
    let long = "x".repeat(33);
    let rules = [rule("health", "/a"), rule("", "/b"), rule("health", "/c"), rule(&long, "/d"), rule("Default", "/e")];
    let file = json!({ "version": 2, "rules": rules, "default": { "fixed_target": 3, "rate": 0.25 } });
    let mut setup = Setup::with(SamplingRules::from_json(&file.to_string()).unwrap());
    let expected = answered([
        record("health", 1, 2, 0.5, "/a"),
        record("rule 2", 2, 2, 0.5, "/b"),
        record("health #3", 3, 2, 0.5, "/c"),
        record(&"x".repeat(32), 4, 2, 0.5, "/d"),
        record("Default #5", 5, 2, 0.5, "/e"),
        record("Default", 10_000, 3, 0.25, "*"),
    ]);
    assert_eq!(setup.rules(), expected);
}

#[test]
fn version_1_of_local_rules_calls_the_host_service_name() {
    let file = r#"{"version": 1, "default": {"fixed_target": 0, "rate": 0}, "rules": [
        {"service_name": "shop.example.test", "http_method": "GET", "url_path": "/", "fixed_target": 1, "rate": 1}]}"#;
    let mut setup = Setup::with(SamplingRules::from_json(file).unwrap());
    let answer = setup.rules();
    let rule = &answer["SamplingRuleRecords"][0]["SamplingRule"];
    assert_eq!(
        json!([rule["Host"], rule["ServiceName"], rule["HTTPMethod"]]),
        json!(["shop.example.test", "*", "GET"])
    );
}

#[test]
fn a_wrong_file_is_refused_with_the_place_and_the_reason() {
    let rule = |key: &str, value: Value| {
        let mut rule = json!({ "RuleName": "a", "Priority": 1, "FixedRate": 0.5, "ReservoirSize": 1 });
        rule[key] = value;
        json!({ "SamplingRuleRecords": [{ "SamplingRule": rule }] }).to_string()
    };
    let one = json!({ "SamplingRule": { "RuleName": "a", "Priority": 1, "FixedRate": 0.5, "ReservoirSize": 1 } });
    let at = "$.SamplingRuleRecords[0].SamplingRule";
    for (file, problem) in [
        ("{\n]".to_owned(), "$ is not JSON: key must be a string at line 2 column 1".to_owned()),
        ("1".to_owned(), "$ is not an object".to_owned()),
        ("{}".to_owned(), "$ has neither SamplingRuleRecords nor rules and default".to_owned()),
        (
            r#"{"SamplingRuleRecords":[],"rules":[]}"#.to_owned(),
            "$ has rules in two forms: SamplingRuleRecords, and rules or default".to_owned(),
        ),
        (r#"{"SamplingRuleRecords":[{}]}"#.to_owned(), format!("{at} is missing")),
        (rule("RuleName", Value::Null), format!("{at}.RuleName is missing")),
        (rule("RuleName", json!("")), format!("{at}.RuleName is empty")),
        (rule("RuleName", json!("x".repeat(33))), format!("{at}.RuleName is longer than 32 characters")),
        (rule("Priority", json!(10_000)), format!("{at}.Priority is not a whole number from 1 to 9999")),
        (rule("FixedRate", json!(5)), format!("{at}.FixedRate is not a number from 0 to 1")),
        (rule("FixedRate", json!("5%")), format!("{at}.FixedRate is not a number")),
        (rule("ReservoirSize", json!(1.5)), format!("{at}.ReservoirSize is not a whole number from 0 to 2147483647")),
        (rule("HTTPMethod", json!(["GET"])), format!("{at}.HTTPMethod is not a string")),
        (
            json!({ "SamplingRuleRecords": [one, one] }).to_string(),
            "$.SamplingRuleRecords[1].SamplingRule.RuleName is taken: a".to_owned(),
        ),
        (r#"{"rules":[]}"#.to_owned(), r#"$ is wrong: sampling rules: version is missing: write "version": 2"#.to_owned()),
        (
            r#"{"version":2,"rules":[{"description":"a","host":"*","http_method":"*","url_path":"*","fixed_target":1}]}"#
                .to_owned(),
            r#"$ is wrong: sampling rule "a": rate is missing: write "rate": 0.05 for 5 %"#.to_owned(),
        ),
    ] {
        let found = SamplingRules::from_json(&file).unwrap_err();
        assert_eq!(found.to_string(), format!("rejected: {problem}"), "{file}");
    }
}

/// A file of its own for a test, gone with it.
struct Rules(PathBuf);

impl Rules {
    fn new(name: &str, json: &str) -> Self {
        let rules = Self(std::env::temp_dir().join(format!("xray-rules-{}-{name}.json", std::process::id())));
        rules.write(json, 0);
        rules
    }

    /// Each version has its time, however coarse the clock of the file system is.
    fn write(&self, json: &str, version: u64) {
        fs::write(&self.0, json).unwrap();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(START + version);
        File::options().write(true).open(&self.0).unwrap().set_modified(modified).unwrap();
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_file_that_changes_is_read_again_when_a_client_calls() {
    let mut setup = Setup::with(SamplingRules::default());
    let file = Rules::new("changes", &orders(5));
    setup.daemon.set_sampling_rules_file(&file.0).unwrap();
    assert_eq!(setup.quota(A), 5);

    setup.pass(1);
    file.write(&orders(6), 1);
    let answer = setup.report([statistics("Orders", A)]);
    assert_eq!(answer["LastRuleModification"], (START + 1) as f64);
    assert_eq!(answer["SamplingTargetDocuments"][0]["ReservoirQuota"], 6);

    setup.pass(1);
    file.write(&orders(7), 2);
    assert_eq!(setup.rules()["SamplingRuleRecords"][0]["SamplingRule"]["ReservoirSize"], 7);
    assert_eq!(setup.rules()["SamplingRuleRecords"][0]["ModifiedAt"], (START + 2) as f64);

    setup.daemon.set_sampling_rules(SamplingRules::default());
    file.write(&orders(8), 3);
    assert_eq!(setup.rules()["SamplingRuleRecords"].as_array().unwrap().len(), 1, "the file is forgotten");
}

#[test]
fn a_change_for_the_worse_is_a_problem_once_and_the_rules_stay() {
    let mut setup = Setup::with(SamplingRules::default());
    let file = Rules::new("worse", &orders(5));
    setup.daemon.set_sampling_rules_file(&file.0).unwrap();
    let problems = |daemon: &LocalDaemon| -> Vec<(String, String)> {
        let parts = |problem: &Problem| (problem.path().to_owned(), problem.message().to_owned());
        daemon.take_problems().iter().map(parts).collect()
    };

    file.write("{}", 1);
    assert_eq!((setup.quota(A), setup.quota(A)), (5, 5));
    let wrong = "has neither SamplingRuleRecords nor rules and default";
    assert_eq!(problems(&setup.daemon), [("$".to_owned(), wrong.to_owned())]);

    fs::remove_file(&file.0).unwrap();
    assert_eq!((setup.quota(A), setup.quota(A)), (5, 5));
    let [(_, message)] = &*problems(&setup.daemon) else { panic!("one problem") };
    assert!(message.starts_with("cannot be read: "), "{message}");

    file.write(&orders(9), 2);
    assert_eq!(setup.quota(A), 9);
    assert_eq!(problems(&setup.daemon), []);
}

#[test]
fn a_file_that_is_wrong_from_the_start_is_an_error() {
    let mut setup = Setup::with(SamplingRules::default());
    let file = Rules::new("wrong", "{}");
    let problem = setup.daemon.set_sampling_rules_file(&file.0).unwrap_err();
    assert!(problem.document().unwrap().contains("xray-rules"), "{problem}");
    assert!(setup.daemon.set_sampling_rules_file("/nowhere/rules.json").is_err());
    assert_eq!(setup.rules(), answered([default_rule()]));
}
