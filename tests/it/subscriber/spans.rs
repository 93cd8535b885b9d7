//! Spans and their fields.

use std::{
    error::Error,
    fmt, io,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::task::yield_now;
use tower_xray::{
    FutureExt, Recorder, current,
    document::EntityDocument,
    sampling::SampleNone,
    subscriber::{DebugValues, SubsegmentLayer},
};
use tracing::{
    Event, Instrument, Level, Metadata, Span, Subscriber, debug_span, error,
    field::Empty,
    info, info_span, instrument, span,
    span::{Attributes, Id},
    trace, warn,
};
use tracing_subscriber::{Layer, Registry, filter::LevelFilter, layer::Context, prelude::*};

use super::{only, recorded, recorded_by, runtime};
use crate::{
    outline::outline,
    support::{recorder, recorder_with},
};

/// The only subsegment, as JSON.
fn subsegment(work: impl FnOnce()) -> Value {
    subsegment_by(SubsegmentLayer::new(), work)
}

fn subsegment_by(layer: SubsegmentLayer, work: impl FnOnce()) -> Value {
    let documents = recorded_by(only(layer), work);
    let mut document: Value = serde_json::from_str(&documents[0].to_json()).unwrap();
    let subsegments = document["subsegments"].as_array_mut().unwrap();
    assert_eq!((documents.len(), subsegments.len()), (1, 1));
    subsegments.remove(0)
}

#[derive(Debug)]
struct Item {
    id: u32,
}

#[test]
fn a_function_is_a_subsegment_and_its_arguments_are_annotations_and_metadata() {
    #[instrument(fields(shop.name = "corner", total = 1.5))]
    fn reserve(item: &Item, count: u8, express: bool) -> u32 {
        assert!(current().is_recorded());
        item.id + u32::from(count) + u32::from(express)
    }

    let subsegment = subsegment(|| assert_eq!(reserve(&Item { id: 7 }, 2, true), 10));
    assert_eq!(subsegment["name"], "reserve");
    assert_eq!(subsegment["annotations"], json!({ "shop_name": "corner", "total": 1.5, "count": 2, "express": true }));
    assert_eq!(subsegment["metadata"], json!({ "default": { "item": "Item { id: 7 }" } }));
    assert_eq!(subsegment.get("namespace"), None);
}

#[test]
fn fields_may_come_later() {
    let subsegment = subsegment(|| {
        let span = info_span!("query", rows = Empty, plan = Empty, key = "a", never = Empty);
        span.record("rows", 5_u64);
        span.record("rows", 6_i128);
        span.in_scope(|| {
            Span::current().record("plan", tracing::field::debug(Item { id: 1 }));
        });
        span.record("key", "b").record("no such field", 1);
    });
    assert_eq!(subsegment["annotations"], json!({ "key": "b", "rows": 6 }));
    assert_eq!(subsegment["metadata"], json!({ "default": { "plan": "Item { id: 1 }" } }));
}

#[test]
fn urls_in_fields_lose_credentials_query_and_fragment() {
    let url = "https://alice:s3cret@shop.example.com/orders?token=s3cret#s3cret";
    for values in [DebugValues::Annotation, DebugValues::Metadata] {
        let layer = SubsegmentLayer::new().debug_values(values);
        let told =
            subsegment_by(layer, || drop(info_span!("fetch", text = url, debug = ?url, display = %url))).to_string();
        assert_eq!(told.matches("shop.example.com/orders").count(), 3, "{told}");
        assert!(!told.contains("s3cret"), "{told}");
    }
}

#[test]
fn debug_values_become_what_the_layer_says() {
    let by = |debug_values| {
        let layer = SubsegmentLayer::new().debug_values(debug_values);
        let text = |_: &mut fmt::Formatter<'_>| -> fmt::Result {
            assert_ne!(debug_values, DebugValues::Ignored, "it is not even written");
            Ok(())
        };
        struct Lazy<F>(F);
        impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Debug for Lazy<F> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (self.0)(f)?;
                f.write_str("lazy")
            }
        }
        let source = io::Error::other("a source");
        let subsegment = subsegment_by(layer, || {
            drop(
                info_span!("work", item = ?Item { id: 7 }, id = %7, lazy = ?Lazy(text), source = &source as &dyn Error, name = "x"),
            );
        });
        (subsegment["annotations"].clone(), subsegment["metadata"].clone())
    };
    let texts = json!({ "item": "Item { id: 7 }", "id": "7", "lazy": "lazy", "source": "a source" });
    let mut annotations = texts.clone();
    annotations["name"] = json!("x");
    assert_eq!(by(DebugValues::default()), (json!({ "name": "x" }), json!({ "default": texts })));
    assert_eq!(by(DebugValues::Annotation), (annotations, Value::Null));
    assert_eq!(by(DebugValues::Ignored), (json!({ "name": "x" }), Value::Null));
}

#[test]
fn values_are_bounded_and_those_that_cannot_be_written_are_left_out() {
    struct Endless;
    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                f.write_str("höher, ")?;
            }
        }
    }
    struct Panics;
    impl fmt::Debug for Panics {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no text")
        }
    }
    let subsegment = subsegment(|| {
        let long = "x".repeat(2_000);
        let span = info_span!("work", endless = %Endless, panics = ?Panics, long, nan = f64::MAX, error = Empty);
        span.record("error", tracing::field::debug(Panics));
    });
    assert_eq!(subsegment["annotations"]["long"].as_str().unwrap().len(), 1_000);
    assert_eq!(subsegment["metadata"]["default"]["endless"].as_str().unwrap().chars().count(), 1_000);
    assert_eq!(subsegment["metadata"]["default"].get("panics"), None);
    assert_eq!(subsegment["fault"], true);
}

#[test]
fn a_float_that_is_no_json_is_refused_and_counted() {
    let (recorder, documents) = recorder();
    tracing::subscriber::with_default(only(SubsegmentLayer::new()), || {
        let segment = recorder.begin_segment("report");
        let _entered = segment.enter();
        drop(info_span!("work", ratio = f64::NAN, rows = 1));
    });
    assert_eq!(recorder.stats().refused, 1);
    assert_eq!(documents.take_one().subsegments().next().unwrap().annotation("rows"), Some(1.into()));
}

#[test]
fn the_kind_of_a_span_says_whether_it_is_a_call() {
    for (kind, namespace) in [("client", json!("remote")), ("PRODUCER", json!("remote")), ("internal", Value::Null)] {
        for quoted in [false, true] {
            let subsegment = subsegment(|| match quoted {
                false => drop(info_span!("work", otel.kind = kind)),
                true => drop(info_span!("work", otel.kind = ?kind)),
            });
            assert_eq!(subsegment["namespace"], namespace);
            assert_eq!((subsegment.get("annotations"), subsegment.get("metadata")), (None, None));
        }
    }
}

#[test]
fn spans_of_level_info_and_above_are_taken_unless_something_else_is_said() {
    let spans = || {
        span!(Level::ERROR, "error").in_scope(|| {
            span!(Level::DEBUG, "debug").in_scope(|| {
                span!(Level::INFO, "info").in_scope(|| drop(span!(Level::TRACE, "trace")));
            });
        });
        drop(span!(target: "tower_http::trace::make_span", Level::INFO, "request"));
    };
    assert_eq!(outline(&recorded(spans)), ["report(error(info))"]);
    let all = SubsegmentLayer::new().spans(|metadata| metadata.name() != "info");
    assert_eq!(outline(&recorded_by(only(all), spans)), ["report(error(debug(trace)) request)"]);
    let unfiltered = Registry::default().with(SubsegmentLayer::new());
    assert_eq!(outline(&recorded_by(unfiltered, spans)), ["report(error(info))"]);
    let own = Registry::default().with(SubsegmentLayer::new().filtered().with_filter(LevelFilter::ERROR));
    assert_eq!(outline(&recorded_by(own, spans)), ["report(error)"]);
    let global = Registry::default().with(LevelFilter::ERROR).with(SubsegmentLayer::new().filtered());
    assert_eq!(outline(&recorded_by(global, spans)), ["report(error)"]);
}

#[test]
fn a_filtered_layer_asks_for_nothing_else() {
    /// Collects where spans and events come from.
    struct Callsites(Arc<Mutex<Vec<&'static Metadata<'static>>>>);
    impl<S: Subscriber> Layer<S> for Callsites {
        fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
            self.0.lock().unwrap().push(attributes.metadata());
        }
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(event.metadata());
        }
    }
    let callsites = Arc::default();
    tracing::subscriber::with_default(Registry::default().with(Callsites(Arc::clone(&callsites))), || {
        drop((info_span!("info"), debug_span!("debug")));
        error!("error");
        warn!(err = "error", "warn");
        warn!("warn");
        trace!(error = "error");
        info!(error = "error", "info");
        info!("info");
    });
    let callsites = callsites.lock().unwrap();
    let wanted = |subscriber: &dyn Subscriber| {
        callsites.iter().map(|callsite| !subscriber.register_callsite(callsite).is_never()).collect::<Vec<_>>()
    };
    assert_eq!(wanted(&only(SubsegmentLayer::new())), [true, false, true, true, false, true, false, false]);
    assert_eq!(wanted(&Registry::default().with(SubsegmentLayer::new())), [true; 8]);
}

#[test]
fn while_a_span_is_entered_its_subsegment_is_current() {
    let documents = recorded(|| {
        let outer = current().id();
        let span = info_span!("a");
        assert_eq!(current().id(), outer);
        let (first, again) = (span.in_scope(|| current().id()), span.in_scope(|| current().id()));
        assert_eq!(first, again);
        assert_ne!(first, outer);
        span.in_scope(|| {
            current().add_annotation("by_hand", 1);
            current().begin_subsegment("below").close();
            let inner = info_span!("b");
            let _inner = inner.enter();
            assert_ne!(current().id(), first);
            // Entered a second time, with another one in between.
            span.in_scope(|| assert_eq!(current().id(), first));
            current().begin_subsegment("below b").close();
        });
    });
    assert_eq!(outline(&documents), ["report(a(below b(below b)))"]);
    assert_eq!(documents[0].subsegments().next().unwrap().annotation("by_hand"), Some(1.into()));
}

#[test]
fn spans_may_be_left_in_another_order_than_they_were_entered() {
    let documents = recorded(|| {
        let outer = current().id();
        let (a, b, c) = (info_span!("a").entered(), info_span!("b").entered(), info_span!("c").entered());
        let id = current().id();
        let a = a.exit();
        let b = b.exit();
        assert_eq!(current().id(), id);
        drop(c);
        assert_eq!(current().id(), outer);
        let (b, a) = (b.entered(), a.entered());
        let id = current().id();
        drop(b);
        assert_eq!(current().id(), id);
        drop(a);
    });
    assert_eq!(outline(&documents), ["report(a(b(c)))"]);
}

#[test]
fn guards_of_spans_and_of_entities_take_turns() {
    let documents = recorded(|| {
        let outer = current().id();
        let subsegment = current().begin_subsegment("by hand");
        let span = info_span!("span").entered();
        let id = current().id();
        {
            let _entered = subsegment.enter();
            assert_eq!(current().id(), subsegment.id());
            let inner = info_span!("below").entered();
            assert_ne!(current().id(), subsegment.id());
            drop(inner);
            assert_eq!(current().id(), subsegment.id());
        }
        assert_eq!(current().id(), id);
        drop(span);
        assert_eq!(current().id(), outer);
    });
    assert_eq!(outline(&documents), ["report(by hand(below) span)"]);
}

#[test]
fn async_work_is_in_its_span_on_every_thread() {
    #[instrument]
    async fn outer() {
        yield_now().await;
        inner("a").await;
        let first = tokio::spawn(inner("spawned").in_current_span());
        let second = tokio::spawn(async { inner("with a span").await }.instrument(info_span!("task")));
        inner("b").in_subsegment("by hand").await;
        first.await.unwrap();
        second.await.unwrap();
        tokio::join!(inner("c"), inner("d"));
    }

    #[instrument(fields(of))]
    async fn inner(of: &str) {
        let id = current().id();
        for _ in 0..3 {
            yield_now().await;
            assert_eq!(current().id(), id);
        }
        current().begin_subsegment(of).close();
    }

    let (recorder, documents) = recorder();
    let runtime = runtime(only(SubsegmentLayer::new()));
    let work = async move {
        let segment = recorder.begin_segment("report");
        outer().in_entity(&segment).await;
        assert!(current().is_none());
        segment.close();
    };
    runtime.block_on(runtime.spawn(work)).unwrap();
    let document = documents.take_one();
    let [outer] = &document.subsegments().collect::<Vec<_>>()[..] else { panic!("{document}") };
    let mut below: Vec<String> = Vec::new();
    for child in outer.subsegments() {
        let names: Vec<&str> = child.subsegments().map(EntityDocument::name).collect();
        below.push(format!("{}({})", child.name(), names.join(" ")));
    }
    below.sort();
    let expected =
        ["by hand(inner)", "inner(a)", "inner(c)", "inner(d)", "inner(spawned)", "task(inner)"].map(str::to_owned);
    assert_eq!(below, expected);
}

#[test]
fn outside_of_a_trace_and_where_nothing_is_recorded_spans_are_nothing() {
    let (unsampled, nothing) = recorder_with(|builder| builder.sampling(SampleNone));
    tracing::subscriber::with_default(only(SubsegmentLayer::new()), || {
        let work = |recorder: Option<&Recorder>| {
            let segment = recorder.map(|recorder| recorder.begin_segment("report"));
            let entity = segment.as_deref().cloned().unwrap_or_default();
            let _entered = entity.enter();
            let span = info_span!("work", rows = 1, error = Empty);
            span.in_scope(|| {
                assert_eq!(current().id(), entity.id());
                tracing::error!("failed");
                info_span!(parent: &span, "child").in_scope(|| assert_eq!(current().id(), entity.id()));
            });
            span.record("error", true);
            span.follows_from(&info_span!("before"));
        };
        work(None);
        work(Some(&unsampled));
    });
    assert_eq!(unsampled.stats().refused, 0);
    assert_eq!(nothing.len(), 0);
}

#[test]
fn a_span_from_outside_of_the_trace_does_not_become_part_of_it() {
    let (recorder, documents) = recorder();
    tracing::subscriber::with_default(only(SubsegmentLayer::new()), || {
        let early = info_span!("early").entered();
        let segment = recorder.begin_segment("report");
        let entered = segment.enter();
        let within = info_span!("within").entered();
        assert_ne!(current().id(), segment.id());
        drop(early);
        assert_ne!(current().id(), segment.id());
        drop(within);
        assert_eq!(current().id(), segment.id());
        drop(entered);
        assert!(current().is_none());
    });
    assert_eq!(outline(&documents.take()), ["report(within)"]);
}

#[test]
fn a_span_that_outlives_its_segment_travels_alone() {
    let (recorder, documents) = recorder();
    let span = tracing::subscriber::with_default(only(SubsegmentLayer::new()), || {
        let segment = recorder.begin_segment("report");
        let _entered = segment.enter();
        info_span!("late", rows = Empty)
    });
    assert_eq!(outline(&documents.take()), ["report"]);
    // Another thread, which has no subscriber of its own, records, enters and closes it.
    std::thread::spawn(move || {
        span.record("rows", 3);
        let outer = current().id();
        span.in_scope(|| assert_ne!(current().id(), outer));
        assert!(current().is_none());
        drop(span);
    })
    .join()
    .unwrap();
    let late = documents.take_one();
    assert!(late.is_subsegment());
    assert_eq!((late.name(), late.annotation("rows")), ("late", Some(3.into())));
}
