//! What happens to a program while it is traced, over real sockets: nothing is lost but what is counted.

use std::{
    cell::RefCell,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use axum::{Router, routing};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream, runtime::Builder, sync::mpsc};
use tower_xray::{Recorder, Segment, XRayLayer, current, emitter::UdpEmitter, sampling::SampleAll};
use xray_local::LocalDaemon;

use crate::{
    outline::outline_json,
    support::{get, recorder_with, serve},
    udp::{PATIENCE, accounted, ended, flushed, sending_to},
};

fn daemon() -> LocalDaemon {
    LocalDaemon::bind("127.0.0.1:0").unwrap()
}

/// All documents that have arrived, `count` at least, as outlines in the order of the alphabet.
fn arrived(daemon: &LocalDaemon, count: u64) -> Vec<String> {
    assert!(daemon.wait_for(count, PATIENCE), "{:?}", daemon.stats());
    assert!(daemon.problems().is_empty(), "{:?}", daemon.problems());
    let traces = daemon.traces();
    let mut outlines: Vec<String> = traces.iter().flat_map(|trace| outline_json(trace.documents())).collect();
    outlines.sort();
    outlines
}

/// Shuts down with a full queue: how many documents were left, and how many were sent or did not fit before.
fn shut_down_full(timeout: Duration) -> (u64, u64) {
    const SEGMENTS: u64 = 300;
    let daemon = daemon();
    let emitter = UdpEmitter::builder(daemon.local_addr().to_string().parse().unwrap());
    let emitter = emitter.max_queue_bytes(1 << 20).build().unwrap();
    let recorder = recorder_with(|builder| builder.emitter(emitter)).0;
    let segments: Vec<Segment> = (0..SEGMENTS).map(|_| recorder.begin_segment("report")).collect();
    segments.iter().for_each(|segment| segment.add_metadata("m", "x".repeat(30_000)));
    drop(segments);
    let left = ended(recorder.shutdown(timeout)) as u64;
    let stats = recorder.stats();
    assert_eq!((stats.dropped.shutdown, accounted(&stats)), (left, SEGMENTS), "{stats:?}");
    assert_eq!(stats.dropped.shutdown + stats.dropped.overflow, stats.dropped.total(), "{stats:?}");
    (left, stats.dropped.overflow)
}

#[test]
fn a_full_queue_is_sent_until_the_deadline_of_a_shutdown_and_the_rest_is_counted() {
    let (left, overflow) = shut_down_full(PATIENCE);
    assert!(left == 0 && overflow > 0, "{left} left, {overflow} too many");
    // On a busy machine the queue may be empty before the shutdown has begun, but hardly every time.
    assert!((0..10).any(|_| shut_down_full(Duration::ZERO).0 > 0));
}

#[test]
fn requests_of_a_runtime_that_has_gone_are_sent() {
    const REQUESTS: usize = 20;
    let daemon = daemon();
    let recorder = sending_to(&daemon.local_addr());
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (reached, mut reaches) = mpsc::unbounded_channel();
    let handler = async move || {
        let _query = current().begin_subsegment("query");
        reached.send(()).unwrap();
        pending::<()>().await;
    };
    let app = Router::new().fallback(routing::get(handler)).layer(XRayLayer::new("shop", recorder.clone()));
    let clients = runtime.block_on(async {
        let address = serve(app).await;
        let mut clients = Vec::new();
        for _ in 0..REQUESTS {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(get("/").as_bytes()).await.unwrap();
            clients.push(client);
        }
        for _ in 0..REQUESTS {
            reaches.recv().await.unwrap();
        }
        clients
    });
    assert_eq!(recorder.stats().emitted, 0);
    drop(runtime);
    drop(clients);
    assert_eq!(ended(recorder.shutdown(PATIENCE)), 0);
    let stats = recorder.stats();
    assert_eq!((stats.opened, stats.emitted, stats.dropped.total()), (20, 20, 0));
    let left =
        "shop?[ClientDisconnect: the client left, or something outside gave up, before the response began](query)";
    assert_eq!(arrived(&daemon, stats.emitted), [left; REQUESTS]);
}

#[test]
fn a_thread_that_ends_sends_what_it_has_left_open_even_in_its_own_storage() {
    thread_local! {
        static PARKED: RefCell<Option<Segment>> = const { RefCell::new(None) };
    }

    let daemon = daemon();
    let recorder = sending_to(&daemon.local_addr());
    let of_open = recorder.clone();
    let mut threads = vec![thread::spawn(move || {
        let _open = of_open.begin_segment("open").begin_subsegment("query");
    })];
    // What a thread keeps for its segments may go before or after its other storage.
    for parked_first in [false, true] {
        let recorder = recorder.clone();
        threads.push(thread::spawn(move || {
            if parked_first {
                PARKED.set(None);
            }
            recorder.begin_segment("closed").close();
            let segment = recorder.begin_segment("parked");
            segment.begin_subsegment("step").close();
            PARKED.set(Some(segment));
        }));
    }
    // Unlike a scope, this waits for the storage, too.
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let stats = flushed(&recorder);
    assert_eq!((stats.opened, stats.dropped.total()), (5, 0), "{stats:?}");
    let expected = ["closed", "closed", "open", "parked(step)", "parked(step)", "query < open"];
    assert_eq!(arrived(&daemon, stats.emitted), expected);
}

#[test]
fn a_clock_that_steps_by_an_hour_makes_no_invalid_document() {
    const START: u64 = 1_755_443_396;
    const HOUR: u64 = 3_600;
    let daemon = daemon();
    let clock = Arc::new(AtomicU64::new(START));
    let now = clock.clone();
    let emitter = UdpEmitter::new(daemon.local_addr().to_string().parse().unwrap()).unwrap();
    let builder = Recorder::builder().environment(|_| None).sampling(SampleAll).emitter(emitter);
    let recorder = builder.clock(move || Duration::from_secs(now.load(Relaxed))).build().unwrap();
    for (name, time) in [("back", START - HOUR), ("forth", START + HOUR)] {
        clock.store(START, Relaxed);
        let segment = recorder.begin_segment(name);
        let before = segment.begin_subsegment("before");
        clock.store(time, Relaxed);
        segment.begin_subsegment("after").close();
        before.close();
        segment.close();
    }
    let stats = flushed(&recorder);
    assert_eq!((stats.emitted, stats.dropped.total()), (2, 0));
    assert_eq!(arrived(&daemon, 2), ["back(before after)", "forth(before after)"]);
    // Time does not go back within a segment.
    let times =
        |entity: &Value| (entity["start_time"].as_f64().unwrap() as u64, entity["end_time"].as_f64().unwrap() as u64);
    for (trace, later) in daemon.traces().iter().zip([START, START + HOUR]) {
        let [segment] = trace.documents() else { panic!("one document") };
        let [before, after] = [0, 1].map(|child| times(&segment["subsegments"][child]));
        assert_eq!((times(segment), before, after), ((START, later), (START, later), (later, later)));
    }
}

#[test]
fn two_recorders_in_one_process_keep_to_themselves() {
    // They all fit into a socket buffer.
    const SEGMENTS: usize = 50;
    let daemons = [daemon(), daemon()];
    let recorders = [0, 1].map(|number: usize| sending_to(&daemons[number].local_addr()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..SEGMENTS / 2 {
                    let outer = recorders[0].begin_segment("first");
                    let _entered = outer.enter();
                    // A segment of the other one, inside.
                    let inner = recorders[1].begin_segment("second");
                    let entered = inner.enter();
                    current().begin_subsegment("of the second").close();
                    drop((entered, inner));
                    current().begin_subsegment("of the first").close();
                }
            });
        }
    });
    for (number, expected) in ["first(of the first)", "second(of the second)"].into_iter().enumerate() {
        let stats = flushed(&recorders[number]);
        assert_eq!((stats.opened, stats.emitted, stats.dropped.total()), (SEGMENTS as u64, SEGMENTS as u64, 0));
        assert_eq!(arrived(&daemons[number], stats.emitted), [expected; SEGMENTS]);
    }
}
