//! W3C Trace Context: `traceparent` is the same trace in other words, and steps in where X-Ray's header says less.

use std::{convert::Infallible, num::NonZero};

use http::{HeaderMap, HeaderValue, Request, Response};
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    SegmentId, TraceHeader, TraceId, XRayLayer,
    header::{SamplingDecision, X_AMZN_TRACE_ID},
    sampling::SampleNone,
    server::Trust,
    w3c::{self, TRACEPARENT},
};

use crate::support::{recorder, recorder_with};

const FOREIGN: &str = "00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-01";
const FOREIGN_AS_XRAY: &str = "Root=1-4efaaf4d-1e8720b39541901950019ee5;Parent=53995c3f42cd8ad8;Sampled=1";

fn understood(traceparent: &[u8]) -> Option<String> {
    w3c::parse(traceparent).map(|header| header.to_string())
}

#[test]
fn a_traceparent_is_the_same_trace() {
    let not_sampled = "Root=1-4efaaf4d-1e8720b39541901950019ee5;Parent=53995c3f42cd8ad8;Sampled=0";
    for (traceparent, expected) in [
        ("00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-01", FOREIGN_AS_XRAY),
        ("00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-00", not_sampled),
        // Only the lowest flag is about sampling.
        ("00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-fe", not_sampled),
        ("00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-ff", FOREIGN_AS_XRAY),
        // Later versions begin like version 00.
        ("01-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-01", FOREIGN_AS_XRAY),
        ("cc-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-01-what the future brings", FOREIGN_AS_XRAY),
        ("01-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-01-", FOREIGN_AS_XRAY),
    ] {
        assert_eq!(understood(traceparent.as_bytes()).as_deref(), Some(expected), "{traceparent}");
    }
}

#[test]
fn what_is_no_traceparent_is_as_good_as_absent() {
    for traceparent in [
        "",
        "00",
        "00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-0",
        "00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-01-",
        "00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-01-x",
        "01-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-01x",
        "ff-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-01",
        "00-00000000000000000000000000000000-53995c3f42cd8ad8-01",
        "00-4efaaf4d1e8720b39541901950019ee5-0000000000000000-01",
        "00-4EFAAF4D1E8720B39541901950019EE5-53995c3f42cd8ad8-01",
        "00-4efaaf4d1e8720b39541901950019ee5-53995C3F42CD8AD8-01",
        "0A-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-01",
        "00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-0A",
        "00-4efaaf4d1e8720b39541901950019eeg-53995c3f42cd8ad8-01",
        "00_4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-01",
        "00-4efaaf4d1e8720b39541901950019ee5_53995c3f42cd8ad8-01",
        "00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8_01",
        " 00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-01",
        "00-1-4efaaf4d-1e8720b39541901950019ee5-53995c3f42cd8ad8-01",
    ] {
        assert_eq!(understood(traceparent.as_bytes()), None, "{traceparent}");
    }
    assert_eq!(understood(b"00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-\xff\xff"), None);
}

#[test]
fn a_header_becomes_a_traceparent_if_it_names_a_parent() {
    let written = |text: &str| w3c::format(&text.parse().unwrap()).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(written(FOREIGN_AS_XRAY).as_deref(), Some(FOREIGN));
    assert_eq!(
        written("Root=1-0000000a-00000000000000000000000b;Parent=000000000000000c;Sampled=0;a=b").as_deref(),
        Some("00-0000000a00000000000000000000000b-000000000000000c-00"),
    );
    // W3C Trace Context knows no open decision.
    for open in ["", ";Sampled=?"] {
        assert_eq!(
            written(&format!("Root=1-4efaaf4d-1e8720b39541901950019ee5;Parent=53995c3f42cd8ad8{open}")).as_deref(),
            Some("00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-00"),
        );
    }
    assert_eq!(written("Root=1-4efaaf4d-1e8720b39541901950019ee5;Sampled=1"), None);
}

#[test]
fn the_xray_header_goes_first_unless_it_names_no_parent() {
    let root = "Root=1-5759e988-bd862e3fe1be46a994272793";
    let with_parent = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=1111111111111111;Sampled=0";
    let broken = "00-4efaaf4d1e8720b39541901950019ee5-0000000000000000-01";
    let with_extra = format!("{FOREIGN_AS_XRAY};Lineage=1:a87bd80c:0");
    for (xray, traceparent, expected) in [
        (None, None, None),
        (None, Some(FOREIGN), Some(FOREIGN_AS_XRAY)),
        (None, Some(broken), None),
        (Some("Root=broken"), Some(FOREIGN), Some(FOREIGN_AS_XRAY)),
        (Some("Root=broken"), Some(broken), None),
        (Some(with_parent), Some(FOREIGN), Some(with_parent)),
        // A load balancer adds a root to a request that it takes for untraced.
        (Some(root), Some(FOREIGN), Some(FOREIGN_AS_XRAY)),
        (Some(root), Some(broken), Some(root)),
        (Some(root), None, Some(root)),
        (
            Some("Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=1:a87bd80c:0"),
            Some(FOREIGN),
            Some(with_extra.as_str()),
        ),
    ] {
        let mut headers = HeaderMap::new();
        xray.map(|value| headers.insert(&X_AMZN_TRACE_ID, HeaderValue::from_str(value).unwrap()));
        traceparent.map(|value| headers.insert(&TRACEPARENT, HeaderValue::from_str(value).unwrap()));
        let header = TraceHeader::from_headers(&headers).map(|header| header.to_string());
        assert_eq!(header.as_deref(), expected, "{xray:?} {traceparent:?}");
    }
}

#[tokio::test]
async fn a_traceparent_that_is_not_trusted_counts_for_nothing() {
    let (recorder, documents) = recorder();
    let handler = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    let request = Request::builder().header(&TRACEPARENT, FOREIGN).body(()).unwrap();
    let layer = XRayLayer::new("orders", recorder).trust(Trust::None);
    layer.layer(handler).oneshot(request).await.unwrap();
    let document = documents.take_one();
    assert_ne!(document.trace_id().to_string(), "1-4efaaf4d-1e8720b39541901950019ee5");
    assert_eq!(document.parent_id(), None);
}

#[test]
fn what_is_not_recorded_has_a_traceparent_that_says_so() {
    let (recorder, _) = recorder_with(|builder| builder.sampling(SampleNone));
    let segment = recorder.begin_segment_from("worker", w3c::parse(FOREIGN.as_bytes()).map(undecided).as_ref());
    let written = w3c::format(&segment.header().unwrap()).unwrap();
    assert_eq!(written, format!("00-4efaaf4d1e8720b39541901950019ee5-{}-00", segment.id().unwrap()));
}

fn undecided(header: TraceHeader) -> TraceHeader {
    header.with_decision(SamplingDecision::Unknown)
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in any::<Vec<u8>>(), near in "[0-9a-f-]{50,60}") {
        let _ = (w3c::parse(&bytes), w3c::parse(near.as_bytes()));
    }

    #[test]
    fn a_traceparent_that_is_written_is_read_as_the_same(root in 1..u128::MAX, parent in 1..u64::MAX, sampled: bool) {
        let header = TraceHeader::new(TraceId::from_u128(NonZero::new(root).unwrap()))
            .with_parent(SegmentId::from_u64(NonZero::new(parent).unwrap()))
            .with_decision(SamplingDecision::from(sampled));
        let written = w3c::format(&header).unwrap();
        prop_assert_eq!(&written, &format!("00-{root:032x}-{parent:016x}-0{}", u8::from(sampled)));
        prop_assert_eq!(w3c::parse(written.as_bytes()), Some(header));
    }
}
