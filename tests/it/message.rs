//! Messages: from a producer's trace to the segment of whoever receives them.

use serde_json::Value;
use tower_xray::{
    Recorder, TraceHeader,
    emitter::InMemoryEmitter,
    header::SamplingDecision,
    message,
    sampling::{SampleAll, SampleNone, SamplingStrategy},
};

use super::support::{assert_valid, recorder};

fn header(trace: u32, decision: &str) -> TraceHeader {
    format!("Root=1-5759e988-{trace:024x};Parent={trace:016x}{decision}").parse().unwrap()
}

/// The only document of a batch, as JSON.
fn batch(strategy: impl SamplingStrategy + 'static, headers: &[TraceHeader]) -> Option<Value> {
    let emitter = InMemoryEmitter::new();
    let builder = Recorder::builder().environment(|_| None).emitter(emitter.clone());
    let recorder = builder.sampling(strategy).build().unwrap();
    recorder.begin_batch("order-worker", headers.iter().cloned()).close();
    let documents = emitter.take();
    documents.iter().for_each(assert_valid);
    assert!(documents.len() <= 1, "{documents:?}");
    documents.first().map(|document| serde_json::from_str(&document.to_json()).unwrap())
}

fn linked(document: &Value) -> Vec<&str> {
    let links = document["links"].as_array().map(Vec::as_slice).unwrap_or_default();
    links.iter().map(|link| link["id"].as_str().unwrap()).collect()
}

#[test]
fn the_field_of_the_current_entity_names_it_as_the_parent() {
    let (recorder, _) = recorder();
    assert_eq!(message::current_field(), None);
    let segment = recorder.begin_segment("orders");
    let call = segment.begin_subsegment("SQS");
    let _entered = call.enter();
    let (root, parent) = (segment.trace_id().unwrap(), call.id().unwrap());
    assert_eq!(message::current_field().unwrap(), format!("Root={root};Parent={parent};Sampled=1"));
}

#[test]
fn a_field_is_never_longer_than_the_services_take() {
    let long =
        format!("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;a={}", "b".repeat(200));
    let short = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:1|b:2";
    let field = |text: &str| text.parse::<TraceHeader>().unwrap().to_field();
    assert_eq!(field(&long), "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1");
    assert_eq!(field(short), short);
    assert!(long.len() > message::MAX_FIELD);
}

#[test]
fn a_field_tells_whether_the_trace_is_recorded() {
    for (field, sampled) in [
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", true),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", true),
        ("Root=1-5759E988-BD862E3FE1BE46A994272793;Parent=53995c3f42cd8ad8;Sampled=1", true),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0", false),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=?", false),
        ("Root=1-5759e988-bd862e3fe1be46a994272793", false),
        ("Sampled=1", false),
        ("Root=1-5759e988-nonsense;Sampled=1", false),
        ("", false),
    ] {
        assert_eq!(message::is_sampled(field), sampled, "{field}");
    }
}

#[test]
fn a_damaged_attribute_begins_a_new_trace() {
    let (recorder, documents) = recorder();
    for attribute in ["Root=1-5759e988", "\u{0}\u{1}", "💥", &"Root=1;".repeat(10_000)] {
        let headers = [attribute].into_iter().filter_map(|attribute| attribute.parse().ok());
        recorder.begin_batch("order-worker", headers).close();
        let document = documents.take_one();
        assert_eq!((document.parent_id(), document.root().links().count()), (None, 0));
    }
}

#[test]
fn a_batch_is_linked_to_every_producer_whose_trace_is_recorded() {
    let headers = [
        header(1, ";Sampled=1"),
        header(2, ""),
        header(3, ";Sampled=0"),
        header(4, ";Sampled=1"),
        header(1, ";Sampled=1"),
    ];
    let document = batch(SampleNone, &headers).unwrap();
    assert_eq!(linked(&document), ["0000000000000001", "0000000000000002", "0000000000000004"]);
    assert_eq!(document["links"][1]["trace_id"], headers[1].root().to_string());
    assert!(headers.iter().all(|header| document["trace_id"] != header.root().to_string()));
    assert_eq!(document["parent_id"], Value::Null);
}

#[test]
fn a_batch_is_recorded_if_one_of_its_messages_is() {
    let (yes, no, open) = (";Sampled=1", ";Sampled=0", "");
    for (decisions, by_all, by_none) in [
        ([yes, no], true, true),
        ([yes, open], true, true),
        ([no, no], false, false),
        ([no, open], true, false),
        ([open, open], true, false),
    ] {
        let headers = [header(1, decisions[0]), header(2, decisions[1])];
        let recorded = (batch(SampleAll, &headers).is_some(), batch(SampleNone, &headers).is_some());
        assert_eq!(recorded, (by_all, by_none), "{decisions:?}");
    }
}

#[test]
fn messages_of_one_call_continue_its_trace() {
    let headers = vec![header(7, ";Sampled=1"); 10];
    for headers in [&headers[..1], &headers] {
        let document = batch(SampleNone, headers).unwrap();
        assert_eq!(document["trace_id"], headers[0].root().to_string());
        assert_eq!(document["parent_id"], "0000000000000007");
        assert!(linked(&document).is_empty());
    }
}

#[test]
fn a_large_batch_has_as_many_links_as_x_ray_takes_and_says_so() {
    let headers = |count| (1..=count).map(|trace| header(trace, ";Sampled=1")).collect::<Vec<_>>();
    let (full, over) = (batch(SampleAll, &headers(20)).unwrap(), batch(SampleAll, &headers(10_000)).unwrap());
    assert_eq!((linked(&full).len(), &full["metadata"]), (20, &Value::Null));
    assert_eq!((linked(&over).len(), &over["metadata"]["tower_xray"]["cut"][0]), (20, &Value::from("links")));
}

#[test]
fn an_empty_batch_is_a_segment_like_any_other() {
    assert!(batch(SampleAll, &[]).is_some());
    assert!(batch(SampleNone, &[]).is_none());
}

#[test]
fn a_disabled_recorder_passes_the_header_of_a_single_call_on() {
    let disabled = |name: &str| (name == "AWS_XRAY_SDK_DISABLED").then(|| "true".to_owned());
    let recorder = Recorder::builder().environment(disabled).build().unwrap();
    let own = header(1, ";Sampled=1");
    assert_eq!(recorder.begin_batch("worker", [own.clone()]).header(), Some(own.clone()));
    let segment = recorder.begin_batch("worker", [own, header(2, "")]);
    assert_eq!(segment.header().map(|header| header.decision()), None::<SamplingDecision>);
}
