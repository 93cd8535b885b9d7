//! Segments that are decided about otherwise than by the header and the strategy: captured, kept, discarded, forced.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    FutureExt, Recorder, XRayLayer, current,
    sampling::{Capture, Decision, SampleAll, SampleNone},
};

use crate::support::{Documents, recorder_with};

/// A recorder that samples nothing but captures, and a clock that a test moves.
fn capturing(capture: Capture) -> (Recorder, Documents, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(1_755_443_396_000_000));
    let clock = now.clone();
    let (recorder, documents) = recorder_with(|builder| {
        builder.sampling(SampleNone).capture(capture).clock(move || Duration::from_micros(clock.load(Relaxed)))
    });
    (recorder, documents, now)
}

/// Serves one request with this status; what calls from inside would carry.
async fn serve(layer: XRayLayer, status: u16, header: Option<&str>) -> String {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        sender.send(current().header().unwrap().to_string()).unwrap();
        async move {
            async {}.in_subsegment("work").await;
            Ok::<_, std::convert::Infallible>(Response::builder().status(status).body(String::new()).unwrap())
        }
    }));
    let mut request = Request::get("http://a/");
    if let Some(header) = header {
        request = request.header("x-amzn-trace-id", header);
    }
    service.oneshot(request.body(()).unwrap()).await.unwrap();
    receiver.recv().await.unwrap()
}

/// Why each document was captured, and how many subsegments it has.
fn captured(documents: &Documents) -> Vec<(String, usize)> {
    let why = |document: &tower_xray::document::SegmentDocument| match document.annotation("captured") {
        Some(tower_xray::document::AnnotationValue::Text(why)) => why.into_owned(),
        other => format!("{other:?}"),
    };
    documents.take().iter().map(|document| (why(document), document.subsegments().count())).collect()
}

#[tokio::test]
async fn faults_are_captured_and_callees_still_see_no_sample() {
    let (recorder, documents, _) = capturing(Capture::faults());
    let layer = XRayLayer::new("orders", recorder.clone());
    for (status, expected) in [(200, vec![]), (404, vec![]), (500, vec![("fault".to_owned(), 1)])] {
        let downstream = serve(layer.clone(), status, None).await;
        assert!(downstream.ends_with(";Sampled=0"), "{downstream}");
        assert_eq!(captured(&documents), expected, "{status}");
    }
    let stats = recorder.stats();
    assert_eq!((stats.opened, stats.sampled, stats.captured, stats.capture_limited), (3, 0, 1, 0));
}

#[tokio::test]
async fn errors_and_slow_segments_are_captured_on_request() {
    let (recorder, documents, now) = capturing(Capture::errors().slower_than(Duration::from_secs(3)).per_second(10));
    let layer = XRayLayer::new("orders", recorder.clone());
    serve(layer.clone(), 404, None).await;
    assert_eq!(captured(&documents), [("error".to_owned(), 1)]);
    for (seconds, expected) in [(3, vec![]), (4, vec![("slow".to_owned(), 0)])] {
        let segment = recorder.begin_segment("report");
        now.fetch_add(seconds * 1_000_000, Relaxed);
        segment.close();
        assert_eq!(captured(&documents), expected);
    }
}

#[tokio::test]
async fn the_callers_decision_against_is_captured_too_and_its_decision_for_is_no_capture() {
    let (recorder, documents, _) = capturing(Capture::faults());
    let layer = XRayLayer::new("orders", recorder);
    let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=";
    let downstream = serve(layer.clone(), 500, Some(&format!("{header}0"))).await;
    assert!(downstream.ends_with(";Sampled=0"), "{downstream}");
    let document = documents.take_one();
    assert_eq!(document.annotation("captured"), Some("fault".into()));
    assert_eq!(document.trace_id().to_string(), "1-5759e988-bd862e3fe1be46a994272793");
    serve(layer, 500, Some(&format!("{header}1"))).await;
    assert_eq!(documents.take_one().annotation("captured"), None);
}

#[test]
fn captures_are_limited_per_second_and_the_limited_ones_are_counted() {
    let (recorder, documents, now) = capturing(Capture::faults());
    let fail = || {
        let segment = recorder.begin_segment("report");
        segment.set_fault();
    };
    (0..3).for_each(|_| fail());
    now.fetch_add(1_000_000, Relaxed);
    fail();
    assert_eq!(documents.take().len(), 2);
    let stats = recorder.stats();
    assert_eq!((stats.captured, stats.capture_limited, stats.emitted), (2, 2, 2));
}

#[test]
fn what_outlives_a_segment_shares_its_fate() {
    let (recorder, documents, _) = capturing(Capture::faults());
    for fault in [true, false] {
        let segment = recorder.begin_segment("report");
        let child = segment.begin_subsegment("late");
        if fault {
            segment.set_fault();
        }
        segment.close();
        child.close();
        let names: Vec<_> = documents.take().iter().map(|document| document.name().to_owned()).collect();
        assert_eq!(names, if fault { vec!["report", "late"] } else { vec![] });
    }
}

#[test]
fn a_segment_is_kept_on_request_beyond_the_limit() {
    let (recorder, documents, _) = capturing(Capture::kept().per_second(0));
    for keep in [true, false, true] {
        let segment = recorder.begin_segment("report");
        let _entered = segment.enter();
        if keep {
            current().keep();
        }
    }
    assert_eq!(captured(&documents), vec![("kept".to_owned(), 0); 2]);
    assert_eq!(recorder.stats().captured, 2);
}

#[test]
fn nothing_can_be_kept_that_is_not_recorded() {
    let (recorder, documents) = recorder_with(|builder| builder.sampling(SampleNone));
    let segment = recorder.begin_segment("report");
    segment.keep();
    segment.close();
    assert_eq!((documents.len(), recorder.stats().captured), (0, 0));
}

#[test]
fn a_sampled_segment_is_discarded_on_request() {
    let (recorder, documents) = recorder_with(|builder| builder.sampling(SampleAll));
    let segment = recorder.begin_segment("report");
    let child = segment.begin_subsegment("late");
    child.discard();
    child.keep();
    segment.close();
    child.close();
    let stats = recorder.stats();
    assert_eq!((documents.len(), stats.sampled, stats.discarded, stats.emitted), (0, 1, 1, 0));
}

#[tokio::test]
async fn a_closure_decides_before_the_header_and_the_strategy() {
    let (recorder, documents) = recorder_with(|builder| builder.sampling(SampleNone));
    let layer =
        XRayLayer::new("orders", recorder.clone()).decide(|request| match request.headers.get("x-amzn-trace-id") {
            Some(_) => Some(Decision::new(false)),
            None => Some(Decision::new(true).by_rule("debug")),
        });
    let downstream = serve(layer.clone(), 200, None).await;
    assert!(downstream.ends_with(";Sampled=1"), "{downstream}");
    assert_eq!(documents.take_one().sampling_rule_name(), Some("debug"));
    let downstream = serve(layer, 200, Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")).await;
    assert!(downstream.ends_with(";Sampled=0"), "{downstream}");
    assert_eq!(documents.len(), 0);
    let silent = XRayLayer::new("orders", recorder).decide(|_| None);
    assert!(serve(silent, 200, None).await.ends_with(";Sampled=0"));
}
