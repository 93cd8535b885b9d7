//! How costs grow: with requests at once and threads, with the size of documents, and with the number of subsegments and
//! annotations.
//!
//! `cargo bench --bench scaling` prints tables. It needs Linux. Everything runs in process, flat out; the documents go to
//! a socket that nobody reads.

#![expect(clippy::print_stdout, reason = "the tables are for a person")]

mod proc;

use std::{
    env,
    net::UdpSocket,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, routing::get};
use http::Request;
use http_body_util::BodyExt;
use tokio::{
    runtime::Builder,
    task::{JoinSet, yield_now},
};
use tower::ServiceExt;
use tower_xray::{Recorder, Subsegment, XRayLayer, current, emitter::UdpEmitter, sampling::SampleAll};

use self::proc::cpu;

const REQUESTS: usize = 50_000;
const ROUNDS: usize = 3;

const SENDER: &str = "xray-emitter";
const WORKER: &str = "worker";

fn main() {
    // `cargo bench` adds it; without it this is a test, of which there are none.
    if env::args().any(|argument| argument == "--bench") {
        concurrency();
        documents();
        trees();
        details();
    }
}

/// What a request has cost.
#[derive(Clone, Copy)]
struct Cost {
    /// Requests per second.
    rate: f64,
    /// Nanoseconds of CPU time of the threads that handle requests, and of the one that sends.
    workers: f64,
    sender: f64,
}

fn concurrency() {
    println!(
        "\n| threads | at once | bare, requests/s | sampled, requests/s | bare, CPU ns | sampled, over bare | sender |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|");
    // Gives all the others their turn, so that so many requests are open at once.
    let handler = get(async || {
        yield_now().await;
        yield_now().await;
        "ok"
    });
    let router = Router::new().route("/orders/{id}", handler);
    for threads in [1, 2, 4] {
        for at_once in [1, 10, 100, 1_000, 10_000] {
            let rounds = (0..ROUNDS).map(|_| {
                let bare = run((router.clone(), None), threads, at_once, REQUESTS);
                (bare, run(traced(&router), threads, at_once, REQUESTS))
            });
            let rounds: Vec<_> = rounds.collect();
            println!(
                "| {threads} | {at_once} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
                median(rounds.iter().map(|(bare, _)| bare.rate)),
                median(rounds.iter().map(|(_, sampled)| sampled.rate)),
                median(rounds.iter().map(|(bare, _)| bare.workers)),
                median(rounds.iter().map(|(bare, sampled)| sampled.workers - bare.workers)),
                median(rounds.iter().map(|(_, sampled)| sampled.sender)),
            );
        }
    }
}

fn documents() {
    println!("\n| document | CPU ns per request | per kB | sender, per request | per kB |");
    println!("|--:|--:|--:|--:|--:|");
    for bytes in [500, 5_000, 60_000] {
        let handler = get(async move || {
            // The document of a plain request has about 500 bytes.
            for place in 0..(bytes - 500) / 500 {
                current().add_metadata(&place.to_string(), "x".repeat(490));
            }
            "ok"
        });
        let router = Router::new().route("/orders/{id}", handler);
        let Cost { workers, sender, .. } = cost(&router, 20_000_000 / (bytes + 1_000));
        let per_kb = |cost: f64| cost * 1_000.0 / f64::from(bytes as u32);
        println!(
            "| {} kB | {workers:.0} | {:.0} | {sender:.0} | {:.0} |",
            f64::from(bytes as u32) / 1_000.0,
            per_kb(workers),
            per_kb(sender)
        );
    }
}

/// A way of having so many subsegments, and its name.
type Shape = (&'static str, fn(usize));

fn trees() {
    println!("\n| subsegments | shape | CPU ns per request | per subsegment | sender, per subsegment |");
    println!("|--:|---|--:|--:|--:|");
    let shapes: [Shape; 3] = [
        ("one after the other", |count| (0..count).for_each(|_| current().begin_subsegment("query").close())),
        ("all at once", |count| {
            let open: Vec<Subsegment> = (0..count).map(|_| current().begin_subsegment("query")).collect();
            drop(open);
        }),
        ("each inside of the one before", |count| {
            let mut open: Vec<Subsegment> = vec![current().begin_subsegment("query")];
            for above in 0..count - 1 {
                let inner = open[above].begin_subsegment("query");
                open.push(inner);
            }
            // The innermost closes first.
            while open.pop().is_some() {}
        }),
    ];
    for (name, shape) in shapes {
        for count in [1, 100, 10_000] {
            let handler = get(async move || {
                shape(count);
                "ok"
            });
            let router = Router::new().route("/orders/{id}", handler);
            let Cost { workers, sender, .. } = cost(&router, 100_000 / (count + 10));
            let per_subsegment = |cost: f64| cost / f64::from(count as u32);
            println!(
                "| {count} | {name} | {workers:.0} | {:.0} | {:.0} |",
                per_subsegment(workers),
                per_subsegment(sender)
            );
        }
    }
}

fn details() {
    println!("\n| annotations | CPU ns per request | per annotation |");
    println!("|--:|--:|--:|");
    for count in [1, 100, 1_000, 5_000] {
        let keys: Arc<[String]> = (0..count).map(|number| format!("key_{number}")).collect();
        let handler = get(async move || {
            keys.iter().for_each(|key| current().add_annotation(key, 7));
            "ok"
        });
        let Cost { workers, .. } = cost(&Router::new().route("/orders/{id}", handler), 100_000 / (count + 10));
        println!("| {count} | {workers:.0} | {:.0} |", workers / count as f64);
    }
}

/// Traced, on one thread, one request after the other.
fn cost(router: &Router, requests: usize) -> Cost {
    let rounds: Vec<Cost> = (0..ROUNDS).map(|_| run(traced(router), 1, 1, requests)).collect();
    Cost {
        rate: median(rounds.iter().map(|cost| cost.rate)),
        workers: median(rounds.iter().map(|cost| cost.workers)),
        sender: median(rounds.iter().map(|cost| cost.sender)),
    }
}

/// Takes requests to the end of their responses, always so many of them at once.
fn run((router, recorder): (Router, Option<Recorder>), threads: usize, at_once: usize, requests: usize) -> Cost {
    let runtime = Builder::new_multi_thread().worker_threads(threads).thread_name(WORKER).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let router = router.with_state::<()>(());
    let each = requests.div_ceil(at_once);
    let requests = each * at_once;
    let time = |name: &str| cpu("self", |own| own == name);
    let start = Instant::now();
    runtime.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..at_once {
            let router = router.clone();
            clients.spawn(async move {
                for _ in 0..each {
                    let Ok(response) = router.clone().oneshot(request()).await;
                    response.into_body().collect().await.expect("a body");
                }
            });
        }
        clients.join_all().await;
    });
    let rate = requests as f64 / start.elapsed().as_secs_f64();
    let workers = time(WORKER);
    // With a deadline, it does not send leisurely.
    let sender = recorder.map_or(Duration::ZERO, |recorder| {
        recorder.flush(Duration::from_secs(5)).wait();
        time(SENDER)
    });
    drop((runtime, router));
    // The next run's threads have the same names.
    while time(WORKER) + time(SENDER) > Duration::ZERO {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    let per_request = |time: Duration| time.as_nanos() as f64 / requests as f64;
    Cost { rate, workers: per_request(workers), sender: per_request(sender) }
}

fn request() -> Request<Body> {
    Request::get("/orders/42").header("host", "shop.example.com").body(Body::empty()).expect("a request")
}

fn traced(router: &Router) -> (Router, Option<Recorder>) {
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = receiver.local_addr().expect("an address").to_string();
    // Kept open until the process ends.
    Box::leak(Box::new(receiver));
    let emitter = UdpEmitter::builder(address.parse().expect("an address")).max_queue_bytes(256 << 20);
    let emitter = emitter.build().expect("a thread");
    let recorder = Recorder::builder().environment(|_| None).emitter(emitter).sampling(SampleAll);
    let recorder = recorder.build().expect("a recorder");
    (router.clone().layer(XRayLayer::new("orders", recorder.clone())), Some(recorder))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
