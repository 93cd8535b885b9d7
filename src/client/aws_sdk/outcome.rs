//! How a call, or one attempt of it, has ended.
//!
//! In: the response, and the output or the error. Out: the call, ended with status, ids, and what has failed.

use std::error::Error as _;

use aws_smithy_runtime_api::client::{
    interceptors::context::{Error, FinalizerInterceptorContextRef},
    orchestrator::OrchestratorError,
    retries::classifiers::{ClassifyRetry, RetryAction, RetryReason},
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::{error::ErrorMetadata, retry::ErrorKind};
use aws_types::request_id::RequestId;

use crate::call::{Call, Class, Failure};

/// Ends a call or an attempt with what is known then.
pub(super) fn end(call: Call, context: &FinalizerInterceptorContextRef<'_>, components: &RuntimeComponents) {
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
