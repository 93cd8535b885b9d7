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
//! called. Among them is the key of an object in S3, as with the X-Ray SDKs: if keys identify people, capture the names
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
//! Outside of any trace the call goes through untouched; see [`ContextMissing`](crate::context::ContextMissing).

mod inputs;
mod interceptor;
mod outcome;
mod request;

pub use self::{inputs::inputs, interceptor::XRayInterceptor};
