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
//! returns has the annotation `cancelled`, and is not a fault of the service. A request that is only presigned is local
//! work, and not a call.
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

use crate::{
    call::{Call, Class, Failure, MissingContext},
    context::{ContextMissing, current},
    document::Namespace,
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
    /// `AWS_XRAY_CONTEXT_MISSING` sets how calls outside of any trace are reported, as for
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
        // An interceptor that is added twice records once.
        if config.load::<Running>().is_some() {
            return;
        }
        let call = begin(&self.missing_context, config);
        if call.is_recorded() {
            config.interceptor_state().store_put(Running { call: Some(call), attempt: None, attempts: 0 });
        } else {
            // The header comes from the current entity.
            call.end();
        }
    }
}

/// A call while it runs. It is kept with the SDK's state of the call, which is dropped when the call is.
#[derive(Debug)]
struct Running {
    /// Taken when the call is over.
    call: Option<Call>,
    attempt: Option<Call>,
    attempts: u32,
}

impl Storable for Running {
    type Storer = StoreReplace<Self>;
}

impl Running {
    /// Ends the call, and the attempt that the SDK may have given up without a word.
    fn end(&mut self, end: impl Fn(Call)) {
        self.attempt.take().map(&end);
        if let Some(call) = self.call.take() {
            if let (Some(retries), Some(entity)) = (self.attempts.checked_sub(1), call.entity()) {
                entity.add_aws("retries", retries);
            }
            end(call);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Call::cancel);
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
        let Some(running) = config.get_mut_from_interceptor_state::<Running>() else { return Ok(()) };
        running.attempts = attempts;
        if let (Some(call), true, None) =
            (running.call.as_ref().and_then(Call::entity), self.attempts, &running.attempt)
        {
            running.attempt = Some(Call::builder("attempt").local().begin_in(call));
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
        let header = match config.load::<Running>() {
            Some(running) => running.call.as_ref().and_then(Call::header),
            None => current().header(),
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
        let running = config.get_mut_from_interceptor_state::<Running>();
        if let Some(attempt) = running.and_then(|running| running.attempt.take()) {
            end(attempt, context, components);
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
        if context.input().is_some() && config.load::<Running>().is_none() {
            self.begin(config);
        }
        if let Some(running) = config.get_mut_from_interceptor_state::<Running>() {
            running.end(|call| end(call, context, components));
        }
        Ok(())
    }
}

/// Begins a call with what is known before anything is sent.
fn begin(missing_context: &MissingContext, config: &ConfigBag) -> Call {
    let caller = current();
    if !caller.is_recorded() {
        return Call::builder("").missing_context(missing_context).begin_in(&caller);
    }
    let operation = config.load::<Metadata>().map(|metadata| ("operation", metadata.name()));
    let region = config.load::<Region>().map(|region| ("region", region.as_ref()));
    let inputs = config.load::<CapturedTelemetryAttributes>();
    let inputs = inputs.into_iter().flat_map(CapturedTelemetryAttributes::iter);
    let inputs = inputs.map(|(key, value)| (if key == "Bucket" { "bucket_name" } else { key }, value));
    let mut fields: Vec<(&str, &str)> = [operation, region].into_iter().flatten().chain(inputs).collect();
    // The SDK has the inputs in no order.
    let first = usize::from(operation.is_some()) + usize::from(region.is_some());
    fields[first..].sort_unstable();
    let service = config.load::<Metadata>().map_or("unknown", Metadata::service);
    Call::builder(service).namespace(Namespace::Aws).aws(&fields).begin_in(&caller)
}

/// Ends a call or an attempt with what is known then.
fn end(call: Call, context: &FinalizerInterceptorContextRef<'_>, components: &RuntimeComponents) {
    let response = context.response();
    let status = response.map(|response| response.status().as_u16());
    if let (Some(response), Some(entity)) = (response, call.entity()) {
        call.set_status(response.status().as_u16(), Class::Ok);
        if let Some(length) = response.headers().get("content-length").and_then(|length| length.parse().ok()) {
            call.set_content_length(length);
        }
        let ids = [("request_id", response.request_id()), ("id_2", response.headers().get("x-amz-id-2"))];
        for (key, id) in ids {
            if let Some(id) = id {
                entity.add_aws(key, id);
            }
        }
    }
    let error = match context.output_or_error() {
        Some(Err(error)) => error,
        Some(Ok(_)) => return call.end(),
        // It was presigned, for another program to send it.
        None => return call.make_local().end(),
    };
    let Some(answer) = error.as_operation_error() else {
        return call.fail_with(|| Failure::of(error.source().unwrap_or(error)).type_name(kind(error)).local());
    };
    let is_throttled = |action| {
        matches!(
            action,
            RetryAction::RetryIndicated(RetryReason::RetryableError { kind: ErrorKind::ThrottlingError, .. })
        )
    };
    let mut classifiers = components.retry_classifiers();
    let throttled = classifiers.any(|classifier| is_throttled(classifier.classify_retry(context.inner())));
    match Class::of_aws(status, throttled) {
        Class::Ok => call.end(),
        // An attempt is local work, and what it is answered with is not.
        class => call.fail_with(|| describe_answer(answer).class(class).remote()),
    }
}

/// An error that the service has answered with.
///
/// One that the operation is known for has a type of its own, named after AWS's code; of others the code is kept.
fn describe_answer(error: &Error) -> Failure {
    let source = error.source();
    match source.and_then(|source| source.downcast_ref::<ErrorMetadata>()) {
        Some(metadata) => {
            let code = metadata.code().unwrap_or("Unhandled");
            Failure::new(code, metadata.message().unwrap_or("the service gave no message"))
        }
        None => Failure::of(source.unwrap_or(error)),
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
