//! Errors as the causes of faults: described once, where they were first seen, and referred to above.

use std::{
    any::type_name,
    convert::Infallible,
    error::Error,
    fmt,
    ops::Deref,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    Entity, FutureExt, Segment, XRayLayer, capture,
    context::capture_blocking,
    current,
    document::{Boxed, RecordedError},
};

use crate::{
    outline::{exceptions, outline, text},
    support::{described, recorder, recorder_with},
};

/// An error with a text and perhaps a source.
#[derive(Debug)]
struct Failure(String, Option<Box<Self>>);

impl Failure {
    fn new(text: &str) -> Self {
        Self(text.to_owned(), None)
    }

    fn because(text: &str, source: Self) -> Self {
        Self(text.to_owned(), Some(source.into()))
    }

    fn chain(len: usize) -> Self {
        (1..len).rev().fold(Self::new("root"), |source, number| Self::because(&number.to_string(), source))
    }
}

impl Drop for Failure {
    /// Not one in the other: a long chain would take a large stack.
    fn drop(&mut self) {
        let mut next = self.1.take();
        while let Some(mut failure) = next {
            next = failure.1.take();
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

/// A pointer to an error that is no error itself, as `anyhow::Error` and its like are.
#[derive(Debug)]
struct AnyError(Box<dyn Error + Send + Sync>);

impl<E: Error + Send + Sync + 'static> From<E> for AnyError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl Deref for AnyError {
    type Target = dyn Error + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// The outline of a segment after `work`, without this module's path in the names of types.
fn outlined(work: impl FnOnce(&Segment)) -> String {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    work(&segment);
    segment.close();
    assert_eq!(recorder.stats().refused, 0);
    outline(&[documents.take_one()]).remove(0).replace(&type_name::<Failure>().replace("Failure", ""), "")
}

/// The exceptions of a segment that fails with this error.
fn exceptions_of(error: &(impl Error + 'static)) -> Vec<Value> {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    segment.add_fault(error);
    segment.close();
    let json: Value = serde_json::from_str(&documents.take_one().to_json()).unwrap();
    exceptions(&json).cloned().collect()
}

fn failed(entity: &Entity, text: &str) {
    entity.add_fault(&Failure::new(text));
}

#[test]
fn the_chain_of_sources_is_told_from_the_outside_in() {
    let error = || Failure::because("no receipt", Failure::because("no answer", Failure::new("timeout")));
    let told = "[Failure: no receipt < Failure: no answer < Failure: timeout]";
    assert_eq!(outlined(|segment| segment.add_fault(&error())), format!("report!{told}"));
    assert_eq!(outlined(|segment| segment.add_error(&error())), format!("report?{told}"));
    let boxed: Box<dyn Error + Send + Sync> = error().into();
    assert_eq!(outlined(|segment| segment.add_fault(&boxed)), format!("report!{told}"));
    let boxed: Box<dyn Error + Send> = Box::new(error());
    assert_eq!(outlined(|segment| segment.add_fault(&boxed)), format!("report!{told}"));
    let boxed: Box<dyn Error> = error().into();
    assert_eq!(outlined(|segment| segment.add_fault(&boxed)), format!("report!{told}"));
    let shared: Arc<dyn Error + Send + Sync> = Arc::new(error());
    // This one is an error as well as a pointer to one, so which of them has to be said.
    assert_eq!(outlined(|segment| segment.add_fault::<_, Boxed>(&shared)), format!("report!{told}"));
    assert_eq!(outlined(|segment| segment.add_fault(&AnyError::from(error()))), format!("report!{told}"));
}

#[test]
fn each_exception_names_the_next_as_its_cause() {
    let told = exceptions_of(&Failure::because("a", Failure::because("b", Failure::new("c"))));
    let causes: Vec<_> = told.iter().map(|exception| text(exception, "cause")).collect();
    assert_eq!(causes, [text(&told[1], "id"), text(&told[2], "id"), ""]);
    assert!(told.iter().all(|exception| exception.get("stack").is_none() && exception.get("skipped").is_none()));
}

#[test]
fn of_a_long_chain_the_beginning_and_the_root_are_kept() {
    for (len, skipped) in [(32, Value::Null), (33, 1.into()), (1_000, 968.into())] {
        let told = exceptions_of(&Failure::chain(len));
        assert_eq!(told.len(), 32);
        let mut messages: Vec<String> = (1..32).map(|number| number.to_string()).collect();
        messages.push("root".to_owned());
        assert_eq!(told.iter().map(|exception| text(exception, "message")).collect::<Vec<_>>(), messages);
        assert!(told.windows(2).all(|pair| pair[0]["cause"] == pair[1]["id"]));
        assert_eq!(told[30]["skipped"], skipped);
        assert!(told[..30].iter().all(|exception| exception["skipped"].is_null()));
    }
}

#[test]
fn a_chain_without_end_is_not_followed_for_ever() {
    #[derive(Debug)]
    struct Endless;

    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("again")
        }
    }

    impl Error for Endless {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&Self)
        }
    }

    assert_eq!(exceptions_of(&Endless).len(), 32);
}

#[test]
fn long_texts_are_cut_and_odd_ones_survive() {
    #[derive(Debug)]
    struct Odd;

    impl fmt::Display for Odd {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half\0\"")?;
            Err(fmt::Error)
        }
    }

    impl Error for Odd {}

    assert_eq!(text(&exceptions_of(&Failure::new(&"ü".repeat(2_000)))[0], "message"), "ü".repeat(1_000));
    assert_eq!(text(&exceptions_of(&Odd)[0], "message"), "half\0\"");
}

#[test]
fn an_error_that_panics_when_it_is_written_breaks_nothing() {
    #[derive(Debug)]
    struct Unspeakable;

    impl fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no words")
        }
    }

    impl Error for Unspeakable {}

    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    {
        let _entered = segment.enter();
        assert!(capture_blocking("query", || Err::<(), _>(Unspeakable)).is_err());
    }
    segment.close();
    assert_eq!(outline(&documents.take()), ["report(query!)"]);
    assert_eq!(recorder.stats().refused, 1);
}

#[test]
fn an_error_may_talk_about_its_own_segment_when_it_is_written() {
    #[derive(Debug)]
    struct Talkative;

    impl fmt::Display for Talkative {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            current().begin_subsegment("said").close();
            f.write_str("talkative")
        }
    }

    impl Error for Talkative {}

    let told = outlined(|segment| {
        let _entered = segment.enter();
        segment.add_fault(&Talkative);
    });
    assert!(told.ends_with("Talkative: talkative](said)"), "{told}");
}

#[tokio::test]
async fn an_error_that_passes_through_is_described_at_the_deepest_and_referred_to_above() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    let entity = segment.entity().clone();
    let result: Result<(), AnyError> = async {
        capture("outer", async {
            let middle: Result<(), AnyError> = capture("middle", async {
                capture("inner", async { Err::<(), _>(Failure::because("no receipt", Failure::new("timeout"))) })
                    .await?;
                Ok(())
            })
            .await;
            middle
        })
        .await
    }
    .in_entity(&entity)
    .await;
    segment.add_fault(&result.unwrap_err());
    segment.close();
    let told = outline(&documents.take()).remove(0).replace(&type_name::<Failure>().replace("Failure", ""), "");
    assert_eq!(
        told,
        "report![see inner](outer![see inner](middle![see inner](inner![Failure: no receipt < Failure: timeout])))"
    );
}

#[test]
fn what_wraps_a_described_error_is_described_down_to_it() {
    let told = outlined(|segment| {
        let query = segment.begin_subsegment("query");
        query.add_fault(&Failure::because("lost", Failure::new("reset")));
        query.close();
        let wrapped = Failure::because("lost", Failure::new("reset"));
        segment.add_fault(&Failure::because("no report", Failure::because("no rows", wrapped)));
    });
    assert_eq!(
        told,
        "report![Failure: no report < Failure: no rows < see query](query![Failure: lost < Failure: reset])"
    );
}

#[test]
fn of_several_attempts_the_last_one_is_referred_to() {
    let told = outlined(|segment| {
        for name in ["first", "second", "third"] {
            let attempt = segment.begin_subsegment(name);
            if name == "third" {
                failed(&attempt, "other");
            } else {
                failed(&attempt, "timeout");
            }
        }
        failed(segment, "timeout");
    });
    assert_eq!(told, "report![see second](first![Failure: timeout] second![Failure: timeout] third![Failure: other])");
}

#[test]
fn an_error_of_its_own_is_described_on_its_own() {
    let told = outlined(|segment| {
        failed(&segment.begin_subsegment("query"), "timeout");
        failed(segment, "no rows");
        failed(segment, "timeout");
    });
    assert_eq!(told, "report![Failure: no rows](query![Failure: timeout])");
    // What a child has survived is no fault of its parent.
    let told = outlined(|segment| failed(&segment.begin_subsegment("query"), "timeout"));
    assert_eq!(told, "report(query![Failure: timeout])");
}

#[tokio::test]
async fn the_error_in_a_response_is_its_segments_cause() {
    let (recorder, documents) = recorder();
    let layer = XRayLayer::new("orders", recorder.clone());
    let respond = |error: RecordedError| {
        let mut response = Response::builder().status(503).body("later".to_owned()).unwrap();
        response.extensions_mut().insert(error);
        response
    };
    let plain = layer.layer(service_fn(async |_: Request<()>| {
        let error = Failure::because("no receipt", Failure::new("timeout"));
        Ok::<_, Infallible>(respond(RecordedError::new(error)))
    }));
    let seen = layer.layer(service_fn(async |_: Request<()>| {
        let error = capture("query", async { Err::<(), _>(Failure::new("timeout")) }).await.unwrap_err();
        Ok::<_, Infallible>(respond(RecordedError::new(error)))
    }));
    plain.oneshot(Request::new(())).await.unwrap().into_body().collect().await.unwrap();
    seen.oneshot(Request::new(())).await.unwrap().into_body().collect().await.unwrap();
    let told = outline(&documents.take()).join("\n").replace(&type_name::<Failure>().replace("Failure", ""), "");
    assert_eq!(told, "orders![Failure: no receipt < Failure: timeout]\norders![see query](query![Failure: timeout])");
}

#[test]
fn with_backtraces_on_the_outermost_exception_tells_where_it_was_recorded() {
    #[inline(never)]
    fn the_place(entity: &Entity) {
        entity.add_fault(&Failure::because("no receipt", Failure::new("timeout")));
    }

    let (recorder, documents) = recorder_with(|builder| builder.backtraces(true));
    let segment = recorder.begin_segment("report");
    the_place(&segment);
    segment.close();
    let json: Value = serde_json::from_str(&documents.take_one().to_json()).unwrap();
    let told: Vec<_> = exceptions(&json).collect();
    assert_eq!(told[1].get("stack"), None);
    let stack = told[0]["stack"].as_array().unwrap();
    assert!(text(&stack[0], "label").contains("the_place"), "{stack:?}");
    assert!(text(&stack[0], "path").ends_with("causes.rs"), "{stack:?}");
    assert!(stack[0]["line"].as_u64().unwrap() > 0);
    assert!(stack.len() <= 50);
}

#[test]
fn a_stack_has_at_most_fifty_frames_and_says_how_many_are_missing() {
    #[inline(never)]
    fn deep(entity: &Entity, depth: usize, seen: &Mutex<usize>) {
        if depth > 0 {
            deep(entity, depth - 1, seen);
            *seen.lock().unwrap() += 1;
        } else {
            failed(entity, "timeout");
        }
    }

    let (recorder, documents) = recorder_with(|builder| builder.backtraces(true));
    let segment = recorder.begin_segment("report");
    deep(&segment, 100, &Mutex::default());
    segment.close();
    let json: Value = serde_json::from_str(&documents.take_one().to_json()).unwrap();
    let exception = exceptions(&json).next().unwrap();
    assert_eq!(exception["stack"].as_array().unwrap().len(), 50);
    assert!(exception["truncated"].as_u64().unwrap() >= 50, "{}", exception["truncated"]);
}

#[test]
fn an_error_behind_a_reference_is_recorded() {
    let (recorder, documents) = recorder();
    let shared: std::sync::Arc<dyn std::error::Error + Send + Sync> =
        std::sync::Arc::new(std::io::Error::other("disk 3"));
    let segment = recorder.begin_segment("report");
    segment.add_fault(&*shared);
    let plain: &(dyn std::error::Error + 'static) = &std::fmt::Error;
    segment.begin_subsegment("format").add_error(plain);
    segment.close();
    let document = documents.take_one();
    assert_eq!(described(document.root()), [("Custom", "disk 3")]);
    let child = document.subsegments().next().unwrap();
    assert_eq!((described(child)[0].0, child.error(), child.fault()), ("Error", true, false));
}

#[test]
fn a_debug_text_is_written_as_far_as_its_first_name() {
    use std::{cell::Cell, fmt};

    thread_local!(static WRITTEN: Cell<bool> = const { Cell::new(false) });

    /// Its `Debug` has a costly part, as one with a backtrace has.
    struct Costly;

    impl fmt::Debug for Costly {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Costly ")?;
            WRITTEN.set(true);
            f.write_str("{ backtrace }")
        }
    }

    impl fmt::Display for Costly {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("it fails")
        }
    }

    impl std::error::Error for Costly {}

    let (recorder, documents) = recorder();
    let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(Costly);
    recorder.begin_segment("report").add_fault(&boxed);
    assert_eq!(described(documents.take_one().root()), [("Costly", "it fails")]);
    assert!(!WRITTEN.get());
}
