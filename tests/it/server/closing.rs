//! A segment closes exactly once, at the true end of the response.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    extract::{WebSocketUpgrade, ws},
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
    routing::get as route,
};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tower_xray::{XRayLayer, current, document::RecordedError};

use crate::support::{Emitted, described, emitting_recorder, exchange, get, serve};

/// A body that a test feeds: frames, errors, or an open end.
struct Fed {
    frames: mpsc::UnboundedReceiver<Result<Frame<Bytes>, Broken>>,
    exact: Option<u64>,
}

#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the disk is gone")
    }
}

impl std::error::Error for Broken {}

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.frames.poll_recv(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.exact.map(SizeHint::with_exact).unwrap_or_default()
    }
}

/// A body with these frames, which ends after them.
fn fed(frames: impl IntoIterator<Item = Result<Frame<Bytes>, Broken>>, exact: Option<u64>) -> Body {
    let (sender, receiver) = mpsc::unbounded_channel();
    frames.into_iter().for_each(|frame| sender.send(frame).unwrap());
    Body::new(Fed { frames: receiver, exact })
}

fn data(text: &'static str) -> Result<Frame<Bytes>, Broken> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

/// Serves one handler at `/`, traced.
async fn served<H, T>(handler: H) -> (std::net::SocketAddr, Emitted)
where
    H: axum::handler::Handler<T, ()>,
    T: 'static,
{
    let (recorder, emitted) = emitting_recorder();
    (serve(Router::new().route("/", route(handler)).layer(XRayLayer::new("orders", recorder))).await, emitted)
}

/// The flags, the status and the length of a segment, and its exceptions.
fn summary(document: &tower_xray::document::SegmentDocument) -> String {
    use std::fmt::Write;

    let mut text = String::new();
    for (flag, set) in [("error", document.error()), ("throttle", document.throttle()), ("fault", document.fault())] {
        if set {
            write!(text, "{flag} ").unwrap();
        }
    }
    let root = document.root();
    write!(text, "{:?} {:?}", root.http_status(), root.content_length()).unwrap();
    for (kind, message) in described(root) {
        write!(text, " | {kind}: {message}").unwrap();
    }
    text
}

#[tokio::test]
async fn a_complete_body_closes_it_without_a_flag() {
    let (address, mut emitted) = served(async || "an order").await;
    let response = exchange(address, &get("/")).await;
    assert!(response.ends_with("an order"), "{response}");
    assert_eq!(summary(&emitted.next().await), "Some(200) Some(8)");
    emitted.assert_empty();
}

#[tokio::test]
async fn a_chunked_body_counts_its_bytes() {
    let (address, mut emitted) = served(async || fed([data("an "), data("order")], None)).await;
    exchange(address, &get("/")).await;
    assert_eq!(summary(&emitted.next().await), "Some(200) Some(8)");
    emitted.assert_empty();
}

#[tokio::test]
async fn trailers_are_part_of_the_response() {
    let trailers = || Ok(Frame::trailers(HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("1"))])));
    let (address, mut emitted) = served(async move || fed([data("an order"), trailers()], None)).await;
    exchange(address, &get("/")).await;
    assert_eq!(summary(&emitted.next().await), "Some(200) Some(8)");
    emitted.assert_empty();
}

#[tokio::test]
async fn an_exact_content_length_is_the_end() {
    // The body never says that it has ended: hyper drops it when the announced bytes are out.
    let (address, mut emitted) = served(async || {
        let (sender, receiver) = mpsc::unbounded_channel();
        sender.send(data("an order")).unwrap();
        std::mem::forget(sender);
        ([(header::CONTENT_LENGTH, "8")], Body::new(Fed { frames: receiver, exact: None }))
    })
    .await;
    let response = exchange(address, &get("/")).await;
    assert!(response.ends_with("an order"), "{response}");
    assert_eq!(summary(&emitted.next().await), "Some(200) Some(8)");
    emitted.assert_empty();
}

#[tokio::test]
async fn an_exact_size_hint_is_the_end() {
    let (address, mut emitted) = served(async || {
        let (sender, receiver) = mpsc::unbounded_channel();
        sender.send(data("an order")).unwrap();
        std::mem::forget(sender);
        Body::new(Fed { frames: receiver, exact: Some(8) })
    })
    .await;
    exchange(address, &get("/")).await;
    assert_eq!(summary(&emitted.next().await), "Some(200) Some(8)");
    emitted.assert_empty();
}

#[tokio::test]
async fn head_closes_it_although_nobody_reads_the_body() {
    let (address, mut emitted) = served(async || "an order").await;
    exchange(address, "HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!(summary(&emitted.next().await), "Some(200) Some(8)");
    emitted.assert_empty();
}

#[tokio::test]
async fn statuses_without_a_body_close_it_with_the_response() {
    for status in [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED] {
        // Whatever the handler puts into the body is never sent.
        let (address, mut emitted) = served(move || async move { (status, fed([data("never sent")], None)) }).await;
        exchange(address, &get("/")).await;
        assert_eq!(summary(&emitted.next().await), format!("Some({}) None", status.as_u16()));
        emitted.assert_empty();
    }
}

#[tokio::test]
async fn statuses_set_the_flags() {
    for (status, expected) in [
        (200, "Some(200) Some(0)"),
        (302, "Some(302) Some(0)"),
        (400, "error Some(400) Some(0)"),
        (404, "error Some(404) Some(0)"),
        (429, "error throttle Some(429) Some(0)"),
        (499, "error Some(499) Some(0)"),
        (500, "fault Some(500) Some(0)"),
        (503, "fault Some(503) Some(0)"),
    ] {
        let (address, mut emitted) = served(move || async move { StatusCode::from_u16(status).unwrap() }).await;
        exchange(address, &get("/")).await;
        assert_eq!(summary(&emitted.next().await), expected);
        emitted.assert_empty();
    }
}

#[tokio::test]
async fn a_body_error_is_a_fault() {
    let (address, mut emitted) = served(async || fed([data("an"), Err(Broken)], None)).await;
    exchange(address, &get("/")).await;
    let segment = emitted.next().await;
    assert_eq!(summary(&segment), "fault Some(200) Some(2) | axum_core::error::Error: the disk is gone");
    emitted.assert_empty();
}

#[tokio::test]
async fn a_client_that_leaves_before_the_response_is_an_error() {
    let (reached, mut handler_runs) = mpsc::unbounded_channel();
    let (address, mut emitted) = served(move || {
        let reached = reached.clone();
        async move {
            reached.send(()).unwrap();
            std::future::pending::<()>().await;
        }
    })
    .await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(get("/").as_bytes()).await.unwrap();
    handler_runs.recv().await.unwrap();
    drop(stream);
    let segment = emitted.next().await;
    assert_eq!(
        summary(&segment),
        "error None None | ClientDisconnect: the client left, or something outside gave up, before the response began"
    );
    emitted.assert_empty();
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_is_an_error_with_the_bytes_so_far() {
    let (feed, frames) = mpsc::unbounded_channel();
    let frames = std::sync::Arc::new(std::sync::Mutex::new(Some(frames)));
    let (address, mut emitted) = served(move || {
        let frames = frames.lock().unwrap().take().unwrap();
        async move { Body::new(Fed { frames, exact: None }) }
    })
    .await;
    feed.send(data("an ")).unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(get("/").as_bytes()).await.unwrap();
    let mut read = [0; 4096];
    let mut seen = String::new();
    while !seen.contains("an ") {
        let len = stream.read(&mut read).await.unwrap();
        seen.push_str(std::str::from_utf8(&read[..len]).unwrap());
    }
    drop(stream);
    let segment = emitted.next().await;
    let left = "ClientDisconnect: the client left after 3 bytes of the response's body";
    assert_eq!(summary(&segment), format!("error Some(200) Some(3) | {left}"));
    emitted.assert_empty();
}

#[tokio::test]
async fn a_panic_is_a_fault_and_goes_on() {
    async fn handler() -> &'static str {
        assert!(current().is_none(), "order 42 is cursed");
        "never"
    }

    let (address, mut emitted) = served(handler).await;
    let response = exchange(address, &get("/")).await;
    assert_eq!(response, "", "hyper closes the connection of a handler that has panicked");
    assert_eq!(summary(&emitted.next().await), "fault None None | panic: order 42 is cursed");
    emitted.assert_empty();
}

#[tokio::test]
async fn a_panic_inside_a_body_is_a_fault_and_goes_on() {
    struct Panics;

    impl http_body::Body for Panics {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            panic!("page {} is missing", 7)
        }
    }

    let (address, mut emitted) = served(async || Body::new(Panics)).await;
    exchange(address, &get("/")).await;
    assert_eq!(summary(&emitted.next().await), "fault Some(200) Some(0) | panic: page 7 is missing");
    emitted.assert_empty();
}

#[tokio::test]
async fn an_upgrade_closes_it_with_the_response() {
    let (address, mut emitted) =
        served(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(async |socket: ws::WebSocket| drop(socket))).await;
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let response = exchange(address, request).await;
    assert!(response.starts_with("HTTP/1.1 101"), "{response}");
    let segment = emitted.next().await;
    assert!(!segment.error() && !segment.fault(), "{segment}");
    assert_eq!(segment.http_status(), Some(101));
    emitted.assert_empty();
}

#[tokio::test]
async fn an_error_in_the_response_extensions_is_the_cause() {
    let (address, mut emitted) = served(async || {
        let mut response = StatusCode::SERVICE_UNAVAILABLE.into_response();
        response.extensions_mut().insert(RecordedError::new(Broken));
        response
    })
    .await;
    exchange(address, &get("/")).await;
    assert_eq!(summary(&emitted.next().await), "fault Some(503) Some(0) | Broken: the disk is gone");
    emitted.assert_empty();
}

#[tokio::test]
async fn http2_streams_close_one_by_one_and_a_reset_is_a_client_that_left() {
    let (recorder, mut emitted) = emitting_recorder();
    let router = Router::new()
        .route("/", route(async || "an order"))
        .route("/never", route(async || Body::new(Fed { frames: pending_frames(), exact: None })))
        .layer(XRayLayer::new("orders", recorder));
    let address = serve(router).await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = |path: &str| {
        let uri = format!("http://shop.example.com{path}");
        http::Request::builder().uri(uri).body(http_body_util::Empty::<Bytes>::new()).unwrap()
    };

    let response = client.send_request(request("/")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "an order");
    assert_eq!(summary(&emitted.next().await), "Some(200) Some(8)");

    let response = client.send_request(request("/never")).await.unwrap();
    assert!(!response.body().is_end_stream());
    drop(response);
    let left = "ClientDisconnect: the client left after 0 bytes of the response's body";
    assert_eq!(summary(&emitted.next().await), format!("error Some(200) Some(0) | {left}"));
    emitted.assert_empty();
}

fn pending_frames() -> mpsc::UnboundedReceiver<Result<Frame<Bytes>, Broken>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::mem::forget(sender);
    receiver
}

#[tokio::test]
async fn a_service_error_is_a_fault_with_its_sources() {
    use tower::{Layer, ServiceExt, service_fn};

    #[derive(Debug)]
    struct Unavailable(std::io::Error);

    impl fmt::Display for Unavailable {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the store is unavailable")
        }
    }

    impl std::error::Error for Unavailable {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    let (recorder, documents) = crate::support::recorder();
    let layer = XRayLayer::new("orders", recorder);
    let request = || http::Request::new(());

    let fails = service_fn(async |_: http::Request<()>| -> Result<Response<String>, Unavailable> {
        Err(Unavailable(std::io::Error::other("disk 3")))
    });
    assert!(layer.layer(fails).oneshot(request()).await.is_err());
    let segment = documents.take_one();
    let type_name = std::any::type_name::<Unavailable>();
    let expected = format!("fault None None | {type_name}: the store is unavailable | Custom: disk 3");
    assert_eq!(summary(&segment), expected);

    let fails = service_fn(async |_: http::Request<()>| -> Result<Response<String>, tower::BoxError> {
        Err(Unavailable(std::io::Error::other("disk 3")).into())
    });
    assert!(layer.boxed_errors().layer(fails).oneshot(request()).await.is_err());
    let expected = "fault None None | Unavailable: the store is unavailable | Custom: disk 3";
    assert_eq!(summary(&documents.take_one()), expected);
}
