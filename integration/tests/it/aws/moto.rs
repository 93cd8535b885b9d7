//! Calls that moto answers as AWS does.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_s3::{primitives::ByteStream, types::CreateBucketConfiguration};
use aws_types::SdkConfig;
use serde_json::{Value, json};
use tower_xray::document::{AnnotationValue, ExceptionDocument};

use super::{in_segment, over_http, subsegments, traced};

/// Where moto is, if it is; tests have services to themselves, by names of their own.
#[expect(clippy::disallowed_methods, reason = "the environment says where moto is")]
pub(crate) fn moto() -> Option<SdkConfig> {
    match std::env::var("AWS_ENDPOINT_URL") {
        Ok(endpoint) => Some(over_http(&endpoint)),
        Err(_) => {
            println!("left out: AWS_ENDPOINT_URL is not set (.ci/services sets it)");
            None
        }
    }
}

/// An exception as the service has told it.
fn remote(kind: &str, message: &str) -> Value {
    json!({ "exceptions": [{ "type": kind, "message": message, "remote": true }] })
}

/// The number of bytes of a response is moto's business.
fn without_length(mut calls: Vec<Value>) -> Vec<Value> {
    for call in &mut calls {
        let response = call["http"]["response"].as_object_mut().unwrap();
        assert!(response.remove("content_length").is_some_and(|length| length.is_u64()), "{response:?}");
    }
    calls
}

#[tokio::test]
async fn a_table_is_known_by_its_name() {
    let Some(config) = moto() else { return };
    let client = traced!(aws_sdk_dynamodb, &config);
    let (_, document) = in_segment(async {
        let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
        let create = client.create_table().table_name("orders").billing_mode(BillingMode::PayPerRequest);
        let create = create.attribute_definitions(id.build().unwrap()).key_schema(key.build().unwrap());
        create.send().await.unwrap();
        let id = AttributeValue::S("o-1".into());
        client.put_item().table_name("orders").item("id", id.clone()).send().await.unwrap();
        let item = client.get_item().table_name("orders").key("id", id.clone()).send().await.unwrap();
        assert_eq!(item.item().unwrap()["id"], id);
    })
    .await;
    let call = |operation| {
        json!({
            "name": "DynamoDB", "namespace": "aws", "http": { "response": { "status": 200 } },
            "aws": {
                "operation": operation, "region": "eu-central-1", "table_name": "orders", "request_id": "…",
                "retries": 0,
            },
        })
    };
    assert_eq!(without_length(subsegments(&document)), [call("CreateTable"), call("PutItem"), call("GetItem")]);
}

#[tokio::test]
async fn a_missing_table_is_an_error_with_the_code_of_aws() {
    let Some(config) = moto() else { return };
    let client = traced!(aws_sdk_dynamodb, &config);
    let (result, document) = in_segment(async {
        client.get_item().table_name("lost").key("id", AttributeValue::S("o-1".into())).send().await
    })
    .await;
    assert!(result.unwrap_err().into_service_error().is_resource_not_found_exception());
    let call = json!({
        "name": "DynamoDB", "namespace": "aws", "error": true, "http": { "response": { "status": 400 } },
        "aws": {
            "operation": "GetItem", "region": "eu-central-1", "table_name": "lost", "request_id": "…", "retries": 0,
        },
        "cause": remote("ResourceNotFoundException", "ResourceNotFoundException: Requested resource not found"),
    });
    assert_eq!(without_length(subsegments(&document)), [call]);
}

#[tokio::test]
async fn objects_are_known_by_bucket_and_key() {
    let Some(config) = moto() else { return };
    let client = traced!(aws_sdk_s3, &config, |builder| builder.force_path_style(true));
    let place = CreateBucketConfiguration::builder().location_constraint("eu-central-1".into()).build();
    client.create_bucket().bucket("shelf").create_bucket_configuration(place).send().await.unwrap();
    let (_, document) = in_segment(async {
        let put = client.put_object().bucket("shelf").key("boxes/a-1").body(ByteStream::from_static(b"three"));
        put.send().await.unwrap();
        let object = client.get_object().bucket("shelf").key("boxes/a-1").send().await.unwrap();
        assert_eq!(object.body.collect().await.unwrap().into_bytes(), "three");
        client.get_object().bucket("shelf").key("boxes/a-2").send().await.unwrap_err();
        client.head_object().bucket("shelf").key("boxes/a-2").send().await.unwrap_err();
    })
    .await;
    let calls: Vec<Value> = subsegments(&document)
        .into_iter()
        .map(|call| {
            let aws = &call["aws"];
            assert_eq!((&call["name"], &call["namespace"]), (&json!("S3"), &json!("aws")));
            assert!(aws["request_id"].is_string(), "{call}");
            let answer = (&call["http"]["response"]["status"], &call["error"], &call["cause"]["exceptions"][0]["type"]);
            json!([aws["operation"], aws["bucket_name"], aws["key"], answer.0, answer.1, answer.2])
        })
        .collect();
    assert_eq!(
        calls,
        [
            json!(["PutObject", "shelf", "boxes/a-1", 200, null, null]),
            json!(["GetObject", "shelf", "boxes/a-1", 200, null, null]),
            json!(["GetObject", "shelf", "boxes/a-2", 404, true, "NoSuchKey"]),
            json!(["HeadObject", "shelf", "boxes/a-2", 404, true, "NotFound"]),
        ]
    );
    let get = document.subsegments().nth(1).unwrap();
    assert_eq!(get.content_length(), Some(5));
}

#[tokio::test]
async fn a_queue_is_known_by_its_url() {
    let Some(config) = moto() else { return };
    let client = traced!(aws_sdk_sqs, &config);
    let (url, document) = in_segment(async {
        let queue = client.create_queue().queue_name("parcels").send().await.unwrap();
        let url = queue.queue_url().unwrap().to_owned();
        client.send_message().queue_url(&url).message_body("to Leipzig").send().await.unwrap();
        let received = client.receive_message().queue_url(&url).send().await.unwrap();
        assert_eq!(received.messages()[0].body(), Some("to Leipzig"));
        let missing = url.replace("parcels", "letters");
        client.send_message().queue_url(missing).message_body("to Halle").send().await.unwrap_err();
        url
    })
    .await;
    let calls: Vec<_> = document.subsegments().collect();
    let told = calls.iter().map(|call| {
        let text = |key| call.aws(key).map(|value| format!("{value:?}"));
        (call.name(), text("operation"), text("queue_name").is_some(), text("queue_url"), call.error())
    });
    let text = |text: &str| Some(format!("{:?}", AnnotationValue::from(text)));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("SQS", text("CreateQueue"), true, None, false),
            ("SQS", text("SendMessage"), false, text(&url), false),
            ("SQS", text("ReceiveMessage"), false, text(&url), false),
            ("SQS", text("SendMessage"), false, text(&url.replace("parcels", "letters")), true),
        ]
    );
    let exceptions: Vec<_> = calls[3].exceptions().map(ExceptionDocument::type_name).collect();
    assert_eq!(exceptions, ["QueueDoesNotExist"]);
}

#[tokio::test]
async fn a_function_is_known_by_its_name() {
    let Some(config) = moto() else { return };
    let client = traced!(aws_sdk_lambda, &config);
    let (result, document) = in_segment(async { client.invoke().function_name("pricing").send().await }).await;
    assert!(result.unwrap_err().into_service_error().is_resource_not_found_exception());
    let [call] = &subsegments(&document)[..] else { panic!("one call: {document}") };
    let aws = &call["aws"];
    assert_eq!((&call["name"], &call["error"]), (&json!("Lambda"), &json!(true)));
    assert_eq!((&aws["operation"], &aws["function_name"]), (&json!("Invoke"), &json!("pricing")));
    assert_eq!(call["cause"]["exceptions"][0]["type"], "ResourceNotFoundException");
}
