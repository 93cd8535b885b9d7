//! Any order of opening, entering, leaving and closing spans, on two threads, against a model.

use std::{
    collections::HashMap,
    sync::mpsc::{Sender, channel},
    thread,
};

use serde_json::Value;
use tower_xray::{Entity, Recorder, Segment, current, id::SegmentId, subscriber::SubsegmentLayer};
use tracing::{Dispatch, Span, debug_span, dispatcher, info_span};
use tracing_subscriber::Registry;
use tracing_subscriber::prelude::*;

use crate::{outline::entities, support::recorder};

const THREADS: usize = 2;

type Job = Box<dyn FnOnce() + Send>;

/// A span, and what is expected of it.
struct Modelled {
    span: Span,
    /// Who it is a child of, if it is to be a subsegment: the number of a span, or of a thread's segment.
    parent: Option<Result<usize, usize>>,
    /// The threads that are in it, one for every time.
    entered: Vec<usize>,
}

/// A thread that does what it is told, with a segment of its own entered.
struct Worker {
    jobs: Sender<Job>,
    /// The spans that it is in, the innermost last.
    stack: Vec<usize>,
    thread: thread::JoinHandle<()>,
}

impl Worker {
    fn start(segment: Entity, dispatch: Dispatch) -> Self {
        let (jobs, todo) = channel::<Job>();
        let work = move || {
            let _default = dispatcher::set_default(&dispatch);
            let _entered = segment.enter();
            todo.iter().for_each(|job| job());
            assert_eq!(current().id(), segment.id());
        };
        Self { jobs, stack: Vec::new(), thread: thread::spawn(work) }
    }

    fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = channel();
        let job = move || sender.send(job()).unwrap();
        self.jobs.send(Box::new(job)).unwrap();
        receiver.recv().unwrap()
    }
}

/// `SEED=<number>` repeats a run.
#[test]
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a run says its seed, and can be told one")]
fn any_use_of_spans_nests_as_a_model_says() {
    let seed = std::env::var("SEED").ok().map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..40 {
        let subscriber: Dispatch = match round % 3 {
            0 => Registry::default().with(SubsegmentLayer::new().filtered()).into(),
            1 => Registry::default().with(SubsegmentLayer::new()).into(),
            _ => Registry::default().with(SubsegmentLayer::new()).with(SubsegmentLayer::new().filtered()).into(),
        };
        let (recorder, documents) = recorder();
        let expected = use_spans(&recorder, &subscriber, &mut random);
        let documents: Vec<Value> =
            documents.take().iter().map(|document| serde_json::from_str(&document.to_json()).unwrap()).collect();
        let found = parents_by_number(&documents);
        assert_eq!(found, expected, "round {round}");
        assert_eq!(recorder.stats().opened, THREADS as u64);
    }
}

/// Does anything, and says which spans have to be whose children.
fn use_spans(recorder: &Recorder, dispatch: &Dispatch, random: &mut fastrand::Rng) -> HashMap<u64, Result<u64, u64>> {
    let mut segments: Vec<Option<Segment>> = (0..THREADS).map(|_| Some(recorder.begin_segment("report"))).collect();
    for (number, segment) in segments.iter().flatten().enumerate() {
        segment.add_annotation("segment", number);
    }
    let entities: Vec<Entity> = segments.iter().flatten().map(|segment| segment.entity().clone()).collect();
    let mut workers: Vec<Worker> =
        entities.iter().map(|entity| Worker::start(entity.clone(), dispatch.clone())).collect();
    let mut spans: Vec<Option<Modelled>> = Vec::new();
    let mut expected = HashMap::new();
    let mut ids: HashMap<usize, SegmentId> = HashMap::new();
    for _ in 0..150 {
        let on = random.usize(..THREADS);
        let open: Vec<usize> = (0..spans.len()).filter(|number| spans[*number].is_some()).collect();
        match random.u8(..20) {
            0..6 => {
                let number = spans.len();
                let chosen = random.u8(..4) > 0;
                let parent = Some(())
                    .filter(|()| random.u8(..3) == 0 && !open.is_empty())
                    .map(|()| open[random.usize(..open.len())])
                    .filter(|parent| spans[*parent].as_ref().is_some_and(|span| span.parent.is_some()));
                let innermost = |stack: &[usize]| {
                    let chosen = |number: &&usize| spans[**number].as_ref().is_some_and(|span| span.parent.is_some());
                    stack.iter().rev().find(chosen).copied()
                };
                let belongs = parent.or_else(|| innermost(&workers[on].stack)).ok_or(on);
                let explicit = parent.and_then(|parent| spans[parent].as_ref().map(|parent| parent.span.clone()));
                let span = workers[on].run(move || match (&explicit, chosen) {
                    (Some(parent), true) => info_span!(parent: parent, "span", number),
                    (Some(parent), false) => debug_span!(parent: parent, "span", number),
                    (None, true) => info_span!("span", number),
                    (None, false) => debug_span!("span", number),
                });
                if chosen {
                    expected.insert(number as u64, belongs.map(|span| span as u64).map_err(|segment| segment as u64));
                }
                spans.push(Some(Modelled { span, parent: chosen.then_some(belongs), entered: Vec::new() }));
            }
            6..12 if !open.is_empty() => {
                let number = open[random.usize(..open.len())];
                let modelled = spans[number].as_mut().unwrap();
                modelled.entered.push(on);
                let span = modelled.span.clone();
                workers[on].run(move || span.with_subscriber(|(id, dispatch)| dispatch.enter(id)));
                workers[on].stack.push(number);
            }
            12..17 if !workers[on].stack.is_empty() => {
                // Mostly the innermost one.
                let depth = workers[on].stack.len();
                let place = if random.u8(..3) > 0 { depth - 1 } else { random.usize(..depth) };
                let number = workers[on].stack[place];
                let place = workers[on].stack.iter().rposition(|other| *other == number).unwrap();
                workers[on].stack.remove(place);
                leave(&mut spans, number, on, &workers);
            }
            17..19 if !open.is_empty() => {
                let number = open[random.usize(..open.len())];
                if spans[number].as_ref().unwrap().entered.is_empty() {
                    let closed = spans[number].take();
                    workers[on].run(move || drop(closed.map(|closed| closed.span)));
                }
            }
            // A segment closes while its thread goes on.
            19 if random.u8(..10) == 0 => drop(segments[on].take()),
            _ => {}
        }
        // The current entity is that of the innermost chosen span.
        let chosen = |number: &&usize| spans[**number].as_ref().is_some_and(|span| span.parent.is_some());
        let innermost = workers[on].stack.iter().rev().find(chosen).copied();
        let id = workers[on].run(|| current().id()).unwrap();
        match innermost {
            None => assert_eq!(Some(id), entities[on].id()),
            Some(number) => assert_eq!(*ids.entry(number).or_insert(id), id),
        }
    }
    for on in 0..THREADS {
        while let Some(number) = workers[on].stack.pop() {
            leave(&mut spans, number, on, &workers);
        }
    }
    let on = random.usize(..THREADS);
    workers[on].run(move || drop(spans));
    for worker in workers {
        drop(worker.jobs);
        worker.thread.join().unwrap();
    }
    expected
}

fn leave(spans: &mut [Option<Modelled>], number: usize, on: usize, workers: &[Worker]) {
    let modelled = spans[number].as_mut().unwrap();
    let place = modelled.entered.iter().position(|thread| *thread == on).unwrap();
    modelled.entered.remove(place);
    let span = modelled.span.clone();
    workers[on].run(move || span.with_subscriber(|(id, dispatch)| dispatch.exit(id)));
}

/// The number of every span in the documents, with that of its parent, which may be a segment.
fn parents_by_number(documents: &[Value]) -> HashMap<u64, Result<u64, u64>> {
    let parents = crate::outline::parents(documents);
    let all = entities(documents);
    let number = |entity: &Value, key: &str| entity["annotations"][key].as_u64();
    let by_id: HashMap<&str, &Value> = all.iter().map(|entity| (entity["id"].as_str().unwrap(), *entity)).collect();
    let parent = |entity: &Value| {
        let parent = by_id[parents[entity["id"].as_str().unwrap()]];
        number(parent, "number").ok_or_else(|| number(parent, "segment").unwrap())
    };
    all.iter().filter_map(|entity| Some((number(entity, "number")?, parent(entity)))).collect()
}
