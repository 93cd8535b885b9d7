//! The server side: a segment for every request.
//!
//! In: requests. Out: the same requests, with a current entity while they are handled; the same responses, with a
//! header that names the trace; and a segment that closes at the true end of the response.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_xray::{Recorder, XRayLayer};
//!
//! # fn main() -> Result<(), tower_xray::recorder::BuildError> {
//! let recorder = Recorder::from_env()?;
//! let app: Router = Router::new()
//!     .route("/orders/{id}", get(async || "an order"))
//!     .layer(XRayLayer::new("orders", recorder));
//! # Ok(())
//! # }
//! ```
//!
//! # When a segment closes
//!
//! | what happens | the segment |
//! |---|---|
//! | the body ends, by its last frame, its trailers or its `Content-Length` | closes then |
//! | there is no body: `HEAD`, 1xx, 204, 304, an empty one | closes with the response |
//! | 101: the connection becomes something else | closes with the response |
//! | the status is 4xx, 429, 5xx | error, error and throttle, fault |
//! | the gRPC status, in headers or trailers, is not OK | error, error and throttle, fault; its message as cause |
//! | the client leaves before the response, or in the middle of its body | error, with a cause that says so |
//! | the client leaves a stream of events (`text/event-stream`) | closes then: that is how such a stream ends |
//! | nobody begins to read the body: a layer outside has replaced the response | closes then |
//! | a layer outside gives up, as a timeout does | the same: this layer cannot tell them apart |
//! | the handler panics | fault, with the panic as cause; it goes on unwinding |
//! | the service or the body returns an error | fault, with the error as cause |
//!
//! A response that lasts, such as a stream of events, can tell of its segment while it is open:
//! [`Entity::send_in_progress`](crate::Entity::send_in_progress).
//!
//! # Where to put the layer
//!
//! Outside of what should be part of the segment's time: compression, timeouts, authentication. A `CatchPanicLayer`
//! outside of it leaves the panic's message in the segment (its 500 has no tracing header then); inside of it, the
//! segment sees a plain 500. `Router::layer` sees the matched route; a layer around the whole router, and a request that
//! no route matches, do not. A layer inside of another one continues its trace, as a service behind it would.
//!
//! # What a segment tells
//!
//! Method, URL without query and credentials, user agent, and the client's address: the first of `X-Forwarded-For`
//! ([`forwarded_hops`](XRayLayer::forwarded_hops) takes one that clients cannot make up), or the peer's, which axum tells with `into_make_service_with_connect_info::<SocketAddr>()` only. The host is that of the
//! URL or the `Host` header, and `unknown` without either.
//!
//! # gRPC
//!
//! The layer goes around tonic's server, `Server::builder().layer(…)`, or the axum router that a service of tonic is part
//! of. A call's annotation `route` is its method, `/package.Service/Method`; a status that is not OK is the annotation
//! `grpc_status`. Such a failure counts for sampling by outcome as an HTTP status of 4xx or 5xx does.
//!
//! The timeout of tonic's server is a layer outside of this one. grpc-web has its status in the body, where nobody looks
//! for it.
//!
//! # Customization
//!
//! ```
//! use tower_xray::{Recorder, XRayLayer, server::{Naming, Trust}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let recorder = Recorder::from_env()?;
//! let layer = XRayLayer::new(Naming::by_host("*.example.com", "orders")?, recorder)
//!     .skip(|request| request.uri.path() == "/healthz")
//!     .trust(Trust::IdsOnly)
//!     .forwarded_hops(1)
//!     .response_header(false);
//! # Ok(())
//! # }
//! ```

mod body;
mod config;
mod exchange;
#[cfg(feature = "axum")]
mod extract;
mod future;
mod layer;
mod naming;
mod request;
mod service;

pub use self::{
    body::ResponseBody, config::Trust, future::ResponseFuture, layer::XRayLayer, naming::Naming, service::XRay,
};
