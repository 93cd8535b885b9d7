//! Your own tests: what a service records, without a daemon, a global recorder, or tests that wait for each other.
//!
//! ```sh
//! cargo test --example in_memory_test
//! cargo run --example in_memory_test   # shows the document that the tests look at
//! ```

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{Request, StatusCode},
    routing::get,
};
use tower::ServiceExt;
use tower_xray::{
    Entity, Recorder, XRayLayer, document::SegmentDocument, emitter::InMemoryEmitter, sampling::SampleAll,
};

/// The service to be tested: it takes its recorder as an argument.
fn app(recorder: Recorder) -> Router {
    Router::new().route("/orders/{id}", get(show)).layer(XRayLayer::new("orders", recorder))
}

async fn show(Path(id): Path<u32>, segment: Entity) -> Result<&'static str, StatusCode> {
    segment.add_annotation("order", id);
    if id == 42 { Ok("an order") } else { Err(StatusCode::NOT_FOUND) }
}

/// What one request leaves behind.
async fn record(path: &str) -> SegmentDocument {
    let emitter = InMemoryEmitter::new();
    let recorder = Recorder::builder()
        .environment(|_| None)
        .emitter(emitter.clone())
        .sampling(SampleAll)
        .build()
        .expect("without an environment nothing can be wrong");
    let request = Request::get(path).body(Body::empty()).expect("a valid path");
    let response = app(recorder).oneshot(request).await.expect("a router does not fail");
    // The segment closes when its response has been read, or is dropped.
    axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body in memory");
    let mut documents = emitter.take();
    assert_eq!(documents.len(), 1, "one request, one segment");
    documents.remove(0)
}

#[tokio::main]
async fn main() {
    println!("{}", record("/orders/42").await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_order_is_recorded_by_its_route() {
        let segment = record("/orders/42").await;
        assert_eq!(segment.http_status(), Some(200));
        assert_eq!(segment.annotation("route"), Some("/orders/{id}".into()));
        assert_eq!(segment.annotation("order"), Some(42.into()));
    }

    #[tokio::test]
    async fn a_missing_order_is_an_error_and_no_fault() {
        let segment = record("/orders/7").await;
        assert!(segment.error());
        assert!(!segment.fault());
    }
}
