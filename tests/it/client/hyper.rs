//! `XRayClientLayer` around hyper-util's client.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_xray::{
    Entity, FutureExt, Segment, XRayClientLayer,
    client::{ResponseBody, XRayClient},
    header::TraceHeader,
    sampling::SampleNone,
};

use super::{calls, echo, nobody};
use crate::support::{recorder, recorder_with};

type HyperClient = XRayClient<Client<HttpConnector, Empty<Bytes>>>;

fn client(layer: XRayClientLayer) -> HyperClient {
    ServiceBuilder::new().layer(layer).service(Client::builder(TokioExecutor::new()).build_http())
}

fn request(uri: impl Into<String>) -> Request<Empty<Bytes>> {
    Request::get(uri.into()).body(Empty::new()).unwrap()
}

async fn send(
    client: &HyperClient,
    segment: &Entity,
    request: Request<Empty<Bytes>>,
) -> Response<ResponseBody<hyper::body::Incoming>> {
    client.clone().oneshot(request).in_entity(segment).await.unwrap()
}

/// The tracing headers that the service has got: `X-Amzn-Trace-Id`, `traceparent`.
async fn echoed(client: &HyperClient, segment: &Entity, request: Request<Empty<Bytes>>) -> (String, String) {
    let body = send(client, segment, request).await.into_body().collect().in_entity(segment).await.unwrap();
    let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    let (own, w3c) = body.split_once('\n').unwrap();
    (own.to_owned(), w3c.to_owned())
}

#[tokio::test]
async fn a_call_is_a_subsegment_and_its_id_is_the_callees_parent() {
    let (recorder, documents) = recorder();
    let address = echo().await;
    let segment = recorder.begin_segment("orders");
    let (header, traceparent) =
        echoed(&client(XRayClientLayer::new()), &segment, request(format!("http://{address}/?token=s3cret"))).await;
    segment.close();
    let segment = documents.take_one();
    let call = segment.subsegments().next().unwrap();
    assert_eq!(header, format!("Root={};Parent={};Sampled=1", segment.trace_id(), call.id()));
    assert_eq!(traceparent, "");
    assert_eq!(calls(&segment), [format!("{address} remote GET http://{address}/ 200 {}", header.len() + 1)]);
}

#[tokio::test]
async fn an_unsampled_call_passes_the_decision_on_and_a_call_without_a_trace_is_untouched() {
    let (recorder, documents) = recorder_with(|builder| builder.sampling(SampleNone));
    let address = echo().await;
    let client = client(XRayClientLayer::new());
    let segment = recorder.begin_segment("orders");
    let (header, _) = echoed(&client, &segment, request(format!("http://{address}/"))).await;
    let (root, id) = (segment.trace_id().unwrap(), segment.id().unwrap());
    assert_eq!(header, format!("Root={root};Parent={id};Sampled=0"));
    let (header, _) = echoed(&client, &Entity::none(), request(format!("http://{address}/"))).await;
    assert_eq!(header, "");
    segment.close();
    assert_eq!(documents.len(), 0);
}

#[tokio::test]
async fn a_header_that_was_copied_along_is_replaced_and_foreign_pairs_go_on() {
    let (recorder, documents) = recorder();
    let address = echo().await;
    let incoming: TraceHeader =
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a87bd80c:0"
            .parse()
            .unwrap();
    let segment = recorder.begin_segment_from("orders", Some(&incoming));
    let mut copied = request(format!("http://{address}/"));
    copied.headers_mut().append("x-amzn-trace-id", (&incoming).into());
    copied.headers_mut().append("x-amzn-trace-id", (&incoming).into());
    let (header, _) = echoed(&client(XRayClientLayer::new()), &segment, copied).await;
    segment.close();
    let id = documents.take_one().subsegments().next().unwrap().id();
    let expected = format!("Root=1-5759e988-bd862e3fe1be46a994272793;Parent={id};Sampled=1;Lineage=1:a87bd80c:0");
    assert_eq!(header, expected);
}

#[tokio::test]
async fn traceparent_and_traced_are_written_on_request() {
    let (recorder, documents) = recorder();
    let address = echo().await;
    let segment = recorder.begin_segment("orders");
    let client = client(XRayClientLayer::new().traceparent(true).traced(true));
    let (_, traceparent) = echoed(&client, &segment, request(format!("http://{address}/"))).await;
    segment.close();
    let segment = documents.take_one();
    let id = segment.subsegments().next().unwrap().id();
    assert_eq!(traceparent, format!("00-{:032x}-{id}-01", segment.trace_id().to_u128()));
    assert!(calls(&segment)[0].contains(" traced 200"), "{segment}");
    assert!(segment.to_json().contains(r#""traced":true}"#), "{segment}");
}

#[tokio::test]
async fn statuses_set_the_flags_of_the_call_alone() {
    let (recorder, documents) = recorder();
    let address = echo().await;
    let segment = recorder.begin_segment("orders");
    let client = client(XRayClientLayer::new());
    for status in [204, 404, 429, 503] {
        let response = send(&client, &segment, request(format!("http://{address}/status/{status}"))).await;
        response.into_body().collect().await.unwrap();
    }
    segment.close();
    let segment = documents.take_one();
    let expected = [(204, " 204"), (404, " error 404"), (429, " error throttle 429"), (503, " fault 503")]
        .map(|(path, told)| format!("{address} remote GET http://{address}/status/{path}{told} 0"));
    assert_eq!(calls(&segment), expected);
    assert!(!segment.error() && !segment.fault(), "{segment}");
}

#[tokio::test]
async fn a_transport_error_is_a_remote_fault_with_its_chain() {
    let (recorder, documents) = recorder();
    let address = nobody();
    let segment = recorder.begin_segment("orders");
    let call = client(XRayClientLayer::new()).oneshot(request(format!("http://{address}/")));
    assert!(call.in_entity(&segment).await.is_err());
    segment.close();
    let expected = format!(
        "{address} remote GET http://{address}/ fault null null \
         | remote hyper_util::client::legacy::client::Error: client error (Connect) \
         | remote ConnectError: tcp connect error \
         | remote Os: Connection refused (os error 111)"
    );
    let call = calls(&documents.take_one()).remove(0);
    assert_eq!(
        call.replace(
            "ConnectError: tcp connect error: Connection refused (os error 111)",
            "ConnectError: tcp connect error"
        ),
        expected
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_remote_fault_with_the_bytes_so_far() {
    let (recorder, documents) = recorder();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
    });
    let segment = recorder.begin_segment("orders");
    let response = send(&client(XRayClientLayer::new()), &segment, request(format!("http://{address}/"))).await;
    assert!(response.into_body().collect().await.is_err());
    segment.close();
    let call = calls(&documents.take_one()).remove(0);
    assert!(
        call.starts_with(&format!("{address} remote GET http://{address}/ fault 200 4 | remote hyper::error::Error: ")),
        "{call}"
    );
}

#[tokio::test]
async fn what_is_dropped_half_way_is_cancelled_and_no_fault_and_an_unread_body_is_neither() {
    let (recorder, documents) = recorder();
    let address = echo().await;
    let segment = recorder.begin_segment("orders");
    drop(send(&client(XRayClientLayer::new()), &segment, request(format!("http://{address}/"))).await);
    let never = service_fn(|_: Request<()>| std::future::pending::<Result<Response<String>, std::io::Error>>());
    let never = ServiceBuilder::new().layer(XRayClientLayer::new()).service(never);
    let call = never.oneshot(Request::get("http://pricing.internal:80/quote").body(()).unwrap());
    tokio::select! {
        biased;
        _ = call.in_entity(&segment) => unreachable!(),
        () = std::future::ready(()) => {}
    }
    // A stream that goes on, of which one frame is read.
    let endless =
        || futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"quote"))));
    let endless = service_fn(async |_: Request<()>| Ok::<_, BoxError>(Response::new(StreamBody::new(endless()))));
    let endless = ServiceBuilder::new().layer(XRayClientLayer::new().boxed_errors()).service(endless);
    let request = Request::get("http://pricing.internal/").body(()).unwrap();
    let mut body = endless.oneshot(request).in_entity(&segment).await.unwrap().into_body();
    assert!(body.frame().await.is_some());
    drop(body);
    segment.close();
    let calls = calls(&documents.take_one());
    assert!(calls[0].starts_with(&format!("{address} remote GET http://{address}/ 200 ")), "{calls:?}");
    assert_eq!(calls[1], "pricing.internal remote GET http://pricing.internal/quote cancelled null null");
    assert_eq!(calls[2], "pricing.internal remote GET http://pricing.internal/ cancelled 200 5");
}

#[tokio::test]
async fn the_name_is_the_host_with_a_port_that_is_not_the_default() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let ok = service_fn(async |_: Request<()>| Ok::<_, std::convert::Infallible>(Response::new(String::new())));
    let client = ServiceBuilder::new().layer(XRayClientLayer::new()).service(ok);
    for uri in [
        "http://a/x?y",
        "http://a:80/",
        "https://a:443/",
        "https://a:80/",
        "http://u:p@a:8080/",
        "http://[::1]:80/",
        "/x",
    ] {
        let request = Request::get(uri).body(()).unwrap();
        client.clone().oneshot(request).in_entity(&segment).await.unwrap();
    }
    let request = Request::get("/x").header("host", "b:8080").body(()).unwrap();
    client.oneshot(request).in_entity(&segment).await.unwrap();
    segment.close();
    let segment = documents.take_one();
    let names: Vec<_> =
        segment.subsegments().map(|call| (call.name().to_owned(), call.http_url().to_owned())).collect();
    let expected = [
        ("a", "http://a/x"),
        ("a", "http://a/"),
        ("a", "https://a/"),
        ("a:80", "https://a:80/"),
        ("a:8080", "http://a:8080/"),
        ("_::1_", "http://[::1]/"),
        ("unknown", "http://unknown/x"),
        ("b:8080", "http://b:8080/x"),
    ];
    assert_eq!(names, expected.map(|(name, url)| (name.to_owned(), url.to_owned())));
}

#[tokio::test]
async fn a_name_can_be_given_to_calls_that_do_not_say_where_they_go() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let ok = service_fn(async |_: Request<()>| Ok::<_, std::convert::Infallible>(Response::new(String::new())));
    let client = ServiceBuilder::new().layer(XRayClientLayer::new().name("pricing")).service(ok);
    client.oneshot(Request::get("/shop.Prices/Quote").body(()).unwrap()).in_entity(&segment).await.unwrap();
    segment.close();
    let segment = documents.take_one();
    let call = segment.subsegments().next().unwrap();
    assert_eq!((call.name(), call.http_url()), ("pricing", "http://unknown/shop.Prices/Quote"));
}

#[tokio::test]
async fn retries_inside_are_children_and_a_boxed_error_is_understood() {
    #[derive(Clone)]
    struct Attempts(usize);

    impl tower::retry::Policy<Request<()>, Response<String>, BoxError> for Attempts {
        type Future = std::future::Ready<()>;

        fn retry(
            &mut self,
            _: &mut Request<()>,
            result: &mut Result<Response<String>, BoxError>,
        ) -> Option<Self::Future> {
            let again = result.is_err() && self.0 > 1;
            self.0 -= 1;
            again.then(|| std::future::ready(()))
        }

        fn clone_request(&mut self, request: &Request<()>) -> Option<Request<()>> {
            Some(request.clone())
        }
    }

    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let refuses = service_fn(async |_: Request<()>| {
        tower_xray::current().add_annotation("attempt", true);
        Err::<Response<String>, BoxError>(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into())
    });
    let client = ServiceBuilder::new()
        .layer(XRayClientLayer::new().boxed_errors())
        .retry(Attempts(3))
        .timeout(Duration::from_secs(60))
        .service(refuses);
    let request = Request::get(Uri::from_static("http://pricing.internal/")).body(()).unwrap();
    assert!(client.oneshot(request).in_entity(&segment).await.is_err());
    segment.close();
    let document = documents.take_one();
    let refused = "remote Kind: connection refused";
    assert_eq!(
        calls(&document),
        [format!("pricing.internal remote GET http://pricing.internal/ fault null null | {refused}")]
    );
    assert_eq!(document.subsegments().next().unwrap().annotation("attempt"), Some(true.into()));
}

#[tokio::test]
async fn a_request_that_brings_an_entity_along_belongs_to_it() {
    let (recorder, documents) = recorder();
    let (inbound, other): (Segment, Segment) = (recorder.begin_segment("inbound"), recorder.begin_segment("other"));
    let inner = service_fn(async |request: Request<()>| {
        let entity: &Entity = request.extensions().get().unwrap();
        entity.add_annotation("inner", true);
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    });
    let mut client = ServiceBuilder::new().layer(XRayClientLayer::new()).service(inner);
    let mut request = Request::get("http://a/").body(()).unwrap();
    request.extensions_mut().insert(inbound.entity().clone());
    client.ready().await.unwrap().call(request).in_entity(&other).await.unwrap();
    inbound.close();
    let document = documents.take_one();
    assert_eq!(document.subsegments().next().unwrap().annotation("inner"), Some(true.into()));
    other.close();
    assert_eq!(documents.take_one().subsegments().count(), 0);
}
