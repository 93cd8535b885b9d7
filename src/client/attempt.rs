//! How often a call was tried.

use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::call::count_attempt;

/// Counts what is sent for one call, below retries or redirects: its annotation `attempts`, from the second on.
///
/// It belongs between what sends again and what sends, with [`XRayClientLayer`](crate::XRayClientLayer) around both, for
/// tower's `Retry` and `Hedge`, tower-http's `FollowRedirect`, and the like:
///
/// ```
/// # use std::{convert::Infallible, future::ready};
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, retry::{Policy, Retry}, service_fn};
/// use tower_xray::{XRayClientLayer, client::AttemptLayer};
///
/// # #[derive(Clone)]
/// # struct Thrice;
/// # impl Policy<Request<()>, Response<String>, Infallible> for Thrice {
/// #     type Future = std::future::Ready<()>;
/// #     fn retry(&mut self, _: &mut Request<()>, _: &mut Result<Response<String>, Infallible>) -> Option<Self::Future> {
/// #         None
/// #     }
/// #     fn clone_request(&mut self, request: &Request<()>) -> Option<Request<()>> {
/// #         Some(request.clone())
/// #     }
/// # }
/// # let client = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(String::new()))));
/// let client = ServiceBuilder::new()
///     .layer(XRayClientLayer::new())
///     .retry(Thrice)
///     .layer(AttemptLayer::new())
///     .service(client);
/// # async fn call(mut client: impl tower::Service<Request<()>>) { let _ = client.call(Request::new(())).await; }
/// # let _ = call(client);
/// ```
///
/// With feature `reqwest-middleware` it is a middleware, too: the one after that which retries. The redirects of reqwest
/// itself are counted by `client::reqwest::count_redirects`.
///
/// Retries that are outside of `XRayClientLayer` need no count: each is a subsegment of its own.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct AttemptLayer(());

impl AttemptLayer {
    /// Counts attempts.
    pub const fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for AttemptLayer {
    type Service = Attempt<S>;

    fn layer(&self, inner: S) -> Attempt<S> {
        Attempt { inner }
    }
}

/// The service that [`AttemptLayer`] makes.
#[derive(Clone, Debug)]
pub struct Attempt<S> {
    inner: S,
}

impl<S, T> Service<T> for Attempt<S>
where
    S: Service<T>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: T) -> Self::Future {
        count_attempt();
        self.inner.call(request)
    }
}
