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

use super::{ResponseBody, exchange::Exchange};
use crate::{
    document::{AsError, Description},
    entity::Work,
};

pin_project! {
    /// The future of [`XRay`](super::XRay).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<F, K> {
        #[pin]
        inner: F,
        exchange: Option<Exchange>,
        kind: PhantomData<fn() -> K>,
    }
}

impl<F, K> ResponseFuture<F, K> {
    pub(super) fn new(inner: F, exchange: Option<Exchange>) -> Self {
        Self { inner, exchange, kind: PhantomData }
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
        let this = self.project();
        let Some(exchange) = this.exchange else {
            let response = ready!(this.inner.poll(cx));
            return Poll::Ready(response.map(|response| response.map(|body| ResponseBody::new(body, None))));
        };
        Poll::Ready(match ready!(exchange.enter(|| this.inner.poll(cx))) {
            Ok(mut response) => {
                exchange.respond(&mut response);
                // It moves once, and only if it goes on.
                let following = if exchange.is_over() { None } else { this.exchange.take() };
                Ok(response.map(|body| ResponseBody::new(body, following)))
            }
            Err(error) => {
                exchange.fail(|| Description::of_error(error.as_error(), E::type_name(), false));
                Err(error)
            }
        })
    }
}
