//! How long a call waits for its connection.

use std::{
    any::Any,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Uri;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    call::{Call, Failure},
    context::current,
    id::SegmentId,
};

/// Records connecting as a subsegment below its call: around a resolver, a connector, or one that adds TLS.
///
/// It goes into a client when that is built; without it, nothing of this is recorded.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Empty;
/// use hyper_util::{
///     client::legacy::{Client, connect::{HttpConnector, dns::GaiResolver}},
///     rt::TokioExecutor,
/// };
/// use tower::{Layer, ServiceBuilder};
/// use tower_xray::{XRayClientLayer, client::ConnectLayer};
///
/// let resolver = ConnectLayer::dns().layer(GaiResolver::new());
/// let connector = ConnectLayer::connect().layer(HttpConnector::new_with_resolver(resolver));
/// let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
/// let client = ServiceBuilder::new().layer(XRayClientLayer::new()).service(client);
/// ```
///
/// reqwest tells of its connecting as a whole, with TLS and the name's resolution:
///
/// ```
/// # fn main() -> Result<(), reqwest::Error> {
/// use tower_xray::client::ConnectLayer;
///
/// let client = reqwest::Client::builder().connector_layer(ConnectLayer::connect()).build()?;
/// # Ok(())
/// # }
/// ```
///
/// A call that finds a connection has no such subsegment. One that gets another connection while it still waits for its
/// own, as hyper-util does it, leaves that to connect without it: then the subsegment closes, annotated `cancelled`. So
/// it does when the call is dropped. An error is a fault with its cause.
///
/// Where nothing is recorded, and in a task without a current entity, connecting goes on as if this were not here.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct ConnectLayer {
    name: &'static str,
}

/// The name of what is not done for a URL of `http`.
const TLS: &str = "tls";

impl ConnectLayer {
    /// Around a connector: the subsegment `connect`.
    pub const fn connect() -> Self {
        Self { name: "connect" }
    }

    /// Around a resolver of names: the subsegment `dns`.
    pub const fn dns() -> Self {
        Self { name: "dns" }
    }

    /// Around a connector that adds TLS to another one: the subsegment `tls`, for URLs of `https`.
    ///
    /// If the other one has the subsegment `connect`, that is below it, and the handshake is the rest of the time.
    pub const fn tls() -> Self {
        Self { name: TLS }
    }
}

impl<S> Layer<S> for ConnectLayer {
    type Service = Connect<S>;

    fn layer(&self, inner: S) -> Connect<S> {
        Connect { inner, name: self.name }
    }
}

/// The service that [`ConnectLayer`] makes.
#[derive(Clone, Debug)]
pub struct Connect<S> {
    inner: S,
    name: &'static str,
}

impl<S, T> Service<T> for Connect<S>
where
    S: Service<T>,
    S::Error: fmt::Display + 'static,
    T: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ConnectFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, target: T) -> Self::Future {
        let caller = current();
        let is_http = || (&target as &dyn Any).downcast_ref().and_then(Uri::scheme_str) == Some("http");
        if !caller.is_recorded() || (self.name == TLS && is_http()) {
            return ConnectFuture { inner: self.inner.call(target), connecting: None };
        }
        let mut call = Call::builder(self.name).local().begin_in(&caller);
        let inner = call.enter(|| self.inner.call(target));
        ConnectFuture { inner, connecting: Some(Connecting { caller: caller.id(), call }) }
    }
}

pin_project! {
    /// The future of [`Connect`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ConnectFuture<F> {
        #[pin]
        inner: F,
        connecting: Option<Connecting>,
    }
}

impl<F, C, E> Future for ConnectFuture<F>
where
    F: Future<Output = Result<C, E>>,
    E: fmt::Display + 'static,
{
    type Output = Result<C, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Dropped, it is cancelled.
        drop(this.connecting.take_if(|connecting| current().id() != connecting.caller));
        let Some(connecting) = this.connecting else { return this.inner.poll(cx) };
        let result = ready!(connecting.call.enter(|| this.inner.poll(cx)));
        if let Some(Connecting { call, .. }) = this.connecting.take() {
            match &result {
                Ok(_) => call.end(),
                Err(error) => call.fail_with(|| Failure::of_display(error)),
            }
        }
        Poll::Ready(result)
    }
}

/// Connecting, as long as its caller waits for it.
#[derive(Debug)]
struct Connecting {
    /// The current entity while the caller waits.
    caller: Option<SegmentId>,
    call: Call,
}
