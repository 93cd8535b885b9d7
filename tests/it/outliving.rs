//! Subsegments that outlive their parents: every entity is sent once, below its parent, whatever the order.

use std::collections::HashMap;

use proptest::{collection::vec, prelude::*};
use serde_json::Value;
use tower_xray::{
    Entity, Segment, Subsegment,
    document::{EntityDocument, SegmentDocument},
    emitter::InMemoryEmitter,
};

use crate::{
    outline::{entities, outline, parents, text},
    support::{recorder, recorder_with},
};

#[test]
fn an_open_child_of_a_closed_segment_travels_by_itself() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let query = segment.begin_subsegment("query");
    segment.close();
    assert_eq!(outline(&documents.take()), ["report"]);
    query.add_annotation("rows", 7);
    query.close();
    let document = documents.take_one();
    assert!(document.is_subsegment());
    assert_eq!(document.annotation("rows"), Some(7.into()));
}

#[test]
fn a_child_takes_along_what_has_closed_below_it() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let query = segment.begin_subsegment("query");
    let before = query.begin_subsegment("before");
    let after = query.begin_subsegment("after");
    before.close();
    segment.close();
    after.close();
    let begun_late = query.begin_subsegment("begun late");
    begun_late.begin_subsegment("deep").close();
    begun_late.close();
    query.close();
    assert_eq!(outline(&documents.take()), ["report", "query(before after begun late(deep)) < report"]);
}

#[test]
fn what_begins_after_its_segment_has_closed_travels_by_itself() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let handle = segment.entity().clone();
    segment.close();
    let late = handle.begin_subsegment("late");
    let other = handle.begin_subsegment("other");
    late.begin_subsegment("below").close();
    late.close();
    other.close();
    assert_eq!(outline(&documents.take()), ["report", "late(below) < report", "other < report"]);
}

#[test]
fn what_begins_below_a_closed_subsegment_of_an_open_segment_is_embedded() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let query = segment.begin_subsegment("query");
    let handle = query.entity().clone();
    query.close();
    let below = handle.begin_subsegment("below");
    let late = handle.begin_subsegment("late");
    below.close();
    segment.close();
    late.close();
    assert_eq!(outline(&documents.take()), ["report(query(below))", "late < query"]);
}

#[test]
fn an_open_grandchild_refers_to_the_closed_child() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let query = segment.begin_subsegment("query");
    let parse = query.begin_subsegment("parse");
    query.close();
    segment.close();
    parse.close();
    assert_eq!(outline(&documents.take()), ["report(query)", "parse < query"]);
}

#[test]
fn a_chain_that_closes_from_the_top_is_one_document_each() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("0");
    let mut chain = vec![segment.begin_subsegment("1")];
    for name in ["2", "3", "4"] {
        chain.push(chain[chain.len() - 1].begin_subsegment(name));
    }
    segment.close();
    chain.into_iter().for_each(Subsegment::close);
    assert_eq!(outline(&documents.take()), ["0", "1 < 0", "2 < 1", "3 < 2", "4 < 3"]);
}

#[test]
fn a_place_that_is_taken_again_is_nobody_elses_parent() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let keeper = segment.begin_subsegment("keeper");
    let first = segment.begin_subsegment("first");
    let stale = first.entity().clone();
    segment.close();
    first.close();
    // One of these takes the place of `first`.
    let second = keeper.begin_subsegment("second");
    let third = keeper.begin_subsegment("third");
    let below_stale = stale.begin_subsegment("below stale");
    stale.add_annotation("too_late", true);
    drop((second, third, below_stale, keeper));
    assert_eq!(
        outline(&documents.take()),
        ["report", "first < report", "below stale < first", "keeper(second third) < report"]
    );
    assert_eq!(recorder.stats().refused, 1);
}

#[test]
fn work_that_goes_on_for_ever_after_its_segment_can_always_be_described() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let job = segment.entity().clone();
    segment.close();
    // Two at a time, so that there is always an open one; 6 MB of annotations in all.
    let value = "x".repeat(1_000);
    let mut previous = job.begin_subsegment("step");
    for number in 0..6_000 {
        let next = job.begin_subsegment("step");
        next.add_annotation("number", number);
        next.add_annotation("value", &value);
        previous = next;
    }
    drop(previous);
    assert_eq!(recorder.stats().refused, 0);
    assert_eq!(documents.len(), 6_002);
}

#[test]
fn an_annotation_can_be_replaced_for_ever() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let value = "x".repeat(1_000);
    for number in 0..6_000 {
        segment.add_annotation("progress", format!("{number} {value}"));
        segment.add_metadata("progress", format!("{number} {value}"));
    }
    segment.close();
    assert_eq!(recorder.stats().refused, 0);
    let document = documents.take_one();
    assert!(document.to_json().contains(r#""progress":"5999 x"#), "the last one counts");
}

#[test]
fn subsegments_that_pile_up_leave_before_their_segment() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let open = segment.begin_subsegment("open");
    for number in 0..1_000 {
        segment.begin_subsegment(&number.to_string()).close();
    }
    let early = documents.take();
    assert!((100..1_000).contains(&early.len()), "{}", early.len());
    assert!(early.iter().all(|document| document.parent_id() == segment.id()));
    drop(segment);
    drop(open);
    let rest = documents.take();
    let [segment, open] = &rest[..] else { panic!("{rest:?}") };
    assert_eq!(open.name(), "open");
    let numbers = early.iter().map(SegmentDocument::name);
    let numbers = numbers.chain(segment.subsegments().map(EntityDocument::name));
    assert!(numbers.eq((0..1_000).map(|number| number.to_string())), "each once, in their order");
}

/// What is done to one of the entities so far, in turn.
#[derive(Clone, Debug)]
enum Step {
    Begin(usize),
    Close(usize),
    /// With so many bytes of metadata.
    Describe(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<usize>().prop_map(Step::Begin),
        3 => any::<usize>().prop_map(Step::Close),
        1 => (any::<usize>(), 0..8_000_usize).prop_map(|(which, bytes)| Step::Describe(which, bytes)),
    ]
}

/// What the documents have to say about one entity.
#[derive(Clone, Debug, Default, PartialEq)]
struct Told {
    parent: String,
    metadata: usize,
}

struct Model {
    segment: Option<Segment>,
    guards: Vec<Option<Subsegment>>,
    handles: Vec<Entity>,
    told: HashMap<String, Told>,
}

impl Model {
    fn new(segment: Segment) -> Self {
        let handles = vec![segment.entity().clone()];
        let told = HashMap::from([(segment.id().unwrap().to_string(), Told::default())]);
        Self { segment: Some(segment), guards: vec![None], handles, told }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Begin(parent) => {
                let parent = &self.handles[parent % self.handles.len()];
                let guard = parent.begin_subsegment("step");
                let told = Told { parent: parent.id().unwrap().to_string(), metadata: 0 };
                self.told.insert(guard.id().unwrap().to_string(), told);
                self.handles.push(guard.entity().clone());
                self.guards.push(Some(guard));
            }
            Step::Close(which) => match which % self.guards.len() {
                0 => drop(self.segment.take()),
                which => drop(self.guards[which].take()),
            },
            Step::Describe(which, bytes) => {
                let which = which % self.handles.len();
                let entity = &self.handles[which];
                entity.add_metadata("m", "x".repeat(bytes));
                let open = self.guards[which].is_some() || (which == 0 && self.segment.is_some());
                if open {
                    self.told.get_mut(&entity.id().unwrap().to_string()).unwrap().metadata = bytes;
                }
            }
        }
    }
}

/// What documents say about their entities.
fn told(documents: &[Value]) -> HashMap<String, Told> {
    let parents = parents(documents);
    let told = entities(documents).into_iter().map(|entity| {
        let id = text(entity, "id");
        let metadata = entity["metadata"]["default"]["m"].as_str().map_or(0, str::len);
        (id.to_owned(), Told { parent: parents[id].to_owned(), metadata })
    });
    told.collect()
}

proptest! {
    #[test]
    fn each_entity_is_sent_once_below_its_parent_with_all_that_was_said(steps in vec(step(), 0..200)) {
        let emitter = InMemoryEmitter::new();
        let (recorder, _) = recorder_with(|builder| builder.emitter(emitter.clone()));
        let mut model = Model::new(recorder.begin_segment("report"));
        for step in &steps {
            model.take(step);
        }
        let Model { segment, guards, told: expected, .. } = model;
        drop((segment, guards));
        // They may be larger than X-Ray takes; splitting is the next stage's business.
        let documents = emitter.take();
        let documents: Vec<Value> =
            documents.iter().map(|document| serde_json::from_str(&document.to_json()).unwrap()).collect();
        prop_assert_eq!(told(&documents), expected);
    }
}
