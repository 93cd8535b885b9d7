//! HTTP/2: many streams on one connection, each with its own end.

use std::{collections::HashMap, net::SocketAddr};

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{HeaderMap, HeaderValue, header},
    response::sse::{Event, Sse},
    routing::{any, get as route},
};
use bytes::Bytes;
use futures_util::{StreamExt, future::join_all, stream};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tower_xray::{XRayLayer, current};

use super::{edge::told, lengths::body};
use crate::support::{Emitted, emitting_recorder, serve};

/// A connection, and the task that is its cable.
async fn connect(address: SocketAddr) -> (SendRequest<Empty<Bytes>>, tokio::task::JoinHandle<()>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (near, mut far) = tokio::io::duplex(65_536);
    let cable = tokio::spawn(async move {
        // What becomes of it is what the streams see.
        let _ = tokio::io::copy_bidirectional(&mut far, &mut stream).await;
    });
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(near));
    let (client, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    (client, cable)
}

fn request(method: &str, path: &str) -> http::Request<Empty<Bytes>> {
    let uri = format!("http://a{path}");
    http::Request::builder().method(method).uri(uri).body(Empty::new()).unwrap()
}

/// So many frames of 300 bytes, and trailers at the end.
fn frames(count: usize) -> Body {
    let frames = std::iter::repeat_n("x".repeat(300), count);
    let trailers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("1"))]);
    let frames = frames.map(|text| Frame::data(Bytes::from(text))).chain([Frame::trailers(trailers)]);
    let frames = stream::iter(frames.map(Ok::<_, std::convert::Infallible>));
    // A turn of the scheduler between frames, so that resets fall anywhere.
    Body::new(StreamBody::new(frames.then(async |frame| {
        tokio::task::yield_now().await;
        frame
    })))
}

async fn shop() -> (SocketAddr, Emitted) {
    let (recorder, emitted) = emitting_recorder();
    let router = Router::new()
        .route("/", any(async || "an order"))
        .route("/frames/{count}", route(async |Path(count): Path<usize>| frames(count)))
        .route("/short", route(async || ([(header::CONTENT_LENGTH, "1000")], frames(1))))
        .route("/gaps", route(async || body(["", "an ", "", "order", ""], None)))
        .route("/never", route(async || std::future::pending::<()>().await))
        .route(
            "/events",
            route(async || {
                let events = stream::iter(0..3)
                    .map(|number| Ok::<_, std::convert::Infallible>(Event::default().data(number.to_string())));
                Sse::new(events.chain(stream::pending()))
            }),
        )
        .layer(XRayLayer::new("orders", recorder));
    (serve(router).await, emitted)
}

#[tokio::test]
async fn two_hundred_streams_that_are_reset_anywhere_leave_a_segment_each() {
    const STREAMS: usize = 200;
    let (address, mut emitted) = shop().await;
    let (client, _cable) = connect(address).await;
    let calls = (0..STREAMS).map(|number| {
        let mut client = client.clone();
        async move {
            client.ready().await.unwrap();
            let response = client.send_request(request("GET", &format!("/frames/{}?{number}", 20 + number))).await;
            let mut body = response.unwrap().into_body();
            // Every fourth reads all; the others go after as many frames as their number says.
            let (mut count, mut bytes) = (0, 0);
            while number % 4 == 0 || count < number % 32 {
                let Some(frame) = body.frame().await else { break };
                bytes += frame.unwrap().data_ref().map_or(0, Bytes::len);
                count += 1;
            }
            bytes
        }
    });
    let received = join_all(calls).await;
    let mut segments = HashMap::new();
    for _ in 0..STREAMS {
        let segment = emitted.next().await;
        let frames = segment.root().http_url().rsplit('/').next().unwrap().parse::<usize>().unwrap();
        assert!(segments.insert(frames - 20, segment).is_none(), "once");
    }
    emitted.assert_empty();
    assert!(current().is_none());
    for (number, received) in received.into_iter().enumerate() {
        let (segment, all) = (told(&segments[&number]), 300 * (20 + number));
        let complete = format!("GET http://a/frames/{} 200 {all}", 20 + number);
        if segment != complete {
            assert!(number % 4 != 0, "{segment}");
            let sent = segments[&number].root().content_length().unwrap() as usize;
            assert!((received..=all).contains(&sent), "{received} of {sent}: {segment}");
            let left = format!("ClientDisconnect: the client left after {sent} bytes of the response's body");
            assert_eq!(segment, format!("GET http://a/frames/{} error 200 {sent} | {left}", 20 + number));
        }
    }
}

#[tokio::test]
async fn a_connection_that_ends_ends_all_its_streams() {
    let (address, mut emitted) = shop().await;
    let (mut client, cable) = connect(address).await;
    let _never = tokio::spawn(client.send_request(request("GET", "/never")));
    let mut events = client.send_request(request("GET", "/events")).await.unwrap().into_body();
    let mut seen = String::new();
    while !seen.contains("2\n\n") {
        seen += std::str::from_utf8(events.frame().await.unwrap().unwrap().data_ref().unwrap()).unwrap();
    }
    let response = client.send_request(request("HEAD", "/")).await.unwrap();
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    assert_eq!(told(&emitted.next().await), "HEAD http://a/ 200 8");
    cable.abort();
    let mut left = [told(&emitted.next().await), told(&emitted.next().await)];
    left.sort();
    let before = "ClientDisconnect: the client left, or something outside gave up, before the response began";
    // Leaving is how a stream of events ends.
    let expected =
        [format!("GET http://a/events 200 {}", seen.len()), format!("GET http://a/never error - - | {before}")];
    assert_eq!(left, expected);
    emitted.assert_empty();
}

#[tokio::test]
async fn going_away_lets_what_has_begun_end_as_ever() {
    let (recorder, mut emitted) = emitting_recorder();
    let (go, wait) = tokio::sync::watch::channel(false);
    let handler = move || {
        let mut wait = wait.clone();
        async move {
            wait.wait_for(|go| *go).await.unwrap();
            "an order"
        }
    };
    let router = Router::new().route("/", route(handler)).layer(XRayLayer::new("orders", recorder));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(async move { server.await });
    let (mut client, _cable) = connect(address).await;
    let response = tokio::spawn(client.send_request(request("GET", "/")));
    // The handler runs when somebody waits for it.
    while go.receiver_count() < 2 {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    go.send(true).unwrap();
    let body = response.await.unwrap().unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "an order");
    assert_eq!(told(&emitted.next().await), "GET http://a/ 200 8");
    drop(client);
    server.await.unwrap().unwrap();
    emitted.assert_empty();
}

#[tokio::test]
async fn trailers_methods_and_short_bodies_are_told_as_over_http1() {
    let (address, mut emitted) = shop().await;
    let (mut client, _cable) = connect(address).await;
    let response = client.send_request(request("GET", "/frames/2")).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()[header::ETAG], "1");
    assert_eq!(told(&emitted.next().await), "GET http://a/frames/2 200 600");
    for (method, path, expected) in [
        ("HEAD", "/frames/2", "HEAD http://a/frames/2 200 -"),
        ("DELETE", "/frames/2", "DELETE http://a/frames/2 error 405 0"),
        ("GET", "/short", "GET http://a/short 200 300"),
        ("GET", "/gaps", "GET http://a/gaps 200 8"),
        ("OPTIONS", "/", "OPTIONS http://a/ 200 8"),
    ] {
        // The client may refuse what the server sends.
        if let Ok(response) = client.send_request(request(method, path)).await {
            let _ = response.into_body().collect().await;
        }
        assert_eq!(told(&emitted.next().await), expected);
    }
    emitted.assert_empty();
}

#[tokio::test]
async fn a_stream_without_a_window_is_reset() {
    let (address, mut emitted) = shop().await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut client, connection) =
        builder.initial_stream_window_size(5).handshake::<_, Empty<Bytes>>(stream).await.unwrap();
    tokio::spawn(connection);
    let response = client.send_request(request("GET", "/frames/100")).await.unwrap();
    drop(response);
    let segment = told(&emitted.next().await);
    assert!(segment.starts_with("GET http://a/frames/100 error 200 "), "{segment}");
    emitted.assert_empty();
}
