//! One request through an axum router, in process: what tracing costs over a bare router and over a layer that does
//! nothing.
//!
//! `cargo bench --bench request` prints times, and allocations with their bytes. The emitter sends real datagrams to a
//! socket on loopback that nobody reads, so the work of the request path is complete and that of the sending thread is
//! not in the figures.

mod scenarios;

use std::fmt;

use divan::{AllocProfiler, Bencher};

use self::scenarios::{SCENARIOS, Scenario, request};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = SCENARIOS)]
fn one_request(bencher: Bencher<'_, '_>, scenario: &Scenario) {
    bencher.with_inputs(request).bench_local_values(scenario.start());
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
