//! What tracing costs in memory while nothing happens, and when it has happened.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test talks to a person, and may fail")]

use std::{alloc::System, convert::Infallible, fs, time::Duration};

use cap::Cap;
use http::{Request, Response};
use tower::{Layer, service_fn};
use tower_xray::{Recorder, XRayLayer, sampling::SampleAll};

/// Knows how many bytes are allocated right now.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fn main() {
    an_idle_recorder_is_small();
    clones_of_a_layer_and_its_service_have_nothing_of_their_own();
    println!("2 passed, 0 failed");
}

/// Memory of the process that is in use, in bytes; known on Linux only.
fn resident() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(1024 * line.trim().strip_suffix(" kB")?.parse::<usize>().ok()?)
}

fn recorder() -> Recorder {
    let recorder = Recorder::builder().environment(|_| None).sampling(SampleAll).build().unwrap();
    // It has worked, so that all it keeps is there.
    for _ in 0..100 {
        recorder.begin_segment("report").close();
    }
    assert_eq!(recorder.flush(Duration::from_secs(60)).wait(), 0);
    recorder
}

fn an_idle_recorder_is_small() {
    const RECORDERS: usize = 20;
    const LIMIT: usize = 300_000;
    let first = recorder();
    let (allocated, resident_before) = (ALLOCATOR.allocated(), resident());
    let recorders: Vec<Recorder> = (0..RECORDERS).map(|_| recorder()).collect();
    let heap = (ALLOCATOR.allocated() - allocated) / RECORDERS;
    println!("{heap} bytes of heap per recorder");
    assert!(heap < LIMIT);
    if let (Some(before), Some(after)) = (resident_before, resident()) {
        let resident = after.saturating_sub(before) / RECORDERS;
        println!("{resident} bytes resident per recorder, with the stack of its thread");
        assert!(resident < LIMIT);
    }
    drop((first, recorders));
}

fn clones_of_a_layer_and_its_service_have_nothing_of_their_own() {
    const CLONES: usize = 100_000;
    let layer = XRayLayer::new("orders", recorder());
    let service = layer.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new()))));
    let before = ALLOCATOR.allocated();
    let layers = vec![layer; CLONES];
    let between = ALLOCATOR.allocated();
    let services = vec![service; CLONES];
    let after = ALLOCATOR.allocated();
    let (layer, service) = ((between - before) / CLONES, (after - between) / CLONES);
    println!("{layer} bytes per clone of the layer, {service} of a service without state");
    // A pointer to what they share.
    assert!(layer <= 2 * size_of::<usize>() && service <= 2 * size_of::<usize>());
    drop((layers, services));
}
