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
//! At the end of the response's body, or when the caller drops it. A call that is dropped before its response, and a body
//! that is dropped half-way, were abandoned: the subsegment has the annotation `cancelled`, and is neither an error nor a
//! fault. See [`call`](crate::call) for the rules that all clients share.
//!
//! The HTTP status decides about error, throttle and fault, and for gRPC the status in headers or trailers.
//!
//! # Names
//!
//! A subsegment is named after the host of its call, with the port unless that is the default: X-Ray draws a node for
//! each such name, or the callee in its place if that sends a segment. [`XRayClientLayer::name`] gives another name to
//! all calls of a client, [`SubsegmentName`] in the extensions of a request to one.
//!
//! # gRPC
//!
//! A call whose `Content-Type` begins with `application/grpc` has the annotation `route`, which is its method:
//! `/package.Service/Method`. Its name is the host, as that of other calls to the same service. If the request does not
//! say where it goes, as one to a bare tonic channel, the name is `package.Service`.
//!
//! A status that is not OK is the annotation `grpc_status`, and its message the cause, of which the name of the status is
//! the type. The call ends with the stream of its responses. A stream that is dropped half-way was
//! abandoned, like any other body.
//!
//! # Redirects and retries
//!
//! Inside of the client they are one call, outside of it one call for each. [`AttemptLayer`] counts those inside as the
//! annotation `attempts`, and `reqwest::count_redirects` what reqwest follows by itself as the annotation `redirects`.
//!
//! # Connections
//!
//! A call has the time that it takes to connect in it; [`ConnectLayer`] tells it apart.
//!
//! # Other calls
//!
//! A query is a call, too: see [`sql`]. Those of diesel (feature `diesel`) and calls of the AWS SDK (feature `aws-sdk`) are
//! traced by what these have for it.
//!
//! # Context
//!
//! A layer that runs the client elsewhere, as tower's buffer does, loses the current entity, unless the request brings
//! an [`Entity`](crate::Entity) along in its extensions.
//!
//! Outside of any trace the call goes through untouched; see [`ContextMissing`](crate::context::ContextMissing).

mod attempt;
#[cfg(feature = "aws-sdk")]
pub mod aws_sdk;
mod connect;
#[cfg(feature = "diesel")]
pub mod diesel;
mod future;
mod layer;
mod name;
#[cfg(feature = "reqwest")]
pub mod reqwest;
mod service;
mod settings;
pub mod sql;

pub use self::{
    attempt::{Attempt, AttemptLayer},
    connect::{Connect, ConnectFuture, ConnectLayer},
    future::ResponseFuture,
    layer::XRayClientLayer,
    name::SubsegmentName,
    service::XRayClient,
};
pub use crate::call::ResponseBody;
