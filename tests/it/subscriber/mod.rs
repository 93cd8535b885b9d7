//! Spans and events of `tracing` that a service has already: what becomes of them in its traces and logs.

mod failures;
mod layers;
mod logs;
mod parents;
mod queries;
mod random;
mod requests;
mod spans;

use tokio::runtime::{Builder, Runtime};
use tower_xray::{document::SegmentDocument, subscriber::SubsegmentLayer};
use tracing::{Dispatch, Subscriber, dispatcher};
use tracing_subscriber::{Registry, prelude::*};

use crate::support::recorder;

/// A subscriber of this layer and no other one.
fn only(layer: SubsegmentLayer) -> impl Subscriber + Send + Sync {
    Registry::default().with(layer.filtered())
}

/// The documents of a segment, in which `work` is done with a subscriber that takes spans.
fn recorded(work: impl FnOnce()) -> Vec<SegmentDocument> {
    recorded_by(only(SubsegmentLayer::new()), work)
}

/// The same with another subscriber.
fn recorded_by(subscriber: impl Into<Dispatch>, work: impl FnOnce()) -> Vec<SegmentDocument> {
    let (recorder, documents) = recorder();
    dispatcher::with_default(&subscriber.into(), || {
        let segment = recorder.begin_segment("report");
        let id = segment.id();
        {
            let _entered = segment.enter();
            work();
            assert_eq!(tower_xray::current().id(), id, "whatever happened");
        }
        segment.close();
    });
    assert_eq!(recorder.stats().refused, 0);
    documents.take()
}

/// A runtime with two threads, on which a subscriber is the default one.
fn runtime(subscriber: impl Into<Dispatch>) -> Runtime {
    let dispatch = subscriber.into();
    let set = move || std::mem::forget(dispatcher::set_default(&dispatch));
    Builder::new_multi_thread().worker_threads(2).enable_all().on_thread_start(set).build().unwrap()
}
