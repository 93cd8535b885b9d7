//! Several layers and subscribers, and code that runs in the middle of them.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use tower_xray::{
    Recorder, current,
    document::SegmentDocument,
    emitter::{Emitter, InMemoryEmitter},
    sampling::SampleAll,
    subscriber::{DebugValues, SubsegmentLayer},
};
use tracing::{error, field::Empty, info, info_span};
use tracing_subscriber::{Registry, prelude::*, reload};

use super::{only, recorded_by};
use crate::{outline::outline, support::recorder};

fn spans() {
    let outer = current().id();
    let a = info_span!("a", rows = Empty);
    a.in_scope(|| {
        a.record("rows", 1);
        error!("failed");
        info_span!("b").in_scope(|| info!("fine"));
        a.in_scope(|| {});
        assert_ne!(current().id(), outer);
    });
    assert_eq!(current().id(), outer);
}

#[test]
fn two_layers_record_a_span_once() {
    let expected = ["report(a![error: failed](b))"];
    let two = Registry::default().with(SubsegmentLayer::new().filtered()).with(SubsegmentLayer::new().filtered());
    assert_eq!(outline(&recorded_by(two, spans)), expected);
    let plain = Registry::default().with(SubsegmentLayer::new()).with(SubsegmentLayer::new().filtered());
    assert_eq!(outline(&recorded_by(plain, spans)), expected);
    let shares = |name: &'static str| SubsegmentLayer::new().spans(move |span| span.name() == name);
    let shared = Registry::default().with(shares("b").filtered()).with(shares("a").filtered());
    assert_eq!(outline(&recorded_by(shared, spans)), expected);
}

#[test]
fn spans_of_two_subscribers_nest() {
    let documents = recorded_by(only(SubsegmentLayer::new()), || {
        let a = info_span!("a").entered();
        let id = current().id();
        let b = tracing::subscriber::with_default(only(SubsegmentLayer::new()), || {
            spans();
            info_span!("b").entered()
        });
        assert_ne!(current().id(), id);
        // Both are the first span of their subscribers.
        let a = a.exit();
        let within = info_span!("within").entered();
        drop(b);
        drop(within);
        let _a = a.entered();
        assert_eq!(current().id(), id);
    });
    assert_eq!(outline(&documents), ["report(a(a![error: failed](b) b(within)))"]);
}

#[test]
fn a_layer_may_be_replaced_while_spans_are_entered() {
    let (layer, handle) = reload::Layer::new(Some(SubsegmentLayer::new()));
    let documents = recorded_by(Registry::default().with(layer), || {
        let outer = current().id();
        let a = info_span!("a", rows = Empty, plan = Empty).entered();
        let id = current().id();
        handle.reload(Some(SubsegmentLayer::new().debug_values(DebugValues::Annotation))).unwrap();
        // The new one looks after what the old one has left.
        a.record("rows", 1);
        a.record("plan", tracing::field::debug(2));
        error!("failed");
        info_span!("b").in_scope(|| assert_ne!(current().id(), id));
        drop(a);
        assert_eq!(current().id(), outer);

        let c = info_span!("c").entered();
        handle.reload(None).unwrap();
        assert_ne!(current().id(), outer);
        drop(info_span!("nobody takes this"));
        // The end of the span is all that is left to see.
        drop(c);
        assert_eq!(current().id(), outer);

        let d = info_span!("d").entered();
        handle.reload(Some(SubsegmentLayer::new())).unwrap();
        drop(d);
        info_span!("e").in_scope(|| {});
    });
    assert_eq!(outline(&documents), ["report(a![error: failed](b) c e)"]);
    let a = documents[0].subsegments().next().unwrap();
    assert_eq!([a.annotation("rows"), a.annotation("plan")], [Some(1.into()), Some("2".into())]);
}

#[test]
fn code_that_runs_in_the_middle_may_use_spans_and_entities_itself() {
    static TIMES: AtomicUsize = AtomicUsize::new(0);

    /// Uses everything while it is written or sent.
    struct Busy;
    impl Busy {
        fn work() {
            TIMES.fetch_add(1, Relaxed);
            let span = info_span!("busy", rows = Empty);
            span.in_scope(|| error!("busy"));
            span.record("rows", 1);
            current().add_annotation("busy", true);
            current().begin_subsegment("by hand").close();
        }
    }
    impl fmt::Debug for Busy {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            Self::work();
            f.write_str("busy")
        }
    }
    impl Emitter for Busy {
        fn emit(&self, document: SegmentDocument) {
            Self::work();
            assert_eq!(document.is_subsegment(), document.name() == "late");
        }
    }
    let recorder = Recorder::builder().environment(|_| None).emitter(Busy).sampling(SampleAll).build().unwrap();
    // Plain, so that events are not kept from going through everything.
    tracing::subscriber::with_default(Registry::default().with(SubsegmentLayer::new()), || {
        let segment = recorder.begin_segment("report");
        let late = {
            let _entered = segment.enter();
            info_span!("work", busy = ?Busy, error = Empty).in_scope(|| {
                tracing::Span::current().record("error", tracing::field::debug(Busy));
            });
            error!(busy = ?Busy, error = ?Busy, "{Busy:?}");
            info_span!("late")
        };
        segment.close();
        let elsewhere = recorder.begin_segment("elsewhere");
        let _entered = elsewhere.enter();
        late.in_scope(|| {});
        drop(late);
    });
    assert!(TIMES.load(Relaxed) >= 4);
    assert_eq!(recorder.stats().emitter_panics, 0);
}

#[test]
fn a_subscriber_that_ends_leaves_nothing_behind() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    {
        let _entered = segment.enter();
        let span = tracing::subscriber::with_default(only(SubsegmentLayer::new()), || info_span!("a"));
        span.in_scope(|| assert_ne!(current().id(), segment.id()));
        assert_eq!(current().id(), segment.id());
    }
    segment.close();
    assert_eq!(outline(&documents.take()), ["report(a)"]);
}

#[test]
fn an_emitter_with_spans_of_its_own_is_no_part_of_what_it_sends() {
    struct Instrumented(InMemoryEmitter);
    impl Emitter for Instrumented {
        #[tracing::instrument(skip_all)]
        fn emit(&self, document: SegmentDocument) {
            assert!(current().is_none());
            current().begin_subsegment("by hand").close();
            self.0.emit(document);
        }
    }
    let emitter = InMemoryEmitter::new();
    let builder = Recorder::builder().environment(|_| None).emitter(Instrumented(emitter.clone()));
    let recorder = builder.sampling(SampleAll).build().unwrap();
    tracing::subscriber::with_default(only(SubsegmentLayer::new()), || {
        let segment = recorder.begin_segment("report");
        let id = segment.id();
        let _entered = segment.entity().clone().enter();
        segment.close();
        info_span!("late").in_scope(|| {});
        assert_eq!(current().id(), id);
    });
    assert_eq!(outline(&emitter.take()), ["report", "late < report"]);
    assert_eq!(recorder.stats().emitter_panics, 0);
}
