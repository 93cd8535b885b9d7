//! The `aws` object of segments and subsegments: which keys and values it takes, and its bounds.

use serde_json::{Value, json};
use tower_xray::{Entity, document::Namespace};

use crate::support::{assert_valid_json, recorder, recorder_with};

/// The `aws` object of a call, and how much was refused.
fn told(say: impl FnOnce(&Entity)) -> (Value, u64) {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("shop");
    let call = segment.begin_subsegment("DynamoDB");
    call.set_namespace(Namespace::Aws);
    say(&call);
    call.close();
    segment.close();
    let mut document = assert_valid_json(&documents.take_one().to_json());
    (document["subsegments"][0]["aws"].take(), recorder.stats().refused)
}

#[test]
fn a_call_says_what_it_was() {
    let (aws, refused) = told(|call| {
        call.add_aws("operation", "GetItem");
        call.add_aws("table_name", "orders");
        call.add_aws("retries", 2);
        call.add_aws("consistent_read", true);
        call.add_aws("capacity", 0.5);
    });
    let expected = json!({
        "operation": "GetItem", "table_name": "orders", "retries": 2, "consistent_read": true, "capacity": 0.5,
    });
    assert_eq!((aws, refused), (expected, 0));
}

#[test]
fn keys_are_snake_case() {
    let (aws, refused) = told(|call| {
        for key in ["TableName", "ACLName", "getHTTPResponse", "id_2", "Id2Key", "with-dash", "straße", "", "X"] {
            call.add_aws(key, 1);
        }
    });
    let expected = json!({
        "table_name": "1", "acl_name": 1, "get_http_response": 1, "id_2": 1, "id2_key": 1, "with_dash": 1,
        "stra_e": 1, "_": 1, "x": 1,
    });
    assert_eq!((aws, refused), (expected, 0));
}

#[test]
fn a_later_value_replaces_an_earlier_one() {
    let (aws, refused) = told(|call| {
        for value in 0..1_000 {
            call.add_aws("Count", value);
        }
        call.add_annotation("count", 1);
        call.add_metadata("count", 1);
        call.add_aws("count", "many");
    });
    assert_eq!((aws, refused), (json!({ "count": "many" }), 0));
}

#[test]
fn values_have_the_types_that_collectors_want() {
    let (aws, refused) = told(|call| {
        call.add_aws("account_id", 123_456_789_012_u64);
        call.add_aws("region", true);
        call.add_aws("request_id", 0.5);
        call.add_aws("table_names", "orders");
        call.add_aws("resource_names", 7);
        call.add_aws("retries", 1);
        call.add_aws("retries", "twice");
        call.add_aws("retries", 2.5);
        call.add_aws("odd", f64::NAN);
    });
    let expected = json!({
        "account_id": "123456789012", "region": "true", "request_id": "0.5", "table_names": ["orders"],
        "resource_names": ["7"], "retries": 1,
    });
    assert_eq!((aws, refused), (expected, 3));
}

#[test]
fn the_keys_of_a_segments_own_objects_are_left_to_them() {
    let keys = ["xray", "cloudwatch_logs", "ec2", "ecs", "eks", "elastic_beanstalk", "tracing", "XRay", "Ecs"];
    let (aws, refused) = told(|call| keys.iter().for_each(|key| call.add_aws(key, "mine")));
    let expected = json!({
        "xray_": "mine", "cloudwatch_logs_": "mine", "ec2_": "mine", "ecs_": "mine", "eks_": "mine",
        "elastic_beanstalk_": "mine", "tracing_": "mine", "x_ray": "mine",
    });
    assert_eq!((aws, refused), (expected, 0));
}

#[test]
fn a_segment_has_it_beside_what_is_known_of_this_crate() {
    let (recorder, documents) = recorder_with(|builder| builder.origin("AWS::EC2::Instance"));
    let segment = recorder.begin_segment("shop");
    segment.add_aws("account_id", "123456789012");
    segment.add_aws("fleet", "blue");
    segment.close();
    let document = documents.take_one();
    let json = assert_valid_json(&document.to_json());
    assert_eq!(json["aws"]["xray"]["sdk"], "tower-xray for Rust");
    assert_eq!((&json["aws"]["account_id"], &json["aws"]["fleet"]), (&json!("123456789012"), &json!("blue")));
    assert_eq!(document.root().aws("fleet"), Some("blue".into()));
    assert_eq!(document.root().aws("flee"), None);
}

#[test]
fn texts_keys_and_their_number_are_bounded() {
    let long = "ü".repeat(5_000);
    let (aws, refused) = told(|call| {
        call.add_aws(&"Key".repeat(5_000), &long);
        for key in 0..60 {
            call.add_aws(&format!("key_{key}"), key);
        }
        call.add_aws("key_1", "replaced");
    });
    let aws = aws.as_object().unwrap();
    assert_eq!((aws.len(), refused), (50, 11));
    let (key, value) = aws.iter().max_by_key(|(key, _)| key.len()).unwrap();
    assert!((240..=250).contains(&key.len()), "{key}");
    assert_eq!(value.as_str().unwrap().chars().count(), 250);
    assert_eq!(aws["key_1"], "replaced");
}

#[test]
fn what_does_not_fit_into_a_document_is_cut_last_and_says_so() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("shop");
    segment.add_annotation("tier", "gold");
    segment.add_aws("operation", "GetItem");
    for key in 0..49 {
        segment.add_aws(&format!("key_{key}"), "x".repeat(250));
    }
    segment.close();
    let split = documents.take_one().split(4_096);
    assert_eq!((split.documents.len(), split.too_large), (1, 0));
    let json = assert_valid_json(&split.documents[0]);
    assert!(split.documents[0].len() <= 4_096);
    assert_eq!(json["aws"]["operation"], "GetItem");
    assert_eq!(json["metadata"]["tower_xray"]["cut"], json!(["annotations", "aws"]));
}

#[test]
fn a_subsegment_that_travels_by_itself_takes_it_along() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("shop");
    let call = segment.begin_subsegment("SQS");
    call.add_aws("queue_url", "http://localhost/orders");
    segment.close();
    call.add_aws("request_id", "r-1");
    call.close();
    let [_, document] = &documents.take()[..] else { panic!("a segment, and a subsegment") };
    let said = (document.root().aws("queue_url"), document.root().aws("request_id"));
    assert_eq!(said, (Some("http://localhost/orders".into()), Some("r-1".into())));
}
