//! Clients in tower's stacks, and servers that do as they like.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_xray::{FutureExt, XRayClientLayer, capture, current};

use super::calls;
use crate::{outline::outline, support::recorder};

/// A server that answers every connection with these bytes and closes it, by a reset if `reset`.
async fn answers(response: &'static str, reset: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(response.as_bytes()).await.unwrap();
            if reset {
                stream.set_zero_linger().unwrap();
            }
        }
    });
    address
}

/// What a segment tells about one call, without the server's address.
async fn told(address: SocketAddr, method: &str, read: bool) -> String {
    let (recorder, documents) = recorder();
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let client = ServiceBuilder::new().layer(XRayClientLayer::new()).service(client);
    let segment = recorder.begin_segment("orders");
    let request = Request::builder().method(method).uri(format!("http://{address}/")).body(Empty::new()).unwrap();
    if let Ok(response) = client.oneshot(request).in_entity(&segment).await {
        if read {
            // Its error is what the segment tells.
            let _ = response.into_body().collect().await;
        }
    }
    segment.close();
    let call = calls(&documents.take_one()).remove(0);
    call.replace(&format!("{address} remote {method} http://{address}/ "), "")
}

#[tokio::test]
async fn what_a_server_sends_is_what_is_told() {
    for (method, response, expected) in [
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nan order", "200 2"),
        ("GET", "HTTP/1.0 200 OK\r\n\r\nan order", "200 8"),
        ("GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nan\r\n0\r\nx: y\r\n\r\n", "200 2"),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", "200 100"),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 100\r\n\r\n", "304 100"),
        ("GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "204 0"),
        ("GET", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "101 0"),
    ] {
        assert_eq!(told(answers(response, false).await, method, true).await, expected, "{response}");
    }
}

#[tokio::test]
async fn what_is_not_read_is_told_as_announced() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    assert_eq!(told(answers(half, false).await, "GET", false).await, "200 10");
}

#[tokio::test]
async fn broken_answers_are_remote_faults() {
    for (response, reset, expected) in [
        ("", false, "fault null null | remote "),
        ("HTTP/1.1 2", false, "fault null null | remote "),
        ("nonsense\r\n\r\n", false, "fault null null | remote "),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nan\r\nzz\r\n", false, "fault 200 2 | remote "),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", false, "fault 200 4 | remote "),
    ] {
        let told = told(answers(response, reset).await, "GET", true).await;
        assert!(told.starts_with(expected), "{response}: {told}");
    }
    let told = told(answers("", true).await, "GET", true).await;
    assert!(told.starts_with("fault null null | remote "), "{told}");
}

#[tokio::test]
async fn an_error_that_names_a_part_of_the_url_tells_no_secret_either() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let client = XRayClientLayer::new().layer(service_fn(async |request: Request<()>| {
        let (host, path) = (request.uri().authority().unwrap(), request.uri().path_and_query().unwrap());
        let message = format!("no answer of {host} to `{path}`, and/or none yet? Ask help@shop.test");
        Err::<Response<String>, _>(std::io::Error::other(message))
    }));
    let request = Request::get("http://reader:s3cret@shop/orders?token=s3cret'&more=s3cret").body(()).unwrap();
    client.oneshot(request).in_entity(&segment).await.unwrap_err();
    segment.close();
    let document = documents.take_one();
    let told = document.subsegments().next().unwrap().exceptions().next().unwrap().message().to_owned();
    assert_eq!(told, "no answer of shop to `/orders`, and/or none yet? Ask help@shop.test");
}

/// Fails with so many characters before the URL.
async fn fail_after(before: usize, request: Request<()>) -> Result<Response<String>, std::io::Error> {
    Err(std::io::Error::other(format!("{}{}", "-".repeat(before), request.uri())))
}

#[tokio::test]
async fn an_error_that_is_cut_somewhere_in_its_url_tells_no_part_of_a_secret() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    for before in 960..1_000 {
        let client = XRayClientLayer::new().layer(service_fn(move |request| fail_after(before, request)));
        let request = Request::get("http://reader:s3cret@shop/?token=s3cret").body(()).unwrap();
        client.oneshot(request).in_entity(&segment).await.unwrap_err();
    }
    segment.close();
    for (call, before) in documents.take_one().subsegments().zip(960_usize..) {
        let message = call.exceptions().next().unwrap().message();
        let cut: String = format!("{}http://shop/", "-".repeat(before)).chars().take(1_000).collect();
        assert!(cut.starts_with(message), "{message}");
        assert!(message.len() >= before, "{message}");
    }
}

fn get() -> Request<()> {
    Request::get("http://pricing.internal/").body(()).unwrap()
}

/// A service whose first call never answers.
fn first_never() -> impl Clone
+ Send
+ tower::Service<
    Request<()>,
    Response = Response<String>,
    Error = BoxError,
    Future = impl Future<Output = Result<Response<String>, BoxError>> + Send,
> {
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    service_fn(move |_: Request<()>| {
        let number = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move {
            if number == 0 {
                std::future::pending::<()>().await;
            }
            Ok(Response::new("quote".to_owned()))
        }
    })
}

const CANCELLED: &str = "cancelled null null";

#[tokio::test(start_paused = true)]
async fn a_deadline_outside_is_a_cancelled_call_and_one_inside_its_error() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let traced = || ServiceBuilder::new().layer(XRayClientLayer::new().boxed_errors());
    let second = Duration::from_secs(1);
    let outside = ServiceBuilder::new().timeout(second).service(traced().service(first_never()));
    assert!(outside.oneshot(get()).in_entity(&segment).await.is_err());
    let inside = traced().timeout(second).service(first_never());
    assert!(inside.oneshot(get()).in_entity(&segment).await.is_err());
    segment.close();
    let call = "pricing.internal remote GET http://pricing.internal/";
    let elapsed = "fault null null | remote Elapsed: request timed out";
    assert_eq!(calls(&documents.take_one()), [format!("{call} {CANCELLED}"), format!("{call} {elapsed}")]);
}

#[tokio::test(start_paused = true)]
async fn a_hedged_call_is_two_and_the_slower_one_is_cancelled() {
    #[derive(Clone)]
    struct Always;

    impl tower::hedge::Policy<Request<()>> for Always {
        fn clone_request(&self, request: &Request<()>) -> Option<Request<()>> {
            Some(request.clone())
        }

        fn can_retry(&self, _: &Request<()>) -> bool {
            true
        }
    }

    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let traced = ServiceBuilder::new().layer(XRayClientLayer::new().boxed_errors()).service(first_never());
    let hedge = tower::hedge::Hedge::new_with_mock_latencies(traced, Always, 0, 0.9, Duration::from_secs(60), &[1, 1]);
    // Nobody reads the body.
    drop(hedge.oneshot(get()).in_entity(&segment).await.unwrap());
    segment.close();
    let call = "pricing.internal remote GET http://pricing.internal/";
    assert_eq!(calls(&documents.take_one()), [format!("{call} {CANCELLED}"), format!("{call} 200 null")]);
}

#[tokio::test]
async fn a_balanced_client_is_traced_outside_and_inside() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let layer = XRayClientLayer::new;
    let ok = || service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new("quote".to_owned())));
    let endpoints = (0..3).map(|_| tower::load::Constant::new(layer().layer(ok()), 1));
    let balance = tower::balance::p2c::Balance::new(tower::discover::ServiceList::new(endpoints));
    let client = layer().boxed_errors().layer(balance);
    client.oneshot(get()).in_entity(&segment).await.unwrap();
    segment.close();
    assert_eq!(outline(&documents.take()), ["orders(pricing.internal(pricing.internal))"]);
}

#[tokio::test]
async fn a_buffer_outside_needs_the_entity_in_the_request() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let ok = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new("quote".to_owned())));
    let client = ServiceBuilder::new().buffer(8).layer(XRayClientLayer::new()).service(ok);
    client.clone().oneshot(get()).in_entity(&segment).await.unwrap();
    let mut request = get();
    request.extensions_mut().insert(segment.entity().clone());
    client.oneshot(request).await.unwrap();
    segment.close();
    assert_eq!(outline(&documents.take()), ["orders(pricing.internal)"]);
}

#[tokio::test]
async fn calls_at_the_same_time_are_below_their_own_work() {
    let (recorder, documents) = recorder();
    let ok = service_fn(async |_: Request<()>| {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Response::new("quote".to_owned()))
    });
    let client = XRayClientLayer::new().layer(ok);
    let segment = recorder.begin_segment("orders");
    let work = async {
        let jobs: FuturesUnordered<_> = (0..50)
            .map(|number| {
                let client = client.clone();
                let request = Request::get(format!("http://{number}/")).body(()).unwrap();
                capture(format!("job {number}"), client.oneshot(request))
            })
            .collect();
        jobs.for_each(async |response| drop(response.unwrap().into_body())).await;
        tokio::join!(async {}.in_subsegment("left"), async { current().id() }.in_subsegment("right")).1
    };
    let right = work.in_entity(&segment).await;
    assert!(current().is_none());
    segment.close();
    let document = documents.take_one();
    let mut pairs = Vec::new();
    for job in document.subsegments() {
        let below: Vec<_> = job.subsegments().map(|call| call.name().to_owned()).collect();
        match job.name().strip_prefix("job ") {
            Some(number) => pairs.push((number.to_owned(), below)),
            None => assert!(below.is_empty() && (job.name() == "left" || right == Some(job.id())), "{document}"),
        }
    }
    pairs.sort_by_key(|(number, _)| number.parse::<u32>().unwrap());
    assert!(pairs.into_iter().eq((0..50).map(|number| (number.to_string(), vec![number.to_string()]))), "{document}");
}

#[tokio::test]
async fn redirects_inside_of_a_client_are_one_call_with_the_last_status() {
    use axum::{Router, response::Redirect, routing::get as route};

    let address = crate::support::serve(
        Router::new()
            .route("/", route(async || Redirect::temporary("/next")))
            .route("/next", route(async || Redirect::temporary("/last")))
            .route("/last", route(async || "quote"))
            .route("/loop", route(async || Redirect::temporary("/loop"))),
    )
    .await;
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let client = ServiceBuilder::new().layer(XRayClientLayer::new()).service(reqwest::Client::new());
    let call = async |path| {
        let request = reqwest::Request::new(http::Method::GET, format!("http://{address}{path}").parse().unwrap());
        client.clone().oneshot(request).in_entity(&segment).await
    };
    assert_eq!(call("/").await.unwrap().text().await.unwrap(), "quote");
    assert!(call("/loop").await.is_err());
    segment.close();
    let calls = calls(&documents.take_one());
    assert_eq!(calls[0], format!("{address} remote GET http://{address}/ 200 5"));
    assert!(
        calls[1].starts_with(&format!("{address} remote GET http://{address}/loop fault null null | ")),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_client_with_boxed_errors_works_in_a_task_of_its_own() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let refuses = service_fn(async |_: Request<()>| Err::<Response<String>, BoxError>("no".into()));
    let call = async move {
        let client = ServiceBuilder::new().layer(XRayClientLayer::new().boxed_errors()).service(refuses);
        client.oneshot(get()).await.unwrap_err().to_string()
    };
    assert_eq!(tokio::spawn(call.in_entity(&segment)).await.unwrap(), "no");
    segment.close();
    assert!(documents.take_one().subsegments().next().unwrap().fault());
}
