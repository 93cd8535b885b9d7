//! The client side: a subsegment for every call, and the header that continues the trace.
//!
//! In: outbound requests, made where an entity is current. Out: the same requests with `X-Amzn-Trace-Id`; the same
//! responses; and a subsegment with method, URL, status and length, or with the error that the transport reports.
//!
//! [`XRayClientLayer`] goes around anything that is a service of HTTP requests: the client of hyper-util, a tonic
//! channel, or `reqwest::Client` (feature `reqwest`). `reqwest-middleware` has a middleware
//! of its own (feature `reqwest-middleware`). The clients of the AWS SDK have an interceptor (feature `aws-sdk`).
//!
//! ```
//! use bytes::Bytes;
//! use http_body_util::Empty;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::ServiceBuilder;
//! use tower_xray::XRayClientLayer;
//!
//! let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
//! let client = ServiceBuilder::new().layer(XRayClientLayer::new()).service(client);
//! ```
//!
//! # When a subsegment closes
//!
//! At the end of the response's body, or when that is dropped. A call that is dropped before there is a response is a
//! fault, with a cause that says so. Redirects and retries inside of the client are one call.
//!
//! The HTTP status decides about error, throttle and fault, and for gRPC the status in headers or trailers, which becomes
//! the annotation `grpc_status` unless it is OK.
//!
//! A query is a call, too: see [`sql`].
//!
//! A layer that runs the client elsewhere, as tower's buffer does, loses the current entity, unless the request brings
//! an [`Entity`](crate::Entity) along in its extensions.
//!
//! Outside of any trace the call goes through untouched; see [`ContextMissing`](crate::context::ContextMissing).

#[cfg(feature = "aws-sdk")]
pub mod aws_sdk;
mod body;
mod call;
mod future;
mod layer;
mod missing_context;
mod name;
#[cfg(feature = "reqwest")]
pub mod reqwest;
mod service;
pub mod sql;
mod target;

pub use self::{
    body::ResponseBody, future::ResponseFuture, layer::XRayClientLayer, name::SubsegmentName, service::XRayClient,
};
