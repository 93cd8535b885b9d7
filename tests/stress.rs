//! 10,000 requests at once over sockets, on four threads, with cancels, panics, spawns and streams: every sampled one
//! leaves exactly one segment, every subsegment is there once and under its own parent, and the memory comes back.
//!
//! `SEED=<number>` repeats a run.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test talks to a person, and may fail")]

use std::{
    alloc::System,
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use cap::Cap;
use futures_util::stream;
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};
use tower_xray::{
    FutureExt, Recorder, XRayLayer, capture, current, document::SegmentDocument, emitter::Emitter, sampling::SampleAll,
};
use xray_local::check_document;

/// Knows how many bytes are allocated right now.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Marks the panics of handlers that are meant to panic.
const PLANNED: &str = "panics as planned";

const CONNECTIONS: usize = 50;
/// What an HTTP/2 server allows by default.
const STREAMS: usize = 200;
const REQUESTS: usize = CONNECTIONS * STREAMS;

/// What one request does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Complete,
    Panics,
    Fails,
    /// The client leaves while the handler waits.
    LeavesEarly,
    /// The client leaves while the body is being sent.
    LeavesLate,
    Streams,
    Unsampled,
}

const KINDS: [Kind; 7] =
    [Kind::Complete, Kind::Panics, Kind::Fails, Kind::LeavesEarly, Kind::LeavesLate, Kind::Streams, Kind::Unsampled];

struct Round {
    kinds: Vec<Kind>,
    /// Tells when a handler has started.
    arrived: mpsc::UnboundedSender<usize>,
    /// Lets all handlers go on.
    go: watch::Receiver<bool>,
    /// Tells when the work that a handler has spawned is done.
    spawned: mpsc::UnboundedSender<usize>,
    /// Lets spawned work go on after its segment has closed.
    late: watch::Receiver<bool>,
}

#[test]
fn ten_thousand_requests_at_once_leave_exactly_their_own_segments() {
    silence_planned_panics();
    let seed = option_env_seed().unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let documents = Arc::new(Mutex::new(Vec::new()));
    let (emitted, mut emissions) = mpsc::unbounded_channel();
    let recorder = {
        let emitter = Collect(documents.clone(), emitted);
        Recorder::builder().environment(|_| None).emitter(emitter).sampling(SampleAll).build().unwrap()
    };
    let mut allocated = Vec::new();
    for round in 0..3 {
        let kinds = random_kinds(seed.wrapping_add(round));
        runtime.block_on(run(recorder.clone(), kinds.clone(), &mut emissions));
        while emissions.try_recv().is_ok() {}
        verify(&kinds, &std::mem::take(&mut *documents.lock().unwrap()));
        allocated.push(ALLOCATOR.allocated());
    }
    let stats = recorder.stats();
    assert_eq!(stats.opened, 3 * REQUESTS as u64);
    assert_eq!(stats.refused, 0);
    println!("allocated after each round: {allocated:?}");
    let grown = allocated[2].saturating_sub(allocated[0]);
    assert!(grown < 1 << 20, "memory returns to its start, it grew by {grown} bytes: {allocated:?}");
}

/// Thousands of messages would hide the one that matters.
fn silence_planned_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let planned = |message: &String| message.contains(PLANNED);
        if !panic.payload().downcast_ref().is_some_and(planned) {
            default(panic);
        }
    }));
}

#[expect(clippy::disallowed_methods, reason = "the seed of a run is given by its environment")]
fn option_env_seed() -> Option<u64> {
    std::env::var("SEED").ok()?.parse().ok()
}

fn random_kinds(seed: u64) -> Vec<Kind> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..REQUESTS).map(|_| KINDS[random.usize(..KINDS.len())]).collect()
}

async fn run(recorder: Recorder, kinds: Vec<Kind>, emissions: &mut mpsc::UnboundedReceiver<()>) {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let (spawned, mut spawns) = mpsc::unbounded_channel();
    let (go_on, go) = watch::channel(false);
    let (late_now, late) = watch::channel(false);
    let round = Arc::new(Round { kinds: kinds.clone(), arrived, go, spawned, late });
    let app = Router::new().route("/{number}", get(handler)).with_state(round);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        axum::serve(listener, app.layer(XRayLayer::new("orders", recorder))).await.unwrap();
    });

    let mut requests = Vec::new();
    let mut early = Vec::new();
    for connection in 0..CONNECTIONS {
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (client, connection_driver) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection_driver);
        for stream in 0..STREAMS {
            let number = connection * STREAMS + stream;
            let task = tokio::spawn(send(client.clone(), number, kinds[number]));
            match kinds[number] {
                Kind::LeavesEarly => early.push(task),
                _ => requests.push(task),
            }
        }
    }
    for _ in 0..REQUESTS {
        arrivals.recv().await.unwrap();
    }
    // All requests are being handled at the same time now.
    early.iter().for_each(tokio::task::JoinHandle::abort);
    for task in early {
        assert!(task.await.unwrap_err().is_cancelled());
        // The server has noticed; all others are still waiting.
        emissions.recv().await.unwrap();
    }
    go_on.send(true).unwrap();
    for task in requests {
        task.await.unwrap();
    }
    let sampled = kinds.iter().filter(|kind| !matches!(kind, Kind::LeavesEarly | Kind::Unsampled)).count();
    for _ in 0..sampled {
        emissions.recv().await.unwrap();
    }
    // All segments have closed; what they have spawned outlives them.
    late_now.send(true).unwrap();
    // A handler whose client has left early has been dropped before it spawned anything.
    let spawning = kinds.iter().filter(|kind| **kind != Kind::LeavesEarly).count();
    for _ in 0..spawning {
        tokio::time::timeout(Duration::from_secs(60), spawns.recv()).await.unwrap().unwrap();
    }
    server.abort();
    let _ = server.await;
}

async fn send(mut client: hyper::client::conn::http2::SendRequest<Empty<Bytes>>, number: usize, kind: Kind) {
    let mut request = Request::get(format!("http://shop.example.com/{number}"));
    if kind == Kind::Unsampled {
        request = request.header("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0");
    }
    let response = client.send_request(request.body(Empty::new()).unwrap()).await;
    match kind {
        Kind::Panics => assert!(response.is_err()),
        Kind::LeavesLate => {
            let first = response.unwrap().into_body().frame().await.unwrap().unwrap();
            assert!(first.is_data());
        }
        _ => {
            let response = response.unwrap();
            let failed = response.status() == StatusCode::INTERNAL_SERVER_ERROR;
            assert_eq!(failed, kind == Kind::Fails);
            response.into_body().collect().await.unwrap();
        }
    }
}

async fn handler(State(round): State<Arc<Round>>, Path(number): Path<usize>) -> Response {
    let kind = round.kinds[number];
    current().add_annotation("number", number);
    let arrived = async {
        capture("inner", async {
            current().add_annotation("number", number);
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(())
        })
        .await
    };
    arrived.in_subsegment(format!("outer-{number}")).await.unwrap();
    round.arrived.send(number).unwrap();
    let mut go = round.go.clone();
    go.wait_for(|go| *go).await.unwrap();
    let (spawned, mut late) = (round.spawned.clone(), round.late.clone());
    let job = async move {
        late.wait_for(|late| *late).await.unwrap();
        current().add_annotation("number", number);
    };
    let job = job.in_subsegment(format!("job-{number}"));
    tokio::spawn(async move {
        job.await;
        spawned.send(number).unwrap();
    });
    assert!(kind != Kind::Panics, "request {number} {PLANNED}");
    match kind {
        Kind::Fails => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Kind::LeavesLate => endless(number).into_response(),
        Kind::Streams => Body::new(StreamBody::new(stream::unfold(0, move |page| async move {
            let frame = async { Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"page"))) };
            (page < 3).then_some(())?;
            Some((frame.in_subsegment(format!("page-{number}")).await, page + 1))
        })))
        .into_response(),
        _ => "an order".into_response(),
    }
}

fn endless(number: usize) -> Body {
    Body::new(StreamBody::new(stream::unfold(number, async |number| {
        tokio::task::yield_now().await;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(number.to_string()))), number))
    })))
}

/// Every request has exactly what it did, under its own segment.
fn verify(kinds: &[Kind], documents: &[SegmentDocument]) {
    let mut segments: HashMap<usize, Value> = HashMap::new();
    let mut jobs: HashMap<usize, Value> = HashMap::new();
    for document in documents {
        let value: Value = serde_json::from_str(&document.to_json()).unwrap();
        let problems = check_document(&value);
        assert!(problems.is_empty(), "{problems:?}: {value}");
        let number = value["annotations"]["number"].as_u64().unwrap_or_else(|| panic!("{value}")) as usize;
        let list = if document.is_subsegment() { &mut jobs } else { &mut segments };
        let twice = list.insert(number, value);
        assert!(twice.is_none(), "request {number} has left two: {twice:?}");
    }
    for (number, kind) in kinds.iter().enumerate() {
        let (segment, job) = (segments.remove(&number), jobs.remove(&number));
        if *kind == Kind::Unsampled {
            assert!(segment.is_none() && job.is_none(), "request {number} is not sampled");
            continue;
        }
        let segment = segment.unwrap_or_else(|| panic!("request {number} ({kind:?}) has left no segment"));
        let flags = ["error", "fault"].map(|flag| segment.get(flag).is_some());
        let expected = match kind {
            Kind::Panics | Kind::Fails => [false, true],
            Kind::LeavesEarly | Kind::LeavesLate => [true, false],
            _ => [false, false],
        };
        assert_eq!(flags, expected, "{kind:?}: {segment}");
        let subsegments = segment["subsegments"].as_array().unwrap();
        let mut names: Vec<&str> = subsegments.iter().map(|child| child["name"].as_str().unwrap()).collect();
        assert_eq!(names.remove(0), format!("outer-{number}"));
        let inner = &subsegments[0]["subsegments"][0];
        assert_eq!((&inner["name"], &inner["annotations"]["number"]), (&"inner".into(), &number.into()));
        let pages = if *kind == Kind::Streams { 3 } else { 0 };
        assert_eq!(names, vec![format!("page-{number}"); pages], "{segment}");
        assert_eq!(job.is_some(), *kind != Kind::LeavesEarly);
        if let Some(job) = job {
            assert_eq!(job["name"], format!("job-{number}"));
            assert_eq!((&job["parent_id"], &job["trace_id"]), (&segment["id"], &segment["trace_id"]));
        }
    }
    assert!(segments.is_empty() && jobs.is_empty(), "{segments:?} {jobs:?}");
}

/// Keeps documents, as an emitter of a user's may.
struct Collect(Arc<Mutex<Vec<SegmentDocument>>>, mpsc::UnboundedSender<()>);

impl Emitter for Collect {
    fn emit(&self, document: SegmentDocument) {
        self.0.lock().unwrap().push(document);
        // Nobody listens between the rounds.
        let _ = self.1.send(());
    }
}
