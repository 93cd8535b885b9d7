//! Following a body to its true end, for servers and clients alike.
//!
//! In: a body and whoever waits for its end. Out: the same frames, and word of what became of them.

use std::{
    any::Any,
    fmt, panic,
    pin::Pin,
    str::FromStr,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use tracing::Span;

use crate::{context, document::Description, entity::Entity, grpc};

/// Waits for the end of a body. Dropping it unfinished tells that nobody wants the rest.
pub(crate) trait Watch {
    /// Whether the body is the remote side's, so that its errors are, too.
    const REMOTE: bool;

    /// What the body belongs to, until it is over.
    fn entity(&self) -> Option<&Entity>;

    /// What tells the logs of the work where they belong.
    fn log_span(&self) -> Option<&Span> {
        None
    }

    /// Somebody wants the body.
    fn begin(&mut self);

    /// So many bytes have passed.
    fn pass(&mut self, bytes: usize);

    /// The body's trailers have passed.
    fn trail(&mut self, trailers: &HeaderMap);

    /// The body has ended.
    fn complete(&mut self);

    /// The body has failed.
    fn fail(&mut self, describe: impl FnOnce() -> Description);

    /// Runs a part of the work in its context. A panic is recorded, and goes on.
    fn enter<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let Some(entity) = self.entity() else { return work() };
        let result = match self.log_span() {
            None => context::enter(entity, work),
            Some(span) => enter_with_span(entity, span, work),
        };
        result.unwrap_or_else(|panic| {
            self.fail(|| Description::of_panic(&*panic));
            panic::resume_unwind(panic)
        })
    }
}

/// Out of the way of who has no span.
#[cold]
#[inline(never)]
fn enter_with_span<T>(entity: &Entity, span: &Span, work: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    context::enter(entity, || span.in_scope(work))
}

/// What the head of a response says about the rest, or its trailers about the whole.
pub(crate) struct Announced<'a> {
    /// How long the body will be.
    pub(crate) content_length: Option<u64>,
    pub(crate) grpc: Option<grpc::Status<'a>>,
}

impl<'a> Announced<'a> {
    /// The first line of each name counts. One pass over few lines takes less than a look-up for every name.
    pub(crate) fn by(headers: &'a HeaderMap) -> Self {
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

/// Polls a body on behalf of its watch, which is dropped when the body is over.
#[expect(clippy::type_complexity, reason = "it is that of `Body::poll_frame`")]
pub(crate) fn poll_frame<B, W>(
    mut body: Pin<&mut B>,
    watch: &mut Option<W>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<B::Data>, B::Error>>>
where
    B: Body,
    B::Error: fmt::Display + 'static,
    W: Watch,
{
    let Some(watching) = watch else { return body.poll_frame(cx) };
    watching.begin();
    let frame = ready!(watching.enter(|| body.as_mut().poll_frame(cx)));
    let over = match &frame {
        Some(Ok(frame)) => {
            watching.pass(frame.data_ref().map_or(0, Buf::remaining));
            if let Some(trailers) = frame.trailers_ref() {
                watching.trail(trailers);
            }
            // A consumer that knows the length beforehand does not ask for the end, and none asks after trailers.
            frame.is_trailers() || body.is_end_stream()
        }
        Some(Err(error)) => {
            watching.fail(|| Description::of_opaque(error, W::REMOTE));
            true
        }
        None => true,
    };
    if over {
        // After a failure there is nothing to complete any more.
        watching.complete();
        *watch = None;
    }
    Poll::Ready(frame)
}
