//! What a service answers: retries, throttling, faults; and the header that it receives.

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextMut},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower_xray::{
    FutureExt, capture,
    client::aws_sdk::XRayInterceptor,
    document::{EntityDocument, SegmentDocument},
    sampling::SampleNone,
};

use super::{
    in_segment, over_http,
    server::{Answer, Server, say},
    subsegments, traced,
};
use crate::support::{recorder, recorder_with};

const BROKEN: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"try again"}"#;

/// Error, throttle and fault.
fn flags(entity: EntityDocument<'_>) -> [bool; 3] {
    [entity.error(), entity.throttle(), entity.fault()]
}

fn only_call(document: &SegmentDocument) -> EntityDocument<'_> {
    let calls: Vec<_> = document.subsegments().collect();
    let [call] = calls[..] else { panic!("one call: {document}") };
    call
}

fn exceptions(entity: EntityDocument<'_>) -> Vec<(&str, &str)> {
    entity.exceptions().map(|exception| (exception.type_name(), exception.message())).collect()
}

/// The header that a call sends.
fn header(document: &SegmentDocument, call: EntityDocument<'_>, sampled: u8) -> String {
    format!("Root={};Parent={};Sampled={sampled}", document.trace_id(), call.id())
}

#[tokio::test]
async fn retries_are_one_call_and_carry_its_header() {
    let mut server = Server::answering([say(500, BROKEN), say(500, BROKEN), say(200, "{}")]).await;
    let client = traced!(aws_sdk_dynamodb, &over_http(&server.endpoint));
    let (result, document) = in_segment(async { client.get_item().table_name("orders").send().await }).await;
    result.unwrap();
    let call = json!({
        "name": "DynamoDB", "namespace": "aws", "http": { "response": { "status": 200, "content_length": 2 } },
        "aws": {
            "operation": "GetItem", "region": "eu-central-1", "table_name": "orders", "retries": 2, "request_id": "…",
        },
    });
    assert_eq!(subsegments(&document), [call]);
    for _ in 0..3 {
        assert_eq!(server.next_header().await, header(&document, only_call(&document), 1));
    }
}

#[tokio::test]
async fn a_fault_that_outlasts_its_retries_is_one() {
    let server = Server::answering([say(500, BROKEN)]).await;
    let client = traced!(aws_sdk_dynamodb, &over_http(&server.endpoint));
    let (result, document) = in_segment(async { client.get_item().table_name("orders").send().await }).await;
    result.unwrap_err();
    let call = only_call(&document);
    assert_eq!((flags(call), call.http_status()), ([false, false, true], Some(500)));
    assert_eq!(call.aws("retries"), Some(2.into()));
    assert_eq!(exceptions(call), [("InternalServerError", "InternalServerError: try again")]);
}

#[tokio::test]
async fn attempts_are_recorded_if_asked_for() {
    let mut server = Server::answering([say(500, BROKEN), say(200, "{}")]).await;
    let interceptor = XRayInterceptor::new().attempts(true);
    let builder = aws_sdk_dynamodb::config::Builder::from(&over_http(&server.endpoint)).interceptor(interceptor);
    let client = aws_sdk_dynamodb::Client::from_conf(builder.build());
    let (result, document) = in_segment(async { client.get_item().table_name("orders").send().await }).await;
    result.unwrap();
    let [call] = &subsegments(&document)[..] else { panic!("one call: {document}") };
    let cause = json!({ "exceptions": [
        { "type": "InternalServerError", "message": "InternalServerError: try again", "remote": true },
    ] });
    let attempts = json!([
        {
            "name": "attempt", "fault": true, "http": { "response": { "status": 500, "content_length": BROKEN.len() } },
            "aws": { "request_id": "…" }, "cause": cause,
        },
        {
            "name": "attempt", "http": { "response": { "status": 200, "content_length": 2 } },
            "aws": { "request_id": "…" },
        },
    ]);
    assert_eq!((&call["subsegments"], &call["fault"], &call["aws"]["retries"]), (&attempts, &Value::Null, &json!(1)));
    for _ in 0..2 {
        assert_eq!(server.next_header().await, header(&document, only_call(&document), 1));
    }
}

#[tokio::test]
async fn the_cause_of_a_failed_call_is_described_once() {
    let server = Server::answering([say(500, BROKEN)]).await;
    let builder = aws_sdk_dynamodb::config::Builder::from(&over_http(&server.endpoint));
    let builder = builder.interceptor(XRayInterceptor::new().attempts(true)).retry_config(RetryConfig::disabled());
    let client = aws_sdk_dynamodb::Client::from_conf(builder.build());
    let load = capture("load", async { client.get_item().table_name("orders").send().await });
    let (_, document) = in_segment(load).await;
    let json: Value = serde_json::from_str(&document.to_json()).unwrap();
    let load = &json["subsegments"][0];
    let call = &load["subsegments"][0];
    let attempt = &call["subsegments"][0];
    let id = &attempt["cause"]["exceptions"][0]["id"];
    assert!(id.is_string(), "{json}");
    assert_eq!((&call["cause"], &load["cause"]["exceptions"][0]["cause"]), (id, id));
}

#[tokio::test]
async fn throttled_calls_are_errors_and_throttles_whatever_the_status() {
    let body =
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow"}"#;
    let server = Server::answering([say(400, body)]).await;
    let config = over_http(&server.endpoint).into_builder().retry_config(RetryConfig::disabled()).build();
    let client = traced!(aws_sdk_dynamodb, &config);
    let (_, document) = in_segment(async { client.get_item().table_name("orders").send().await }).await;
    let call = only_call(&document);
    assert_eq!((flags(call), call.http_status()), ([true, true, false], Some(400)));
    assert_eq!(exceptions(call)[0].0, "ProvisionedThroughputExceededException");

    let server = Server::answering([Answer::Say {
        status: 503,
        headers: vec![("x-amz-request-id", "r-0002"), ("x-amz-id-2", "extended/id=")],
        body: "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
    }])
    .await;
    let config = over_http(&server.endpoint).into_builder().retry_config(RetryConfig::disabled()).build();
    let client = traced!(aws_sdk_s3, &config, |builder| builder.force_path_style(true));
    let (_, document) = in_segment(async { client.get_object().bucket("shelf").key("a").send().await }).await;
    let call = only_call(&document);
    assert_eq!((flags(call), call.http_status()), ([true, true, false], Some(503)));
    assert_eq!(exceptions(call), [("SlowDown", "Please reduce your request rate.")]);
    assert_eq!((call.aws("request_id"), call.aws("id_2")), (Some("r-0002".into()), Some("extended/id=".into())));

    let server = Server::answering([say(429, "{}")]).await;
    let config = over_http(&server.endpoint).into_builder().retry_config(RetryConfig::disabled()).build();
    let client = traced!(aws_sdk_lambda, &config);
    let (_, document) = in_segment(async { client.invoke().function_name("pricing").send().await }).await;
    let call = only_call(&document);
    assert_eq!((flags(call), call.http_status()), ([true, true, false], Some(429)));
    assert_eq!(exceptions(call), [("Unhandled", "the service gave no message")]);
}

#[tokio::test]
async fn a_function_that_answers_is_a_call() {
    let server = Server::answering([say(200, "7")]).await;
    let client = traced!(aws_sdk_lambda, &over_http(&server.endpoint));
    let (result, document) = in_segment(async { client.invoke().function_name("pricing").send().await }).await;
    result.unwrap();
    let call = json!({
        "name": "Lambda", "namespace": "aws", "http": { "response": { "status": 200, "content_length": 1 } },
        "aws": {
            "operation": "Invoke", "region": "eu-central-1", "function_name": "pricing", "retries": 0,
            "request_id": "…",
        },
    });
    assert_eq!(subsegments(&document), [call]);
}

#[tokio::test]
async fn a_request_that_is_presigned_is_no_call() {
    let mut server = Server::answering([say(200, "")]).await;
    let client = traced!(aws_sdk_s3, &over_http(&server.endpoint), |builder| builder.force_path_style(true));
    let (presigned, document) = in_segment(async {
        let period = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
        client.get_object().bucket("shelf").key("a").presigned(period).await.unwrap()
    })
    .await;
    assert!(!presigned.uri().contains("trace"), "{presigned:?}");
    let work = json!({
        "name": "S3",
        "aws": { "operation": "GetObject", "region": "eu-central-1", "bucket_name": "shelf", "key": "a", "retries": 0 },
    });
    assert_eq!(subsegments(&document), [work]);
    assert!(server.received().is_none());
}

#[tokio::test]
async fn what_has_not_changed_is_no_error() {
    let server = Server::answering([Answer::Say { status: 304, headers: vec![], body: "" }]).await;
    let client = traced!(aws_sdk_s3, &over_http(&server.endpoint), |builder| builder.force_path_style(true));
    let get = client.get_object().bucket("shelf").key("a").if_none_match("\"e\"");
    let (result, document) = in_segment(async { get.send().await }).await;
    result.unwrap_err();
    let call = only_call(&document);
    assert_eq!((flags(call), call.http_status(), exceptions(call).len()), ([false; 3], Some(304), 0));
}

#[tokio::test]
async fn a_response_that_is_no_response_is_a_fault_of_nobody_else() {
    let server = Server::answering([say(200, "{ not JSON")]).await;
    let client = traced!(aws_sdk_dynamodb, &over_http(&server.endpoint));
    let (result, document) = in_segment(async { client.get_item().table_name("orders").send().await }).await;
    result.unwrap_err();
    let call = only_call(&document);
    assert_eq!((flags(call), call.http_status()), ([false, false, true], Some(200)));
    assert!(!exceptions(call).is_empty(), "{document}");
}

#[tokio::test]
async fn calls_of_an_unsampled_request_carry_its_header_and_leave_nothing() {
    let mut server = Server::answering([say(200, "{}")]).await;
    let client = traced!(aws_sdk_dynamodb, &over_http(&server.endpoint));
    let (recorder, documents) = recorder_with(|builder| builder.sampling(SampleNone));
    let segment = recorder.begin_segment("shop");
    client.get_item().table_name("orders").send().in_entity(&segment).await.unwrap();
    let (root, parent) = (segment.trace_id().unwrap(), segment.id().unwrap());
    segment.close();
    assert_eq!(server.next_header().await, format!("Root={root};Parent={parent};Sampled=0"));
    assert_eq!(documents.len(), 0);
}

#[tokio::test]
async fn calls_outside_of_any_trace_are_untouched() {
    let mut server = Server::answering([say(200, "{}")]).await;
    let client = traced!(aws_sdk_dynamodb, &over_http(&server.endpoint));
    client.get_item().table_name("orders").send().await.unwrap();
    assert_eq!(server.next().await.trace, [""; 0]);
}

/// Writes a header of its own, as the SDK does in Lambda.
#[derive(Debug)]
struct OwnHeader;

impl Intercept for OwnHeader {
    fn name(&self) -> &'static str {
        "OwnHeader"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        context.request_mut().headers_mut().insert("x-amzn-trace-id", header);
        Ok(())
    }
}

#[tokio::test]
async fn the_header_of_the_subsegment_replaces_that_of_the_sdk() {
    let mut server = Server::answering([say(200, "{}")]).await;
    let config = over_http(&server.endpoint);
    let client = traced!(aws_sdk_dynamodb, &config, |builder| builder.interceptor(OwnHeader));
    let (_, document) = in_segment(async { client.get_item().table_name("orders").send().await }).await;
    assert_eq!(server.next_header().await, header(&document, only_call(&document), 1));
}

#[tokio::test]
async fn an_interceptor_that_is_added_twice_records_once() {
    let server = Server::answering([say(500, BROKEN), say(200, "{}")]).await;
    let interceptor = XRayInterceptor::new().attempts(true);
    let config = over_http(&server.endpoint);
    let client = traced!(aws_sdk_dynamodb, &config, |builder| builder.interceptor(interceptor));
    let (_, document) = in_segment(async { client.get_item().table_name("orders").send().await }).await;
    assert_eq!(only_call(&document).subsegments().count(), 2);
}

#[tokio::test]
async fn a_name_of_five_kilobytes_is_cut() {
    let server = Server::answering([say(200, "{}")]).await;
    let client = traced!(aws_sdk_dynamodb, &over_http(&server.endpoint));
    let name = "ä".repeat(5_000);
    let (result, document) = in_segment(async { client.get_item().table_name(&name).send().await }).await;
    result.unwrap();
    assert_eq!(only_call(&document).aws("table_name"), Some("ä".repeat(250).into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_calls_at_once_through_one_client_keep_apart() {
    let mut server = Server::answering([say(200, "{}")]).await;
    let client = Arc::new(traced!(aws_sdk_dynamodb, &over_http(&server.endpoint)));
    let (recorder, documents) = recorder();
    let mut calls = JoinSet::new();
    for number in 0..200 {
        let (client, segment) = (client.clone(), recorder.begin_segment(&format!("shop {number}")));
        calls.spawn(async move {
            let call = client.get_item().table_name(format!("table {number}")).send();
            call.in_entity(&segment).await.unwrap();
        });
    }
    calls.join_all().await;
    let mut sent = HashMap::new();
    for document in documents.take() {
        let call = only_call(&document);
        let number = document.name().strip_prefix("shop ").unwrap().to_owned();
        assert_eq!(call.aws("table_name"), Some(format!("table {number}").into()));
        sent.insert(format!("table {number}"), header(&document, call, 1));
    }
    assert_eq!(sent.len(), 200);
    for _ in 0..200 {
        let received = server.next().await;
        let body: Value = serde_json::from_slice(&received.body).unwrap();
        let header = sent.remove(body["TableName"].as_str().unwrap());
        assert_eq!(Some(received.trace), header.map(|header| vec![header]));
    }
}
