//! reqwest's client: in the layer, and behind the middleware.

use reqwest::Request;
use tower::{ServiceBuilder, ServiceExt};
use tower_xray::{Entity, FutureExt, XRayClientLayer, client::reqwest::XRayMiddleware, sampling::SampleNone};

use super::{calls, echo, nobody};
use crate::support::{recorder, recorder_with};

fn get(url: &str) -> Request {
    Request::new(http::Method::GET, url.parse().unwrap())
}

fn middleware() -> reqwest_middleware::ClientWithMiddleware {
    reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(XRayMiddleware::new()).build()
}

#[tokio::test]
async fn both_ways_leave_the_same_subsegment_and_the_response_as_it_was() {
    let (recorder, documents) = recorder();
    let address = echo().await;
    let url = format!("http://{address}/?token=s3cret");
    let layered = ServiceBuilder::new().layer(XRayClientLayer::new()).service(reqwest::Client::new());
    for way in 0..2 {
        let segment = recorder.begin_segment("orders");
        let entity = segment.entity().clone();
        let call = async {
            let response = match way {
                0 => layered.clone().oneshot(get(&url)).await.unwrap(),
                _ => middleware().execute(get(&url)).await.unwrap(),
            };
            assert_eq!(response.url().as_str(), url);
            assert_eq!(response.remote_addr(), Some(address));
            assert_eq!(response.version(), http::Version::HTTP_11);
            assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
            response.text().await.unwrap()
        };
        let text = call.in_entity(&entity).await;
        segment.close();
        let segment = documents.take_one();
        let id = segment.subsegments().next().unwrap().id();
        assert_eq!(text, format!("Root={};Parent={id};Sampled=1\n", segment.trace_id()));
        assert_eq!(calls(&segment), [format!("{address} remote GET http://{address}/ 200 {}", text.len())]);
    }
}

#[tokio::test]
async fn unsampled_and_untraced_calls_go_through() {
    let (recorder, documents) = recorder_with(|builder| builder.sampling(SampleNone));
    let address = echo().await;
    let url = format!("http://{address}/");
    let segment = recorder.begin_segment("orders");
    let call = async || middleware().execute(get(&url)).await.unwrap().text().await.unwrap();
    let text = call().in_entity(&segment).await;
    assert_eq!(text, format!("Root={};Parent={};Sampled=0\n", segment.trace_id().unwrap(), segment.id().unwrap()));
    assert_eq!(call().in_entity(&Entity::none()).await, "\n");
    segment.close();
    assert_eq!(documents.len(), 0);
}

#[tokio::test]
async fn a_status_is_flagged_and_a_transport_error_has_its_chain() {
    let (recorder, documents) = recorder();
    let (address, gone) = (echo().await, nobody());
    let segment = recorder.begin_segment("orders");
    let work = async {
        middleware().execute(get(&format!("http://{address}/status/429"))).await.unwrap();
        middleware().execute(get(&format!("http://{gone}/x?token=s3cret"))).await.unwrap_err();
    };
    work.in_entity(&segment).await;
    segment.close();
    let segment = documents.take_one();
    let calls = calls(&segment);
    assert_eq!(calls[0], format!("{address} remote GET http://{address}/status/429 error throttle 429 0"));
    assert!(calls[1].starts_with(&format!("{gone} remote GET http://{gone}/x fault null null | remote ")), "{calls:?}");
    assert!(calls[1].ends_with("Connection refused (os error 111)"), "{calls:?}");
    assert!(!segment.to_json().contains("s3cret"), "{segment}");
}

#[tokio::test]
async fn an_entity_in_the_extensions_of_the_request_goes_before_the_current_one() {
    let (recorder, documents) = recorder();
    let address = echo().await;
    let segment = recorder.begin_segment("orders");
    let request = middleware().get(format!("http://{address}/")).with_extension(segment.entity().clone());
    request.send().await.unwrap().text().await.unwrap();
    segment.close();
    assert_eq!(documents.take_one().subsegments().count(), 1);
}
