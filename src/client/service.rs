//! The service: begins a subsegment, and hands it to the response's future.

use std::{
    fmt,
    marker::PhantomData,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{ResponseBody, ResponseFuture, call::Call, layer::Settings};
use crate::{
    body::Watch,
    context::current,
    document::{AsError, Typed},
    entity::Entity,
};

/// The service that [`XRayClientLayer`](super::XRayClientLayer) makes. See the [module documentation](super).
pub struct XRayClient<S, K = Typed> {
    pub(super) inner: S,
    pub(super) settings: Settings,
    kind: PhantomData<fn() -> K>,
}

impl<S, K> XRayClient<S, K> {
    pub(super) fn new(inner: S, settings: Settings) -> Self {
        Self { inner, settings, kind: PhantomData }
    }

    /// The traced client.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The traced client, to be changed.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The traced client, without the tracing.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, K, ReqBody, ResBody> Service<Request<ReqBody>> for XRayClient<S, K>
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
        // A request that was built from an inbound one brings its entity along.
        let brought = parts.extensions.get::<Entity>().cloned();
        let caller = brought.clone().unwrap_or_else(current);
        let mut call = Call::begin(&self.settings, &caller, &parts.method, &parts.uri, &mut parts.headers);
        if let (Some(entity), Some(_)) = (call.as_ref().and_then(Watch::entity), brought) {
            parts.extensions.insert(entity.clone());
        }
        let request = Request::from_parts(parts, body);
        let future = match &mut call {
            Some(call) => call.enter(|| self.inner.call(request)),
            None => self.inner.call(request),
        };
        ResponseFuture::new(future, call)
    }
}

impl<S: Clone, K> Clone for XRayClient<S, K> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.settings.clone())
    }
}

impl<S: fmt::Debug, K> fmt::Debug for XRayClient<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XRayClient").field("inner", &self.inner).finish_non_exhaustive()
    }
}
