//! The future of a response.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::{ResponseBody, call::Call};
use crate::{body::BodyObserver, document::AsError, entity::Work};

pin_project! {
    /// The future of [`XRayClient`](super::XRayClient).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<F, K> {
        #[pin]
        inner: F,
        call: Option<Call>,
        kind: PhantomData<fn() -> K>,
    }
}

impl<F, K> ResponseFuture<F, K> {
    pub(super) fn new(inner: F, call: Option<Call>) -> Self {
        Self { inner, call, kind: PhantomData }
    }

    /// Polls until there is a result; an error ends the call, and a response leaves it to be followed.
    pub(super) fn poll_call<T, E>(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(T, Option<Call>), E>>
    where
        F: Future<Output = Result<T, E>>,
        E: AsError<K>,
    {
        let this = self.project();
        let result = ready!(match this.call {
            Some(call) => call.enter(|| this.inner.poll(cx)),
            None => this.inner.poll(cx),
        });
        let mut call = this.call.take();
        if let (Some(call), Err(error)) = (&mut call, &result) {
            call.fail_with(error);
        }
        Poll::Ready(result.map(|response| (response, call)))
    }
}

impl<F, K, B, E> Future for ResponseFuture<F, K>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: AsError<K>,
    B: Body,
    B::Error: fmt::Display + 'static,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.poll_call(cx));
        Poll::Ready(result.map(|(response, call)| {
            // There is nothing to be said about the body of a call that is not recorded.
            let mut call = call.filter(Call::is_recorded);
            if let Some(call) = &mut call {
                call.respond(response.status(), response.headers());
                if response.body().is_end_stream() {
                    call.on_end();
                }
            }
            response.map(|body| ResponseBody::new(body, call))
        }))
    }
}
