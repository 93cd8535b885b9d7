//! The log groups that segments name.

use serde_json::{Value, json};
use tower_xray::{Recorder, emitter::InMemoryEmitter};

use crate::support::recorder_with;

/// What the segments of a recorder with these log groups say about them.
fn named(groups: &[&str]) -> Value {
    let (recorder, documents) = recorder_with(|builder| {
        groups.iter().fold(builder, |builder, group| builder.log_group(*group)).origin("AWS::ECS::Fargate")
    });
    recorder.begin_segment("report").close();
    let document: Value = serde_json::from_str(&documents.take_one().to_json()).unwrap();
    assert_eq!(document["aws"]["xray"]["sdk"], "tower-xray for Rust");
    document["aws"]["cloudwatch_logs"].clone()
}

fn refused(groups: &[&str]) -> String {
    let builder = Recorder::builder().environment(|_| None).emitter(InMemoryEmitter::new());
    groups.iter().fold(builder, |builder, group| builder.log_group(*group)).build().unwrap_err().to_string()
}

#[test]
fn every_segment_names_the_log_groups_of_its_service() {
    let arn = "arn:aws-cn:logs:cn-north-1:123456789012:log-group:/ecs/orders#2";
    assert_eq!(named(&[]), Value::Null);
    assert_eq!(named(&["orders"]), json!([{ "log_group": "orders" }]));
    assert_eq!(
        named(&["orders.blue", arn, &format!("{arn}:*")]),
        json!([
            { "log_group": "orders.blue" },
            { "log_group": "/ecs/orders#2", "arn": arn },
            { "log_group": "/ecs/orders#2", "arn": format!("{arn}:*") },
        ])
    );
}

#[test]
fn a_subsegment_that_travels_alone_names_none() {
    let (recorder, documents) = recorder_with(|builder| builder.log_group("orders"));
    let segment = recorder.begin_segment("report");
    let late = segment.begin_subsegment("late");
    segment.close();
    late.close();
    let [_, late] = &documents.take()[..] else { panic!("two documents") };
    assert!(!late.to_json().contains("cloudwatch_logs"));
}

#[test]
fn what_is_no_log_group_is_an_error_that_says_what_to_write() {
    let message = "is no log group: write its name (letters, numbers and _-/.#) or arn:aws:logs:…:log-group:<name>";
    let long = "x".repeat(513);
    for text in [
        "",
        "two words",
        "a:b",
        "größe",
        "arn:aws:logs:eu-central-1:123456789012:log-group:",
        "arn:aws:logs:eu-central-1:123456789012:log-group:a:log-stream:b",
        "arn:aws:s3:::bucket",
        "arn:aws:logs:\":1:log-group:a",
    ] {
        assert_eq!(refused(&["orders", text]), format!("{text:?} {message}"));
    }
    assert!(refused(&[&long]).ends_with(message));
    assert!(refused(&[&format!("arn:aws:logs:{}:1:log-group:a", "x".repeat(700))]).ends_with(message));
    assert_eq!(named(&["orders"; 5]).as_array().unwrap().len(), 5);
    assert_eq!(refused(&["orders"; 6]), "there are more than 5 log groups: leave some out");
}
