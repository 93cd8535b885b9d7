//! The body of a response, followed to its end.
//!
//! In: a response, and the call that it answers. Out: the same response; the call ends with its body.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::Call;
use crate::{
    body::{self, BodyObserver},
    document::Description,
    entity::{Entity, Work},
};

pin_project! {
    /// The body of a response: ends its call when it ends, fails, or is dropped.
    #[derive(Debug, Default)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: B,
        followed: Option<Followed>,
    }
}

impl Call {
    /// Lets the call follow the body of its response: it ends when the body ends, fails, or is dropped.
    ///
    /// The status decides how the call counts ([`Class::of_status`](super::Class::of_status)); for gRPC, so does the status
    /// in the headers or trailers. A body that is dropped half-way was abandoned, as [`cancel`](Self::cancel) describes it. One of which
    /// nothing was asked for was not: its status was all that the caller wanted.
    pub fn follow<B: Body>(self, response: Response<B>) -> Response<ResponseBody<B>> {
        // Nothing is recorded about the body of a call that is not.
        let mut followed = self.is_recorded().then(|| {
            let expected = self.respond(response.status(), response.headers());
            Followed { call: Some(self), expected, received: 0, wanted: false }
        });
        if response.body().is_end_stream() {
            if let Some(mut followed) = followed.take() {
                followed.on_end();
            }
        }
        response.map(|inner| ResponseBody { inner, followed })
    }
}

/// A call whose response has begun.
#[derive(Debug)]
struct Followed {
    /// Taken when the call is over.
    call: Option<Call>,
    /// How long the body will be, if its headers say so.
    expected: Option<u64>,
    received: u64,
    /// The caller has asked for the body.
    wanted: bool,
}

impl Work for Followed {
    fn entity(&self) -> Option<&Entity> {
        self.call.as_ref().and_then(Call::entity)
    }

    fn fail(&mut self, describe: impl FnOnce() -> Description) {
        if let Some(mut call) = self.call.take() {
            call.set_content_length(self.received);
            Work::fail(&mut call, describe);
        }
    }
}

impl BodyObserver for Followed {
    fn is_remote(&self) -> bool {
        self.entity().is_some_and(Entity::is_call)
    }

    fn on_poll(&mut self) {
        self.wanted = true;
    }

    fn on_data(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        if let Some(call) = &self.call {
            call.trailers(trailers);
        }
    }

    fn on_end(&mut self) {
        if let Some(call) = self.call.take() {
            call.set_content_length(self.expected.unwrap_or(self.received));
            call.end();
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let Some(call) = self.call.take() else { return };
        let is_whole = self.expected.is_some_and(|expected| self.received >= expected);
        if self.wanted && !is_whole {
            call.set_content_length(self.received);
            return call.cancel();
        }
        // Only the headers tell the length of a body that was not asked for.
        if let Some(expected) = self.expected {
            call.set_content_length(expected);
        }
        call.end();
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Error: fmt::Display + 'static,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        body::poll_frame(this.inner, this.followed, cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
