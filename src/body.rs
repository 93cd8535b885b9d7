//! Following a body to its true end, for servers and clients alike.
//!
//! In: a body and its observer. Out: the same frames; the observer is told of each, and of the end.

use std::{
    fmt,
    pin::Pin,
    str::FromStr,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};

use crate::{document::Description, entity::Work, grpc};

/// Observes a body until it is over. Dropping it unfinished means that the rest is not wanted.
pub(crate) trait BodyObserver: Work {
    /// Whether the body is the remote side's, so that its errors are, too.
    const REMOTE: bool;

    /// The body is about to be polled.
    fn on_poll(&mut self);

    /// So many bytes have passed.
    fn on_data(&mut self, bytes: usize);

    /// The trailers have passed.
    fn on_trailers(&mut self, trailers: &HeaderMap);

    /// The body has ended.
    fn on_end(&mut self);
}

/// What the head of a response announces, or its trailers.
pub(crate) struct ResponseHead<'a> {
    /// How long the body will be.
    pub(crate) content_length: Option<u64>,
    pub(crate) grpc: Option<grpc::Status<'a>>,
}

impl<'a> ResponseHead<'a> {
    /// The first line of each name counts. One pass over few lines takes less than a look-up for every name.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        fn number<T: FromStr>(value: &HeaderValue) -> Option<T> {
            value.to_str().ok()?.parse().ok()
        }

        let (mut content_length, mut grpc_status, mut grpc_message) = (None, None, None);
        for (name, value) in headers {
            match name.as_str() {
                "content-length" => content_length = content_length.or(Some(value)),
                "grpc-status" => grpc_status = grpc_status.or(Some(value)),
                "grpc-message" => grpc_message = grpc_message.or(Some(value)),
                _ => {}
            }
        }
        let grpc = grpc_status.and_then(number).map(|code| grpc::Status::new(code, grpc_message));
        Self { content_length: content_length.and_then(number), grpc }
    }
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
            observing.fail(|| Description::of_opaque(error, W::REMOTE));
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
