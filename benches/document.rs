//! Documents: writing them, splitting those that are too large, and recording trees of subsegments.
//!
//! `cargo bench --bench document` prints times, and allocations with their bytes.

use divan::{AllocProfiler, Bencher, counter::BytesCount};
use tower_xray::{
    Recorder, Subsegment,
    document::{MAX_DOCUMENT, SegmentDocument},
    emitter::{Emitter, InMemoryEmitter},
    sampling::SampleAll,
};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const SIZES: [usize; 3] = [500, 5_000, 60_000];
const TREES: [usize; 3] = [1, 100, 10_000];

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn write(bencher: Bencher<'_, '_>, bytes: usize) {
    let document = document(|recorder| large(recorder, bytes));
    let bencher = bencher.counter(BytesCount::new(document.to_json().len()));
    bencher.bench_local(|| document.to_json());
}

/// 60 kB in pieces of at most so many bytes.
#[divan::bench(args = [4_096, 16_000, MAX_DOCUMENT])]
fn split(bencher: Bencher<'_, '_>, max_bytes: usize) {
    let make = || document(|recorder| large(recorder, 60_000));
    let bencher = bencher.counter(BytesCount::new(make().to_json().len())).with_inputs(make);
    bencher.bench_local_values(|document| document.split(max_bytes));
}

/// From the beginning of a segment with so many subsegments to its end, without the emitter.
#[divan::bench(args = TREES)]
fn record_subsegments(bencher: Bencher<'_, '_>, count: usize) {
    let recorder = recorder(Discard);
    bencher.counter(count).bench_local(|| {
        let segment = recorder.begin_segment("report");
        for _ in 0..count {
            segment.begin_subsegment("query").close();
        }
    });
}

/// The same, each inside of the one before.
#[divan::bench(args = TREES)]
fn record_nested_subsegments(bencher: Bencher<'_, '_>, count: usize) {
    let recorder = recorder(Discard);
    bencher.counter(count).bench_local(|| {
        let segment = recorder.begin_segment("report");
        let mut subsegments: Vec<Subsegment> = Vec::with_capacity(count);
        for depth in 0..count {
            let parent = depth.checked_sub(1).map_or(&*segment, |above| &*subsegments[above]);
            let subsegment = parent.begin_subsegment("query");
            subsegments.push(subsegment);
        }
        // The innermost closes first.
        while subsegments.pop().is_some() {}
    });
}

/// One value of so many bytes, on a segment of its own.
#[divan::bench(args = [100, 1_000, 10_000])]
fn record_metadata(bencher: Bencher<'_, '_>, bytes: usize) {
    let recorder = recorder(Discard);
    let value = "x".repeat(bytes);
    bencher.counter(BytesCount::new(bytes)).bench_local(|| recorder.begin_segment("report").add_metadata("m", &value));
}

/// A segment with subsegments and their metadata, of about so many bytes.
fn large(recorder: &Recorder, bytes: usize) {
    let segment = recorder.begin_segment("report");
    for _ in 0..bytes / 500 {
        let subsegment = segment.begin_subsegment("query");
        subsegment.add_annotation("rows", 5_000);
        subsegment.add_metadata("statement", "SELECT id, name FROM orders WHERE id = ? AND tier = ?; ".repeat(5));
    }
}

/// The only document that is made.
fn document(make: impl FnOnce(&Recorder)) -> SegmentDocument {
    let emitter = InMemoryEmitter::new();
    make(&recorder(emitter.clone()));
    let mut documents = emitter.take();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

fn recorder(emitter: impl Emitter + 'static) -> Recorder {
    Recorder::builder().environment(|_| None).emitter(emitter).sampling(SampleAll).build().expect("a recorder")
}

/// Drops every document, as an emitter does that has sent it.
struct Discard;

impl Emitter for Discard {
    fn emit(&self, _: SegmentDocument) {}
}
