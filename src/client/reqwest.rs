//! reqwest: [`XRayClientLayer`](crate::XRayClientLayer) around its client, and a middleware for reqwest-middleware.
//!
//! ```
//! use tower::{Service, ServiceBuilder};
//! use tower_xray::XRayClientLayer;
//!
//! # async fn call() -> Result<(), Box<dyn std::error::Error>> {
//! let mut client = ServiceBuilder::new().layer(XRayClientLayer::new()).service(reqwest::Client::new());
//! let request = reqwest::Request::new(http::Method::GET, "http://pricing.internal/quote".parse()?);
//! let quote = client.call(request).await?.text().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Redirects and reqwest's own retries are one call with one subsegment; [`count_redirects`] counts the former.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use ::reqwest::{Body, Request, Response, ResponseBuilderExt, redirect::Policy};
use http::Extensions;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{XRayClient, future, settings::Settings};
use crate::{
    call::{self, Call},
    context::current,
    document::AsError,
    entity::Entity,
};

impl<S, K> Service<Request> for XRayClient<S, K>
where
    S: Service<Request, Response = Response>,
    S::Error: AsError<K>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, K>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let mut call = begin(&self.settings, &current(), &mut request, None);
        let future = call.enter(|| self.inner.call(request));
        ResponseFuture { inner: future::ResponseFuture::new(future, call) }
    }
}

pin_project! {
    /// The future of [`XRayClient`] around a reqwest client.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<F, K> {
        #[pin]
        inner: future::ResponseFuture<F, K>,
    }
}

impl<F, K, E> Future for ResponseFuture<F, K>
where
    F: Future<Output = Result<Response, E>>,
    E: AsError<K>,
{
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.project().inner.poll_call(cx));
        Poll::Ready(result.map(|(response, call)| follow(response, call)))
    }
}

/// Begins a call, and writes its header.
fn begin(settings: &Settings, caller: &Entity, request: &mut Request, extensions: Option<&Extensions>) -> Call {
    let call = if caller.is_recorded() {
        // reqwest has checked its URL; what `http` does not take nevertheless is recorded without host and path.
        let uri = request.url().as_str().parse().unwrap_or_default();
        settings.begin(caller, Call::http(request.method(), &uri, request.headers()), extensions)
    } else {
        settings.begin(caller, Call::builder(""), None)
    };
    settings.write_headers(&call, request.headers_mut());
    call
}

/// Lets the call follow the body of its response.
fn follow(response: Response, call: Call) -> Response {
    if !call.is_recorded() {
        call.end();
        return response;
    }
    let url = response.url().clone();
    let (parts, body) = call.follow(response.into()).into_parts();
    // The URL would be lost on the way through `http::Response`.
    let mut response = http::Response::builder().url(url).body(Body::wrap(body)).unwrap_or_default();
    *response.status_mut() = parts.status;
    *response.version_mut() = parts.version;
    *response.headers_mut() = parts.headers;
    response.extensions_mut().extend(parts.extensions);
    response.into()
}

/// A policy that tells of the redirects of a call as its annotation `redirects`, and does what another one says.
///
/// It counts the responses that redirect the call, so the last one may be one that the other policy does not follow.
/// The metadata `redirected_to` is the host, with its port, that the last one has named.
///
/// ```
/// # fn main() -> Result<(), reqwest::Error> {
/// use reqwest::redirect::Policy;
/// use tower_xray::client::reqwest::count_redirects;
///
/// let client = reqwest::Client::builder().redirect(count_redirects(Policy::limited(5))).build()?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn count_redirects(policy: Policy) -> Policy {
    Policy::custom(move |attempt| {
        if call::is_current() {
            let (host, port) = (attempt.url().host_str().unwrap_or_default(), attempt.url().port());
            let host = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            // The first of the URLs so far is that of the call.
            current().add_annotation("redirects", attempt.previous().len());
            current().add_metadata("redirected_to", host);
        }
        policy.redirect(attempt)
    })
}

#[cfg(feature = "reqwest-middleware")]
pub use self::middleware::XRayMiddleware;

#[cfg(feature = "reqwest-middleware")]
mod middleware {
    use ::reqwest::{Request, Response};
    use http::Extensions;
    use reqwest_middleware::{Middleware, Next, Result};

    use super::{begin, follow};
    use crate::{
        call::count_attempt,
        client::{AttemptLayer, XRayClientLayer, future::ResponseFuture, settings::Settings},
        context::current,
        entity::Entity,
    };

    /// Traces every call, as a middleware of reqwest-middleware.
    ///
    /// Before a retry middleware it records one subsegment for all attempts, behind it one for each.
    ///
    /// ```
    /// use tower_xray::client::reqwest::XRayMiddleware;
    ///
    /// let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(XRayMiddleware::new()).build();
    /// ```
    #[derive(Clone, Debug)]
    pub struct XRayMiddleware(Settings);

    impl XRayMiddleware {
        /// Traces calls. There is nothing to configure: the current entity brings its recorder along.
        #[must_use]
        pub fn new() -> Self {
            Self::with(XRayClientLayer::new())
        }

        /// Traces calls with the settings of a layer.
        #[must_use]
        pub fn with<K>(layer: XRayClientLayer<K>) -> Self {
            Self(layer.settings)
        }
    }

    impl Default for XRayMiddleware {
        fn default() -> Self {
            Self::new()
        }
    }

    #[async_trait::async_trait]
    impl Middleware for AttemptLayer {
        async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
            count_attempt();
            next.run(request, extensions).await
        }
    }

    #[async_trait::async_trait]
    impl Middleware for XRayMiddleware {
        async fn handle(&self, mut request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
            let caller = extensions.get::<Entity>().cloned().unwrap_or_else(current);
            let call = begin(&self.0, &caller, &mut request, Some(extensions));
            let mut future = std::pin::pin!(ResponseFuture::new(next.run(request, extensions), call));
            let (response, call) = std::future::poll_fn(|cx| future.as_mut().poll_call(cx)).await?;
            Ok(follow(response, call))
        }
    }
}
