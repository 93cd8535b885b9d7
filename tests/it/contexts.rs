//! The current entity: where it is, where it is not, and what the adapters make of futures.

use std::{
    convert::Infallible,
    fmt,
    future::{pending, ready},
};

use tokio::task::yield_now;
use tower_xray::{Entity, FutureExt, Recorder, Segment, capture, context::capture_blocking, current};

use crate::{outline::outline, support::recorder};

/// Runs `work` in a segment of its own.
async fn in_segment<F: Future>(recorder: &Recorder, work: F) -> F::Output {
    let segment = recorder.begin_segment("report");
    work.in_entity(&segment).await
}

#[derive(Debug)]
struct Declined;

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("card declined")
    }
}

impl std::error::Error for Declined {}

#[tokio::test]
async fn in_subsegment_takes_any_output() {
    let (recorder, documents) = recorder();
    let work = async {
        let number = async { 7 }.in_subsegment("compute").await;
        let failure: Result<(), u8> = ready(Err(3)).in_subsegment("fail").await;
        (number, failure)
    };
    assert_eq!(in_segment(&recorder, work).await, (7, Err(3)));
    assert_eq!(outline(&documents.take()), ["report(compute fail)"]);
}

#[tokio::test]
async fn capture_records_an_err_and_passes_it_on() {
    let (recorder, documents) = recorder();
    let work = async {
        let receipt: Result<u8, Declined> = capture("good", async { Ok(1) }).await;
        assert_eq!(receipt.unwrap(), 1);
        capture(format!("bad {}", 1), async {
            current().add_annotation("tier", "gold");
            yield_now().await;
            Err::<(), _>(Declined)
        })
        .await
        .unwrap_err()
    };
    assert_eq!(in_segment(&recorder, work).await.to_string(), "card declined");
    let document = documents.take_one();
    let bad = document.subsegments().last().unwrap();
    assert_eq!(bad.annotation("tier"), Some("gold".into()));
    let kind = std::any::type_name::<Declined>();
    assert_eq!(outline(&[document]), [format!("report(good bad 1![{kind}: card declined])")]);
}

#[test]
fn capture_blocking_does_the_same_without_waiting() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let parsed = {
        let _entered = segment.enter();
        let one: Result<u8, Infallible> =
            capture_blocking("good", || capture_blocking("below", || Ok(current().is_recorded().into())));
        assert_eq!(one, Ok(1));
        capture_blocking("parse", || "4x2".parse::<u32>())
    };
    assert!(parsed.is_err());
    segment.close();
    let expected =
        "report(good(below) parse![core::num::error::ParseIntError: invalid digit found in string])".to_owned();
    assert_eq!(outline(&documents.take()), [expected]);
}

#[tokio::test]
async fn work_outside_of_a_segment_runs_all_the_same() {
    assert!(current().is_none());
    assert_eq!(async { 7 }.in_subsegment("a").await, 7);
    assert_eq!(capture("a", async { Err::<(), _>(Declined) }).await.unwrap_err().to_string(), "card declined");
    assert_eq!(capture_blocking("a", || Ok::<_, Infallible>(7)), Ok(7));
    assert!(tokio::spawn(async { current().is_none() }.in_current_segment()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spawned_task_belongs_to_the_segment_only_if_it_is_taken_along() {
    let (recorder, documents) = recorder();
    let work = async {
        let lost = tokio::spawn(async { current().is_none() });
        assert!(lost.await.unwrap());
        let job = async {
            yield_now().await;
            async { yield_now().await }.in_subsegment("job").await;
            current().id()
        };
        let id = tokio::spawn(job.in_current_segment()).await.unwrap();
        assert_eq!(id, current().id());
        tokio::spawn(yield_now().in_subsegment("direct")).await.unwrap();
    };
    in_segment(&recorder, work).await;
    assert_eq!(outline(&documents.take()), ["report(job direct)"]);
}

#[tokio::test]
async fn a_spawned_task_that_outlives_the_segment_is_sent_when_it_ends() {
    let (recorder, documents) = recorder();
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let mail = async {
        wait.await.unwrap();
        ready(()).in_subsegment("mail").await;
    };
    let mut task = None;
    in_segment(&recorder, async { task = Some(tokio::spawn(mail.in_current_segment())) }).await;
    assert_eq!(outline(&documents.take()), ["report"]);
    go.send(()).unwrap();
    task.unwrap().await.unwrap();
    let document = documents.take_one();
    assert!(document.is_subsegment());
    assert_eq!(document.name(), "mail");
}

#[tokio::test]
async fn futures_that_take_turns_on_one_thread_do_not_mix() {
    let (recorder, documents) = recorder();
    let turns = |name: &'static str| {
        async move {
            for number in 0..3 {
                yield_now().await;
                yield_now().in_subsegment(format!("{name} {number}")).await;
            }
        }
        .in_subsegment(name)
    };
    in_segment(&recorder, async { tokio::join!(turns("a"), turns("b")) }).await;
    assert!(current().is_none());
    assert_eq!(outline(&documents.take()), ["report(a(a 0 a 1 a 2) b(b 0 b 1 b 2))"]);
}

#[tokio::test]
async fn the_parent_is_the_one_where_the_adapter_was_called() {
    let (recorder, documents) = recorder();
    let mut made = None;
    in_segment(&recorder, async { made = Some(ready(()).in_subsegment("made here")) }).await;
    assert_eq!(outline(&documents.take()), ["report"]);
    let other = recorder.begin_segment("other");
    made.unwrap().in_entity(&other).await;
    other.close();
    assert_eq!(outline(&documents.take()), ["made here < nobody", "other"]);
}

#[tokio::test]
async fn a_dropped_future_closes_its_subsegment_and_one_never_polled_begins_none() {
    let (recorder, documents) = recorder();
    let work = async {
        drop(ready(()).in_subsegment("never"));
        tokio::select! {
            biased;
            () = pending().in_subsegment("dropped") => unreachable!(),
            () = ready(()) => {}
        }
    };
    in_segment(&recorder, work).await;
    assert_eq!(outline(&documents.take()), ["report(dropped)"]);
}

#[test]
fn entering_nests_and_ends_with_the_guard() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let query = segment.begin_subsegment("query");
    assert!(current().is_none());
    {
        let _segment = segment.enter();
        assert_eq!(current().id(), segment.id());
        {
            let _query = query.enter();
            assert_eq!(current().id(), query.id());
            let _none = Entity::none().enter();
            assert!(current().is_none());
        }
        assert_eq!(current().id(), segment.id());
        assert!(std::thread::spawn(|| current().is_none()).join().unwrap(), "a thread has its own");
    }
    assert!(current().is_none());
    query.close();
    segment.close();
    assert_eq!(outline(&documents.take()), ["report(query)"]);
}

#[tokio::test]
async fn a_guard_that_is_held_across_an_await_harms_nothing_else() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let other = segment.begin_subsegment("other");
    let work = async {
        tokio::select! {
            biased;
            // Only a future that stays on its thread can do this.
            () = async { let _entered = other.enter(); pending().await }.in_subsegment("work") => unreachable!(),
            () = yield_now() => {}
        }
        assert_eq!(current().id(), segment.id());
        yield_now().await;
        assert_eq!(current().id(), segment.id());
    };
    work.in_entity(&segment).await;
    assert!(current().is_none());
    other.add_annotation("still_open", true);
    other.close();
    segment.close();
    assert_eq!(recorder.stats().refused, 0);
    assert_eq!(outline(&documents.take()), ["report(other work)"]);
}

#[test]
fn what_ends_with_its_thread_is_sent() {
    thread_local!(static KEPT: std::cell::Cell<Option<Segment>> = const { std::cell::Cell::new(None) });
    let (recorder, documents) = recorder();
    std::thread::spawn(move || {
        let segment = recorder.begin_segment("report");
        std::mem::forget(segment.enter());
        KEPT.set(Some(segment));
    })
    .join()
    .unwrap();
    assert_eq!(outline(&documents.take()), ["report"]);
}

#[tokio::test]
async fn work_that_is_dropped_before_its_end_is_annotated() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let work = async {
        tokio::select! {
            biased;
            () = std::future::pending::<()>().in_subsegment("never") => unreachable!(),
            () = async {}.in_subsegment("at once") => {}
        }
    };
    work.in_entity(&segment).await;
    segment.close();
    let document = documents.take_one();
    let cancelled: Vec<_> = document.subsegments().map(|child| (child.name(), child.annotation("cancelled"))).collect();
    assert_eq!(cancelled, [("never", Some(true.into())), ("at once", None)]);
}

#[tokio::test]
async fn what_dropped_work_drops_is_part_of_it_still() {
    struct SayOnDrop(Entity);

    impl Drop for SayOnDrop {
        fn drop(&mut self) {
            self.0.add_annotation("dropped", "in time");
            self.0.begin_subsegment("tidy up").close();
        }
    }

    let (recorder, documents) = recorder();
    let work = async {
        let never = async {
            let _say = SayOnDrop(current());
            pending::<Result<(), Infallible>>().await
        };
        tokio::select! {
            biased;
            _ = capture("never", never) => unreachable!(),
            () = ready(()) => {}
        }
    };
    in_segment(&recorder, work).await;
    assert_eq!(recorder.stats().refused, 0);
    let document = documents.take_one();
    let never = document.subsegments().next().unwrap();
    assert_eq!(never.annotation("dropped"), Some("in time".into()));
    assert_eq!(never.annotation("cancelled"), Some(true.into()));
    let below = never.subsegments().next().unwrap();
    assert!(below.end_time() <= never.end_time(), "{document}");
}
