//! Every way in which tokio runs, moves, cancels and drops work: nothing is lost, doubled, or left behind.

use std::{
    convert::Infallible,
    future::pending,
    task::{Context, Waker},
};

use http::{Request, Response};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
    task::{LocalSet, block_in_place, spawn_blocking, spawn_local, yield_now},
};
use tower::{Layer, Service, service_fn};
use tower_xray::{FutureExt, XRayLayer, capture, context::capture_blocking, current};

use crate::{
    outline::outline,
    support::{emitting_recorder, recorder},
};

fn runtime(threads: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
}

#[test]
fn blocking_and_local_work_belongs_where_it_is_taken() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let parse = |name| capture_blocking(name, || "7".parse::<u32>());
    let work = async move {
        assert_eq!(block_in_place(|| parse("in place")), Ok(7));
        // A blocking thread is another one; the entity goes along by hand.
        let entity = current();
        spawn_blocking(move || {
            assert!(current().is_none());
            let _entered = entity.enter();
            parse("blocking").unwrap();
        })
        .await
        .unwrap();
        assert!(spawn_blocking(|| current().is_none()).await.unwrap(), "the thread has forgotten it");
    };
    runtime(2).block_on(async { tokio::spawn(work.in_entity(&segment)).await.unwrap() });
    let local = LocalSet::new();
    let entity = segment.entity().clone();
    local.spawn_local(async move {
        let taken = spawn_local(async { yield_now().await }.in_subsegment("taken").in_entity(&entity));
        let left = spawn_local(async { current().is_none() });
        taken.await.unwrap();
        assert!(left.await.unwrap());
    });
    Builder::new_current_thread().build().unwrap().block_on(local);
    assert!(current().is_none());
    segment.close();
    assert_eq!(outline(&documents.take()), ["orders(in place blocking taken)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aborted_and_deselected_work_closes_below_its_segment() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let (reached, mut reaches) = mpsc::unbounded_channel();
    let waits = |name: &'static str| {
        let reached = reached.clone();
        let inner = async move {
            reached.send(()).unwrap();
            pending::<Result<(), Infallible>>().await
        };
        capture(name, async { capture("deep", inner).await })
    };
    let task = tokio::spawn(waits("aborted").in_entity(&segment));
    reaches.recv().await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let work = async {
        tokio::select! {
            biased;
            _ = waits("deselected") => unreachable!(),
            _ = reaches.recv() => {}
        }
        assert!(tokio::time::timeout(std::time::Duration::ZERO, waits("late")).await.is_err());
        drop(waits("never polled"));
        current().id()
    };
    assert_eq!(work.in_entity(&segment).await, segment.id());
    assert!(current().is_none());
    segment.close();
    assert_eq!(outline(&documents.take()), ["orders(aborted(deep) deselected(deep) late(deep))"]);
}

#[test]
fn a_runtime_that_ends_sends_what_was_open() {
    let (recorder, documents) = recorder();
    let (reached, mut reaches) = mpsc::unbounded_channel();
    let runtime = runtime(2);
    for _ in 0..20 {
        let (recorder, reached) = (recorder.clone(), reached.clone());
        runtime.spawn(async move {
            let segment = recorder.begin_segment("orders");
            let waits = async {
                reached.send(()).unwrap();
                pending::<()>().await;
            };
            async { waits.in_subsegment("inner").await }.in_subsegment("outer").in_entity(&segment).await;
        });
    }
    for _ in 0..20 {
        reaches.blocking_recv().unwrap();
    }
    assert_eq!(documents.len(), 0);
    drop(runtime);
    assert_eq!(outline(&documents.take()), ["orders(outer(inner))"; 20]);
}

#[test]
fn a_request_that_is_never_polled_or_dropped_elsewhere_leaves_one_segment() {
    let (recorder, documents) = recorder();
    let service = service_fn(|_: Request<()>| {
        let work = async { pending::<Result<Response<String>, Infallible>>().await }.in_subsegment("work");
        // Held by the future, so it ends with that.
        let held = current().begin_subsegment("held");
        async move {
            let _held = held;
            work.await
        }
    });
    let mut service = XRayLayer::new("orders", recorder).layer(service);
    let mut cx = Context::from_waker(Waker::noop());
    drop(service.call(Request::new(())));
    assert!(current().is_none());
    let mut polled = Box::pin(service.call(Request::new(())));
    assert!(polled.as_mut().poll(&mut cx).is_pending());
    assert!(current().is_none());
    std::thread::spawn(move || drop(polled)).join().unwrap();
    let left = "orders?[ClientDisconnect: the client left, or something outside gave up, before the response began]";
    assert_eq!(outline(&documents.take()), [format!("{left}(held)"), format!("{left}(held work)")]);
}

#[test]
fn nothing_is_current_between_requests_on_any_thread() {
    let (recorder, mut emitted) = emitting_recorder();
    let runtime = runtime(4);
    let service = service_fn(async |request: Request<usize>| {
        let number = *request.body();
        let entity = current();
        let job = async move {
            for _ in 0..number % 5 {
                yield_now().await;
                assert_eq!(current().trace_id(), entity.trace_id());
            }
        };
        job.in_subsegment(number.to_string()).await;
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let service = XRayLayer::new("orders", recorder).layer(service);
    let tasks: Vec<_> = (0..400)
        .map(|number| {
            let mut service = service.clone();
            runtime.spawn(async move {
                for _ in 0..5 {
                    assert!(current().is_none(), "between polls");
                    let call = service.call(Request::new(number));
                    assert!(current().is_none(), "after the call");
                    call.await.unwrap();
                }
            })
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
        let mut seen = vec![0; 400];
        for _ in 0..2_000 {
            let segment = emitted.next().await;
            let [job] = &segment.subsegments().collect::<Vec<_>>()[..] else { panic!("one: {segment}") };
            seen[job.name().parse::<usize>().unwrap()] += 1;
        }
        assert_eq!(seen, [5; 400]);
        emitted.assert_empty();
    });
}
