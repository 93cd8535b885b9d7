//! Sampling by the rules of the X-Ray console, shared by all instances of a service.
//!
//! In: requests, and what X-Ray answers through the daemon. Out: decisions, and counts that X-Ray divides the
//! reservoirs of its rules by.
//!
//! ```
//! use tower_xray::Recorder;
//!
//! let recorder = Recorder::builder().centralized_sampling().build()?;
//! # Ok::<(), tower_xray::recorder::BuildError>(())
//! ```
//!
//! The first decision starts a thread that fetches the rules, every 5 minutes and as soon as X-Ray tells of an edit, and
//! reports what they have decided, every 10 seconds. No request waits for it. Until rules have arrived, and when they
//! could not be fetched for an hour, every process decides for itself: one request per second, and 5 % of the others.
//!
//! Where a rule allows X-Ray to boost its rate, the strategy also reports how many requests have ended in an anomaly,
//! and applies a boost as long as X-Ray says (about a minute).
//!
//! A rule grants every instance a part of its reservoir. While it has not granted any, an instance may borrow one
//! request per second. Borrowed requests count as sampled ones in reports, as in the developer guide.
//!
//! # Customization
//!
//! [`CentralizedStrategy::builder`] takes what rules ask about the service. [`CentralizedStrategy::pair`] gives the
//! [`Poller`] to those who spawn it themselves:
//!
//! ```
//! use tower_xray::{Recorder, emitter::DaemonAddress, sampling::CentralizedStrategy};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (strategy, poller) = CentralizedStrategy::pair(DaemonAddress::default());
//! tokio::spawn(poller.run());
//! let recorder = Recorder::builder().sampling(strategy).build()?;
//! # Ok(())
//! # }
//! ```

mod api;
mod builder;
mod daemon;
mod manifest;
mod poller;
mod rule;
mod shared;
mod state;
mod strategy;
mod thread;

pub use self::{builder::CentralizedBuilder, poller::Poller, strategy::CentralizedStrategy};
