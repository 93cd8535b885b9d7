//! A panic is recorded once, where it happened, referred to above, and goes on.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, panic_any},
};

use tower_xray::{FutureExt, capture, context::capture_blocking, current};

use crate::{outline::outline, support::recorder};

/// The text of the panic that a future ends with.
async fn panic_of<F>(future: F) -> String
where
    F: Future<Output = ()>,
{
    let mut future = Box::pin(future);
    let caught = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(|()| None),
        Err(payload) => std::task::Poll::Ready(Some(payload)),
    });
    let payload = caught.await.expect("a panic");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("text")).to_owned(),
    }
}

#[tokio::test]
async fn every_adapter_records_the_payload_once_and_lets_the_panic_pass() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let inner = async {
        tokio::task::yield_now().await;
        capture_blocking::<(), std::fmt::Error, _>("blocking", || panic!("lost {}", 7)).unwrap();
    };
    let inner = async {
        inner.await;
        Ok::<_, std::fmt::Error>(())
    };
    let captured = async { capture("captured", inner).await.unwrap() };
    let work = async { captured.in_subsegment("outer").await }.in_entity(&segment);
    assert_eq!(panic_of(work).await, "lost 7");
    assert!(current().is_none());
    segment.close();
    assert_eq!(
        outline(&documents.take()),
        ["report(outer![see blocking](captured![see blocking](blocking![panic: lost 7])))"]
    );
}

#[tokio::test]
async fn the_context_is_restored_after_a_panic() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let work = async {
        assert_eq!(panic_of(async { panic!("lost") }.in_subsegment("a")).await, "lost");
        assert_eq!(panic_of(async { panic!("found") }.in_current_segment()).await, "found");
        current().id()
    };
    assert_eq!(work.in_entity(&segment).await, segment.id());
    segment.close();
    assert_eq!(outline(&documents.take()), ["report(a![panic: lost])"]);
}

#[test]
fn a_payload_that_is_no_text_is_said_to_be_that() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let entered = segment.enter();
    let work = || capture_blocking::<(), std::fmt::Error, _>("a", || panic_any(7_u8));
    assert_eq!(catch_unwind(work).unwrap_err().downcast_ref(), Some(&7_u8));
    drop(entered);
    segment.close();
    assert_eq!(outline(&documents.take()), ["report(a![panic: a panic whose payload is not text])"]);
}

#[test]
fn guards_that_a_panic_drops_are_faults_that_tell_it_once() {
    let (recorder, documents) = recorder();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let segment = recorder.begin_segment("report");
        let query = segment.begin_subsegment("query");
        let _parse = query.begin_subsegment("parse");
        panic!("lost");
    }));
    assert!(caught.is_err());
    assert_eq!(
        outline(&documents.take()),
        ["report![see parse](query![see parse](parse![panic: the thread panicked]))"]
    );
}

#[test]
fn a_guard_above_an_adapter_refers_to_the_payload() {
    let (recorder, documents) = recorder();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let segment = recorder.begin_segment("report");
        let _entered = segment.enter();
        capture_blocking::<(), std::fmt::Error, _>("query", || panic!("lost"))
    }));
    assert!(caught.is_err());
    assert_eq!(outline(&documents.take()), ["report![see query](query![panic: lost])"]);
}

#[test]
fn a_guard_that_begins_and_ends_within_a_panic_is_no_fault() {
    struct Cleanup(tower_xray::Recorder);

    impl Drop for Cleanup {
        fn drop(&mut self) {
            self.0.begin_segment("cleanup").close();
        }
    }

    let (recorder, documents) = recorder();
    let cleanup = Cleanup(recorder);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _cleanup = cleanup;
        panic!("lost");
    }));
    assert!(caught.is_err());
    assert_eq!(outline(&documents.take()), ["cleanup"]);
}

#[tokio::test]
async fn a_task_that_panics_is_told_to_its_segment() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let job = async { async { panic!("lost") }.in_subsegment("job").await };
    let joined = tokio::spawn(job.in_entity(&segment)).await;
    assert!(joined.unwrap_err().is_panic());
    segment.close();
    assert_eq!(outline(&documents.take()), ["report(job![panic: lost])"]);
}
