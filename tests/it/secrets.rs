//! What is never recorded unless a program adds it: query strings, credentials, cookies, other headers, bodies.
//!
//! Every field that a request or a call has carries a secret here; every datagram, every call to the daemon and every
//! line of this crate's log is searched for it.

use std::{
    convert::Infallible,
    fmt, io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::any,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_xray::{
    Recorder, XRayClientLayer, XRayLayer, capture,
    client::reqwest::XRayMiddleware,
    context::capture_blocking,
    document::{ExceptionDocument, RecordedError},
    emitter::{DaemonAddress, UdpEmitter},
    sampling::{CentralizedStrategy, SampleAll},
};

use crate::support::{exchange, recorder, recorder_with, serve};

const SECRET: &str = "s3cret";

/// Text that grows: a log, or what a service has received.
#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Text {
    fn read(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that the thread logs, until the guard is dropped.
fn log() -> (Text, impl Drop) {
    let text = Text::default();
    let writer = text.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    (text, tracing::subscriber::set_default(subscriber))
}

/// The lines of a log that are this crate's.
fn own(log: &Text) -> String {
    log.read().lines().filter(|line| line.contains(" tower_xray")).collect()
}

/// A service that answers with secrets, or sends its client on to a URL with some.
async fn secretive() -> SocketAddr {
    let answer = async |_: Bytes| {
        let cookie = [(header::SET_COOKIE, SECRET), (header::WWW_AUTHENTICATE, SECRET)];
        (cookie, format!("the body is {SECRET}"))
    };
    let router = Router::new()
        .route("/", any(answer))
        .route("/loop", any(async || Redirect::temporary(&format!("/loop?token={SECRET}#{SECRET}"))))
        .route("/gone", any(async || Redirect::temporary(&format!("http://u:{SECRET}@127.0.0.1:1/x?token={SECRET}"))))
        .route("/bad", any(async || ([(header::LOCATION, "http://[s3cret")], StatusCode::TEMPORARY_REDIRECT)))
        .route(
            "/breaks",
            any(async || {
                (
                    [(header::CONTENT_LENGTH, "1000")],
                    Body::from_stream(futures_util::stream::iter([Ok("x"), Err(SECRET)])),
                )
            }),
        )
        .fallback(async || (StatusCode::NOT_FOUND, SECRET));
    serve(router).await
}

/// The URLs of calls that go well or wrong in every way.
fn urls(address: SocketAddr) -> Vec<String> {
    let at = |path: &str| format!("http://alice:{SECRET}@{address}{path}?token={SECRET}&a=b)c{SECRET}#{SECRET}");
    let mut urls: Vec<_> = ["/", "/loop", "/gone", "/bad", "/breaks", "/missing"].map(at).into();
    urls.push(format!("http://alice:{SECRET}@127.0.0.1:1/refused?token={SECRET}#{SECRET}"));
    urls.push(format!("http://alice:{SECRET}@nowhere.invalid/lost?{SECRET}"));
    urls
}

fn post(url: &str) -> reqwest::Request {
    let client = reqwest::Client::new();
    let request = client.post(url).header("authorization", SECRET).header("cookie", SECRET).header("x-api-key", SECRET);
    request.body(format!("the body is {SECRET}")).build().unwrap()
}

/// Calls with every client, and the errors of the calls recorded again above them.
async fn call_everybody(address: SocketAddr) -> Vec<BoxError> {
    let layered = ServiceBuilder::new().layer(XRayClientLayer::new().traceparent(true)).service(reqwest::Client::new());
    let middle = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(XRayMiddleware::new()).build();
    let hyper = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let hyper = ServiceBuilder::new().layer(XRayClientLayer::new()).service(hyper);
    let mut errors = Vec::new();
    for url in urls(address) {
        let by_layer = capture("layer", async { layered.clone().oneshot(post(&url)).await?.text().await });
        errors.extend(by_layer.await.err().map(BoxError::from));
        let by_middleware = capture("middleware", async {
            let response = middle.execute(post(&url)).await?;
            response.text().await.map_err(reqwest_middleware::Error::from)
        });
        errors.extend(by_middleware.await.err().map(BoxError::from));
        let by_hyper = capture("hyper", async {
            let request = http::Request::post(url.split('#').next().unwrap());
            let request = request.header("authorization", SECRET).header("cookie", SECRET);
            let response =
                hyper.clone().oneshot(request.body(Full::from(SECRET)).unwrap()).await.map_err(BoxError::from)?;
            response.into_body().collect().await.map_err(BoxError::from)
        });
        errors.extend(by_hyper.await.err());
    }
    errors
}

/// A request with a secret in everything that a client can fill in.
fn request(path: &str) -> String {
    let headers =
        ["authorization", "cookie", "proxy-authorization", "x-api-key", "referer", "origin", "forwarded", "x-real-ip"];
    let headers: String =
        headers.iter().map(|name| format!("{name}: http://u:{SECRET}@x/{SECRET}?{SECRET}\r\n")).collect();
    format!(
        "POST http://alice:{SECRET}@shop.example.com{path}?token={SECRET} HTTP/1.1\r\nhost: shop.example.com\r\n{headers}\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n6\r\n{SECRET}\r\n0\r\nx-trailer: {SECRET}\r\n\r\n"
    )
}

#[tokio::test]
async fn nothing_that_is_sent_contains_a_secret_of_a_request_or_a_call() {
    let (log, _guard) = log();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let daemon: DaemonAddress = socket.local_addr().unwrap().to_string().parse().unwrap();
    let emitter = UdpEmitter::new(daemon).unwrap();
    let builder = Recorder::builder().environment(|_| None).emitter(emitter).sampling(SampleAll);
    let recorder = builder.build().unwrap();

    let address = secretive().await;
    let calls = async move |body: Body| {
        let _ = body.collect().await;
        let mut errors = call_everybody(address).await;
        assert!(errors.len() > 10, "calls that go wrong: {errors:?}");
        // The segment gets one of them, too.
        let mut response = (StatusCode::BAD_GATEWAY, [(header::SET_COOKIE, SECRET)], SECRET).into_response();
        response.extensions_mut().insert(RecordedError::new(errors.remove(0)));
        response
    };
    let router = Router::new()
        .route("/calls", any(calls))
        .route("/fails", any(async || (StatusCode::IM_A_TEAPOT, SECRET)))
        .fallback(async |_: Request| -> Response { panic!("no page http://u:{SECRET}@x/y?z={SECRET}") })
        .layer(XRayLayer::new("orders", recorder.clone()));
    let server = serve(router).await;
    for path in ["/calls", "/fails", "/panics"] {
        exchange(server, &request(path)).await;
    }
    recorder.shutdown(Duration::from_secs(20)).await;

    let mut sent = String::new();
    let mut datagram = [0; 65_536];
    while let Ok(len) = socket.recv(&mut datagram) {
        sent += &String::from_utf8_lossy(&datagram[..len]);
    }
    assert_free(&sent);
    for known in
        ["/calls", "/fails", "/panics", "/refused", "/loop", "Connection refused", "middleware", "no page http://x/y"]
    {
        assert!(sent.contains(known), "{known}: {sent}");
    }
    assert_free(&own(&log));
}

#[tokio::test]
async fn nothing_that_centralized_sampling_sends_or_logs_contains_a_secret() {
    let (log, _guard) = log();
    let received = Text::default();
    let seen = received.clone();
    let router = Router::new().fallback(async move |request: Request| {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        io::Write::write_all(&mut seen.clone(), format!("{parts:?} {body:?}\n").as_bytes()).unwrap();
        let rule = r#"{"SamplingRule": {"RuleName": "all", "RuleARN": "arn", "ResourceARN": "*", "Priority": 1, "FixedRate": 1.0,
            "ReservoirSize": 1, "ServiceName": "*", "ServiceType": "*", "Host": "*", "HTTPMethod": "*", "URLPath": "*",
            "Version": 1, "Attributes": {}}}"#;
        match parts.uri.path() {
            "/GetSamplingRules" => format!(r#"{{"SamplingRuleRecords": [{rule}]}}"#).into_response(),
            // A refusal is logged.
            _ => (StatusCode::FORBIDDEN, "no").into_response(),
        }
    });
    let daemon: DaemonAddress = serve(router).await.to_string().parse().unwrap();
    let now = Arc::new(Mutex::new(Duration::from_secs(1_500_000_000)));
    let clock = now.clone();
    let builder = CentralizedStrategy::builder(daemon).clock(move || *clock.lock().unwrap()).seed(7);
    let (strategy, mut poller) = builder.pair();
    let clock = now.clone();
    let (recorder, documents) =
        recorder_with(|builder| builder.sampling(strategy).clock(move || *clock.lock().unwrap()));
    let wait = poller.step().await;
    let router = Router::new().fallback(async || SECRET).layer(XRayLayer::new("orders", recorder));
    let server = serve(router).await;
    exchange(server, &request("/x")).await;
    *now.lock().unwrap() += wait;
    poller.step().await;

    assert_eq!(documents.take_one().sampling_rule_name(), Some("all"));
    let received = received.read();
    assert!(received.contains("/SamplingTargets") && received.contains(r#"RequestCount\":1"#), "{received}");
    assert_free(&received);
    assert!(own(&log).contains("403"), "{}", log.read());
    assert_free(&own(&log));
}

#[test]
fn urls_in_messages_lose_credentials_query_and_fragment_and_nothing_else() {
    #[derive(Debug)]
    struct Says(&'static str);

    impl fmt::Display for Says {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Says {}

    for (says, told) in [
        ("no url, no change? (a@b) #1", "no url, no change? (a@b) #1"),
        ("get (http://a/x)", "get (http://a/x)"),
        ("get (http://u:p@a:80/x?q=(1)&r#f)", "get (http://a:80/x)"),
        ("http://a?q", "http://a"),
        ("http://a/#f, http://u@b/?q.", "http://a/, http://b/."),
        ("from \"https://a/x?q\" to 'https://b/y?q'.", "from \"https://a/x\" to 'https://b/y'."),
        ("postgres://user:p@ss@db:5432/orders?sslmode=x: gone", "postgres://db:5432/orders: gone"),
        ("http://[2001:db8::1]:80/x@y?q", "http://[2001:db8::1]:80/x@y"),
        ("://", "://"),
        ("a://?://é?ü é", "a:// é"),
        ("<http://a/x?q>", "<http://a/x>"),
    ] {
        let (recorder, documents) = recorder();
        let segment = recorder.begin_segment("orders");
        let entered = segment.enter();
        let _ = capture_blocking("work", || Err::<Infallible, _>(Says(says)));
        drop(entered);
        segment.close();
        let segment = documents.take_one();
        let work = segment.subsegments().next().unwrap();
        assert_eq!(work.exceptions().map(ExceptionDocument::message).collect::<Vec<_>>(), [told]);
    }
}

#[track_caller]
fn assert_free(text: &str) {
    let places: Vec<_> = text
        .match_indices(SECRET)
        .map(|(at, _)| text[..at].chars().rev().take(150).collect::<Vec<_>>().into_iter().rev().collect::<String>())
        .collect();
    assert!(places.is_empty(), "{} secrets, after: {places:#?}", places.len());
}
