//! What is recorded of calls.

use std::{error::Error, fmt, future::poll_fn, io, pin::pin, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tower_xray::{
    Entity, FutureExt, Recorder, TraceHeader,
    call::{self, Call, CallBuilder, Class, Failure},
    current,
    document::{EntityDocument, Namespace, SqlField},
    sampling::SampleNone,
};

use crate::support::{recorder, recorder_with};

/// An error with a source.
#[derive(Debug)]
struct Unavailable(io::Error);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redis://app:hunter2@cache/ is not available")
    }
}

impl Error for Unavailable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn unavailable() -> Unavailable {
    Unavailable(io::Error::other("hunter2 is wrong"))
}

/// The JSON of the only call that `work` makes, without ids and times.
fn recorded(work: impl FnOnce(&Entity)) -> Value {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    work(&segment);
    segment.close();
    let document: Value = serde_json::from_str(&documents.take_one().to_json()).unwrap();
    let [call] = &document["subsegments"].as_array().unwrap()[..] else { panic!("one call: {document}") };
    let mut call = call.clone();
    let fields = call.as_object_mut().unwrap();
    fields.retain(|key, _| !["id", "start_time", "end_time"].contains(&key.as_str()));
    if let Some(cause) = fields.get_mut("cause").and_then(Value::as_object_mut) {
        cause.remove("working_directory");
        for exception in cause["exceptions"].as_array_mut().unwrap() {
            exception.as_object_mut().unwrap().retain(|key, _| !["id", "cause"].contains(&key.as_str()));
        }
    }
    call
}

fn cache() -> CallBuilder<'static> {
    Call::builder("cache.internal")
}

#[test]
fn a_call_has_a_name_a_namespace_and_what_is_called() {
    let sql = recorded(|segment| cache().sql(&[(SqlField::DatabaseType, "Redis")]).begin_in(segment).end());
    assert_eq!(sql, json!({ "name": "cache.internal", "namespace": "remote", "sql": { "database_type": "Redis" } }));
    let fields = [("operation", "GetItem"), ("TableName", "orders")];
    let aws = Call::builder("DynamoDB").namespace(Namespace::Aws).aws(&fields);
    let aws = recorded(|segment| aws.begin_in(segment).end());
    let described = json!({ "operation": "GetItem", "table_name": "orders" });
    assert_eq!(aws, json!({ "name": "DynamoDB", "namespace": "aws", "aws": described }));
    let local = recorded(|segment| Call::builder("orders.db").local().begin_in(segment).end());
    assert_eq!(local, json!({ "name": "orders.db" }));
}

#[test]
fn a_call_of_http_has_its_method_and_its_url_without_secrets() {
    let (uri, headers) =
        ("https://app:hunter2@pricing.internal:443/quote?key=hunter2".parse().unwrap(), HeaderMap::new());
    let call = recorded(|segment| {
        let call = Call::http(&Method::GET, &uri, &headers).traced(true).begin_in(segment);
        let announced = HeaderMap::from_iter([(http::header::CONTENT_LENGTH, HeaderValue::from_static("5"))]);
        assert_eq!(call.respond(StatusCode::TOO_MANY_REQUESTS, &announced), Some(5));
        call.set_content_length(5);
        call.end();
    });
    let request = json!({ "method": "GET", "url": "https://pricing.internal/quote", "traced": true });
    assert_eq!(call["http"], json!({ "request": request, "response": { "status": 429, "content_length": 5 } }));
    assert_eq!(
        [&call["name"], &call["error"], &call["throttle"]],
        [&json!("pricing.internal"), &json!(true), &json!(true)]
    );
    assert_eq!(call.get("fault"), None);
    let call = recorded(|segment| {
        let call = Call::http(&Method::GET, &uri, &headers).name("pricing").begin_in(segment);
        call.fail(&io::Error::other("cannot reach https://app:hunter2@pricing.internal/quote, /quote?key=hunter2"));
    });
    assert_eq!(call["name"], "pricing");
    assert!(!call.to_string().contains("hunter2"), "{call}");
}

#[test]
fn an_error_is_a_remote_fault_with_its_chain_and_without_secrets() {
    let secrets: Arc<[String]> = ["hunter2".to_owned()].into();
    let call = recorded(|segment| cache().redact(&secrets).begin_in(segment).fail(&unavailable()));
    let exceptions = json!([
        { "type": "it::call::recorded::Unavailable", "message": "redis://cache/ is not available", "remote": true },
        { "type": "Custom", "message": " is wrong", "remote": true },
    ]);
    assert_eq!(
        call,
        json!({
            "name": "cache.internal", "namespace": "remote", "fault": true, "cause": { "exceptions": exceptions }
        })
    );
    let local = recorded(|segment| cache().local().begin_in(segment).fail(&unavailable()));
    assert_eq!(local["cause"]["exceptions"][0].get("remote"), None, "work of its own");
    let not_sent = || Failure::of(&unavailable()).type_name("Timeout").local();
    let not_sent = recorded(|segment| cache().begin_in(segment).fail_with(not_sent));
    let outermost = &not_sent["cause"]["exceptions"][0];
    assert_eq!((outermost.get("remote"), &outermost["type"]), (None, &json!("Timeout")), "no answer of the callee");
}

#[test]
fn a_failure_counts_as_its_class() {
    for (class, flags) in [
        (Class::Ok, [false, false, false]),
        (Class::Error, [true, false, false]),
        (Class::Throttle, [true, true, false]),
        (Class::Fault, [false, false, true]),
    ] {
        let failure = || Failure::new("WRONGTYPE", "not a list").class(class);
        let failed = recorded(|segment| cache().begin_in(segment).fail_with(failure));
        let answered = recorded(|segment| {
            let call = cache().begin_in(segment);
            call.set_status(200, class);
            call.end();
        });
        for call in [&failed, &answered] {
            assert_eq!(["error", "throttle", "fault"].map(|flag| call.get(flag).is_some()), flags, "{class:?}");
        }
        let exception = json!({ "type": "WRONGTYPE", "message": "not a list", "remote": true });
        assert_eq!(failed["cause"]["exceptions"], json!([exception]));
    }
}

#[test]
fn a_panic_while_a_failure_is_described_is_contained_and_counted() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    cache().begin_in(&segment).fail_with(|| panic!("a failure that cannot be described"));
    segment.close();
    let document = documents.take_one();
    let call = document.subsegments().next().unwrap();
    assert_eq!((call.fault(), call.exceptions().count(), recorder.stats().refused), (true, 0, 1));
}

#[tokio::test]
async fn what_runs_in_a_call_is_part_of_it_and_its_result_is_how_the_call_ends() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    async {
        let call = cache().begin();
        let id = call.entity().unwrap().id();
        let found = call.run(async { Ok::<_, io::Error>(current().id()) }).await.unwrap();
        assert_eq!(found, id);
        call::capture(cache(), async { Err::<(), _>(unavailable()) }).await.unwrap_err();
        assert!(cache().begin().run_blocking(|| Ok::<_, io::Error>(call::is_current())).unwrap());
        cache().begin().run_blocking(|| Err::<(), _>(unavailable())).unwrap_err();
        assert!(!call::is_current());
    }
    .in_entity(&segment)
    .await;
    segment.close();
    let document = documents.take_one();
    let faults: Vec<bool> = document.subsegments().map(EntityDocument::fault).collect();
    assert_eq!(faults, [false, true, false, true], "{document}");
}

/// Everything that ends a call before its end: the callee is not to blame.
#[tokio::test]
async fn an_abandoned_call_is_cancelled_and_no_fault() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    cache().begin_in(&segment).cancel();
    drop(cache().begin_in(&segment));
    let never = || std::future::pending::<Result<(), io::Error>>();
    let one_poll = async |future: call::CallFuture<_, _>| {
        tokio::select! {
            biased;
            _ = future => unreachable!(),
            () = std::future::ready(()) => {}
        }
    };
    one_poll(cache().begin_in(&segment).run(never())).in_entity(&segment).await;
    // One that has begun, although its future is never polled.
    drop(cache().begin_in(&segment).run(never()));
    // What drops it may be a panic elsewhere.
    let panicking = segment.entity().clone();
    let other = std::thread::spawn(move || {
        let _call = cache().begin_in(&panicking);
        panic!("nothing to do with the cache")
    });
    assert!(other.join().is_err());
    segment.close();
    let document = documents.take_one();
    assert_eq!(document.subsegments().count(), 5);
    for call in document.subsegments() {
        assert_eq!(call.annotation("cancelled"), Some(true.into()), "{document}");
        assert!(!call.fault() && !call.error() && call.exceptions().next().is_none(), "{document}");
    }
}

#[test]
fn a_panic_in_a_call_closes_it_and_goes_on() {
    let call = recorded(|segment| {
        let mut call = cache().begin_in(segment);
        let panic =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call.enter(|| panic!("at the worst time"))));
        assert!(panic.is_err());
        assert!(call.entity().is_none(), "it has ended");
        call.enter(|| assert!(current().is_none()));
        call.fail(&unavailable());
    });
    let exception = json!({ "type": "panic", "message": "at the worst time" });
    assert_eq!(call["cause"]["exceptions"], json!([exception]));
    assert_eq!((call.get("fault"), call.get("annotations")), (Some(&json!(true)), None));
}

#[test]
fn a_call_that_is_told_of_late_began_earlier_but_not_before_its_parent() {
    let now = Duration::from_secs(1_800_000_000);
    let (recorder, documents) = recorder_with(|builder| {
        let readings = std::sync::atomic::AtomicU32::new(0);
        // The segment begins first; everything else is ten seconds later.
        builder.clock(move || {
            now + if readings.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 1 {
                Duration::ZERO
            } else {
                Duration::from_secs(10)
            }
        })
    });
    let segment = recorder.begin_segment("orders");
    for ago in [3, 60] {
        cache().began_ago(Duration::from_secs(ago)).begin_in(&segment).end();
    }
    segment.close();
    let document = documents.take_one();
    let began: Vec<u64> = document.subsegments().map(|call| (call.start_time() - now).as_secs()).collect();
    assert_eq!(began, [7, 0]);
}

fn sent(caller: &Entity) -> (Option<TraceHeader>, HeaderMap) {
    let call = cache().begin_in(caller);
    let mut headers = HeaderMap::from_iter([(
        http::HeaderName::from_static("x-amzn-trace-id"),
        HeaderValue::from_static("Root=old"),
    )]);
    call.write_header(&mut headers);
    call.write_traceparent(&mut headers);
    let header = call.header();
    call.end();
    (header, headers)
}

#[test]
fn the_header_goes_on_where_there_is_a_trace_recorded_or_not() {
    let (recorder, _documents) = recorder();
    let (unsampled, _none) = recorder_with(|builder| builder.sampling(SampleNone));
    let recorders: [(Recorder, &str); 2] = [(recorder, "1"), (unsampled, "0")];
    for (recorder, decision) in recorders {
        let segment = recorder.begin_segment("orders");
        let (header, headers) = sent(&segment);
        let header = header.unwrap();
        assert_eq!(headers["x-amzn-trace-id"], header.to_string().as_str());
        assert!(header.to_string().ends_with(&format!(";Sampled={decision}")));
        let parent = header.parent().unwrap().to_string();
        assert!(headers["traceparent"].to_str().unwrap().contains(&parent));
        assert_eq!(parent == segment.id().unwrap().to_string(), decision == "0");
    }
    let (header, headers) = sent(&Entity::none());
    assert_eq!((header, headers.len()), (None, 1), "what was there stays");
    assert_eq!(headers["x-amzn-trace-id"], "Root=old");
}

#[test]
fn headers_that_are_full_stay_as_they_are() {
    let (recorder, _documents) = recorder();
    let mut headers = HeaderMap::new();
    let names = (0..).map(|number| http::HeaderName::try_from(format!("x-{number}")).unwrap());
    for name in names {
        if headers.try_insert(name, HeaderValue::from_static("1")).is_err() {
            break;
        }
    }
    let len = headers.len();
    cache().begin_in(&recorder.begin_segment("orders")).write_header(&mut headers);
    assert_eq!(headers.len(), len);
}

#[test]
fn secrets_are_redacted_whatever_their_order_and_an_empty_one_is_none() {
    let secrets: Arc<[String]> = ["", "sesame", "open sesame"].map(str::to_owned).into();
    let failure = || Failure::new("ERR", "wrong password: open sesame, not sesame");
    let call = recorded(|segment| cache().redact(&secrets).begin_in(segment).fail_with(failure));
    assert_eq!(call["cause"]["exceptions"][0]["message"], "wrong password: , not ");
}

#[test]
fn fields_are_there_once_and_what_is_refused_is_counted() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let sql = [(SqlField::User, "shop"), (SqlField::DatabaseType, ""), (SqlField::User, "admin")];
    let aws = [("retries", "many"), ("operation", "GetItem"), ("operation", "PutItem")];
    cache().sql(&sql).aws(&aws).begin_in(&segment).end();
    segment.close();
    let document: Value = serde_json::from_str(&documents.take_one().to_json()).unwrap();
    let call = &document["subsegments"][0];
    assert_eq!([&call["sql"], &call["aws"]], [&json!({ "user": "shop" }), &json!({ "operation": "PutItem" })]);
    assert_eq!(recorder.stats().refused, 1);
}

/// What is asked of a service whose secrets are known to the call.
fn secretive(caller: &Entity, request: CallBuilder<'_>) -> Call {
    let secrets: Arc<[String]> = ["hunter2".to_owned()].into();
    request.redact(&secrets).begin_in(caller)
}

#[tokio::test]
async fn debug_output_of_calls_tells_no_secret() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let (uri, headers) = ("https://app:hunter2@pricing.internal/quote?key=hunter2".parse().unwrap(), HeaderMap::new());
    let request = Call::http(&Method::GET, &uri, &headers);
    let with_url = request.begin_in(&segment);
    let with_texts = secretive(&segment, cache());
    let with_both = secretive(&segment, request);
    let failure = Failure::new("WRONGPASS", "hunter2 is wrong").class(Class::Error);
    let all = format!("{request:?} {with_url:?} {with_texts:?} {with_both:?} {failure:?}");
    let response = with_url.follow(Response::new(Full::new(Bytes::from_static(b"an order"))));
    let all = format!("{all} {:?} {:?}", response.body(), with_texts.run(async { Ok::<_, io::Error>(()) }));
    assert!(all.contains("Error"), "how a failure counts: {all}");
    assert!(!all.contains("hunter2"), "{all}");
    drop((response, with_both));
    segment.close();
    documents.take_one();
}

#[test]
fn secrets_that_are_part_of_others_leave_nothing_of_them() {
    let (uri, headers) = ("/quote?token=abc&key=hunter2".parse().unwrap(), HeaderMap::new());
    let call = recorded(|segment| {
        let error = io::Error::other("no answer to /quote?token=abc&key=hunter2");
        secretive(segment, Call::http(&Method::GET, &uri, &headers)).fail(&error);
    });
    assert_eq!(call["cause"]["exceptions"][0]["message"], "no answer to /quote");
}

#[test]
fn fields_of_aws_that_are_refused_are_counted() {
    let (recorder, documents) = recorder();
    let keys: Vec<String> = (0..60).map(|number| format!("key_{number}")).collect();
    let mut fields: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "1")).collect();
    let segment = recorder.begin_segment("orders");
    cache().namespace(Namespace::Aws).aws(&fields).begin_in(&segment).end();
    assert_eq!(recorder.stats().refused, 10);
    fields.truncate(50);
    cache().namespace(Namespace::Aws).aws(&fields).begin_in(&segment).end();
    assert_eq!(recorder.stats().refused, 10);
    segment.close();
    documents.take_one();
}

#[test]
fn attempts_of_a_call_to_aws_are_counted_and_those_of_local_work_are_not() {
    for (call, attempts) in
        [(cache(), Some(&json!(2))), (cache().namespace(Namespace::Aws), Some(&json!(2))), (cache().local(), None)]
    {
        let told = recorded(|segment| {
            let mut call = call.begin_in(segment);
            for _ in 0..2 {
                call.enter(call::count_attempt);
            }
            call.end();
        });
        assert_eq!(told.get("annotations").and_then(|annotations| annotations.get("attempts")), attempts, "{told}");
    }
}

#[test]
fn a_call_that_ends_while_its_thread_panics_for_something_else_is_no_fault() {
    type End = fn(Call);

    struct EndOnDrop(Option<Call>, End);

    impl Drop for EndOnDrop {
        fn drop(&mut self) {
            self.0.take().map(self.1);
        }
    }

    let ends: [(End, Option<&Value>, usize); 3] = [
        (Call::end, None, 0),
        (|call| call.fail(&unavailable()), Some(&json!(true)), 2),
        (|call| call.set_status(204, Class::Ok), None, 0),
    ];
    for (end, fault, exceptions) in ends {
        let call = recorded(|segment| {
            let call = cache().begin_in(segment);
            let work = std::panic::AssertUnwindSafe(|| {
                let _end = EndOnDrop(Some(call), end);
                panic!("nothing to do with the cache");
            });
            std::panic::catch_unwind::<_, ()>(work).unwrap_err();
        });
        let described = call["cause"]["exceptions"].as_array().map_or(0, Vec::len);
        assert_eq!((call.get("fault"), described), (fault, exceptions), "{call}");
    }
}

#[tokio::test]
async fn a_future_that_is_polled_after_its_end_begins_nothing_anew() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    async {
        let ready = || poll_fn(|_| Poll::Ready(Ok::<_, io::Error>(())));
        let mut call = pin!(call::capture(cache(), ready()));
        let mut captured = pin!(tower_xray::capture("captured", ready()));
        let mut plain = pin!(ready().in_subsegment("plain"));
        for _ in 0..2 {
            call.as_mut().await.unwrap();
            captured.as_mut().await.unwrap();
            plain.as_mut().await.unwrap();
        }
    }
    .in_entity(&segment)
    .await;
    segment.close();
    let document = documents.take_one();
    let names: Vec<&str> = document.subsegments().map(EntityDocument::name).collect();
    assert_eq!(names, ["cache.internal", "captured", "plain"]);
}
