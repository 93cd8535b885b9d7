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
    borrow::Cow,
    pin::Pin,
    task::{Context, Poll, ready},
};

use ::reqwest::{Body, Request, Response, ResponseBuilderExt, redirect::Policy};
use http::Extensions;
use pin_project_lite::pin_project;
use serde_json::Value;
use tower_service::Service;

use super::{
    ResponseBody, XRayClient,
    call::{Call, Outbound},
    future,
    layer::Settings,
};
use crate::{
    context::current,
    document::AsError,
    entity::{Entity, Work},
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
        let future = match &mut call {
            Some(call) => call.enter(|| self.inner.call(request)),
            None => self.inner.call(request),
        };
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
fn begin(settings: &Settings, caller: &Entity, request: &mut Request, extensions: Option<&Extensions>) -> Option<Call> {
    let call = Call::begin(settings, caller, || Outbound {
        method: request.method(),
        // reqwest has checked its URL; what `http` does not take nevertheless is recorded without host and path.
        uri: Cow::Owned(request.url().as_str().parse().unwrap_or_default()),
        headers: request.headers(),
        extensions,
    })?;
    call.write_header(settings, request.headers_mut());
    Some(call)
}

/// Lets the call follow the body of its response.
fn follow(response: Response, call: Option<Call>) -> Response {
    let Some(mut call) = call.filter(Call::is_recorded) else { return response };
    call.respond(response.status(), response.headers());
    let url = response.url().clone();
    let (parts, body) = http::Response::from(response).into_parts();
    let body = Body::wrap(ResponseBody::new(body, Some(call)));
    // The URL would be lost on the way through `http::Response`.
    let mut response = http::Response::builder().url(url).body(body).unwrap_or_default();
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
        current().describe_call(|tree, index| {
            let (host, port) = (attempt.url().host_str().unwrap_or_default(), attempt.url().port());
            let host = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            // The first of the URLs so far is that of the call.
            tree.annotate(index, "redirects", &attempt.previous().len().into());
            tree.add_metadata(index, "default", "redirected_to", &Value::from(host).to_string());
        });
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
        client::{AttemptLayer, XRayClientLayer, attempt::count_attempt, future::ResponseFuture, layer::Settings},
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
            current().describe_call(count_attempt);
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
