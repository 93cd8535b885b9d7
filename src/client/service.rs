//! The service: begins a subsegment, and hands it to the response's future.

use std::{
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{ResponseBody, ResponseFuture, settings::Settings};
use crate::{
    call::Call,
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

    /// Names the calls of this clone like this: see [`XRayClientLayer::name`](super::XRayClientLayer::name).
    ///
    /// It is for clients whose requests have no extensions, such as reqwest's; others may take
    /// [`SubsegmentName`](super::SubsegmentName).
    ///
    /// ```
    /// # use tower_xray::client::XRayClient;
    /// # fn call<S: Clone>(client: &XRayClient<S>) {
    /// let pricing = client.clone().named("pricing");
    /// # }
    /// ```
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.settings.name = Some(name.into());
        self
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

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        // A request that was built from an inbound one brings its entity along.
        let brought = request.extensions().get::<Entity>().cloned();
        let is_brought = brought.is_some();
        let caller = brought.unwrap_or_else(current);
        let described = Call::http(request.method(), request.uri(), request.headers());
        let mut call = self.settings.begin(&caller, described, Some(request.extensions()));
        self.settings.write_headers(&call, request.headers_mut());
        if let Some(entity) = call.entity().filter(|_| is_brought) {
            request.extensions_mut().insert(entity.clone());
        }
        let future = call.enter(|| self.inner.call(request));
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
