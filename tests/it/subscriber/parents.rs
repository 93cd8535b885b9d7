//! Whose child a span is.

use tower_xray::{FutureExt, current, subscriber::SubsegmentLayer};
use tracing::{Instrument, debug_span, info_span};
use tracing_subscriber::{Registry, filter::LevelFilter, fmt, prelude::*};

use super::{only, recorded, recorded_by, runtime};
use crate::{outline::outline, support::recorder};

/// A subscriber to which spans exist that are not chosen.
fn with_logs() -> impl tracing::Subscriber + Send + Sync {
    Registry::default()
        .with(fmt::layer().with_writer(std::io::sink).with_filter(LevelFilter::TRACE))
        .with(SubsegmentLayer::new().filtered())
}

#[test]
fn a_span_that_is_not_chosen_is_not_there() {
    let spans = || {
        info_span!("a").in_scope(|| {
            let id = current().id();
            debug_span!("not chosen").in_scope(|| {
                assert_eq!(current().id(), id);
                info_span!("b").in_scope(|| {});
            });
        });
    };
    assert_eq!(outline(&recorded(spans)), ["report(a(b))"]);
    assert_eq!(outline(&recorded_by(with_logs(), spans)), ["report(a(b))"]);
    let plain = Registry::default().with(SubsegmentLayer::new());
    assert_eq!(outline(&recorded_by(plain, spans)), ["report(a(b))"]);
}

#[test]
fn a_span_names_its_parent() {
    let spans = || {
        let (a, b) = (info_span!("a"), info_span!("b"));
        let unchosen = debug_span!("not chosen");
        b.in_scope(|| {
            info_span!(parent: &a, "of a").in_scope(|| drop(info_span!("below")));
            drop(info_span!("of b"));
            drop(info_span!(parent: None, "of none"));
            drop(info_span!(parent: &unchosen, "of one that is not chosen"));
        });
        drop(a);
    };
    let expected = ["report(a(of a(below)) b(of b of none of one that is not chosen))"];
    assert_eq!(outline(&recorded(spans)), expected);
    assert_eq!(outline(&recorded_by(with_logs(), spans)), expected);
}

#[test]
fn a_span_names_its_parent_from_anywhere() {
    let (recorder, documents) = recorder();
    tracing::subscriber::with_default(only(SubsegmentLayer::new()), || {
        let segment = recorder.begin_segment("report");
        let a = {
            let _entered = segment.enter();
            info_span!("a")
        };
        info_span!(parent: &a, "outside").in_scope(|| drop(info_span!("below")));
        let other = recorder.begin_segment("other");
        let _entered = other.enter();
        drop(info_span!(parent: &a, "from another trace"));
    });
    assert_eq!(outline(&documents.take()), ["other", "report(a(outside(below) from another trace))"]);
}

#[test]
fn an_entity_that_is_current_is_the_parent() {
    let documents = recorded(|| {
        info_span!("a").in_scope(|| {
            let subsegment = current().begin_subsegment("by hand");
            let _entered = subsegment.enter();
            drop(info_span!("b"));
        });
    });
    assert_eq!(outline(&documents), ["report(a(by hand(b)))"]);
}

#[test]
fn a_task_is_part_of_the_span_that_it_was_given_if_that_is_chosen() {
    let (recorder, documents) = recorder();
    let runtime = runtime(with_logs());
    let segment = recorder.begin_segment("report");
    let work = async {
        let task = || async {
            tokio::task::yield_now().await;
            drop(info_span!("done"));
            current().is_recorded()
        };
        let a = info_span!("a");
        let below = a.in_scope(|| debug_span!("not chosen"));
        assert!(tokio::spawn(task().instrument(a)).await.unwrap());
        assert!(!tokio::spawn(task().instrument(below)).await.unwrap());
    };
    runtime.block_on(runtime.spawn(work.in_entity(&segment))).unwrap();
    segment.close();
    assert_eq!(outline(&documents.take()), ["report(a(done))"]);
}

#[test]
fn a_span_that_follows_from_one_of_another_trace_links_to_it() {
    let (recorder, documents) = recorder();
    tracing::subscriber::with_default(only(SubsegmentLayer::new()), || {
        let [first, second] = ["first", "second"].map(|name| recorder.begin_segment(name));
        let cause = {
            let _entered = first.enter();
            info_span!("cause")
        };
        let _entered = second.enter();
        let (span, sibling) = (info_span!("effect"), info_span!("sibling"));
        span.follows_from(&cause);
        span.follows_from(&sibling);
        span.follows_from(tracing::Span::none());
        drop(cause);
        first.close();
    });
    let documents = documents.take();
    let [first, second] = &documents[..] else { panic!("{documents:?}") };
    let cause = first.subsegments().next().unwrap().id();
    let links: Vec<_> = second.subsegments().map(|span| span.links().collect::<Vec<_>>()).collect();
    assert_eq!(links, [vec![(first.trace_id(), cause)], vec![]]);
}
