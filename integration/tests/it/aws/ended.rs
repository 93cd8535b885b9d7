//! Calls that end without an answer: timeouts, connections, configurations, callers that do not wait, panics.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    config::{Builder, timeout::TimeoutConfig},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::interceptors::{Intercept, context::BeforeSerializationInterceptorContextRef},
};
use aws_smithy_types::config_bag::ConfigBag;
use aws_types::sdk_config::Builder as SdkConfig;
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tower_xray::{FutureExt, client::aws_sdk::XRayInterceptor, current, document::SegmentDocument};

use super::{
    in_segment, over_http,
    server::{Answer, Server, say},
    subsegments, traced,
};
use crate::support::recorder;

/// The only call, which is a fault of nobody else's; the types and messages of its exceptions.
fn fault(document: &SegmentDocument) -> Vec<(String, String)> {
    let [call] = &subsegments(document)[..] else { panic!("one call: {document}") };
    assert_eq!((&call["fault"], &call["error"]), (&json!(true), &Value::Null), "{call}");
    assert_eq!((&call["name"], &call["aws"]["operation"]), (&json!("DynamoDB"), &json!("GetItem")));
    let text = |text: &Value| text.as_str().unwrap().to_owned();
    let exceptions = call["cause"]["exceptions"].as_array().unwrap();
    assert!(exceptions.iter().all(|exception| exception.get("remote").is_none()), "{call}");
    exceptions.iter().map(|exception| (text(&exception["type"]), text(&exception["message"]))).collect()
}

/// Nothing waits for it any more, which is neither an error nor a fault.
fn assert_cancelled(entity: &Value) {
    assert_eq!(entity["annotations"], json!({ "cancelled": true }), "{entity}");
    assert_eq!([&entity["fault"], &entity["error"], &entity["cause"]], [&Value::Null; 3], "{entity}");
}

/// Whether an exception has this text.
fn tells(exceptions: &[(String, String)], text: &str) -> bool {
    exceptions.iter().any(|(_, message)| message.contains(text))
}

#[tokio::test]
async fn a_timeout_of_the_operation_is_a_fault() {
    const PATIENCE: Duration = Duration::from_secs(60);
    let mut server = Server::answering([Answer::Nothing]).await;
    let timeout = TimeoutConfig::builder().operation_timeout(PATIENCE).build();
    let config = over_http(&server.endpoint).into_builder().timeout_config(timeout).build();
    let interceptor = XRayInterceptor::new().attempts(true);
    let client = Client::from_conf(Builder::from(&config).interceptor(interceptor).build());
    let wait = async {
        server.next().await;
        tokio::time::pause();
        tokio::time::advance(PATIENCE).await;
    };
    let (result, document) =
        in_segment(async { tokio::join!(client.get_item().table_name("orders").send(), wait).0 }).await;
    result.unwrap_err();
    let [call] = &subsegments(&document)[..] else { panic!("one call: {document}") };
    let attempt = &call["subsegments"][0];
    assert_eq!((&call["fault"], &attempt["fault"], &attempt["name"]), (&json!(true), &json!(true), &json!("attempt")));
    let exceptions = attempt["cause"]["exceptions"].as_array().unwrap();
    assert_eq!(exceptions[0]["type"], "TimeoutError");
    assert!(exceptions[0]["message"].as_str().unwrap().contains("operation timeout"), "{call}");
    // It is described where it has happened.
    assert!(call["cause"].is_string(), "{call}");
    assert_eq!(call["subsegments"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refused_connection_is_a_fault_that_says_so() {
    // Its port is nobody else's, and nobody listens.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    let client = traced!(aws_sdk_dynamodb, &over_http(&endpoint));
    let (result, document) = in_segment(async { client.get_item().table_name("orders").send().await }).await;
    result.unwrap_err();
    let exceptions = fault(&document);
    assert_eq!(exceptions[0].0, "DispatchFailure");
    assert!(tells(&exceptions, "Connection refused"), "{exceptions:?}");
    assert_eq!(document.subsegments().next().unwrap().aws("retries"), Some(2.into()));
}

/// Fails before anything else has happened.
#[derive(Debug)]
struct Refusing;

impl Intercept for Refusing {
    fn name(&self) -> &'static str {
        "Refusing"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        Err("not today".into())
    }
}

#[tokio::test]
async fn what_fails_before_it_is_sent_is_a_fault() {
    let mut server = Server::answering([say(200, "{}")]).await;
    let config = over_http(&server.endpoint);
    let without = |adjust: &dyn Fn(&mut SdkConfig) -> &mut SdkConfig| {
        let mut config = config.clone().into_builder();
        adjust(&mut config);
        Builder::from(&config.build())
    };
    for (builder, why) in [
        (Builder::from(&config).interceptor(Refusing), "not today"),
        (without(&|config| config.set_region(None)), "missing signing region"),
        (without(&|config| config.set_credentials_provider(None)), "no identity resolver"),
    ] {
        let client = Client::from_conf(builder.interceptor(XRayInterceptor::new()).build());
        let (result, document) = in_segment(async { client.get_item().table_name("orders").send().await }).await;
        result.unwrap_err();
        let exceptions = fault(&document);
        assert_eq!(exceptions[0].0, "ConstructionFailure");
        assert!(tells(&exceptions, why), "{exceptions:?}");
    }
    assert!(server.received().is_none());
}

#[tokio::test]
async fn a_call_whose_caller_does_not_wait_is_cancelled_and_leaves_nothing_open() {
    let mut server = Server::answering([Answer::Nothing, say(200, "{}")]).await;
    let config = over_http(&server.endpoint);
    let interceptor = XRayInterceptor::new().attempts(true);
    let client = Client::from_conf(Builder::from(&config).interceptor(interceptor).build());
    let (segment_id, document) = in_segment(async {
        let id = current().id();
        tokio::select! {
            result = client.get_item().table_name("orders").send() => panic!("no answer, and {result:?}"),
            _ = server.next() => {}
        }
        assert_eq!(current().id(), id);
        client.get_item().table_name("orders").send().await.unwrap();
        id
    })
    .await;
    let calls = subsegments(&document);
    let [cancelled, next] = &calls[..] else { panic!("two calls: {document}") };
    assert_cancelled(cancelled);
    assert_cancelled(&cancelled["subsegments"][0]);
    assert_eq!((&cancelled["aws"]["retries"], &cancelled["aws"]["operation"]), (&json!(0), &json!("GetItem")));
    assert_eq!((&next["annotations"], &next["aws"]["retries"]), (&Value::Null, &json!(0)));
    let next = document.subsegments().nth(1).unwrap();
    let header = format!("Root={};Parent={};Sampled=1", document.trace_id(), next.id());
    assert_eq!(server.next_header().await, header);
    assert_eq!(segment_id, Some(document.id()));
}

#[tokio::test]
async fn a_call_that_is_pending_while_its_caller_panics_is_cancelled() {
    let mut server = Server::answering([Answer::Nothing]).await;
    let client = traced!(aws_sdk_dynamodb, &over_http(&server.endpoint));
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("shop");
    let entity = segment.entity().clone();
    let work = async move {
        let mut call = pin!(client.get_item().table_name("orders").send());
        while server.received().is_none() {
            assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await);
            tokio::task::yield_now().await;
        }
        panic!("on purpose");
    };
    let error = tokio::spawn(work.in_entity(&entity)).await.unwrap_err();
    assert!(error.is_panic());
    segment.close();
    let document = documents.take_one();
    let [call] = &subsegments(&document)[..] else { panic!("one call: {document}") };
    // The panic is the caller's.
    assert_cancelled(call);
}
