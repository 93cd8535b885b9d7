//! What gRPC says about errors: in trailers, or in the headers of a response that has nothing else.

use std::convert::Infallible;

use axum::{Router, body::Body, routing::post};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{ServiceBuilder, ServiceExt};
use tower_xray::{FutureExt, XRayClientLayer, XRayLayer, document::EntityDocument};

use crate::support::{emitting_recorder, recorder, serve};

/// A response with this status: in trailers after a message, or in its headers.
fn response(code: u32, trailers_only: bool) -> Response<Body> {
    let status = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), code.into())]);
    if trailers_only {
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = status;
        return response;
    }
    let message = Frame::data(Bytes::from_static(b"message"));
    let frames = [message, Frame::trailers(status)].map(Ok::<_, Infallible>);
    Response::new(Body::new(StreamBody::new(futures_util::stream::iter(frames))))
}

fn told(entity: EntityDocument<'_>) -> String {
    let flags = [(entity.error(), "error"), (entity.throttle(), "throttle"), (entity.fault(), "fault")];
    let flags: Vec<_> = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag).collect();
    let code = entity.annotation("grpc_status");
    format!("{:?} {} {code:?}", entity.http_status(), flags.join("+"))
}

#[tokio::test]
async fn its_status_sets_the_flags_on_both_sides() {
    for trailers_only in [false, true] {
        let (server, mut emitted) = emitting_recorder();
        let app = Router::new().route(
            "/shop.Orders/{method}",
            post(async move |axum::extract::Path(code): axum::extract::Path<u32>| response(code, trailers_only)),
        );
        let address = serve(app.layer(XRayLayer::new("orders", server))).await;
        let (caller, documents) = recorder();
        let http2: Client<HttpConnector, Empty<Bytes>> =
            Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let client = ServiceBuilder::new().layer(XRayClientLayer::new()).service(http2);
        for (code, flags) in [(0, ""), (5, "error"), (8, "error+throttle"), (13, "fault"), (14, "fault"), (99, "fault")]
        {
            let segment = caller.begin_segment("shop");
            let request = Request::post(format!("http://{address}/shop.Orders/{code}")).body(Empty::new()).unwrap();
            let response = client.clone().oneshot(request).in_entity(&segment).await.unwrap();
            response.into_body().collect().await.unwrap();
            segment.close();
            let annotation = if code == 0 { "None".to_owned() } else { format!("Some(Integer({code}))") };
            let expected = format!("Some(200) {flags} {annotation}");
            assert_eq!(told(emitted.next().await.root()), expected);
            assert_eq!(told(documents.take_one().subsegments().next().unwrap()), expected);
        }
    }
}
