//! What a segment tells about the length of a response, whatever headers, hints and bodies say.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::any,
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tower_xray::XRayLayer;

use super::edge::told;
use crate::support::{emitting_recorder, exchange, serve};

/// A body with these frames, which hints at `hint` bytes to come whatever they are.
struct Hinting {
    frames: std::vec::IntoIter<&'static str>,
    hint: Option<u64>,
}

impl http_body::Body for Hinting {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.frames.next().map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }

    fn size_hint(&self) -> SizeHint {
        self.hint.map(SizeHint::with_exact).unwrap_or_default()
    }
}

pub(super) fn body<const N: usize>(frames: [&'static str; N], hint: Option<u64>) -> Body {
    Body::new(Hinting { frames: Vec::from(frames).into_iter(), hint })
}

/// What is told about a response, and the body that arrives.
async fn tell<R: IntoResponse>(
    method: &str,
    respond: impl Fn() -> R + Clone + Send + Sync + 'static,
) -> (String, String) {
    let (recorder, mut emitted) = emitting_recorder();
    let handler = move || {
        let respond = respond.clone();
        async move { respond() }
    };
    let address = serve(Router::new().route("/", any(handler)).layer(XRayLayer::new("orders", recorder))).await;
    let response = exchange(address, &format!("{method} / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
    let segment = told(&emitted.next().await);
    emitted.assert_empty();
    let body = response.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (segment.strip_prefix(&format!("{method} http://a/ ")).unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn frames_without_bytes_and_bodies_without_frames_are_complete() {
    let chunked = "0\r\n\r\n";
    assert_eq!(tell("GET", || body([], None)).await, ("200 0".into(), chunked.into()));
    assert_eq!(tell("GET", || body([], Some(0))).await, ("200 0".into(), "".into()));
    assert_eq!(tell("GET", || body(["", "", ""], None)).await, ("200 0".into(), chunked.into()));
    let (told, _) = tell("GET", || body(["", "an ", "", "order", ""], None)).await;
    assert_eq!(told, "200 8");
}

#[tokio::test]
async fn more_than_was_announced_is_cut_by_hyper_and_not_told() {
    let header = || ([(header::CONTENT_LENGTH, "2")], body(["an ", "order"], None));
    assert_eq!(tell("GET", header).await, ("200 2".into(), "an".into()));
    assert_eq!(tell("GET", || body(["an ", "order"], Some(2))).await, ("200 2".into(), "an".into()));
}

#[tokio::test]
async fn less_than_was_announced_tells_what_was_sent() {
    let header = || ([(header::CONTENT_LENGTH, "100")], body(["an ", "order"], None));
    // hyper closes the connection instead.
    assert_eq!(tell("GET", header).await, ("200 8".into(), "".into()));
    assert_eq!(tell("GET", || body(["an ", "order"], Some(100))).await, ("200 8".into(), "".into()));
}

#[tokio::test]
async fn a_response_that_has_no_body_tells_the_length_of_head_and_304_alone() {
    let header = || ([(header::CONTENT_LENGTH, "100")], Body::empty());
    assert_eq!(tell("HEAD", header).await, ("200 100".into(), "".into()));
    assert_eq!(tell("HEAD", || body(["an ", "order"], None)).await, ("200 -".into(), "".into()));
    assert_eq!(tell("GET", || (StatusCode::NOT_MODIFIED, "an order")).await, ("304 8".into(), "".into()));
    assert_eq!(tell("GET", || (StatusCode::NO_CONTENT, "an order")).await, ("204 -".into(), "".into()));
}
