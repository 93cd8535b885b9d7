//! Segments that are told of while they are open.

use std::time::Duration;

use serde_json::Value;
use tower_xray::{
    Recorder, TraceHeader,
    emitter::{DaemonAddress, InMemoryEmitter, UdpEmitter},
    sampling::{Capture, SampleAll, SampleNone},
};
use xray_local::{LocalDaemon, RenderOptions};

use crate::support::{assert_valid_json, recorder, recorder_with};

#[test]
fn a_segment_in_progress_is_one_document_and_the_complete_one_has_the_same_id() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("events");
    segment.add_annotation("topic", "orders");
    segment.set_user("alice");
    segment.begin_subsegment("subscribe").close();
    let open = segment.begin_subsegment("wait");
    // From wherever it is called, it is about the segment.
    open.send_in_progress();
    segment.send_in_progress();
    let announced = documents.take_one();
    assert!(announced.is_in_progress() && !announced.is_subsegment());
    assert_eq!(announced.root().end_time(), announced.root().start_time());
    assert_eq!(announced.subsegments().count(), 0, "they come with the complete document");
    let json = assert_valid_json(&announced.to_json());
    assert_eq!((&json["in_progress"], json.get("end_time")), (&Value::Bool(true), None));
    assert_eq!((&json["annotations"]["topic"], &json["user"]), (&"orders".into(), &"alice".into()));

    open.close();
    segment.add_annotation("sent", 7);
    segment.send_in_progress();
    let id = segment.id();
    segment.close();
    let complete = documents.take_one();
    assert!(!complete.is_in_progress() && !complete.to_json().contains("in_progress"));
    assert_eq!((Some(complete.id()), complete.trace_id()), (id, announced.trace_id()));
    assert_eq!(complete.subsegments().count(), 2);
    assert_eq!(complete.annotation("topic"), Some("orders".into()));
    assert_eq!(recorder.stats().emitted, 2);
}

#[test]
fn nothing_is_told_of_what_is_not_sent_or_has_closed() {
    let header = |sampled: &str| -> TraceHeader { format!("Root={};Sampled={sampled}", root()).parse().unwrap() };
    let (recorder, documents) = recorder_with(|builder| builder.sampling(SampleNone).capture(Capture::kept()));
    let unsampled = recorder.begin_segment("events");
    unsampled.send_in_progress();
    assert_eq!(documents.len(), 0);
    unsampled.keep();
    unsampled.send_in_progress();
    assert!(documents.take_one().is_in_progress());
    drop(unsampled);
    assert_eq!(documents.take().len(), 1);

    let discarded = recorder.begin_segment_from("events", Some(&header("1")));
    discarded.discard();
    discarded.send_in_progress();
    let entity = discarded.entity().clone();
    drop(discarded);
    entity.send_in_progress();
    tower_xray::Entity::none().send_in_progress();

    let closed = recorder.begin_segment_from("events", Some(&header("1")));
    let late = closed.begin_subsegment("late");
    closed.close();
    assert_eq!(documents.take().len(), 1);
    late.send_in_progress();
    assert_eq!(documents.len(), 0);
}

#[test]
fn a_segment_in_progress_that_is_too_large_is_cut_like_any_other() {
    let emitter = InMemoryEmitter::new();
    let (recorder, _) = recorder_with(|builder| builder.emitter(emitter.clone()));
    let segment = recorder.begin_segment("events");
    for number in 0..3 {
        segment.add_metadata(&format!("page{number}"), "x".repeat(30_000));
    }
    segment.send_in_progress();
    let split = emitter.take().remove(0).split(64_000);
    let [piece] = &split.documents[..] else { panic!("one entity, one document") };
    let json = assert_valid_json(piece);
    assert_eq!((&json["in_progress"], &json["metadata"]["tower_xray"]["cut"][0]), (&true.into(), &"metadata".into()));
}

#[test]
fn the_local_daemon_shows_a_running_segment_until_the_complete_one_replaces_it() {
    let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
    let address: DaemonAddress = daemon.local_addr().to_string().parse().unwrap();
    let emitter = UdpEmitter::new(address).unwrap();
    let builder = Recorder::builder().environment(|_| None).emitter(emitter).sampling(SampleAll);
    let recorder = builder.build().unwrap();
    let patience = Duration::from_secs(20);

    let segment = recorder.begin_segment("events");
    segment.send_in_progress();
    assert!(daemon.wait_for(1, patience));
    let drawn = || daemon.traces()[0].render(&RenderOptions::default().color(false));
    assert!(drawn().contains("running"), "{}", drawn());

    segment.begin_subsegment("publish").close();
    segment.close();
    assert!(daemon.wait_for(2, patience));
    let traces = daemon.traces();
    let [document] = traces[0].documents() else { panic!("one segment") };
    assert!(document.get("in_progress").is_none() && document.get("end_time").is_some(), "{document}");
    assert!(drawn().contains("publish") && !drawn().contains("running"), "{}", drawn());
    assert_eq!((daemon.stats().invalid, daemon.problems().len()), (0, 0));
}

fn root() -> &'static str {
    "1-5759e988-bd862e3fe1be46a994272793"
}
