//! Responses that last: events, sockets, streams that are reset at every frame, and requests that are never read.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{
        Path,
        ws::{Message, WebSocketUpgrade},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::sse::{Event, Sse},
    routing::{any, get as route},
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, future::join_all, stream};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, mpsc},
};
use tokio_tungstenite::tungstenite;
use tower_xray::{Entity, XRayLayer, current};

use super::edge::told;
use crate::support::{emitting_recorder, emitting_recorder_with, serve};

/// Reads until the text is there.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains(text) {
        let len = stream.read(&mut buffer).await.unwrap();
        assert!(len > 0, "the connection ended: {seen}");
        seen.push_str(std::str::from_utf8(&buffer[..len]).unwrap());
    }
    seen
}

mod events {
    use super::*;

    /// A source of events at `/`, whose clock a test sets, and which says what it sends.
    async fn source() -> (SocketAddr, mpsc::UnboundedSender<&'static str>, Arc<AtomicU64>, crate::support::Emitted) {
        let seconds = Arc::new(AtomicU64::new(1_000));
        let clock = seconds.clone();
        let (recorder, emitted) =
            emitting_recorder_with(|builder| builder.clock(move || Duration::from_secs(clock.load(Relaxed))));
        let (feed, events) = mpsc::unbounded_channel::<&'static str>();
        let events = Arc::new(Mutex::new(Some(events)));
        let handler = move || {
            let events = events.lock().unwrap().take().unwrap();
            async move {
                current().send_in_progress();
                Sse::new(stream::unfold(events, async |mut events| {
                    let text = events.recv().await?;
                    current().begin_subsegment("publish").close();
                    Some((Ok::<_, Infallible>(Event::default().data(text)), events))
                }))
            }
        };
        let address = serve(Router::new().route("/", route(handler)).layer(XRayLayer::new("events", recorder))).await;
        (address, feed, seconds, emitted)
    }

    #[tokio::test]
    async fn a_stream_of_minutes_is_told_of_at_its_start_and_ends_when_its_reader_leaves() {
        let (address, feed, seconds, mut emitted) = source().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let announced = emitted.next().await;
        assert!(announced.is_in_progress(), "{announced}");
        assert_eq!(told(&announced), "GET http://a/ - -");
        for minute in 1..=5 {
            seconds.store(1_000 + 60 * minute, Relaxed);
            feed.send("tick").unwrap();
            read_until(&mut stream, "tick").await;
        }
        drop(stream);
        let segment = emitted.next().await;
        // Leaving is how it ends: no error.
        assert_eq!(told(&segment), "GET http://a/ 200 60");
        assert_eq!((segment.id(), segment.subsegments().count()), (announced.id(), 5));
        assert_eq!(segment.root().end_time() - segment.root().start_time(), Duration::from_secs(300));
        emitted.assert_empty();
    }

    #[tokio::test]
    async fn a_stream_that_ends_by_itself_is_complete() {
        let (address, feed, _, mut emitted) = source().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(emitted.next().await.is_in_progress());
        feed.send("tick").unwrap();
        drop(feed);
        read_until(&mut stream, "0\r\n\r\n").await;
        assert_eq!(told(&emitted.next().await), "GET http://a/ 200 12");
        emitted.assert_empty();
    }

    #[tokio::test]
    async fn only_events_end_with_their_reader_and_their_own_failures_remain() {
        let (recorder, mut emitted) = emitting_recorder();
        let endless = |kind: &'static str| {
            route(async move || {
                (
                    [(header::CONTENT_TYPE, kind)],
                    Body::from_stream(stream::iter([Ok::<_, Infallible>("x")]).chain(stream::pending())),
                )
            })
        };
        let broken = stream::iter([Ok("x"), Err(std::io::Error::other("disk 3"))]);
        let broken = Arc::new(Mutex::new(Some(broken)));
        let breaks = async move || {
            let body = Body::from_stream(broken.lock().unwrap().take().unwrap());
            (StatusCode::SERVICE_UNAVAILABLE, [(header::CONTENT_TYPE, "text/event-stream")], body)
        };
        let router = Router::new()
            .route("/events", endless("Text/Event-Stream; charset=utf-8"))
            .route("/plain", endless("text/plain"))
            .route("/eventful", endless("text/event-strea"))
            .route("/breaks", route(breaks))
            .layer(XRayLayer::new("events", recorder));
        let address = serve(router).await;
        let left = "error 200 1 | ClientDisconnect: the client left after 1 bytes of the response's body";
        for (path, expected) in [("events", "200 1"), ("plain", left), ("eventful", left)] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(format!("GET /{path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
            read_until(&mut stream, "\r\nx\r\n").await;
            drop(stream);
            assert_eq!(told(&emitted.next().await), format!("GET http://a/{path} {expected}"));
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /breaks HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let segment = told(&emitted.next().await);
        assert!(segment.starts_with("GET http://a/breaks fault 503 1 | ") && segment.contains("disk 3"), "{segment}");
        emitted.assert_empty();
    }
}

#[tokio::test]
async fn a_websocket_ends_its_segment_at_once_and_may_go_on_describing_its_work() {
    async fn talk(upgrade: WebSocketUpgrade, segment: Entity) -> axum::response::Response {
        upgrade.on_upgrade(async move |mut socket| {
            assert!(current().is_none(), "axum spawns it");
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                let work = segment.begin_subsegment("answer");
                work.add_annotation("question", text.as_str());
                socket.send(Message::Text(format!("{text}?").into())).await.unwrap();
            }
        })
    }

    let (recorder, mut emitted) = emitting_recorder();
    let address = serve(Router::new().route("/ws", any(talk)).layer(XRayLayer::new("chat", recorder))).await;
    let (mut socket, response) = tokio_tungstenite::connect_async(format!("ws://{address}/ws")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert!(response.headers().contains_key("x-amzn-trace-id"));
    let segment = emitted.next().await;
    assert_eq!(told(&segment), format!("GET http://{address}/ws 101 -"));
    for question in ["who", "why"] {
        socket.send(tungstenite::Message::text(question)).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer.into_text().unwrap().as_str(), format!("{question}?"));
        let work = emitted.next().await;
        assert!(work.is_subsegment(), "{work}");
        assert_eq!((work.parent_id(), work.annotation("question")), (Some(segment.id()), Some(question.into())));
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    emitted.assert_empty();
}

mod http2 {
    use super::*;

    /// Frames that are sent one by one, as a client asks for them.
    const FRAMES: usize = 8;
    const STREAMS: usize = 1_000;

    /// A frame of a response: the head, so many bytes of data, or the trailers.
    type Gates = Arc<Vec<Semaphore>>;

    fn body(gates: Gates, number: usize) -> Body {
        let frames = stream::unfold(0, move |sent| {
            let gates = gates.clone();
            async move {
                gates[number].acquire().await.unwrap().forget();
                let frame = match sent {
                    0..FRAMES => Frame::data(Bytes::from_static(b"abc")),
                    FRAMES => Frame::trailers(HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("1"))])),
                    _ => return None,
                };
                Some((Ok::<_, Infallible>(frame), sent + 1))
            }
        });
        Body::new(StreamBody::new(Box::pin(frames)))
    }

    #[tokio::test]
    async fn a_thousand_streams_that_are_reset_after_every_frame_tell_exactly_what_was_sent() {
        let (recorder, mut emitted) = emitting_recorder();
        let gates: Gates = Arc::new((0..STREAMS).map(|_| Semaphore::new(0)).collect());
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let handler = {
            let gates = gates.clone();
            async move |Path(number): Path<usize>| {
                arrived.send(number).unwrap();
                gates[number].acquire().await.unwrap().forget();
                body(gates, number)
            }
        };
        let address =
            serve(Router::new().route("/{n}", route(handler)).layer(XRayLayer::new("orders", recorder))).await;
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (client, connection) =
            hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);

        let call = async |number: usize| {
            // Before the head, after it, after every frame of data, and after the trailers.
            let frames_to_read = number % (FRAMES + 3);
            let mut client = client.clone();
            client.ready().await.unwrap();
            let request = http::Request::get(format!("http://a/{number}")).body(Empty::new()).unwrap();
            let response = tokio::spawn(client.send_request(request));
            let Some(frames_to_read) = frames_to_read.checked_sub(1) else { return Some(response) };
            gates[number].add_permits(1);
            let mut body = response.await.unwrap().unwrap().into_body();
            for _ in 0..frames_to_read {
                gates[number].add_permits(1);
                body.frame().await.unwrap().unwrap();
            }
            None
        };
        let mut waiting = Vec::new();
        for batch in (0..STREAMS).collect::<Vec<_>>().chunks(100) {
            waiting.extend(join_all(batch.iter().map(|number| call(*number))).await.into_iter().flatten());
        }
        // A request whose handler has not run yet would leave no segment.
        for _ in 0..STREAMS {
            arrivals.recv().await.unwrap();
        }
        waiting.iter().for_each(tokio::task::JoinHandle::abort);

        let mut seen = vec![false; STREAMS];
        for _ in 0..STREAMS {
            let segment = emitted.next().await;
            let number: usize = segment.root().http_url().rsplit('/').next().unwrap().parse().unwrap();
            assert!(!std::mem::replace(&mut seen[number], true), "once: {segment}");
            let left = |bytes: usize| {
                format!(
                    "error 200 {bytes} | ClientDisconnect: the client left after {bytes} bytes of the response's body"
                )
            };
            let expected = match number % (FRAMES + 3) {
                0 => "error - - | ClientDisconnect: the client left, or something outside gave up, before the response began".to_owned(),
                read if read <= FRAMES + 1 => left(3 * (read - 1)),
                _ => format!("200 {}", 3 * FRAMES),
            };
            assert_eq!(told(&segment), format!("GET http://a/{number} {expected}"));
        }
        emitted.assert_empty();
    }

    #[tokio::test]
    async fn a_request_body_that_is_never_polled_or_never_ends_changes_nothing() {
        let (recorder, mut emitted) = emitting_recorder();
        let router = Router::new()
            .route("/ignores", any(async || "an order"))
            .route("/reads", any(async |body: Bytes| format!("{} bytes", body.len())))
            .layer(XRayLayer::new("orders", recorder));
        let address = serve(router).await;
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        let post = |path: &str, body: Body| http::Request::post(format!("http://a{path}")).body(body).unwrap();
        let endless = || Body::from_stream(stream::iter([Ok::<_, Infallible>("x")]).chain(stream::pending()));

        let response = client.send_request(post("/ignores", endless())).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "an order");
        assert_eq!(told(&emitted.next().await), "POST http://a/ignores 200 8");
        // More than the window lets pass.
        let response = client.send_request(post("/ignores", Body::from(vec![0; 4 << 20]))).await.unwrap();
        response.into_body().collect().await.unwrap();
        assert_eq!(told(&emitted.next().await), "POST http://a/ignores 200 8");
        // A body that breaks off: what the extractor makes of it is the response.
        let breaks = stream::iter([Ok("x"), Err(std::io::Error::other("gone"))]);
        let _ = client.send_request(post("/reads", Body::from_stream(breaks))).await;
        let segment = told(&emitted.next().await);
        assert!(segment.starts_with("POST http://a/reads error "), "{segment}");
        emitted.assert_empty();
    }
}

mod expectations {
    use super::*;

    #[tokio::test]
    async fn a_client_that_waits_for_100_gets_it_only_from_who_reads() {
        let (address, mut emitted) = super::super::edge::shop().await;
        let head =
            |path| format!("POST {path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head("/read").as_bytes()).await.unwrap();
        read_until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
        stream.write_all(b"body").await.unwrap();
        read_until(&mut stream, "4 bytes").await;
        assert_eq!(told(&emitted.next().await), "POST http://a/read 200 7");

        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head("/").as_bytes()).await.unwrap();
        let response = read_until(&mut stream, "an order").await;
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        assert_eq!(told(&emitted.next().await), "POST http://a/ 200 8");

        // One that has the permission, and leaves.
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head("/read").as_bytes()).await.unwrap();
        read_until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
        drop(stream);
        let segment = told(&emitted.next().await);
        assert!(segment.starts_with("POST http://a/read error "), "{segment}");
        emitted.assert_empty();
    }
}

#[tokio::test]
async fn trailers_of_requests_reach_the_handler_and_not_the_segment() {
    let (recorder, mut emitted) = emitting_recorder();
    let handler = async |body: Body| {
        let collected = body.collect().await.unwrap();
        let trailer = collected.trailers().and_then(|trailers| trailers.get("x-secret")).cloned();
        format!("{trailer:?}")
    };
    let address = serve(Router::new().route("/", any(handler)).layer(XRayLayer::new("orders", recorder))).await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let trailers = HeaderMap::from_iter([("x-secret".parse().unwrap(), HeaderValue::from_static("s3cret"))]);
    let body = Full::new(Bytes::from_static(b"x")).with_trailers(std::future::ready(Some(Ok(trailers))));
    let request = http::Request::post("http://a/").body(body).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), r#"Some("s3cret")"#);
    let segment = emitted.next().await;
    assert_eq!(told(&segment), "POST http://a/ 200 14");
    assert!(!segment.to_json().contains("s3cret"), "{segment}");
    emitted.assert_empty();
}
