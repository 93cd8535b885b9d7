//! Requests in process: nanoseconds, and CPU time of other threads. Runs in a process for each contestant.

use std::{
    net::{SocketAddr, UdpSocket},
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use axum::Router;
use http_body_util::BodyExt;
use tower::Service;
use tower_xray::{Recorder, XRayLayer, emitter::InMemoryEmitter, sampling::SampleAll};

use crate::{
    callgrind::counted,
    contestant::{Contestant, recorder},
    pass_through::request,
    proc::{cpu, memory},
    process::paced,
};

/// 20,000 requests/s: what a batch exporter's queue has room for, so that nobody is fast by dropping.
const BURST: u32 = 500;
const PERIOD: Duration = Duration::from_millis(25);
const WARM_UP: u32 = 20;
const BURSTS: u32 = 80;

/// The rate at which delivery is counted: 40,000/s.
pub(crate) const DELIVERED: u32 = 200_000;
const SMALL_BURST: u32 = 40;
const SMALL_PERIOD: Duration = Duration::from_millis(1);

const RECORDERS: usize = 200;

/// Linux cuts it.
const NAME: &str = env!("CARGO_PKG_NAME");

/// A router that is called often has its state already.
fn ready(router: Router) -> Router {
    router.with_state(())
}

/// Takes one request to the end of its response.
fn call(router: &mut Router) {
    let mut call = pin!(async { router.call(request()).await.map(|response| response.into_body().collect()) });
    let mut cx = Context::from_waker(Waker::noop());
    // Nothing in here waits for anything.
    let Poll::Ready(Ok(body)) = call.as_mut().poll(&mut cx) else { unreachable!("the router answers at once") };
    assert!(pin!(body).poll(&mut cx).is_ready());
}

/// CPU time of this program's first thread, which has its name.
fn main_thread() -> Duration {
    cpu("self", |thread| NAME.starts_with(thread))
}

/// CPU time of all others.
fn background() -> Duration {
    cpu("self", |thread| !NAME.starts_with(thread))
}

/// So many requests, for callgrind.
pub(crate) fn count(contestant: &Contestant, daemon: SocketAddr, requests: usize) {
    let mut router = ready((contestant.start)(daemon).router);
    counted(requests, || call(&mut router));
}

/// Prints nanoseconds of a request, and those of other threads' CPU time.
pub(crate) fn time(contestant: &Contestant, daemon: SocketAddr) {
    let mut router = ready((contestant.start)(daemon).router);
    let mut times = Vec::new();
    let mut burst = || {
        let start = Instant::now();
        (0..BURST).for_each(|_| call(&mut router));
        times.push(start.elapsed() / BURST);
    };
    paced(WARM_UP, PERIOD, &mut burst);
    let before = background();
    paced(BURSTS, PERIOD, &mut burst);
    let background = (background() - before).as_nanos() as f64 / f64::from(BURST * BURSTS);
    times.drain(..WARM_UP as usize);
    times.sort_unstable();
    println!("{} {background}", times[times.len() / 2].as_nanos());
}

/// Sends documents at a high rate; prints how much CPU time of other threads each has taken.
pub(crate) fn deliver(contestant: &Contestant, daemon: SocketAddr) {
    let started = (contestant.start)(daemon);
    let mut router = ready(started.router);
    let before = background();
    paced(DELIVERED / SMALL_BURST, SMALL_PERIOD, || (0..SMALL_BURST).for_each(|_| call(&mut router)));
    let background = background() - before;
    (started.finish)();
    println!("{}", background.as_nanos() as f64 / f64::from(DELIVERED));
}

/// Sends datagrams like those of the recorder at the same rate, and does nothing else; prints the CPU time of each.
pub(crate) fn send(daemon: SocketAddr) {
    let emitter = InMemoryEmitter::new();
    let recorder = Recorder::builder().environment(|_| None).emitter(emitter.clone()).sampling(SampleAll);
    let layer = XRayLayer::new("orders", recorder.build().expect("a recorder"));
    call(&mut Router::new().route("/orders/{id}", axum::routing::get(async || "ok")).layer(layer));
    let datagram = format!("{{\"format\":\"json\",\"version\":1}}\n{}", emitter.take()[0].to_json());
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.connect(daemon).expect("loopback");
    let before = main_thread();
    paced(DELIVERED / SMALL_BURST, SMALL_PERIOD, || {
        (0..SMALL_BURST).for_each(|_| drop(socket.send(datagram.as_bytes())));
    });
    println!("{}", (main_thread() - before).as_nanos() as f64 / f64::from(DELIVERED));
}

/// Prints the bytes of memory that a recorder takes which has sent a document, and has nothing to do.
pub(crate) fn idle(daemon: SocketAddr) {
    let start = || {
        let recorder = recorder(daemon, SampleAll);
        recorder.begin_segment("report").close();
        recorder.flush(Duration::from_secs(5)).wait();
        recorder
    };
    let _first = start();
    let before = memory();
    let recorders: Vec<_> = (0..RECORDERS).map(|_| start()).collect();
    println!("{}", (memory() - before) as f64 / recorders.len() as f64);
}
