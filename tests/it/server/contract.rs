//! What tower, hyper and axum demand of a middleware, and what this one does not demand of others.

use std::{
    cell::Cell,
    convert::Infallible,
    rc::Rc,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, error_handling::HandleErrorLayer, routing::get as route};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, cors::CorsLayer, timeout::RequestBodyTimeoutLayer,
};
use tower_xray::{
    Entity, Recorder, Segment, Subsegment, XRayClientLayer, XRayLayer,
    client::XRayClient,
    server::{ResponseBody, ResponseFuture, XRay},
};

use crate::support::{described, emitting_recorder, exchange, get, recorder, serve};

#[test]
fn everything_can_be_sent_and_shared() {
    fn assert<T: Clone + Send + Sync>() {}
    fn assert_send_sync<T: Send + Sync>() {}
    assert::<Recorder>();
    assert::<Entity>();
    assert::<XRayLayer>();
    assert::<XRayClientLayer>();
    assert::<XRay<()>>();
    assert::<XRayClient<()>>();
    assert_send_sync::<Segment>();
    assert_send_sync::<Subsegment>();
    assert_send_sync::<ResponseBody<String>>();
    assert_send_sync::<ResponseFuture<std::future::Ready<()>, tower_xray::document::Typed>>();
}

#[tokio::test]
async fn the_inner_service_need_not_be_send_nor_static_nor_clone() {
    let (recorder, documents) = recorder();
    let calls = Cell::new(0);
    let not_send = Rc::new(());
    let service = service_fn(|_: Request<Rc<()>>| {
        calls.set(calls.get() + 1);
        let held = not_send.clone();
        async move {
            drop(held);
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let mut service = XRayLayer::new("orders", recorder).layer(service);
    service.ready().await.unwrap().call(Request::new(Rc::new(()))).await.unwrap();
    assert_eq!((calls.get(), documents.take().len()), (1, 1));
}

#[tokio::test]
async fn readiness_is_the_inner_services() {
    struct Busy(AtomicBool);

    impl Service<Request<()>> for &Busy {
        type Response = Response<String>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            if self.0.load(Relaxed) { Poll::Pending } else { Poll::Ready(Ok(())) }
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            std::future::ready(Ok(Response::new(String::new())))
        }
    }

    let (recorder, documents) = recorder();
    let busy = Busy(AtomicBool::new(true));
    let mut service = XRayLayer::new("orders", recorder).layer(&busy);
    assert!(service.poll_ready(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
    assert_eq!(documents.len(), 0, "a service that is not ready has not been called");
    busy.0.store(false, Relaxed);
    service.ready().await.unwrap().call(Request::new(())).await.unwrap();
    assert_eq!(documents.take().len(), 1);
}

#[tokio::test]
async fn other_layers_fit_inside_and_outside() {
    let (recorder, mut emitted) = emitting_recorder();
    let app = Router::new().route("/", route(async || "x".repeat(10_000))).layer(
        ServiceBuilder::new()
            .layer(CorsLayer::permissive())
            .layer(HandleErrorLayer::new(async |_: BoxError| StatusCode::SERVICE_UNAVAILABLE))
            .layer(XRayLayer::new("orders", recorder).boxed_errors())
            .load_shed()
            .concurrency_limit(100)
            .timeout(Duration::from_secs(60))
            .layer(RequestBodyTimeoutLayer::new(Duration::from_secs(60)))
            .layer(CompressionLayer::new()),
    );
    let address = serve(app).await;
    let response = exchange(address, &get("/").replace("\r\n\r\n", "\r\naccept-encoding: gzip\r\n\r\n")).await;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    let segment = emitted.next().await;
    let sent = segment.root().content_length().unwrap();
    assert!((20..1000).contains(&sent), "the compressed body is what was sent: {sent} bytes");
    emitted.assert_empty();
}

#[tokio::test]
async fn a_panic_that_a_layer_inside_catches_is_a_500() {
    async fn handler() -> &'static str {
        panic!("order 42 is cursed")
    }

    let (recorder, mut emitted) = emitting_recorder();
    let app = Router::new().route("/", route(handler));
    let address = serve(app.layer(CatchPanicLayer::new()).layer(XRayLayer::new("orders", recorder))).await;
    assert!(exchange(address, &get("/")).await.starts_with("HTTP/1.1 500"));
    let segment = emitted.next().await;
    assert_eq!((segment.fault(), segment.http_status()), (true, Some(500)));
    emitted.assert_empty();
}

#[tokio::test]
async fn a_panic_that_a_layer_outside_catches_has_its_payload_recorded() {
    async fn handler() -> &'static str {
        panic!("order 42 is cursed")
    }

    let (recorder, mut emitted) = emitting_recorder();
    let app = Router::new().route("/", route(handler));
    let address = serve(app.layer(XRayLayer::new("orders", recorder)).layer(CatchPanicLayer::new())).await;
    assert!(exchange(address, &get("/")).await.starts_with("HTTP/1.1 500"));
    let segment = emitted.next().await;
    assert_eq!(described(segment.root()), [("panic", "order 42 is cursed")]);
    emitted.assert_empty();
}

#[tokio::test]
async fn the_context_reaches_across_a_buffer_by_the_requests_extensions() {
    let (recorder, documents) = recorder();
    let service = ServiceBuilder::new().layer(XRayLayer::new("orders", recorder).boxed_errors()).buffer(1).service(
        service_fn(async |request: Request<()>| {
            let segment: &Entity = request.extensions().get().expect("the segment");
            segment.add_annotation("tier", "gold");
            Ok::<_, Infallible>(Response::new(String::new()))
        }),
    );
    service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(documents.take_one().annotation("tier"), Some("gold".into()));
}

#[tokio::test]
async fn the_context_is_there_in_the_call_in_the_future_and_in_the_body() {
    struct Asks(u32);

    impl http_body::Body for Asks {
        type Data = bytes::Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Infallible>>> {
            tower_xray::current().begin_subsegment("body").close();
            self.0 += 1;
            let frame = http_body::Frame::data(bytes::Bytes::from_static(b"x"));
            Poll::Ready((self.0 < 3).then_some(Ok(frame)))
        }
    }

    let (recorder, documents) = recorder();
    let service = XRayLayer::new("orders", recorder).layer(service_fn(|_: Request<Body>| {
        tower_xray::current().begin_subsegment("call").close();
        async {
            tokio::task::yield_now().await;
            tower_xray::current().begin_subsegment("future").close();
            Ok::<_, Infallible>(Response::new(Asks(0)))
        }
    }));
    let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
    response.into_body().collect().await.unwrap();
    let segment = documents.take_one();
    let names: Vec<_> = segment.subsegments().map(|subsegment| subsegment.name().to_owned()).collect();
    assert_eq!(names, ["call", "future", "body", "body", "body"]);
    assert!(tower_xray::current().is_none(), "nothing is left behind");
}
