//! Subsegments of your own: for futures, for what can fail, for tasks, and for code that does not wait.
//!
//! ```sh
//! cargo run --example custom_subsegments
//! ```

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::{error::Error, num::ParseIntError, time::Duration};

use serde_json::json;
use tokio::{task::JoinError, time::sleep};
use tower_xray::{
    FutureExt, Recorder, capture, context::capture_blocking, current, emitter::InMemoryEmitter, sampling::SampleAll,
};
use xray_local::{RenderOptions, Trace};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let emitter = InMemoryEmitter::new();
    let recorder = Recorder::builder().emitter(emitter.clone()).sampling(SampleAll).build()?;

    // Outside of a request a segment begins by hand. It ends with this guard, at the latest when that is dropped.
    let segment = recorder.begin_segment("nightly-report");
    segment.set_user("alice");
    report().in_entity(&segment).await?;
    segment.close();

    for document in emitter.take() {
        // Drawn as a tree, by feature `local`.
        for trace in Trace::group([serde_json::from_str(&document.to_json())?]) {
            println!("{}", trace.render(&RenderOptions::default().color(false)));
        }
    }
    Ok(())
}

async fn report() -> Result<(), JoinError> {
    // Any future. Everything in it finds its subsegment by `current`.
    async {
        current().add_annotation("rows", 5_000);
        current().add_metadata("filters", json!({ "state": ["paid", "shipped"] }));
        sleep(Duration::from_millis(8)).await;
    }
    .in_subsegment("query")
    .await;

    // A result: an `Err` becomes a fault with its cause, and comes back as it was.
    let quantity: Result<u32, ParseIntError> = capture("read quantity", async { "4x2".parse() }).await;
    assert!(quantity.is_err());

    // A task of its own belongs to no segment, unless it is told to.
    let task = async { sleep(Duration::from_millis(5)).in_subsegment("rebuild index").await };
    let task = tokio::spawn(task.in_current_segment());

    // Code that does not wait, here on a thread for it, which is told in the same way.
    let entity = current();
    let total = tokio::task::spawn_blocking(move || {
        let _entered = entity.enter();
        capture_blocking("add up", || u32::try_from((1..=1_000_u64).sum::<u64>()))
    });

    // Or by hand, with a guard: the handles below it may be cloned, only the guard keeps it open.
    let send = current().begin_subsegment("send");
    let attempt = send.begin_subsegment("attempt 1");
    attempt.set_throttle();
    attempt.close();
    task.await?;
    assert_eq!(total.await?, Ok(500_500));
    send.close();
    Ok(())
}
