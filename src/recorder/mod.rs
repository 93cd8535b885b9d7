//! The recorder: owns the sampling strategy, the emitter and what all segments have in common.
//!
//! In: requests and other work that begins. Out: [`Segment`](crate::Segment)s, recorded or not; their documents; and
//! [statistics](Recorder::stats) of everything, also of what was dropped.
//!
//! ```
//! use std::time::Duration;
//! use tower_xray::{Recorder, sampling::SampleAll};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let recorder = Recorder::builder().sampling(SampleAll).service_version("2.7.0").build()?;
//! recorder.begin_segment("nightly-report").close();
//! recorder.shutdown(Duration::from_secs(2)).await;
//! # Ok(())
//! # }
//! ```
//!
//! There is no global recorder: layers get theirs, and everything below finds it through the current entity.

mod builder;
pub(crate) mod core;
mod handle;
mod observation;
mod stats;

pub use self::{
    builder::{BuildError, RecorderBuilder},
    handle::Recorder,
    stats::Stats,
};
pub(crate) use self::{handle::NewSegment, observation::Observation};
