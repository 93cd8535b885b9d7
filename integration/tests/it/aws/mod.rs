//! The AWS SDK's clients: with moto, which answers like AWS, and with servers that answer what a test wants.

mod answers;
mod cost;
mod ended;
pub(crate) mod moto;
mod server;

use std::time::Duration;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider, retry::RetryConfig};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::SdkConfig;
use serde_json::{Value, json};
use tower_xray::{
    client::aws_sdk::{XRayInterceptor, inputs},
    document::SegmentDocument,
};

use crate::support::{assert_valid_json, in_segment};

/// What the clients of a test share.
fn sdk_config(endpoint: &str, http_client: SharedHttpClient) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client)
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
        .build()
}

/// Over real sockets.
fn over_http(endpoint: &str) -> SdkConfig {
    sdk_config(endpoint, aws_smithy_http_client::Builder::new().build_http())
}

/// A client of a service, traced as its users are told to.
macro_rules! traced {
    ($service:ident, $config:expr) => {
        traced!($service, $config, |builder| builder)
    };
    ($service:ident, $config:expr, $adjust:expr) => {{
        fn adjusted<T>(builder: T, adjust: impl FnOnce(T) -> T) -> T {
            adjust(builder)
        }
        let builder = $service::config::Builder::from($config)
            .interceptor(crate::aws::XRayInterceptor::new())
            .capture_input_attributes(crate::aws::inputs());
        $service::Client::from_conf(adjusted(builder, $adjust).build())
    }};
}

use traced;

/// The subsegments of a segment as JSON, without what is different each time.
fn subsegments(document: &SegmentDocument) -> Vec<Value> {
    let mut json = assert_valid_json(&document.to_json());
    json["subsegments"].as_array_mut().map(std::mem::take).unwrap_or_default().into_iter().map(stable).collect()
}

fn stable(mut entity: Value) -> Value {
    let object = entity.as_object_mut().unwrap();
    for key in ["id", "start_time", "end_time"] {
        assert!(object.remove(key).is_some(), "{key}");
    }
    if let Some(id) = object.get_mut("aws").and_then(|aws| aws.get_mut("request_id")) {
        assert!(id.as_str().unwrap().len() > 3, "{id}");
        *id = json!("…");
    }
    if let Some(cause) = object.get_mut("cause").and_then(Value::as_object_mut) {
        cause.remove("working_directory");
        for exception in cause["exceptions"].as_array_mut().unwrap() {
            exception.as_object_mut().unwrap().remove("id");
        }
    }
    if let Some(children) = object.get_mut("subsegments").and_then(Value::as_array_mut) {
        *children = std::mem::take(children).into_iter().map(stable).collect();
    }
    entity
}
