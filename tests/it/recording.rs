//! Entities while they are open, and the documents that they leave behind.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tower_xray::{Entity, Recorder, TraceHeader, header::SamplingDecision, sampling::SampleNone};

use crate::{
    outline::outline,
    support::{recorder, recorder_with},
};

/// A recorder's clock that a test sets.
#[derive(Clone, Default)]
struct Time(Arc<AtomicU64>);

impl Time {
    fn set(&self, seconds: u64) {
        self.0.store(seconds, Relaxed);
    }

    fn now(&self) -> Duration {
        Duration::from_secs(self.0.load(Relaxed))
    }
}

mod segments {
    use super::*;

    #[test]
    fn a_segment_and_what_has_closed_below_it_is_one_document() {
        let (recorder, documents) = recorder();
        let segment = recorder.begin_segment("report");
        let query = segment.begin_subsegment("query");
        let render = segment.begin_subsegment("render");
        let parse = query.begin_subsegment("parse");
        // The order of closing does not matter, that of beginning does.
        render.close();
        drop(parse);
        query.close();
        assert_eq!(documents.len(), 0);
        segment.close();
        assert_eq!(outline(&documents.take()), ["report(query(parse) render)"]);
    }

    #[test]
    fn times_are_those_of_the_clock_and_never_end_before_they_begin() {
        let time = Time::default();
        let clock = time.clone();
        let (recorder, documents) = recorder_with(|builder| builder.clock(move || clock.now()));
        time.set(1_000);
        let segment = recorder.begin_segment("report");
        time.set(1_002);
        let query = segment.begin_subsegment("query");
        time.set(1_005);
        query.close();
        // Somebody sets the clock back.
        time.set(900);
        let render = segment.begin_subsegment("render");
        render.close();
        segment.close();

        let document = documents.take_one();
        let times: Vec<_> = std::iter::once(document.root())
            .chain(document.subsegments())
            .map(|entity| (entity.name(), entity.start_time().as_secs(), entity.end_time().as_secs()))
            .collect();
        assert_eq!(times, [("report", 1_000, 1_000), ("query", 1_002, 1_005), ("render", 1_000, 1_000)]);
    }

    #[test]
    fn a_segment_continues_the_trace_of_a_header() {
        let (recorder, documents) = recorder();
        let header: TraceHeader =
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Lineage=a:1|b:2".parse().unwrap();
        let segment = recorder.begin_segment_from("worker", Some(&header));
        let call = segment.begin_subsegment("call");
        let passed_on = call.header().unwrap();
        assert_eq!(passed_on.root(), header.root());
        assert_eq!(passed_on.parent(), call.id());
        assert_eq!(passed_on.decision(), SamplingDecision::Sampled);
        assert_eq!(passed_on.extra().collect::<Vec<_>>(), [("Lineage", "a:1|b:2")]);
        drop(call);
        drop(segment);

        let document = documents.take_one();
        assert_eq!((document.trace_id(), document.parent_id()), (header.root(), header.parent()));
    }

    #[test]
    fn ids_are_those_that_the_handle_tells() {
        let (recorder, documents) = recorder();
        let segment = recorder.begin_segment("report");
        let query = segment.begin_subsegment("query");
        let told = (segment.trace_id(), segment.id(), query.trace_id(), query.id());
        drop(query);
        drop(segment);

        let document = documents.take_one();
        let trace_id = Some(document.trace_id());
        let query = document.subsegments().next().unwrap().id();
        assert_eq!(told, (trace_id, Some(document.id()), trace_id, Some(query)));
    }

    #[test]
    fn a_handle_keeps_nothing_open() {
        let (recorder, documents) = recorder();
        let segment = recorder.begin_segment("report");
        let handle = segment.entity().clone();
        segment.close();
        assert_eq!(outline(&documents.take()), ["report"]);
        assert!(handle.is_recorded());
    }

    #[test]
    fn what_is_said_after_closing_is_refused_and_counted() {
        let (recorder, documents) = recorder();
        let segment = recorder.begin_segment("report");
        let query = segment.begin_subsegment("query");
        let (late_segment, late_query) = (segment.entity().clone(), query.entity().clone());
        query.close();
        let say = |entity: &Entity| {
            entity.add_annotation("a", 1);
            entity.add_metadata("m", 1);
            entity.set_error();
            entity.set_throttle();
            entity.set_fault();
            entity.add_fault(&std::fmt::Error);
            entity.add_link(entity.trace_id().unwrap(), entity.id().unwrap());
        };
        // The segment is still open, the subsegment is not.
        say(&late_query);
        let after_query = recorder.stats().refused;
        segment.close();
        let before = documents.take_one().to_json();
        say(&late_segment);
        late_query.set_user("u");
        assert_eq!(after_query, 8, "an error is a cause and a flag");
        assert_eq!(recorder.stats().refused, 2 * 8 + 1);
        assert!(!before.contains("fault") && !before.contains("annotations"), "{before}");
        assert_eq!(documents.len(), 0);
    }

    #[test]
    fn everything_that_is_begun_is_counted() {
        let (recorder, documents) = recorder();
        let segment = recorder.begin_segment("a");
        let late = segment.begin_subsegment("late");
        segment.close();
        late.close();
        recorder.begin_segment("b").close();
        let stats = recorder.stats();
        assert_eq!((stats.opened, stats.sampled, stats.emitted, stats.dropped.total()), (2, 2, 3, 0));
        assert_eq!(outline(&documents.take()), ["a", "late < a", "b"]);
    }
}

mod nothing_recorded {
    use super::*;

    fn say_everything(entity: &Entity) {
        entity.add_annotation("a", 1);
        entity.add_annotation("nan", f64::NAN);
        entity.add_metadata("m", [1, 2]);
        entity.add_metadata_in("n", "m", "x".repeat(100_000));
        entity.set_user("u");
        entity.set_error();
        entity.set_throttle();
        entity.set_fault();
        entity.add_error(&std::fmt::Error);
        entity.add_fault(&std::fmt::Error);
        let _entered = entity.enter();
        tower_xray::current().begin_subsegment("inner").add_annotation("a", 1);
    }

    #[test]
    fn none_does_nothing() {
        let none = Entity::none();
        say_everything(&none);
        let below = none.begin_subsegment("below");
        say_everything(&below);
        for entity in [&none, below.entity()] {
            assert!(entity.is_none() && !entity.is_recorded());
            assert_eq!((entity.trace_id(), entity.id(), entity.header()), (None, None, None));
        }
    }

    #[test]
    fn unsampled_work_emits_nothing_and_hands_the_decision_on() {
        let (recorder, documents) = recorder_with(|builder| builder.sampling(SampleNone));
        let segment = recorder.begin_segment("report");
        say_everything(&segment);
        let query = segment.begin_subsegment("query");
        say_everything(&query);
        let header = query.header().unwrap();
        assert!(!query.is_none() && !query.is_recorded());
        assert_eq!(header.decision(), SamplingDecision::NotSampled);
        assert_eq!((Some(header.root()), header.parent()), (segment.trace_id(), segment.id()));
        assert!(header.parent().is_some(), "a real id");
        drop(query);
        drop(segment);

        let stats = recorder.stats();
        assert_eq!((stats.opened, stats.sampled, stats.emitted, stats.refused), (1, 0, 0, 0));
        assert_eq!(documents.len(), 0);
    }

    #[test]
    fn the_caller_decides_before_the_strategy() {
        let header = |text: &str| text.parse::<TraceHeader>().unwrap();
        let sampled = header("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1");
        let unsampled = header("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0");
        let (never, documents) = recorder_with(|builder| builder.sampling(SampleNone));
        assert!(never.begin_segment_from("a", Some(&sampled)).is_recorded());
        assert_eq!(outline(&documents.take()), ["a"]);
        let (always, documents) = recorder();
        assert!(!always.begin_segment_from("a", Some(&unsampled)).is_recorded());
        assert_eq!(documents.len(), 0);
    }

    #[test]
    fn a_disabled_recorder_passes_the_header_on_as_it_came() {
        let build = |name: &'static str, value: &'static str| -> Recorder {
            recorder_with(|builder| builder.environment(move |variable| (variable == name).then(|| value.to_owned()))).0
        };
        for recorder in [build("AWS_XRAY_SDK_DISABLED", "TRUE"), build("AWS_XRAY_SDK_ENABLED", "false")] {
            let header: TraceHeader =
                "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1".parse().unwrap();
            let segment = recorder.begin_segment_from("a", Some(&header));
            let below = segment.begin_subsegment("b");
            assert_eq!(below.header(), Some(header));
            assert!(!segment.is_recorded());
            assert!(recorder.begin_segment("a").is_none());
            drop((below, segment));
            assert_eq!(recorder.stats(), tower_xray::recorder::Stats::default());
        }
    }
}
