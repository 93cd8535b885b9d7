//! Following a body to its true end, for servers and clients alike.
//!
//! In: a body and its observer. Out: the same frames; the observer is told of each, and of the end.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::HeaderMap;
use http_body::{Body, Frame};

use crate::{document::Description, entity::Work};

/// Observes a body until it is over. Dropping it unfinished means that the rest is not wanted.
pub(crate) trait BodyObserver: Work {
    /// Whether the body is that of another service, so that its errors are, too.
    fn is_remote(&self) -> bool;

    /// The body is about to be polled.
    fn on_poll(&mut self);

    /// So many bytes have passed.
    fn on_data(&mut self, bytes: usize);

    /// The trailers have passed.
    fn on_trailers(&mut self, trailers: &HeaderMap);

    /// The body has ended.
    fn on_end(&mut self);
}

/// Polls a body on behalf of its observer, which is dropped when the body is over.
#[expect(clippy::type_complexity, reason = "it is that of `Body::poll_frame`")]
pub(crate) fn poll_frame<B, W>(
    mut body: Pin<&mut B>,
    observer: &mut Option<W>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<B::Data>, B::Error>>>
where
    B: Body,
    B::Error: fmt::Display + 'static,
    W: BodyObserver,
{
    let Some(observing) = observer else { return body.poll_frame(cx) };
    observing.on_poll();
    let frame = ready!(observing.enter(|| body.as_mut().poll_frame(cx)));
    let over = match &frame {
        Some(Ok(frame)) => {
            observing.on_data(frame.data_ref().map_or(0, Buf::remaining));
            if let Some(trailers) = frame.trailers_ref() {
                observing.on_trailers(trailers);
            }
            // A consumer that knows the length beforehand does not ask for the end, and none asks after trailers.
            frame.is_trailers() || body.is_end_stream()
        }
        Some(Err(error)) => {
            let remote = observing.is_remote();
            observing.fail(|| Description::of_opaque(error, remote));
            true
        }
        None => true,
    };
    if over {
        // After a failure there is nothing to complete any more.
        observing.on_end();
        *observer = None;
    }
    Poll::Ready(frame)
}
