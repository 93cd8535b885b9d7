//! Calls of clients that this crate does not know, by the module that its own are built on.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tower_xray::{
    FutureExt, Recorder,
    call::{self, Call, Class, Failure},
    current,
    document::ExceptionDocument,
    sampling::SampleNone,
};

use crate::{
    outline::outline,
    support::{described, in_segment, recorder, recorder_with},
};

#[derive(Debug)]
struct Refused(&'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Refused {}

/// An answer that is an error, although there is nothing wrong with the future.
fn end_with_answer(call: Call, answer: &Option<u32>) {
    match answer {
        Some(_) => call.end(),
        None => call.fail_with(|| Failure::new("NIL", "there is nothing").class(Class::Error)),
    }
}

#[tokio::test]
async fn a_call_ends_by_an_output_that_is_no_result() {
    let (answers, document) = in_segment(async {
        let first = call::capture_with(Call::builder("cache"), async { Some(1) }, end_with_answer).await;
        let second = Call::builder("cache").begin().run_with(async { None }, end_with_answer).await;
        (first, second)
    })
    .await;
    assert_eq!(answers, (Some(1), None));
    assert_eq!(outline(std::slice::from_ref(&document)), ["shop(cache cache?[NIL: there is nothing])"]);
    let failed = document.subsegments().nth(1).unwrap();
    assert!(failed.exceptions().all(ExceptionDocument::remote));
}

#[tokio::test]
async fn a_call_that_is_not_recorded_is_ended_as_any_other() {
    let (unsampled, documents) = recorder_with(|builder| builder.sampling(SampleNone));
    let segment = unsampled.begin_segment("shop");
    let mut ended = Vec::new();
    let end = |call: Call, answer: &u32| {
        ended.push((call.is_recorded(), *answer));
        call.fail_with(|| unreachable!("nothing describes what is not recorded"));
    };
    call::capture_with(Call::builder("cache"), async { 1 }, end).in_entity(&segment).await;
    // Outside of any trace.
    let end = |call: Call, _: &u32| ended.push((call.is_recorded(), 2));
    call::capture_with(Call::builder("cache"), async { 2 }, end).await;
    assert_eq!(ended, [(false, 1), (false, 2)]);
    segment.close();
    assert_eq!(documents.len(), 0);
}

#[tokio::test]
async fn a_call_that_is_not_ended_was_cancelled() {
    let (_, document) = in_segment(async {
        call::capture_with(Call::builder("ignored"), async {}, |_, ()| {}).await;
        let waiting = call::capture_with(Call::builder("dropped"), std::future::pending::<()>(), |call, ()| call.end());
        tokio::select! {
            biased;
            () = waiting => unreachable!("it is pending"),
            () = std::future::ready(()) => {}
        }
        drop(call::capture_with(Call::builder("never polled"), async {}, |call, ()| call.end()));
    })
    .await;
    let cancelled = |name: &str| {
        let mut calls = document.subsegments().filter(|call| call.name() == name);
        calls.next().map(|call| (call.annotation("cancelled"), call.fault(), call.error()))
    };
    for name in ["ignored", "dropped"] {
        assert_eq!(cancelled(name), Some((Some(true.into()), false, false)), "{name}");
    }
    assert_eq!(cancelled("never polled"), None);
}

#[tokio::test]
async fn a_panic_of_what_ends_a_call_goes_on_and_leaves_everything_in_its_place() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("shop");
    let entity = segment.entity().clone();
    let work = async {
        let end = |_: Call, (): &()| panic!("an integration with a bug");
        call::capture_with(Call::builder("cache"), async {}, end).await;
    };
    assert!(tokio::spawn(work.in_entity(&entity)).await.unwrap_err().is_panic());
    assert!(current().is_none());
    segment.close();
    let document = documents.take_one();
    assert_eq!(document.subsegments().next().unwrap().annotation("cancelled"), Some(true.into()));
}

#[tokio::test]
async fn a_call_has_its_annotations_from_the_beginning() {
    let annotations = [("operation", "GET".into()), ("commands", 3.into()), ("ratio", f64::NAN.into())];
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("shop");
    let get = async {
        current().add_annotation("operation", "MGET");
        Ok::<_, Refused>(())
    };
    call::capture(Call::builder("cache").annotations(&annotations), get).in_entity(&segment).await.unwrap();
    segment.close();
    let document = documents.take_one();
    let call = document.subsegments().next().unwrap();
    let found: Vec<_> = call.annotations().collect();
    assert_eq!(found, [("operation", "MGET".into()), ("commands", 3.into())]);
    assert_eq!(recorder.stats().refused, 1);
}

#[test]
fn a_failure_of_local_work_may_be_that_of_another_service_and_the_reverse() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("shop");
    let refused = || Failure::of(&Refused("no"));
    for (local, failure) in
        [(true, refused()), (true, refused().remote()), (false, refused()), (false, refused().local())]
    {
        let call = Call::builder("cache");
        let call = if local { call.local() } else { call };
        call.begin_in(&segment).fail_with(|| failure);
    }
    segment.close();
    let document = documents.take_one();
    let remote: Vec<_> = document.subsegments().map(|call| call.exceptions().all(ExceptionDocument::remote)).collect();
    assert_eq!(remote, [false, true, true, false]);
}

#[test]
fn a_call_that_blocks_ends_by_its_result() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("shop");
    for result in [Ok(1), Err(Refused("no"))] {
        let mut call = Call::builder("cache").begin_in(&segment);
        let result = call.enter(|| {
            assert_ne!(current().id(), segment.id());
            result
        });
        call.end_with(&result);
    }
    let mut call = Call::builder("cache").begin_in(&segment);
    let panic = catch_unwind(AssertUnwindSafe(|| call.enter(|| panic!("no more"))));
    assert!(panic.is_err());
    call.end_with(&Ok::<_, Refused>(()));
    segment.close();
    let document = documents.take_one();
    let causes: Vec<_> = document.subsegments().map(|call| (call.fault(), described(call))).collect();
    let refused = std::any::type_name::<Refused>();
    assert_eq!(causes, [(false, vec![]), (true, vec![(refused, "no")]), (true, vec![("panic", "no more")])]);
}

#[test]
fn no_failure_of_a_call_repeats_its_secrets() {
    let secrets: Arc<[String]> = ["open sesame".to_owned(), "sesame".to_owned()].into();
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("shop");
    let begin = || Call::builder("cache").redact(&secrets).begin_in(&segment);
    begin().fail(&Refused("open sesame is wrong"));
    begin().fail_with(|| Failure::new("ERR", "sesame is wrong"));
    let panic = || begin().enter(|| panic!("open sesame is wrong"));
    assert!(catch_unwind(AssertUnwindSafe(panic)).is_err());
    segment.close();
    let document = documents.take_one();
    assert!(document.subsegments().all(|call| described(call)[0].1 == " is wrong"), "{document}");
}

fn assert_send<T: Send>(value: T) -> T {
    value
}

/// An integration spawns calls.
#[tokio::test]
async fn a_call_can_be_sent_to_another_thread() {
    let recorder = Recorder::builder().environment(|_| None).build().unwrap();
    let segment = recorder.begin_segment("shop");
    let call = assert_send(Call::builder("cache").begin_in(&segment));
    let run = assert_send(call.run_with(async { Some(1) }, end_with_answer));
    assert_eq!(tokio::spawn(run).await.unwrap(), Some(1));
}
