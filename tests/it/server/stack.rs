//! Tower's and tower-http's layers, each of them inside and outside of this one.
//!
//! Whatever a layer does, every request that reaches this one leaves one segment, with what was seen from here.

use std::{
    convert::Infallible,
    future::{Ready, pending, ready},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    error_handling::HandleError,
    http::{Request, Response, StatusCode},
};
use futures_util::future::BoxFuture;
use tower::{
    BoxError, Layer, Service, ServiceExt,
    buffer::BufferLayer,
    layer::layer_fn,
    load_shed::LoadShedLayer,
    retry::{Policy, RetryLayer},
    timeout::TimeoutLayer,
    util::BoxCloneSyncService,
};
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer, cors::CorsLayer};
use tower_xray::XRayLayer;

use super::edge::told;
use crate::support::{emitting_recorder, exchange, serve};

type Boxed = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;
type Stack = fn(Boxed) -> Boxed;

/// A handler whose path says what it does; `/busy` has it never ready.
#[derive(Clone)]
struct Handler {
    busy: bool,
    calls: Arc<AtomicU32>,
}

impl Service<Request<Body>> for Handler {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.busy { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = self.calls.fetch_add(1, Relaxed);
        let path = request.uri().path().to_owned();
        Box::pin(async move {
            let response =
                |status, text: &'static str| Ok(Response::builder().status(status).body(Body::from(text)).unwrap());
            match path.as_str() {
                "/err" => Err("no order".into()),
                "/panic" => panic!("order 42 is cursed"),
                "/never" => pending().await,
                "/flaky" if call < 2 => response(StatusCode::SERVICE_UNAVAILABLE, "later"),
                _ => response(StatusCode::OK, "an order"),
            }
        })
    }
}

/// Tries again after a 503.
#[derive(Clone)]
struct Again;

impl Policy<Request<Body>, Response<Body>, BoxError> for Again {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Request<Body>, result: &mut Result<Response<Body>, BoxError>) -> Option<Self::Future> {
        let failed = result.as_ref().is_ok_and(|response| response.status() == StatusCode::SERVICE_UNAVAILABLE);
        failed.then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        let mut copy = Request::new(Body::empty());
        *copy.uri_mut() = request.uri().clone();
        *copy.headers_mut() = request.headers().clone();
        *copy.extensions_mut() = request.extensions().clone();
        Some(copy)
    }
}

/// One layer, erased; the body of its responses is axum's again.
macro_rules! erased {
    ($layer:expr) => {
        |inner: Boxed| {
            let service = $layer.layer(inner);
            Boxed::new(service.map_response(|response: Response<_>| response.map(Body::new)).map_err(BoxError::from))
        }
    };
}

fn timeout() -> TimeoutLayer {
    TimeoutLayer::new(Duration::from_millis(20))
}

const TIMEOUT: Stack = erased!(timeout());
const LOAD_SHED: Stack = erased!(LoadShedLayer::new());
const BUFFER: Stack = erased!(BufferLayer::new(4));
const RETRY: Stack = erased!(RetryLayer::new(Again));
const CATCH_PANIC: Stack = erased!(CatchPanicLayer::new());
const CORS: Stack = erased!(CorsLayer::permissive());
const PLAIN: Stack = erased!(layer_fn(|inner: Boxed| inner));

/// Sends a request to the handler behind the layer, which is outside or inside of ours: the status that arrives, and the
/// segments without method and URL.
async fn ask(stack: Stack, outside: bool, method: &str, path: &str) -> (String, Vec<String>) {
    let (recorder, mut emitted) = emitting_recorder();
    let handler = Handler { busy: path == "/busy", calls: Arc::default() };
    let xray = |inner: Boxed| {
        let service = XRayLayer::new("orders", recorder.clone()).boxed_errors().layer(inner);
        Boxed::new(service.map_response(|response| response.map(Body::new)))
    };
    let service = match outside {
        true => stack(xray(Boxed::new(handler))),
        false => xray(stack(Boxed::new(handler))),
    };
    let service = HandleError::new(service, async |_: BoxError| StatusCode::BAD_GATEWAY);
    let address = serve(Router::new().fallback_service(service)).await;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\norigin: http://b\r\naccess-control-request-method: GET\r\nconnection: close\r\n\r\n"
    );
    let response = exchange(address, &request).await;
    let status = response.split(' ').nth(1).unwrap_or("none").to_owned();
    // The response is complete, so all segments have closed.
    let mut segments = Vec::new();
    while let Some(document) = emitted.try_next() {
        let segment = told(&document);
        segments.push(segment.strip_prefix(&format!("{method} http://a{path} ")).unwrap().to_owned());
    }
    (status, segments)
}

#[tokio::test]
async fn every_layer_inside_and_outside_leaves_one_segment_per_request_that_is_seen() {
    const LEFT: &str =
        "error - - | ClientDisconnect: the client left, or something outside gave up, before the response began";
    const OK: &[&str] = &["200 8"];
    const NO_ORDER: &[&str] = &["fault - - | error: no order"];
    const CURSED: &[&str] = &["fault - - | panic: order 42 is cursed"];
    let (inside, outside) = (false, true);
    for (name, stack, side, method, path, status, segments) in [
        ("none", PLAIN, inside, "GET", "/err", "502", NO_ORDER),
        ("none", PLAIN, outside, "GET", "/panic", "none", CURSED),
        ("timeout", TIMEOUT, inside, "GET", "/", "200", OK),
        ("timeout", TIMEOUT, outside, "GET", "/", "200", OK),
        ("timeout", TIMEOUT, inside, "GET", "/err", "502", NO_ORDER),
        ("timeout", TIMEOUT, outside, "GET", "/err", "502", NO_ORDER),
        ("timeout", TIMEOUT, inside, "GET", "/never", "502", &["fault - - | Elapsed: request timed out"]),
        ("timeout", TIMEOUT, outside, "GET", "/never", "502", &[LEFT]),
        ("load shed", LOAD_SHED, inside, "GET", "/", "200", OK),
        ("load shed", LOAD_SHED, outside, "GET", "/", "200", OK),
        ("load shed", LOAD_SHED, inside, "GET", "/busy", "502", &["fault - - | Overloaded: service overloaded"]),
        // It has not come this far.
        ("load shed", LOAD_SHED, outside, "GET", "/busy", "502", &[]),
        ("buffer", BUFFER, inside, "GET", "/", "200", OK),
        ("buffer", BUFFER, outside, "GET", "/", "200", OK),
        ("buffer", BUFFER, inside, "GET", "/err", "502", NO_ORDER),
        ("buffer", BUFFER, outside, "GET", "/err", "502", NO_ORDER),
        ("retry", RETRY, inside, "GET", "/flaky", "200", OK),
        // Each attempt is a request here.
        ("retry", RETRY, outside, "GET", "/flaky", "200", &["fault 503 5", "fault 503 5", "200 8"]),
        ("catch panic", CATCH_PANIC, inside, "GET", "/panic", "500", &["fault 500 16"]),
        ("catch panic", CATCH_PANIC, outside, "GET", "/panic", "500", CURSED),
        ("catch panic", CATCH_PANIC, inside, "GET", "/", "200", OK),
        ("catch panic", CATCH_PANIC, outside, "GET", "/", "200", OK),
        ("CORS", CORS, inside, "GET", "/", "200", OK),
        ("CORS", CORS, outside, "GET", "/", "200", OK),
        ("CORS", CORS, inside, "OPTIONS", "/", "200", &["200 0"]),
        ("CORS", CORS, outside, "OPTIONS", "/", "200", &[]),
    ] {
        let side_name = if side { "outside" } else { "inside" };
        let asked = ask(stack, side, method, path).await;
        let expected = segments.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(asked, (status.to_owned(), expected), "{name} {side_name}: {method} {path}");
    }
}

#[tokio::test]
async fn compression_outside_is_not_seen_and_inside_it_is() {
    for outside in [false, true] {
        let (recorder, mut emitted) = emitting_recorder();
        let handler = tower::service_fn(async |_: Request<Body>| {
            Ok::<_, Infallible>(Response::new(Body::from("an order ".repeat(1_000))))
        });
        let xray = XRayLayer::new("orders", recorder);
        let address = match outside {
            true => serve(Router::new().fallback_service(CompressionLayer::new().layer(xray.layer(handler)))).await,
            false => serve(Router::new().fallback_service(xray.layer(CompressionLayer::new().layer(handler)))).await,
        };
        let request = "GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n";
        let response = exchange(address, request).await;
        assert!(response.contains("content-encoding: gzip"), "{response}");
        let segment = emitted.next().await;
        let sent = segment.root().content_length().unwrap();
        assert_eq!(told(&segment), format!("GET http://a/ 200 {sent}"));
        assert!(if outside { sent == 9_000 } else { (20..500).contains(&sent) }, "{sent} bytes");
        emitted.assert_empty();
    }
}
