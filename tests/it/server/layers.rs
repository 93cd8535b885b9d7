//! Routers in every shape, and other layers around this one.

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    middleware::{self, Next},
    response::IntoResponse,
    routing::get as route,
};
use tower_http::catch_panic::CatchPanicLayer;
use tower_xray::{Recorder, XRayLayer};

use super::edge::told;
use crate::support::{emitting_recorder, exchange, get, serve};

fn layer(name: &str, recorder: &Recorder) -> XRayLayer {
    XRayLayer::new(name, recorder.clone())
}

#[tokio::test]
async fn nested_merged_and_fallen_back_requests_leave_one_segment_each() {
    let (recorder, mut emitted) = emitting_recorder();
    let orders = Router::new().route("/{id}", route(async || "an order").post(async || StatusCode::CREATED));
    let static_files = Router::new().route("/logo.svg", route(async || "a logo")).fallback(async || "the index");
    let router = Router::new()
        .route("/", route(async || "hello"))
        .nest("/orders", orders)
        .nest_service("/service", Router::new().route("/x", route(async || "x")))
        .merge(static_files)
        .layer(layer("shop", &recorder));
    let address = serve(router).await;
    for (path, expected, route) in [
        ("/", "200 5", Some("/")),
        ("/orders/7", "200 8", Some("/orders/{id}")),
        ("/service/x", "200 1", None),
        ("/logo.svg", "200 6", Some("/logo.svg")),
        ("/gone", "200 9", None),
        ("/orders/7/gone", "200 9", None),
    ] {
        exchange(address, &get(path)).await;
        let document = emitted.next().await;
        assert_eq!(told(&document), format!("GET http://shop.example.com{path} {expected}"));
        assert_eq!(document.annotation("route"), route.map(Into::into));
    }
    exchange(address, &get("/orders/7").replace("GET", "DELETE")).await;
    assert_eq!(told(&emitted.next().await), "DELETE http://shop.example.com/orders/7 error 405 0");
    emitted.assert_empty();
}

#[tokio::test]
async fn a_panic_of_a_layer_outside_is_no_client_that_left() {
    async fn panics(request: Request, next: Next) -> Body {
        let response = next.run(request).await;
        assert!(response.headers().contains_key(header::ETAG), "no tag");
        response.into_body()
    }

    let (recorder, mut emitted) = emitting_recorder();
    let router = Router::new()
        .fallback(async || "an order")
        .layer(layer("shop", &recorder))
        .layer(middleware::from_fn(panics))
        .layer(CatchPanicLayer::new());
    let address = serve(router).await;
    assert!(exchange(address, &get("/")).await.starts_with("HTTP/1.1 500"));
    let segment = told(&emitted.next().await);
    assert_eq!(segment, "GET http://shop.example.com/ fault 200 8 | panic: the thread panicked");
    emitted.assert_empty();
}

#[tokio::test]
async fn a_layer_outside_that_replaces_a_response_is_no_client_that_left() {
    async fn page(request: Request, next: Next) -> impl IntoResponse {
        let response = next.run(request).await;
        match response.status() {
            StatusCode::NOT_FOUND => (StatusCode::NOT_FOUND, "a fine page").into_response(),
            _ => response,
        }
    }

    let (recorder, mut emitted) = emitting_recorder();
    let router = Router::new()
        .fallback(async || (StatusCode::NOT_FOUND, "gone"))
        .layer(layer("shop", &recorder))
        .layer(middleware::from_fn(page));
    let address = serve(router).await;
    let response = exchange(address, &get("/")).await;
    assert!(response.ends_with("a fine page"), "{response}");
    assert_eq!(told(&emitted.next().await), "GET http://shop.example.com/ error 404 4");
    emitted.assert_empty();
}
