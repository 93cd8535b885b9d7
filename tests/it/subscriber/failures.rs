//! Errors, panics, and what spans say about them.

use std::{error::Error, fmt, panic};

use tokio::task::yield_now;
use tower_xray::{FutureExt, capture, current, document::ExceptionDocument, subscriber::SubsegmentLayer};
use tracing::{Level, debug, error, field::Empty, info, info_span, instrument, warn};

use super::{only, recorded, runtime};
use crate::{outline::outline, support::recorder};

#[derive(Debug)]
struct Declined(Limit);

#[derive(Debug)]
struct Limit;

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("card declined")
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("limit reached")
    }
}

impl Error for Limit {}

impl Error for Declined {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

const DECLINED: Declined = Declined(Limit);

#[test]
fn an_instrumented_function_records_its_err() {
    #[instrument(err)]
    fn displayed() -> Result<(), Declined> {
        Err(DECLINED)
    }
    #[instrument(err(Debug, level = Level::WARN))]
    fn debugged() -> Result<(), Declined> {
        Err(DECLINED)
    }
    #[instrument(err(level = "trace"), level = "info")]
    fn quiet() -> Result<(), Declined> {
        Err(DECLINED)
    }
    #[instrument(err, ret)]
    fn fine() -> Result<u8, Declined> {
        Ok(1)
    }
    let documents = recorded(|| {
        assert!(displayed().is_err() && debugged().is_err() && quiet().is_err() && fine().is_ok());
    });
    let expected =
        "report(displayed![error: card declined] debugged![error: Declined(Limit)] quiet![error: card declined] fine)";
    assert_eq!(outline(&documents), [expected]);
}

#[tokio::test]
async fn an_error_on_its_way_up_is_described_once() {
    #[instrument(err)]
    async fn outer() -> Result<(), Declined> {
        yield_now().await;
        capture("charge", inner()).await
    }
    #[instrument(err)]
    async fn inner() -> Result<(), Declined> {
        yield_now().await;
        Err(DECLINED)
    }
    let (recorder, documents) = recorder();
    let _default = tracing::subscriber::set_default(only(SubsegmentLayer::new()));
    let segment = recorder.begin_segment("report");
    assert!(outer().in_entity(&segment).await.is_err());
    segment.close();
    let documents = documents.take();
    let [line] = &outline(&documents)[..] else { panic!("{documents:?}") };
    assert!(line.starts_with("report(outer![see inner](charge!["), "{line}");
    assert!(line.ends_with("(inner![error: card declined])))"), "{line}");
}

#[test]
fn an_event_that_is_an_error_is_the_cause() {
    let of = |work: fn()| outline(&recorded(|| info_span!("work").in_scope(work))).remove(0);
    let (fault, chain) = ("report(work!", "Declined: card declined < Limit: limit reached");
    assert_eq!(of(|| error!("no more {}", "left")), format!("{fault}[error: no more left])"));
    assert_eq!(of(|| error!(error = &DECLINED as &dyn Error)), format!("{fault}[{chain}])"));
    assert_eq!(of(|| error!(error = &DECLINED as &dyn Error, "sad")), format!("{fault}[error: sad < {chain}])"));
    assert_eq!(of(|| error!(err = %DECLINED)), format!("{fault}[error: card declined])"));
    assert_eq!(of(|| error!(code = 3)), format!("{fault})"));
    assert_eq!(of(|| warn!(err = "text")), format!("{fault}[error: text])"));
    assert_eq!(of(|| warn!(error = ?DECLINED, "again")), format!("{fault}[error: again < error: Declined(Limit)])"));
    for fine in [
        || warn!("slow"),
        || info!(error = "text", "passed on"),
        || debug!(err = "text", "passed on"),
        || error!(parent: None, "elsewhere"),
    ] {
        assert_eq!(of(fine), "report(work)");
    }
}

#[test]
fn an_event_belongs_to_its_span_and_the_segment_has_the_last_word_about_itself() {
    let documents = recorded(|| {
        error!("in no span");
        let (a, b) = (info_span!("a"), info_span!("b"));
        a.in_scope(|| {
            error!(parent: &b, "of b");
            let _entered = current().begin_subsegment("by hand");
            error!("of a");
        });
    });
    assert_eq!(outline(&documents), ["report(a![error: of a](by hand) b![error: of b])"]);
}

#[test]
fn fields_of_a_span_tell_of_its_failure() {
    let of = |work: fn()| outline(&recorded(work)).remove(0);
    assert_eq!(of(|| drop(info_span!("work", error = true))), "report(work!)");
    assert_eq!(of(|| drop(info_span!("work", error = false, err = None::<&str>))), "report(work)");
    assert_eq!(of(|| drop(info_span!("work", err = "text"))), "report(work![error: text])");
    let chained = || drop(info_span!("work", error = &DECLINED as &dyn Error));
    assert_eq!(of(chained), "report(work![Declined: card declined < Limit: limit reached])");
    let later = |code: &'static str| {
        let span = info_span!("work", otel.status_code = Empty, exception.message = Empty);
        span.record("otel.status_code", code);
        if code != "OK" {
            span.record("exception.message", tracing::field::display(DECLINED));
        }
    };
    assert_eq!(outline(&recorded(|| later("OK"))), ["report(work)"]);
    assert_eq!(outline(&recorded(|| later("ERROR"))), ["report(work![error: card declined])"]);
    assert_eq!(of(|| drop(info_span!("work", otel.status_code = ?"Error"))), "report(work!)");
}

#[test]
fn a_field_for_an_error_that_is_none_is_no_failure() {
    let documents = recorded(|| drop(info_span!("charge", error = ?None::<Declined>, err = false)));
    assert_eq!(outline(&documents), ["report(charge)"]);
}

#[test]
fn secrets_of_urls_in_errors_are_left_out() {
    let documents = recorded(|| {
        info_span!("work").in_scope(|| error!(error = "GET http://u:p@shop/x?token=1 failed", "at http://shop/?a=b"));
    });
    let expected = "report(work![error: at http://shop/ < error: GET http://shop/x failed])";
    assert_eq!(outline(&documents), [expected]);
}

#[test]
fn a_span_keeps_so_many_failures() {
    let documents = recorded(|| {
        info_span!("loop").in_scope(|| {
            for turn in 0..100 {
                error!("turn {turn}");
            }
        });
    });
    let span = documents[0].subsegments().next().unwrap();
    let messages: Vec<&str> = span.exceptions().map(ExceptionDocument::message).collect();
    assert_eq!((messages.len(), messages[31]), (32, "turn 31"));
}

#[test]
fn a_panic_that_passes_through_is_a_fault_of_its_spans() {
    let documents = recorded(|| {
        let outer = current().id();
        let caught = panic::catch_unwind(|| {
            let _a = info_span!("a").entered();
            let b = info_span!("b");
            b.in_scope(|| b.in_scope(|| panic!("boom")));
        });
        assert!(caught.is_err());
        assert_eq!(current().id(), outer);
        info_span!("after").in_scope(|| {});
    });
    assert_eq!(outline(&documents), ["report(a![see b](b![panic: the thread panicked]) after)"]);
}

#[test]
fn a_panic_in_a_task_is_a_fault_of_its_span_and_what_unwinding_enters_has_no_part_in_it() {
    struct Unwinding;
    impl Drop for Unwinding {
        fn drop(&mut self) {
            info_span!("cleanup").in_scope(|| {});
        }
    }
    #[instrument]
    async fn task() {
        yield_now().await;
        let _unwinding = Unwinding;
        panic!("boom");
    }
    let (recorder, documents) = recorder();
    let runtime = runtime(only(SubsegmentLayer::new()));
    let segment = recorder.begin_segment("report");
    let panicked = runtime.block_on(runtime.spawn(task().in_entity(&segment)));
    assert!(panicked.is_err());
    segment.close();
    assert_eq!(outline(&documents.take()), ["report(task![panic: the thread panicked](cleanup))"]);
}

#[test]
fn a_message_that_is_cut_within_a_url_tells_no_part_of_its_password() {
    let documents = recorded(|| {
        for length in [900, 980, 990] {
            info_span!("call").in_scope(|| error!("{} https://shop:s3cret@db.internal/orders", "x".repeat(length)));
        }
    });
    let json = documents[0].to_json();
    assert!(!json.contains("s3c") && !json.contains("shop:"), "{json}");
}
