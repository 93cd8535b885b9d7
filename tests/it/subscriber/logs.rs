//! Log lines, and the traces they belong to.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, routing::get as route};
use futures_util::stream;
use serde_json::Value;
use tower_http::trace::TraceLayer;
use tower_xray::{
    FutureExt, Recorder, XRayLayer, current,
    sampling::{SampleAll, SampleNone, SamplingStrategy},
    subscriber::{SubsegmentLayer, TraceIds},
};
use tracing::{Instrument, Level, Span, error, info, info_span};
use tracing_subscriber::{Registry, filter::LevelFilter, fmt, fmt::MakeWriter, prelude::*};

use super::runtime;
use crate::support::{emitting_recorder, exchange, get, recorder, recorder_with, serve};

/// Everything that was written, and in how many pieces.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<(Vec<u8>, usize)>>);

impl Log {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap().0)).unwrap()
    }

    fn writes(&self) -> usize {
        std::mem::take(&mut self.0.lock().unwrap().1)
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap();
        log.0.extend_from_slice(bytes);
        log.1 += 1;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn unsampled() -> Recorder {
    recorder_with(|builder| builder.sampling(SampleNone)).0
}

/// Writes pieces by one writer, in a segment and outside of it: what comes out, and ` trace_id=… segment_id=…`.
fn written(make: impl Fn(Log) -> TraceIds<Log>, pieces: &[&str]) -> (String, String, String) {
    let log = Log::default();
    let ids = make(log.clone());
    let write = || {
        let mut writer = ids.make_writer();
        pieces.iter().for_each(|piece| writer.write_all(piece.as_bytes()).unwrap());
        writer.flush().unwrap();
        drop(writer);
        log.take()
    };
    let segment = unsampled().begin_segment("report");
    let _entered = segment.enter();
    let inside = write();
    let (trace_id, id) = (segment.trace_id().unwrap().to_string(), segment.id().unwrap().to_string());
    let _outside = tower_xray::Entity::none().enter();
    assert_eq!(write(), pieces.concat());
    (inside, trace_id, id)
}

#[test]
fn a_line_of_text_ends_with_the_ids_of_the_current_entity() {
    let log = Log::default();
    let subscriber =
        Registry::default().with(fmt::layer().without_time().with_ansi(false).with_writer(TraceIds::new(log.clone())));
    tracing::subscriber::with_default(subscriber, || {
        info!("before");
        assert!(log.take().ends_with(": before\n"));
        for recorder in [unsampled(), recorder().0] {
            let segment = recorder.begin_segment("report");
            let _entered = segment.enter();
            let subsegment = segment.begin_subsegment("query");
            let _query = subsegment.enter();
            info!(rows = 3, "found");
            let (trace_id, id) = (segment.trace_id().unwrap(), subsegment.id().unwrap());
            let line = log.take();
            assert!(line.ends_with(&format!(": found rows=3 trace_id={trace_id} segment_id={id}\n")), "{line}");
        }
    });
}

#[test]
fn every_line_of_an_event_has_the_ids_and_all_of_them_are_written_at_once() {
    let log = Log::default();
    let subscriber = Registry::default().with(
        fmt::layer().pretty().without_time().with_ansi(false).with_file(true).with_writer(TraceIds::new(log.clone())),
    );
    let segment = unsampled().begin_segment("report");
    let _entered = segment.enter();
    tracing::subscriber::with_default(subscriber, || info!("two\nlines"));
    assert_eq!(log.writes(), 1);
    let text = log.take();
    let ids = format!(" trace_id={} segment_id={}", segment.trace_id().unwrap(), segment.id().unwrap());
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines.len() >= 3, "{text}");
    assert!(lines.iter().all(|line| line.ends_with(&ids)), "{text}");
}

#[test]
fn a_line_of_json_gets_two_fields() {
    for flat in [false, true] {
        let log = Log::default();
        let layer = fmt::layer().json().flatten_event(flat).with_writer(TraceIds::new(log.clone()));
        let segment = unsampled().begin_segment("report");
        let _entered = segment.enter();
        tracing::subscriber::with_default(Registry::default().with(layer), || info!(rows = 3, "found \"it\"\n{{"));
        let text = log.take();
        let line: Value = serde_json::from_str(text.strip_suffix('\n').unwrap()).unwrap();
        assert_eq!(line["trace_id"], segment.trace_id().unwrap().to_string());
        assert_eq!(line["segment_id"], segment.id().unwrap().to_string());
        assert_eq!(if flat { &line["rows"] } else { &line["fields"]["rows"] }, 3);
    }
}

#[test]
fn lines_may_come_in_pieces_and_need_not_end() {
    let (written, trace_id, id) =
        written(TraceIds::new, &["a", "b\n", "\nc\n{", "\"k\":", "1}\n{", "}\n{x}\n", "", "{\"a\":{}}\nd"]);
    let text = format!(" trace_id={trace_id} segment_id={id}");
    let json = format!("\"trace_id\":\"{trace_id}\",\"segment_id\":\"{id}\"");
    let expected =
        format!("ab{text}\n\nc{text}\n{{{json},\"k\":1}}\n{{{json}}}\n{{x}}{text}\n{{{json},\"a\":{{}}}}\nd{text}");
    assert_eq!(written, expected);
}

#[test]
fn a_line_that_is_nothing_but_a_brace_is_text() {
    for pieces in [["{", ""], ["{\n", ""]] {
        let (written, trace_id, id) = written(TraceIds::new, &pieces);
        let end = if pieces[0].len() == 2 { "\n" } else { "" };
        assert_eq!(written, format!("{{ trace_id={trace_id} segment_id={id}{end}"));
    }
}

#[test]
fn the_ids_may_look_as_those_of_the_sdk_for_java() {
    let (written, trace_id, id) = written(|log| TraceIds::new(log).formatted_id(), &["paid\n{\"message\":\"paid\"}\n"]);
    let expected = format!(
        "paid AWS-XRAY-TRACE-ID: {trace_id}@{id}\n{{\"AWS-XRAY-TRACE-ID\":\"{trace_id}@{id}\",\"message\":\"paid\"}}\n"
    );
    assert_eq!(written, expected);
}

#[test]
fn the_error_of_a_writer_is_passed_on() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let ids = TraceIds::new(|| Full);
    let segment = unsampled().begin_segment("report");
    let _entered = segment.enter();
    let mut writer = ids.make_writer();
    assert_eq!(writer.write_all(b"line\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(writer.flush().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

/// What requests log, and the ids that their handlers have seen.
async fn logged(log: Log, app: Router) -> (Vec<String>, Vec<String>) {
    let address = serve(app).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let response = exchange(address, &get("/")).await;
        ids.push(response.rsplit("\r\n").find(|line| line.contains('@')).unwrap().to_owned());
    }
    (log.take().lines().map(str::to_owned).collect(), ids)
}

async fn handler() -> Body {
    info!("handled");
    tokio::task::yield_now().await;
    let (trace_id, id) = (current().trace_id().unwrap(), current().id().unwrap());
    let body = stream::once(async move {
        error!("streamed");
        Ok::<_, io::Error>(format!("{trace_id}@{id}"))
    });
    Body::from_stream(body)
}

fn layer(strategy: impl SamplingStrategy + 'static) -> XRayLayer {
    let (recorder, _) = recorder_with(|builder| builder.sampling(strategy));
    XRayLayer::new("orders", recorder)
}

/// Every request has logged its two lines, the second one of its body, with `prefix` before them.
fn assert_logged((lines, ids): (Vec<String>, Vec<String>), span: impl Fn(&str, &str) -> String) {
    let mut expected = Vec::new();
    for ids in ids {
        let (trace_id, id) = ids.split_once('@').unwrap();
        let span = span(trace_id, id);
        let target = module_path!();
        expected.push(format!(" INFO {span}{target}: handled"));
        expected.push(format!("ERROR {span}{target}: streamed"));
    }
    assert_eq!(lines, expected);
}

#[test]
fn a_span_around_the_request_and_its_body_tells_the_logs_which_trace_it_is() {
    let log = Log::default();
    let runtime = runtime(
        Registry::default()
            .with(fmt::layer().without_time().with_ansi(false).with_writer(log.clone()).with_filter(LevelFilter::DEBUG))
            .with(SubsegmentLayer::new().spans(|_| true).filtered()),
    );
    let span = |trace_id: &str, id: &str| format!("request{{trace_id={trace_id} segment_id={id}}}: ");
    for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG] {
        for layer in [layer(SampleNone), layer(SampleAll)] {
            let app = Router::new().route("/", route(handler)).layer(layer.log_span(level));
            assert_logged(runtime.block_on(runtime.spawn(logged(log.clone(), app))).unwrap(), span);
        }
    }
    for layer in [layer(SampleAll), layer(SampleAll).log_span(Level::TRACE)] {
        let app = Router::new().route("/", route(handler)).layer(layer);
        assert_logged(runtime.block_on(runtime.spawn(logged(log.clone(), app))).unwrap(), |_, _| String::new());
    }
}

#[test]
fn the_span_of_a_request_stands_for_the_segment_also_in_a_task() {
    let runtime = runtime(Registry::default().with(SubsegmentLayer::new().filtered()));
    let (recorder, documents) = recorder();
    let handler = async || {
        let request = Span::current();
        info_span!("work").in_scope(|| drop(info_span!(parent: &request, "named")));
        error!("the segment has the last word");
        let job = async {
            tokio::task::yield_now().await;
            info_span!("job").in_scope(|| error!("failed"));
            current().id()
        };
        assert_eq!(tokio::spawn(job.in_current_span()).await.unwrap(), current().id());
    };
    let app = Router::new().route("/", route(handler)).layer(XRayLayer::new("orders", recorder).log_span(Level::INFO));
    let work = async { exchange(serve(app).await, &get("/")).await };
    runtime.block_on(runtime.spawn(work)).unwrap();
    assert_eq!(crate::outline::outline(&documents.take()), ["orders(work named job![error: failed])"]);
}

#[test]
fn a_panic_in_the_span_of_a_request_is_told_once() {
    let runtime = runtime(Registry::default().with(SubsegmentLayer::new().filtered()));
    let (recorder, mut documents) = emitting_recorder();
    let handler = async || -> String { info_span!("work").in_scope(|| panic!("boom")) };
    let app = Router::new().route("/", route(handler)).layer(XRayLayer::new("orders", recorder).log_span(Level::INFO));
    let document = runtime.block_on(async {
        exchange(serve(app).await, &get("/")).await;
        documents.next().await
    });
    let expected = "orders![panic: boom](work![panic: the thread panicked])";
    assert_eq!(crate::outline::outline(&[document]), [expected]);
}

#[test]
fn the_span_of_tower_http_can_have_the_ids() {
    let log = Log::default();
    let runtime = runtime(
        Registry::default()
            .with(fmt::layer().without_time().with_ansi(false).with_writer(log.clone()).with_filter(LevelFilter::INFO)),
    );
    let trace = TraceLayer::new_for_http().make_span_with(|_: &axum::extract::Request| {
        let entity = current();
        info_span!("http", trace_id = entity.trace_id().map(display), segment_id = entity.id().map(display))
    });
    let app = Router::new().route("/", route(handler)).layer(trace).layer(layer(SampleNone));
    let logged = runtime.block_on(runtime.spawn(logged(log, app))).unwrap();
    assert_logged(logged, |trace_id, id| format!("http{{trace_id={trace_id} segment_id={id}}}: "));
}

#[test]
fn a_request_logs_by_the_writer_too() {
    let log = Log::default();
    let runtime = runtime(
        Registry::default().with(
            fmt::layer()
                .without_time()
                .with_ansi(false)
                .with_writer(TraceIds::new(log.clone()))
                .with_filter(LevelFilter::INFO),
        ),
    );
    let app = Router::new().route("/", route(handler)).layer(layer(SampleNone));
    let (lines, ids) = runtime.block_on(runtime.spawn(logged(log, app))).unwrap();
    for (lines, ids) in lines.chunks(2).zip(ids) {
        let (trace_id, id) = ids.split_once('@').unwrap();
        for line in lines {
            assert!(line.ends_with(&format!(" trace_id={trace_id} segment_id={id}")), "{line}");
        }
    }
}

#[tokio::test]
async fn lines_of_work_that_waits_keep_their_trace() {
    let log = Log::default();
    let ids = TraceIds::new(log.clone());
    let recorder = unsampled();
    let work = |name: &'static str| {
        let (ids, segment) = (&ids, recorder.begin_segment(name));
        async move {
            let work = async {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                    writeln!(ids.make_writer(), "{name}").unwrap();
                }
            };
            work.in_entity(&segment).await;
            segment.trace_id().unwrap()
        }
    };
    let (a, b) = tokio::join!(work("a"), work("b"));
    let lines = log.take();
    assert_eq!(lines.lines().count(), 6);
    for line in lines.lines() {
        let trace_id = if line.starts_with('a') { a } else { b };
        assert!(line.contains(&format!("trace_id={trace_id}")), "{line}");
    }
}
