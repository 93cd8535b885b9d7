//! A service under load and faults for as long as you like, that proves two things at the end: every segment that was
//! opened is accounted for, and the memory does not grow.
//!
//! ```sh
//! cargo run --release --example soak                # 30 seconds
//! cargo run --release --example soak -- 1800        # half an hour
//! cargo run --release --example soak -- 30 <seed>   # what an earlier run has drawn
//! ```
//!
//! `shop` asks `pricing`, as in the quickstart. What each request does is drawn at random: most are answered; others fail,
//! panic, time out, or stream a body that breaks; and some clients leave before the answer, or in the middle of it. Now
//! and then there is a burst, and the daemon dies and comes back. The program fails if a count or the memory is off.

use std::{
    convert::Infallible,
    fs, io,
    net::{self, SocketAddr},
    panic,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anstream::println;
use axum::{
    BoxError, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::stream::{self, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    net::{TcpListener, UdpSocket},
    runtime::{Builder, Handle},
    task::{JoinHandle, JoinSet},
    time::{interval, sleep, timeout},
};
use tower::{ServiceBuilder, ServiceExt};
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer};
use tower_xray::{
    FutureExt, Recorder, XRayClientLayer, XRayLayer, capture,
    client::XRayClient,
    current,
    document::SegmentDocument,
    emitter::{Dropped, Emitter, EmitterStats, Flush, UdpEmitter},
    recorder::Stats,
    sampling::{Capture, LocalizedStrategy, Rule, Rules},
};

const TICK: Duration = Duration::from_millis(20);
/// Requests per tick, on average: 200/s.
const CALM: usize = 4;
/// So many in one tick, and how often that happens.
const BURST: usize = 500;
const BURSTS: u128 = 20;
/// On a machine that is busy with something else, requests would pile up, and their memory with them.
const MAX_RUNNING: usize = BURST + 100;
/// A line in so many parts of the time.
const LINES: u128 = 30;
/// What the process needs shows in the first third, with several bursts; in the last, it may need so many bytes more.
const MAX_GROWTH: u64 = 8 << 20;

fn main() -> Result<ExitCode, BoxError> {
    // As the real one, the daemon has a process of its own, or a thread at least.
    let [daemon, services] =
        [1, 2].map(|threads| Builder::new_multi_thread().worker_threads(threads).enable_all().build());
    let daemon = daemon?;
    services?.block_on(soak(daemon.handle()))
}

async fn soak(daemon: &Handle) -> Result<ExitCode, BoxError> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(Ok(30), |seconds| seconds.parse())?;
    let seed = arguments.next().map_or_else(|| Ok(fastrand::u64(..)), |seed| seed.parse())?;
    println!("{seconds} seconds, seed {seed}");
    panic::set_hook(Box::new(|_| ()));

    let mut daemon = Daemon::start(daemon.clone())?;
    let emitter = Arc::new(Counting::new(UdpEmitter::new(daemon.address.to_string().parse()?)?));
    let recorder = Recorder::builder()
        .environment(|_| None)
        .emitter(emitter.clone())
        .sampling(LocalizedStrategy::new(rules()))
        .capture(Capture::faults())
        .build()?;
    let pricing = serve("pricing", Router::new().route("/quotes/{id}", get(quote)), &recorder).await?;
    let shop = Router::new().route("/{what}/{number}", get(order)).with_state((client(), pricing));
    let shop = serve("shop", shop, &recorder).await?;

    let random = fastrand::Rng::with_seed(seed);
    let mut load = Load { random, shop, client: client(), running: JoinSet::new(), sent: 0 };
    let mut report = Report { recorder: recorder.clone(), began: Instant::now(), memory: Vec::new() };
    let ticks = Duration::from_secs(seconds).as_millis() / TICK.as_millis();
    let mut clock = interval(TICK);
    for tick in 0..ticks {
        clock.tick().await;
        let calm = load.random.usize(..=2 * CALM);
        load.send(if tick % (ticks / BURSTS).max(1) == 0 { BURST } else { calm });
        // On average, it stays up for five seconds, and away for half of one.
        if load.random.u16(..if daemon.is_running() { 250 } else { 25 }) == 0 {
            daemon.toggle().await?;
        }
        if tick % (ticks / LINES).max(1) == 0 {
            report.line(load.sent);
        }
    }
    while load.running.join_next().await.is_some() {}
    // What was spawned ends, too.
    sleep(Duration::from_millis(100)).await;
    let left = recorder.shutdown(Duration::from_secs(5)).await;
    report.line(load.sent);
    println!(
        "{} documents have arrived at the daemon, while there was one; {left} were left",
        daemon.received.load(Relaxed)
    );
    Ok(if report.is_good(&emitter) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Half of everything is sampled.
fn rules() -> Rules {
    let rules = Rules::builder().rule(Rule::new("all").reservoir(10).fixed_rate(0.5));
    rules.build().expect("good rules")
}

// The services.

type HyperClient = XRayClient<Client<HttpConnector, Empty<Bytes>>>;

fn client() -> HyperClient {
    // After a burst, connections should not stay for the minutes that they may.
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(16).build_http();
    ServiceBuilder::new().layer(XRayClientLayer::new()).service(client)
}

async fn serve(name: &str, app: Router, recorder: &Recorder) -> io::Result<SocketAddr> {
    let app = app
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_millis(50)))
        .layer(XRayLayer::new(name, recorder.clone()))
        .layer(CatchPanicLayer::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, app).into_future());
    Ok(address)
}

async fn quote(Path(id): Path<u32>) -> Response {
    current().add_annotation("id", id);
    match id % 50 {
        0 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        1 => StatusCode::TOO_MANY_REQUESTS.into_response(),
        _ => "12.50 EUR".into_response(),
    }
}

async fn order(
    State((client, pricing)): State<(HyperClient, SocketAddr)>,
    Path((what, number)): Path<(String, u32)>,
) -> Response {
    current().add_annotation("what", what.as_str());
    match what.as_str() {
        "panic" => panic::panic_any("as planned"),
        "slow" => sleep(Duration::from_secs(60)).await,
        "broken" => return pages(3, true),
        "endless" => return pages(usize::MAX, false),
        "large" => {
            for place in 0..number % 200 {
                let step = current().begin_subsegment("step");
                step.add_metadata("place", (place, "x".repeat(500)));
            }
        }
        "spawned" => {
            let late = async { sleep(Duration::from_millis(5)).await };
            tokio::spawn(late.in_subsegment("late"));
        }
        _ => {}
    }
    let uri = format!("http://{pricing}/quotes/{number}");
    let request = Request::get(uri).body(Empty::new()).expect("a request");
    let quote = async {
        let response = client.oneshot(request).await?;
        let status = response.status();
        response.into_body().collect().await.map_err(BoxError::from)?;
        Ok::<_, BoxError>(status)
    };
    match capture("quote", quote).await {
        Ok(status) => status.into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

fn pages(count: usize, broken: bool) -> Response {
    let pages = stream::iter(0..count).then(|page| {
        async move {
            sleep(Duration::from_millis(1)).await;
            Ok::<_, Infallible>(Bytes::from(format!("page {page}\n")))
        }
        .in_subsegment("page")
    });
    let end = stream::iter(broken.then(|| Err(io::Error::other("the disk is gone"))));
    Body::from_stream(pages.map(|page| page.map_err(|never| match never {})).chain(end)).into_response()
}

// What happens to them.

struct Load {
    random: fastrand::Rng,
    shop: SocketAddr,
    client: HyperClient,
    running: JoinSet<()>,
    sent: u64,
}

impl Load {
    fn send(&mut self, requests: usize) {
        // Those that have ended are not kept.
        while self.running.try_join_next().is_some() {}
        let requests = requests.min(MAX_RUNNING - self.running.len());
        (0..requests).for_each(|_| self.send_one());
    }

    fn send_one(&mut self) {
        let what = match self.random.u8(..100) {
            0..60 => "plain",
            60..66 => "panic",
            66..70 => "slow",
            70..76 => "broken",
            76..84 => "endless",
            84..90 => "large",
            _ => "spawned",
        };
        // A client that has had enough leaves: before the answer, or in the middle of it.
        let patience = match self.random.u8(..100) {
            _ if what == "endless" => self.random.u64(5..40),
            0..10 => self.random.u64(..5),
            _ => 10_000,
        };
        let request = Request::get(format!("http://{}/{what}/{}", self.shop, self.random.u32(..10_000)));
        let request = match self.random.u8(..3) {
            0 => request.header("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793"),
            _ => request,
        };
        let request = request.body(Empty::new()).expect("a request");
        let client = self.client.clone();
        self.sent += 1;
        self.running.spawn(async move {
            let whole = async { client.oneshot(request).await.ok()?.into_body().collect().await.ok() };
            let _ = timeout(Duration::from_millis(patience), whole).await;
        });
    }
}

/// Takes documents, and dies now and then.
struct Daemon {
    address: SocketAddr,
    received: Arc<AtomicU64>,
    thread: Handle,
    task: Option<JoinHandle<()>>,
}

impl Daemon {
    fn start(thread: Handle) -> io::Result<Self> {
        let socket = net::UdpSocket::bind("127.0.0.1:0")?;
        let mut daemon = Self { address: socket.local_addr()?, received: Arc::default(), thread, task: None };
        daemon.listen(socket)?;
        Ok(daemon)
    }

    fn listen(&mut self, socket: net::UdpSocket) -> io::Result<()> {
        let _entered = self.thread.enter();
        socket.set_nonblocking(true)?;
        self.task = Some(self.thread.spawn(receive(UdpSocket::from_std(socket)?, self.received.clone())));
        Ok(())
    }

    fn is_running(&self) -> bool {
        self.task.is_some()
    }

    async fn toggle(&mut self) -> io::Result<()> {
        if let Some(task) = self.task.take() {
            task.abort();
            // The port is free as soon as the task has gone.
            let _ = task.await;
        } else {
            self.listen(net::UdpSocket::bind(self.address)?)?;
        }
        Ok(())
    }
}

async fn receive(socket: UdpSocket, received: Arc<AtomicU64>) {
    let mut buffer = vec![0; 65_536];
    while socket.recv(&mut buffer).await.is_ok() {
        received.fetch_add(1, Relaxed);
    }
}

// What is shown.

struct Report {
    recorder: Recorder,
    began: Instant,
    /// Resident memory at every line, in bytes.
    memory: Vec<u64>,
}

impl Report {
    fn line(&mut self, sent: u64) {
        let Stats { opened, sampled, captured, emitted, dropped, .. } = self.recorder.stats();
        let memory = resident_memory();
        println!(
            "{:5.0} s: {sent} requests; {opened} opened, {sampled} sampled, {captured} captured; {emitted} emitted, {} \
             dropped{}; {} kB",
            self.began.elapsed().as_secs_f64(),
            dropped.total(),
            reasons(&dropped),
            memory / 1000,
        );
        self.memory.push(memory);
    }

    fn is_good(&self, emitter: &Counting) -> bool {
        let stats = self.recorder.stats();
        let (segments, subsegments) = (emitter.segments.load(Relaxed), emitter.subsegments.load(Relaxed));
        println!("{segments} segments, and {subsegments} subsegments that have outlived theirs or did not fit in");
        let third = self.memory.len() / 3;
        let warm = self.memory[..third].iter().max().copied().unwrap_or_default();
        let mut later = self.memory[2 * third..].to_vec();
        later.sort_unstable();
        let later = later[later.len() / 2];
        println!("memory: at most {} kB in the first third, {} kB in the last (median)", warm / 1000, later / 1000);
        let checks = [
            ("every segment that was sampled or captured is a document", stats.sampled + stats.captured == segments),
            ("every document was emitted or dropped", segments + subsegments == stats.emitted + stats.dropped.total()),
            ("nothing has panicked but the handlers", stats.emitter_panics + stats.strategy_panics == 0),
            ("the memory does not grow", later < warm + MAX_GROWTH),
        ];
        for (what, holds) in checks {
            println!("{} {what}", if holds { "yes:" } else { "NO: " });
        }
        checks.iter().all(|(_, holds)| *holds)
    }
}

/// Those that there are.
fn reasons(dropped: &Dropped) -> String {
    let Dropped { overflow, refused, unresolved, would_block, too_large, io, shutdown, .. } = *dropped;
    let reasons = [
        ("overflow", overflow),
        ("refused", refused),
        ("unresolved", unresolved),
        ("would block", would_block),
        ("too large", too_large),
        ("io", io),
        ("shutdown", shutdown),
    ];
    let named = reasons.iter().filter(|(_, count)| *count > 0).map(|(reason, count)| format!("{reason} {count}"));
    let named: Vec<_> = named.collect();
    if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) }
}

/// In bytes; nothing where the system does not tell it as Linux does.
fn resident_memory() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).map_or(0, |pages: u64| pages * 4096)
}

/// Knows what it was given.
struct Counting {
    emitter: UdpEmitter,
    segments: AtomicU64,
    subsegments: AtomicU64,
}

impl Counting {
    fn new(emitter: UdpEmitter) -> Self {
        Self { emitter, segments: AtomicU64::new(0), subsegments: AtomicU64::new(0) }
    }
}

impl Emitter for Counting {
    fn emit(&self, document: SegmentDocument) {
        let count = if document.is_subsegment() { &self.subsegments } else { &self.segments };
        count.fetch_add(1, Relaxed);
        self.emitter.emit(document);
    }

    fn flush(&self, deadline: Instant) -> Flush {
        self.emitter.flush(deadline)
    }

    fn shutdown(&self, deadline: Instant) -> Flush {
        self.emitter.shutdown(deadline)
    }

    fn stats(&self) -> EmitterStats {
        self.emitter.stats()
    }
}
