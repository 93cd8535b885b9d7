//! The service: begins a segment, and hands it to the response's future.

use std::{
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{ResponseBody, ResponseFuture, config::Config, exchange::Exchange};
use crate::{
    document::{AsError, Typed},
    entity::Work,
};

/// The service that [`XRayLayer`](super::XRayLayer) makes. See the [module documentation](super).
pub struct XRay<S, K = Typed> {
    inner: S,
    config: Arc<Config>,
    kind: PhantomData<fn() -> K>,
}

impl<S, K> XRay<S, K> {
    pub(super) fn new(inner: S, config: Arc<Config>) -> Self {
        Self { inner, config, kind: PhantomData }
    }

    /// The traced service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The traced service, to be changed.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The traced service, without the tracing.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, K, ReqBody, ResBody> Service<Request<ReqBody>> for XRay<S, K>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: AsError<K>,
    ResBody: Body,
    ResBody::Error: fmt::Display + 'static,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, K>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let mut exchange = Exchange::begin(&self.config, &mut parts);
        let request = Request::from_parts(parts, body);
        let future = match &mut exchange {
            Some(exchange) => exchange.enter(|| self.inner.call(request)),
            None => self.inner.call(request),
        };
        ResponseFuture::new(future, exchange)
    }
}

impl<S: Clone, K> Clone for XRay<S, K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), config: self.config.clone(), kind: PhantomData }
    }
}

impl<S: fmt::Debug, K> fmt::Debug for XRay<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XRay").field("inner", &self.inner).finish_non_exhaustive()
    }
}
