//! The AWS SDK: an interceptor that makes a subsegment of every call of its clients.
//!
//! In: the calls of a client, made where an entity is current. Out: the same calls with `X-Amzn-Trace-Id`; and a
//! subsegment that X-Ray draws as the service, its table, queue or topic, with operation, region, request id, retries
//! and status, or with the error.
//!
//! ```
//! # mod aws_sdk_dynamodb { // What every crate of the SDK has; building one takes its time.
//! #     pub mod config {
//! #         pub struct Builder;
//! #         impl Builder {
//! #             pub fn from(_: &aws_types::SdkConfig) -> Self { Self }
//! #             pub fn interceptor(self, _: impl aws_smithy_runtime_api::client::interceptors::Intercept) -> Self { self }
//! #             pub fn capture_input_attributes<T: Into<String>>(self, _: impl IntoIterator<Item = T>) -> Self { self }
//! #             pub fn build(self) -> Self { self }
//! #         }
//! #     }
//! #     pub struct Client;
//! #     impl Client {
//! #         pub fn from_conf(_: config::Builder) -> Self { Self }
//! #     }
//! # }
//! use aws_sdk_dynamodb::{Client, config::Builder};
//! use tower_xray::client::aws_sdk::{XRayInterceptor, inputs};
//!
//! # let sdk_config = aws_types::SdkConfig::builder().build();
//! let config = Builder::from(&sdk_config)
//!     .interceptor(XRayInterceptor::new())
//!     .capture_input_attributes(inputs())
//!     .build();
//! let client = Client::from_conf(config);
//! ```
//!
//! The two lines go into the configuration of every service, once: the SDK has no place for them that services share.
//!
//! # What is recorded
//!
//! The name is the service (`DynamoDB`, `S3`, `Secrets Manager`). The `aws` object has `operation`, `region`,
//! `request_id`, `id_2` (S3's extended request id), `retries`, and of the input what the configuration captures, by the
//! keys of X-Ray: `TableName` as `table_name`, `Bucket` as `bucket_name`. [`inputs`] are those that identify what is
//! called. Among them is the key of an object in S3, as with the X-Ray SDKs: where keys tell of persons, capture the names
//! that you want instead. Nothing else of the input is recorded, and no headers, queries or bodies.
//!
//! A throttled call is an error and a throttle: its status is 429, or it is one that the SDK itself would retry as
//! throttled. Other errors of the service are errors, or faults from status 500 on; the type of their exception is AWS's
//! code, as `ResourceNotFoundException`. Everything that fails without an answer is a fault: timeouts, connections,
//! credentials. A status of 304 is no error. A call without an input that it needs fails before the SDK has begun it, and
//! is not recorded.
//!
//! # When a subsegment closes
//!
//! When the call of the SDK returns, with all its attempts; [`attempts`](XRayInterceptor::attempts) shows each of them. The
//! body of a streaming response, such as that of S3's `GetObject`, may go on after that. A call that is dropped before it
//! returns is a fault, with a cause that says so. A request that is only presigned is local work, and no call.
//!
//! The SDK has no place to enter a context around its work. The current entity is the caller's meanwhile, so a traced HTTP
//! client below the SDK would record siblings, and overwrite the header: leave it untraced.
//!
//! Outside of any trace the call goes through untouched; see [`ContextMissing`].

use std::error::Error as _;

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
                BeforeTransmitInterceptorContextRef, Error, FinalizerInterceptorContextRef,
            },
        },
        orchestrator::{Metadata, OrchestratorError},
        retries::{
            RequestAttempts,
            classifiers::{ClassifyRetry, RetryAction, RetryReason},
        },
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{
    config_bag::{ConfigBag, Storable, StoreReplace},
    error::ErrorMetadata,
    retry::ErrorKind,
    telemetry::CapturedTelemetryAttributes,
};
use aws_types::{region::Region, request_id::RequestId};

use super::{call::cancelled, missing_context::MissingContext};
use crate::{
    context::{ContextMissing, current, current_header},
    document::{Description, Index, Namespace, Tree},
    entity::{Entity, Subsegment},
    header::X_AMZN_TRACE_ID,
};

/// Inputs that identify what is called, for `capture_input_attributes` in the configuration of any service.
///
/// They are names as the services know them; a client captures those that its operations have as plain text.
///
/// ```
/// let without_keys_of_objects = tower_xray::client::aws_sdk::inputs().filter(|input| *input != "Key");
/// # assert!(without_keys_of_objects.count() > 10);
/// ```
pub fn inputs() -> impl Iterator<Item = &'static str> + Clone {
    const INPUTS: [&str; 19] = [
        "Bucket",
        "DeliveryStreamName",
        "EndpointName",
        "EventBusName",
        "FunctionName",
        "IndexName",
        "Key",
        "KeyId",
        "QueueName",
        "QueueUrl",
        "SecretId",
        "StreamARN",
        "StreamName",
        "TableName",
        "TargetArn",
        "TopicArn",
        "logGroupName",
        "modelId",
        "stateMachineArn",
    ];
    INPUTS.into_iter()
}

/// Traces the calls of an AWS SDK client. See the [module documentation](self).
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct XRayInterceptor {
    attempts: bool,
    missing_context: MissingContext,
}

impl XRayInterceptor {
    /// Traces calls. There is nothing to configure: the current entity brings its recorder along.
    ///
    /// `AWS_XRAY_CONTEXT_MISSING` says what a missing context is worth, as for
    /// [`XRayClientLayer`](crate::XRayClientLayer).
    pub fn new() -> Self {
        Self::default()
    }

    /// Records a subsegment `attempt` for every attempt, below that of the call. Off by default.
    pub fn attempts(mut self, on: bool) -> Self {
        self.attempts = on;
        self
    }

    /// What to say about calls outside of any trace, unless `AWS_XRAY_CONTEXT_MISSING` says it.
    pub fn context_missing(mut self, context_missing: ContextMissing) -> Self {
        self.missing_context.set(context_missing);
        self
    }

    /// Begins the subsegment of a call, if that is to be recorded.
    fn begin(&self, config: &mut ConfigBag) {
        let caller = current();
        if caller.is_none() {
            self.missing_context.report();
        }
        // An interceptor that is added twice records once.
        if !caller.is_recorded() || config.load::<Call>().is_some() {
            return;
        }
        let service = config.load::<Metadata>().map_or("unknown", Metadata::service);
        let subsegment = caller.begin_subsegment_with(service, |tree, index| describe_request(tree, index, config));
        config.interceptor_state().store_put(Call { subsegment: Some(subsegment), attempt: None, attempts: 0 });
    }
}

/// A call while it runs. It is kept with the SDK's state of the call, which is dropped when the call is.
#[derive(Debug)]
struct Call {
    /// Taken when the call is over.
    subsegment: Option<Subsegment>,
    attempt: Option<Subsegment>,
    attempts: u32,
}

impl Storable for Call {
    type Storer = StoreReplace<Self>;
}

impl Call {
    /// Ends the call, and the attempt that the SDK may have given up without a word.
    fn end(&mut self, describe: impl Fn(&Entity)) {
        if let Some(attempt) = self.attempt.take() {
            describe(&attempt);
        }
        if let Some(subsegment) = self.subsegment.take() {
            if let Some(retries) = self.attempts.checked_sub(1) {
                subsegment.add_aws("retries", retries);
            }
            describe(&subsegment);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(|entity| {
            entity.add_cause(cancelled);
            entity.set_fault();
        });
    }
}

/// No hook returns an error: that would be the caller's.
impl Intercept for XRayInterceptor {
    fn name(&self) -> &'static str {
        "XRayInterceptor"
    }

    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.begin(config);
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let attempts = config.load::<RequestAttempts>().map_or(0, RequestAttempts::attempts);
        let Some(call) = config.get_mut_from_interceptor_state::<Call>() else { return Ok(()) };
        call.attempts = attempts;
        if let (Some(subsegment), true, None) = (&call.subsegment, self.attempts, &call.attempt) {
            call.attempt = Some(subsegment.begin_subsegment("attempt"));
        }
        Ok(())
    }

    /// The SDK's own header, which Lambda asks for, is there already, and the signature, which leaves ours out.
    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let header = match config.load::<Call>() {
            Some(call) => call.subsegment.as_ref().and_then(|subsegment| subsegment.header()),
            None => current_header(),
        };
        if let Some(header) = header {
            // Visible ASCII, of which the SDK makes a header without a copy; it would panic for other text only.
            context.request_mut().headers_mut().insert(X_AMZN_TRACE_ID.as_str(), header.to_text());
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let call = config.get_mut_from_interceptor_state::<Call>();
        if let Some(attempt) = call.and_then(|call| call.attempt.take()) {
            describe_outcome(&attempt, context, components);
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // A call that has failed in its configuration has not begun yet.
        if context.input().is_some() && config.load::<Call>().is_none() {
            self.begin(config);
        }
        if let Some(call) = config.get_mut_from_interceptor_state::<Call>() {
            call.end(|entity| describe_outcome(entity, context, components));
        }
        Ok(())
    }
}

/// What is known before anything is sent.
fn describe_request(tree: &mut Tree, index: Index, config: &ConfigBag) {
    tree.node_mut(index).namespace = Some(Namespace::Aws);
    let operation = config.load::<Metadata>().map(|metadata| ("operation", metadata.name()));
    let region = config.load::<Region>().map(|region| ("region", region.as_ref()));
    let mut inputs: Vec<(&str, &str)> =
        config.load::<CapturedTelemetryAttributes>().into_iter().flat_map(CapturedTelemetryAttributes::iter).collect();
    // The SDK has them in no order.
    inputs.sort_unstable();
    for (key, value) in [operation, region].into_iter().flatten().chain(inputs) {
        let key = if key == "Bucket" { "bucket_name" } else { key };
        tree.add_aws(index, key, value.into());
    }
}

/// What is known of a call or an attempt when it is over.
fn describe_outcome(entity: &Entity, context: &FinalizerInterceptorContextRef<'_>, components: &RuntimeComponents) {
    let response = context.response();
    let status = response.map(|response| response.status().as_u16());
    if let Some(response) = response {
        let length = response.headers().get("content-length").and_then(|length| length.parse().ok());
        entity.update(|node| {
            node.http.status = status;
            node.http.content_length = length;
        });
        let ids = [("request_id", response.request_id()), ("id_2", response.headers().get("x-amz-id-2"))];
        for (key, id) in ids {
            if let Some(id) = id {
                entity.add_aws(key, id);
            }
        }
    }
    let error = match context.output_or_error() {
        Some(Err(error)) => error,
        Some(Ok(_)) => return,
        // It was presigned, for somebody else to send it.
        None => return entity.update(|node| node.namespace = None),
    };
    let Some(answer) = error.as_operation_error() else {
        entity.add_cause(|| Description::of_error(error.source().unwrap_or(error), Some(kind(error)), false));
        entity.set_fault();
        return;
    };
    // Whoever asks for what has changed is told that nothing has.
    if status == Some(304) {
        return;
    }
    let is_throttled = |action| {
        matches!(
            action,
            RetryAction::RetryIndicated(RetryReason::RetryableError { kind: ErrorKind::ThrottlingError, .. })
        )
    };
    let mut classifiers = components.retry_classifiers();
    entity.add_cause(|| describe_answer(answer));
    match status {
        Some(429) => entity.set_throttle(),
        _ if classifiers.any(|classifier| is_throttled(classifier.classify_retry(context.inner()))) => {
            entity.set_throttle();
        }
        Some(300..500) => entity.set_error(),
        _ => entity.set_fault(),
    }
}

/// An error that the service has answered with.
///
/// One that the operation is known for has a type of its own, named after AWS's code; of others the code is kept.
fn describe_answer(error: &Error) -> Description {
    let source = error.source();
    match source.and_then(|source| source.downcast_ref::<ErrorMetadata>()) {
        Some(metadata) => {
            let code = metadata.code().unwrap_or("Unhandled").to_owned();
            Description::of_text(code, metadata.message().unwrap_or("the service gave no message"), true)
        }
        None => Description::of_error(source.unwrap_or(error), None, true),
    }
}

/// What the SDK calls an error that is none of the service.
fn kind(error: &OrchestratorError<Error>) -> &'static str {
    if error.is_timeout_error() {
        "TimeoutError"
    } else if error.is_connector_error() {
        "DispatchFailure"
    } else if error.is_response_error() {
        "ResponseError"
    } else {
        "ConstructionFailure"
    }
}
