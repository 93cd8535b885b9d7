//! HTTP/1 on a raw socket: whatever a connection does, each of its requests leaves one segment.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
    response::IntoResponse,
    routing::{any, get as route},
};
use bytes::Bytes;
use futures_util::stream;
use http::Response;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{XRayLayer, document::SegmentDocument};

use crate::support::{Emitted, described, emitting_recorder, exchange, serve};

/// A segment in one line: method and URL, flags, status and length, exceptions.
pub(super) fn told(document: &SegmentDocument) -> String {
    let json: serde_json::Value = serde_json::from_str(&document.to_json()).unwrap();
    let request = &json["http"]["request"];
    let root = document.root();
    let flags = [("error", document.error()), ("throttle", document.throttle()), ("fault", document.fault())];
    let flags: String = flags.iter().filter(|(_, set)| *set).map(|(flag, _)| format!("{flag} ")).collect();
    let or_dash = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let exceptions: String = described(root).iter().map(|(kind, message)| format!(" | {kind}: {message}")).collect();
    format!(
        "{} {} {flags}{} {}{exceptions}",
        request["method"].as_str().unwrap(),
        request["url"].as_str().unwrap(),
        or_dash(root.http_status().map(u64::from)),
        or_dash(root.content_length()),
    )
}

/// A service that reads bodies at `/read` alone, and never answers at `/never`.
pub(super) async fn shop() -> (SocketAddr, Emitted) {
    let (recorder, emitted) = emitting_recorder();
    let chunks = || stream::iter(["an ", "order"].map(Ok::<_, Infallible>));
    let router = Router::new()
        .route("/", any(async || "an order"))
        .route("/get", route(async || "an order"))
        .route("/read", any(async |body: Bytes| format!("{} bytes", body.len())))
        .route("/chunks", any(async move || Body::from_stream(chunks())))
        .route("/close", any(async || ([(header::CONNECTION, "close")], "an order")))
        .route("/never", any(async || std::future::pending::<()>().await))
        .fallback(async |request: Request<Body>| (StatusCode::NOT_FOUND, format!("no {}", request.uri())))
        .layer(XRayLayer::new("orders", recorder));
    (serve(router).await, emitted)
}

/// What the shop tells about raw requests in one write.
async fn tell(request: &str, count: usize) -> (String, Vec<String>) {
    let (address, mut emitted) = shop().await;
    let response = exchange(address, request).await;
    let mut documents = Vec::new();
    for _ in 0..count {
        documents.push(told(&emitted.next().await));
    }
    emitted.assert_empty();
    (response, documents)
}

#[tokio::test]
async fn pipelined_requests_are_a_segment_each_in_their_order() {
    let requests = "GET /get?1 HTTP/1.1\r\nhost: a\r\n\r\n\
        HEAD /get HTTP/1.1\r\nhost: a\r\n\r\n\
        POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12345\
        HEAD /chunks HTTP/1.1\r\nhost: a\r\n\r\n\
        DELETE /get HTTP/1.1\r\nhost: a\r\n\r\n\
        GET /gone HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let (response, documents) = tell(requests, 6).await;
    assert_eq!(response.matches("HTTP/1.1 ").count(), 6, "{response}");
    assert_eq!(
        documents,
        [
            "GET http://a/get 200 8",
            "HEAD http://a/get 200 8",
            "POST http://a/ 200 8",
            "HEAD http://a/chunks 200 -",
            "DELETE http://a/get error 405 0",
            "GET http://a/gone error 404 8",
        ]
    );
}

#[tokio::test]
async fn a_body_that_nobody_reads_changes_nothing() {
    // Neither does the rest of it ever arrive.
    let (response, documents) =
        tell("POST /close HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n12345", 1).await;
    assert!(response.ends_with("an order"), "{response}");
    assert_eq!(documents, ["POST http://a/close 200 8"]);
}

#[tokio::test]
async fn chunked_requests_and_expectations_are_read_as_ever() {
    let requests = "POST /read HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n\
        POST /read HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody";
    let (response, documents) = tell(requests, 2).await;
    assert!(response.contains("3 bytes") && response.ends_with("4 bytes"), "{response}");
    assert_eq!(documents, ["POST http://a/read 200 7", "POST http://a/read 200 7"]);
}

#[tokio::test]
async fn old_clients_get_and_leave_the_same() {
    let (response, documents) = tell("GET /chunks HTTP/1.0\r\n\r\n", 1).await;
    assert!(response.ends_with("\r\n\r\nan order"), "{response}");
    assert_eq!(documents, ["GET http://unknown/chunks 200 8"]);
}

#[tokio::test]
async fn every_form_of_target_becomes_a_url() {
    let requests = "GET http://u:p@shop.example.com:8080/get?q HTTP/1.1\r\nhost: other\r\n\r\n\
        OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n\
        GET //get HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let (_, documents) = tell(requests, 3).await;
    assert_eq!(
        documents,
        ["GET http://shop.example.com:8080/get 200 8", "OPTIONS http://a error 404 4", "GET http://a//get error 404 8",]
    );
    let (response, documents) = tell("CONNECT db.internal:443 HTTP/1.1\r\nconnection: close\r\n\r\n", 1).await;
    assert!(response.starts_with("HTTP/1.1 404"), "{response}");
    assert_eq!(documents, ["CONNECT http://db.internal:443 error 404 18"]);
}

#[tokio::test]
async fn a_request_that_is_none_leaves_no_segment() {
    let (response, documents) = tell("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", 0).await;
    assert!(response.starts_with("HTTP/1.1 400"), "{response}");
    assert!(documents.is_empty());
}

#[tokio::test]
async fn a_client_that_sends_no_more_is_one_that_left_as_hyper_sees_it() {
    let (address, mut emitted) = shop().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let gone = "ClientDisconnect: the client left, or something outside gave up, before the response began";
    assert_eq!(told(&emitted.next().await), format!("GET http://a/never error - - | {gone}"));
    // An answer that is there at once arrives nevertheless.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /chunks HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.ends_with("0\r\n\r\n"), "{response}");
    assert_eq!(told(&emitted.next().await), "GET http://a/chunks 200 8");
    emitted.assert_empty();
}

#[tokio::test]
async fn a_client_that_resets_is_one_that_left() {
    let (polled, mut frames) = mpsc::unbounded_channel();
    let (recorder, mut emitted) = emitting_recorder();
    let endless = move || {
        let polled = polled.clone();
        let frames = stream::repeat_with(move || {
            // Nobody listens after the test.
            let _ = polled.send(());
            Ok::<_, Infallible>(Bytes::from_static(&[0; 65_536]))
        });
        async { Body::from_stream(frames) }
    };
    let address = serve(Router::new().route("/", route(endless)).layer(XRayLayer::new("orders", recorder))).await;
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_zero_linger().unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        // Until every buffer on the way is full: nothing moves any more.
        let mut count = 0;
        while tokio::time::timeout(Duration::from_millis(100), frames.recv()).await.is_ok() {
            count += 1;
        }
        drop(stream);
        let segment = told(&emitted.next().await);
        while frames.try_recv().is_ok() {
            count += 1;
        }
        let bytes = count * 65_536_u64;
        let left = format!("ClientDisconnect: the client left after {bytes} bytes of the response's body");
        assert_eq!(segment, format!("GET http://a/ error 200 {bytes} | {left}"));
    }
    emitted.assert_empty();
}

#[tokio::test]
async fn upgrades_end_the_segment_and_refused_ones_are_like_any_response() {
    async fn raw(mut request: Request<Body>) -> impl IntoResponse {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut io = TokioIo::new(upgrade.await.unwrap());
            let mut line = [0; 4];
            io.read_exact(&mut line).await.unwrap();
            io.write_all(&line).await.unwrap();
        });
        (StatusCode::SWITCHING_PROTOCOLS, [(header::UPGRADE, "raw"), (header::CONNECTION, "upgrade")], "never sent")
    }

    let (recorder, mut emitted) = emitting_recorder();
    let router = Router::new()
        .route("/raw", route(raw))
        .route("/plain", route(async || "an order"))
        .layer(XRayLayer::new("orders", recorder));
    let address = serve(router).await;
    let request = |path| format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n");
    // The first bytes of the other protocol are in the same packet.
    let response = exchange(address, &(request("/raw") + "ping")).await;
    assert!(response.starts_with("HTTP/1.1 101") && response.ends_with("\r\n\r\nping"), "{response}");
    assert_eq!(told(&emitted.next().await), "GET http://a/raw 101 -");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request("/plain").as_bytes()).await.unwrap();
    assert_eq!(told(&emitted.next().await), "GET http://a/plain 200 8");
    emitted.assert_empty();
}

#[tokio::test]
async fn an_accepted_connect_has_no_body() {
    let (recorder, mut emitted) = emitting_recorder();
    let accepts = service_fn(async |_: Request<Incoming>| Ok::<_, Infallible>(Response::new("never sent".to_owned())));
    let service = XRayLayer::new("proxy", recorder).layer(accepts);
    let service = hyper::service::service_fn(move |request| service.clone().oneshot(request));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let server = TokioIo::new(listener.accept().await.unwrap().0);
    tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(server, service).with_upgrades());
    stream.write_all(b"CONNECT db.internal:443 HTTP/1.1\r\nhost: db.internal:443\r\n\r\n").await.unwrap();
    assert_eq!(told(&emitted.next().await), "CONNECT http://db.internal:443 200 -");
    emitted.assert_empty();
}
