//! What the header of a request decides, and what the response says.

use std::convert::Infallible;

use http::{HeaderMap, Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    SegmentId, TraceId, XRayLayer, current,
    document::SegmentDocument,
    header::TraceHeader,
    sampling::{SampleAll, SampleNone},
    server::Trust,
};

use crate::support::{recorder, recorder_with};

const ROOT: &str = "1-5759e988-bd862e3fe1be46a994272793";
const PARENT: &str = "53995c3f42cd8ad8";
const W3C_ROOT: &str = "1-4efaaf4d-1e8720b39541901950019ee5";
const TRACEPARENT: &str = "00-4efaaf4d1e8720b39541901950019ee5-00f067aa0ba902b7-01";

/// What one request has led to.
struct Outcome {
    segment: Option<SegmentDocument>,
    response: HeaderMap,
    /// The header that a call from inside the handler would carry.
    downstream: Option<TraceHeader>,
    /// The segment's id, recorded or not.
    id: Option<SegmentId>,
    opened: (u64, u64),
}

/// Sends a request with these headers through a layer whose own decision is `sampled`.
async fn ask(sampled: bool, adjust: fn(XRayLayer) -> XRayLayer, headers: &[(&str, &str)]) -> Outcome {
    let (recorder, documents) = recorder_with(|builder| match sampled {
        true => builder.sampling(SampleAll),
        false => builder.sampling(SampleNone),
    });
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let service = service_fn(move |_: Request<()>| {
        sender.send((current().header(), current().id())).unwrap();
        async { Ok::<_, Infallible>(Response::new(String::new())) }
    });
    let mut request = Request::get("http://a/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let service = adjust(XRayLayer::new("orders", recorder.clone())).layer(service);
    let response = service.oneshot(request.body(()).unwrap()).await.unwrap();
    let (downstream, id) = receiver.recv().await.unwrap();
    let segment = documents.take().pop();
    let stats = recorder.stats();
    let response = response.into_parts().0.headers;
    Outcome { segment, response, downstream, id, opened: (stats.opened, stats.sampled) }
}

fn header(value: &str) -> Vec<(&'static str, &str)> {
    vec![("x-amzn-trace-id", value)]
}

/// Trace id, parent and decision, and the response's header with the trace id as `…`.
fn told(outcome: &Outcome) -> (TraceId, Option<SegmentId>, bool, String) {
    let downstream = outcome.downstream.clone().unwrap();
    assert_eq!(downstream.parent(), outcome.id, "calls name the segment as their parent");
    assert_eq!(downstream.decision().made(), Some(outcome.segment.is_some()));
    if let Some(segment) = &outcome.segment {
        assert_eq!((segment.trace_id(), Some(segment.id())), (downstream.root(), outcome.id));
    }
    assert_eq!(outcome.opened, (1, u64::from(outcome.segment.is_some())));
    let response = outcome.response.get("x-amzn-trace-id").map_or("", |value| value.to_str().unwrap());
    let parent = outcome.segment.as_ref().and_then(SegmentDocument::parent_id);
    let response = response.replace(&downstream.root().to_string(), "…");
    (downstream.root(), parent, outcome.segment.is_some(), response)
}

#[tokio::test]
async fn root_alone_as_a_load_balancer_sends_it_keeps_the_trace_and_is_decided_here() {
    let root: TraceId = ROOT.parse().unwrap();
    let value = format!("Root={ROOT}");
    let sampled = ask(true, |layer| layer, &header(&value)).await;
    assert_eq!(told(&sampled), (root, None, true, "Root=…".to_owned()));
    let unsampled = ask(false, |layer| layer, &header(&value)).await;
    assert_eq!(told(&unsampled), (root, None, false, "Root=…".to_owned()));
    let balanced = format!("Self=1-67891234-12456789abcdef012345678a;Root={ROOT};CalledFrom=app");
    let balanced = ask(true, |layer| layer, &header(&balanced)).await;
    assert_eq!(told(&balanced), (root, None, true, "Root=…".to_owned()));
    let expected = format!("Root={ROOT};Parent={};Sampled=1;CalledFrom=app", balanced.id.unwrap());
    assert_eq!(balanced.downstream.unwrap().to_string(), expected);
}

#[tokio::test]
async fn the_decision_table_of_the_header_holds() {
    let (root, parent) = (ROOT.parse().unwrap(), PARENT.parse().ok());
    for own in [true, false] {
        let table: [(String, bool, &str); 6] = [
            (format!("Root={ROOT};Parent={PARENT}"), own, "Root=…"),
            (format!("Root={ROOT};Parent={PARENT};Sampled=1"), true, "Root=…"),
            (format!("Root={ROOT};Parent={PARENT};Sampled=0"), false, "Root=…"),
            (format!("Root={ROOT};Parent={PARENT};Sampled=x"), own, "Root=…"),
            (
                format!("Root={ROOT};Parent={PARENT};Sampled=?"),
                own,
                if own { "Root=…;Sampled=1" } else { "Root=…;Sampled=0" },
            ),
            (format!(" parent = {PARENT} ; ; root={ROOT};SAMPLED=1;"), true, "Root=…"),
        ];
        for (value, sampled, response) in table {
            let outcome = ask(own, |layer| layer, &header(&value)).await;
            let parent = if sampled { parent } else { None };
            assert_eq!(told(&outcome), (root, parent, sampled, response.to_owned()), "{value}");
        }
    }
}

#[tokio::test]
async fn without_a_usable_header_a_new_trace_begins_now() {
    let huge = format!("Root={ROOT};x={}", "y".repeat(3000));
    for value in [None, Some(""), Some("Root=garbage;Parent=zzz;Sampled=1"), Some(huge.as_str())] {
        let headers = value.map(header).unwrap_or_default();
        for own in [true, false] {
            let outcome = ask(own, |layer| layer, &headers).await;
            let (root, parent, sampled, response) = told(&outcome);
            assert_eq!((parent, sampled, response.as_str()), (None, own, "Root=…"));
            let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
            assert!(now.abs_diff(root.epoch_seconds().into()) < 60, "{root}");
        }
    }
}

#[tokio::test]
async fn trust_limits_what_a_header_may_say() {
    let value = format!("Root={ROOT};Parent={PARENT};Sampled=1;Lineage=1:a87bd80c:0");
    let ids_only = ask(false, |layer| layer.trust(Trust::IdsOnly), &header(&value)).await;
    assert_eq!(told(&ids_only), (ROOT.parse().unwrap(), None, false, "Root=…".to_owned()));
    let ids_only = ask(true, |layer| layer.trust(Trust::IdsOnly), &header(&value.replace("=1;", "=0;"))).await;
    assert_eq!(told(&ids_only), (ROOT.parse().unwrap(), PARENT.parse().ok(), true, "Root=…".to_owned()));
    let nothing = ask(true, |layer| layer.trust(Trust::None), &header(&value)).await;
    let (root, parent, sampled, _) = told(&nothing);
    assert_eq!((root.to_string() == ROOT, parent, sampled), (false, None, true));
    assert_eq!(nothing.downstream.unwrap().extra().count(), 0);
}

#[tokio::test]
async fn traceparent_counts_where_the_own_header_names_no_parent() {
    let (w3c_root, w3c_parent) = (W3C_ROOT.parse().unwrap(), "00f067aa0ba902b7".parse().ok());
    let traceparent = ("traceparent", TRACEPARENT);
    let alone = ask(false, |layer| layer, &[traceparent]).await;
    assert_eq!(told(&alone), (w3c_root, w3c_parent, true, "Root=…".to_owned()));
    let balanced = format!("Root={ROOT}");
    let behind_a_balancer = ask(false, |layer| layer, &[traceparent, ("x-amzn-trace-id", &balanced)]).await;
    assert_eq!(told(&behind_a_balancer), (w3c_root, w3c_parent, true, "Root=…".to_owned()));
    let own = format!("Root={ROOT};Parent={PARENT};Sampled=1");
    let own = ask(false, |layer| layer, &[traceparent, ("x-amzn-trace-id", &own)]).await;
    assert_eq!(told(&own), (ROOT.parse().unwrap(), PARENT.parse().ok(), true, "Root=…".to_owned()));
    let off = ask(true, |layer| layer.traceparent(false), &[traceparent]).await;
    assert_ne!(told(&off).0, w3c_root);
    let unsampled = TRACEPARENT.replace("-01", "-00");
    let unsampled = ask(true, |layer| layer, &[("traceparent", &unsampled)]).await;
    assert_eq!(told(&unsampled), (w3c_root, None, false, "Root=…".to_owned()));
}

#[tokio::test]
async fn the_response_header_can_be_switched_off_and_never_replaces_the_handlers() {
    let off = ask(true, |layer| layer.response_header(false), &[]).await;
    assert_eq!(off.response.get("x-amzn-trace-id"), None);

    let (recorder, _documents) = recorder();
    let service = XRayLayer::new("orders", recorder).layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::builder().header("x-amzn-trace-id", "Root=upstream").body(String::new()).unwrap())
    }));
    let response = service.oneshot(Request::new(())).await.unwrap();
    let values: Vec<_> = response.headers().get_all("x-amzn-trace-id").iter().collect();
    assert_eq!(values, ["Root=upstream"]);
}

#[tokio::test]
async fn a_disabled_recorder_records_nothing_and_passes_the_header_on() {
    let disabled = |value: Option<String>| async move {
        let (recorder, documents) = recorder_with(|builder| {
            builder.environment(|name| (name == "AWS_XRAY_SDK_DISABLED").then(|| "TRUE".to_owned()))
        });
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let service = XRayLayer::new("orders", recorder.clone()).layer(service_fn(move |_: Request<()>| {
            sender.send(current().header().map(|header| header.to_string())).unwrap();
            async { Ok::<_, Infallible>(Response::new(String::new())) }
        }));
        let mut request = Request::get("http://a/");
        if let Some(value) = &value {
            request = request.header("x-amzn-trace-id", value);
        }
        let response = service.oneshot(request.body(()).unwrap()).await.unwrap();
        assert_eq!((documents.len(), recorder.stats().opened), (0, 0));
        assert_eq!(response.headers().get("x-amzn-trace-id"), None);
        receiver.recv().await.unwrap()
    };
    assert_eq!(disabled(None).await, None);
    for value in [format!("Root={ROOT}"), format!("Root={ROOT};Parent={PARENT};Sampled=1;Lineage=1:a87bd80c:0")] {
        assert_eq!(disabled(Some(value.clone())).await, Some(value));
    }
    assert_eq!(disabled(Some(format!("Root={ROOT};Sampled=?"))).await, Some(format!("Root={ROOT}")));
}
