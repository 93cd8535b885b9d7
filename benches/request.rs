//! One request through an axum router, in process: what tracing costs over a bare router and over a layer that does
//! nothing.
//!
//! `cargo bench --bench request` prints times, and allocations with their bytes. The emitter sends real datagrams to a
//! socket on loopback that nobody reads, so the work of the request path is complete and that of the sending thread is
//! not in the figures.

#[path = "../tests/pass_through.rs"]
mod pass_through;

use std::{
    net::UdpSocket,
    pin::pin,
    task::{Context, Poll, Waker},
};

use axum::{Router, routing::get};
use divan::{AllocProfiler, Bencher};
use http_body_util::BodyExt;
use tower::Service;
use tower_xray::{
    Recorder, RecorderBuilder, XRayLayer,
    emitter::UdpEmitter,
    sampling::{Capture, SampleAll, SampleNone, SamplingStrategy},
};

use self::pass_through::{pass_through, request};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench]
fn bare_router(bencher: Bencher<'_, '_>) {
    bench(bencher, router(0));
}

#[divan::bench]
fn pass_through_layer(bencher: Bencher<'_, '_>) {
    bench(bencher, router(0).layer(pass_through()));
}

#[divan::bench]
fn unsampled(bencher: Bencher<'_, '_>) {
    bench(bencher, router(0).layer(traced(SampleNone)));
}

#[divan::bench]
fn unsampled_without_response_header(bencher: Bencher<'_, '_>) {
    bench(bencher, router(0).layer(traced(SampleNone).response_header(false)));
}

#[divan::bench]
fn unsampled_with_capture(bencher: Bencher<'_, '_>) {
    let recorder = recorder(|builder| builder.sampling(SampleNone).capture(Capture::faults()));
    bench(bencher, router(0).layer(XRayLayer::new("orders", recorder)));
}

#[divan::bench]
fn sampled(bencher: Bencher<'_, '_>) {
    bench(bencher, router(0).layer(traced(SampleAll)));
}

#[divan::bench]
fn sampled_with_three_subsegments(bencher: Bencher<'_, '_>) {
    bench(bencher, router(3).layer(traced(SampleAll)));
}

fn router(subsegments: u32) -> Router {
    let handler = async move || {
        for _ in 0..subsegments {
            tower_xray::current().begin_subsegment("query").close();
        }
        "ok"
    };
    Router::new().route("/orders/{id}", get(handler))
}

fn traced(strategy: impl SamplingStrategy + 'static) -> XRayLayer {
    XRayLayer::new("orders", recorder(|builder| builder.sampling(strategy)))
}

fn recorder(adjust: impl FnOnce(RecorderBuilder) -> RecorderBuilder) -> Recorder {
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = receiver.local_addr().expect("an address").to_string();
    // Kept open until the process ends.
    Box::leak(Box::new(receiver));
    let emitter = UdpEmitter::new(address.parse().expect("an address")).expect("a thread");
    adjust(Recorder::builder().environment(|_| None).emitter(emitter)).build().expect("a recorder")
}

fn bench(bencher: Bencher<'_, '_>, router: Router) {
    let mut router = router.with_state::<()>(());
    bencher.with_inputs(request).bench_local_values(|request| {
        let mut call = pin!(async { router.call(request).await.map(|response| response.into_body().collect()) });
        let mut cx = Context::from_waker(Waker::noop());
        // Nothing in here waits for anything.
        let Poll::Ready(Ok(body)) = call.as_mut().poll(&mut cx) else { unreachable!("the router answers at once") };
        assert!(pin!(body).poll(&mut cx).is_ready());
    });
}
