//! Models of entities that several threads use: every order in which they may run.

use loom::{model, thread};
use serde_json::Value;

use crate::{
    Recorder,
    emitter::InMemoryEmitter,
    sampling::{Capture, SampleAll, SampleNone, SamplingStrategy},
};

fn recorder(sampling: impl SamplingStrategy + 'static) -> (Recorder, InMemoryEmitter) {
    let emitter = InMemoryEmitter::new();
    let builder = Recorder::builder().environment(|_| None).emitter(emitter.clone()).seed(1);
    (builder.capture(Capture::faults()).sampling(sampling).build().unwrap(), emitter)
}

fn emitted(emitter: &InMemoryEmitter) -> Vec<Value> {
    emitter.take().iter().map(|document| serde_json::from_str(&document.to_json()).unwrap()).collect()
}

/// The names of all entities, which have all closed.
fn names(documents: &[Value]) -> Vec<&str> {
    fn collect<'a>(entity: &'a Value, names: &mut Vec<&'a str>) {
        assert!(entity.get("in_progress").is_none(), "{entity}");
        names.push(entity["name"].as_str().unwrap());
        entity["subsegments"].as_array().into_iter().flatten().for_each(|child| collect(child, names));
    }

    let mut names = Vec::new();
    documents.iter().for_each(|document| collect(document, &mut names));
    names.sort_unstable();
    names
}

#[test]
fn a_subsegment_that_closes_with_its_segment_is_emitted_once() {
    model(|| {
        let (recorder, emitter) = recorder(SampleAll);
        let segment = recorder.begin_segment("segment");
        let subsegment = segment.begin_subsegment("subsegment");
        let other = thread::spawn(move || subsegment.close());
        segment.close();
        other.join().unwrap();
        assert_eq!(names(&emitted(&emitter)), ["segment", "subsegment"]);
    });
}

#[test]
fn subsegments_that_close_with_their_segment_are_emitted_once() {
    model(|| {
        let (recorder, emitter) = recorder(SampleAll);
        let segment = recorder.begin_segment("segment");
        let outer = segment.begin_subsegment("outer");
        let inner = outer.begin_subsegment("inner");
        let others = [thread::spawn(move || outer.close()), thread::spawn(move || inner.close())];
        segment.close();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(names(&emitted(&emitter)), ["inner", "outer", "segment"]);
    });
}

#[test]
fn a_subsegment_that_begins_while_its_segment_closes_is_emitted_once() {
    model(|| {
        let (recorder, emitter) = recorder(SampleAll);
        let segment = recorder.begin_segment("segment");
        let entity = segment.entity().clone();
        let other = thread::spawn(move || entity.begin_subsegment("subsegment").close());
        segment.close();
        other.join().unwrap();
        assert_eq!(names(&emitted(&emitter)), ["segment", "subsegment"]);
    });
}

#[test]
fn what_is_said_while_an_entity_closes_is_in_its_document_or_counted() {
    model(|| {
        let (recorder, emitter) = recorder(SampleAll);
        let segment = recorder.begin_segment("segment");
        let entity = segment.entity().clone();
        let other = thread::spawn(move || entity.add_annotation("key", "value"));
        segment.close();
        other.join().unwrap();
        let documents = emitted(&emitter);
        assert_eq!(names(&documents), ["segment"]);
        assert_eq!(u64::from(documents[0].get("annotations").is_none()), recorder.stats().refused);
    });
}

#[test]
fn what_is_kept_while_it_closes_is_emitted_once_or_not_at_all() {
    for faulty in [false, true] {
        model(move || {
            let (recorder, emitter) = recorder(SampleNone);
            let segment = recorder.begin_segment("segment");
            if faulty {
                segment.set_fault();
            }
            let entity = segment.entity().clone();
            let other = thread::spawn(move || entity.keep());
            segment.close();
            other.join().unwrap();
            let documents = emitted(&emitter);
            assert!(documents.len() <= 1 && (!faulty || documents.len() == 1));
            assert_eq!(recorder.stats().captured, documents.len() as u64);
        });
    }
}

#[test]
fn what_is_discarded_while_it_closes_is_counted_for_what_became_of_it() {
    for sampled in [false, true] {
        model(move || {
            let (recorder, emitter) = if sampled { recorder(SampleAll) } else { recorder(SampleNone) };
            let segment = recorder.begin_segment("segment");
            segment.set_fault();
            let entity = segment.entity().clone();
            let other = thread::spawn(move || entity.discard());
            segment.close();
            other.join().unwrap();
            let emitted = emitted(&emitter).len() as u64;
            let stats = recorder.stats();
            assert!(emitted + stats.discarded >= u64::from(sampled));
            assert!(emitted <= 1 && stats.captured <= emitted + stats.discarded, "{stats:?}");
        });
    }
}
