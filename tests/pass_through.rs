//! What the benchmark and the test of allocations measure against, and with.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{body::Body, routing::Route};
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tower::{Layer, Service, util::MapResponseLayer};

/// What a load balancer makes of a request.
pub(crate) fn request() -> Request<Body> {
    Request::get("/orders/42")
        .header("host", "shop.example.com")
        .header("user-agent", "curl/8.9.1")
        .header("x-forwarded-for", "203.0.113.7")
        .header("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793")
        .body(Body::empty())
        .expect("a request")
}

/// A layer that does nothing but what every layer must that follows a body: it holds a pointer and wraps the body.
pub(crate) fn pass_through() -> impl Layer<
    Route,
    Service = impl Service<Request<Body>, Response = Response<Wrapped>, Error = Infallible, Future: Send>
              + Clone
              + Send
              + Sync,
> + Clone
+ Send
+ Sync {
    let held = Arc::new(());
    MapResponseLayer::new(move |response: Response<Body>| {
        let _held = &held;
        response.map(Wrapped)
    })
}

pub(crate) struct Wrapped(Body);

impl http_body::Body for Wrapped {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
