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

use super::ResponseBody;
use crate::{call::Call, document::AsError};

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
    pub(super) fn new(inner: F, call: Call) -> Self {
        Self { inner, call: Some(call), kind: PhantomData }
    }

    /// Polls until there is a result. An error ends the call; a response is handed over with it, to be followed.
    pub(super) fn poll_call<T, E>(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(T, Call), E>>
    where
        F: Future<Output = Result<T, E>>,
        E: AsError<K>,
    {
        let this = self.project();
        let result = ready!(this.call.get_or_insert_default().enter(|| this.inner.poll(cx)));
        let call = this.call.take().unwrap_or_default();
        Poll::Ready(match result {
            Ok(response) => Ok((response, call)),
            Err(error) => {
                call.fail(&error);
                Err(error)
            }
        })
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
        Poll::Ready(result.map(|(response, call)| call.follow(response)))
    }
}
