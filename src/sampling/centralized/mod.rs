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
mod state;

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tokio::sync::Notify;

use self::manifest::{Current, Entry, Manifest};
pub use self::{builder::CentralizedBuilder, poller::Poller};
use crate::{
    clock::Clock,
    sampling::{
        Decision, LocalizedStrategy, Outcome, Rule, Rules, SamplingRequest, SamplingSource, SamplingStats,
        SamplingStrategy,
    },
    transport::DaemonAddress,
};

/// Decides by the sampling rules of X-Ray. See the [module documentation](self).
pub struct CentralizedStrategy {
    shared: Arc<Shared>,
    fallback: LocalizedStrategy,
    launch: Launch,
}

/// What the strategy and its poller have in common.
struct Shared {
    current: Current,
    anomaly: Arc<Anomaly>,
    clock: Clock,
    stop: Notify,
}

/// Whether a request has ended as it should not.
type Anomaly = dyn Fn(&Outcome<'_>) -> bool + Send + Sync;

/// The poller, until the first decision starts its thread.
#[derive(Default)]
struct Launch {
    done: AtomicBool,
    poller: Mutex<Option<Poller>>,
}

impl CentralizedStrategy {
    /// Asks the daemon at this address, in a thread that the first decision starts.
    #[must_use]
    pub fn new(address: DaemonAddress) -> Self {
        Self::builder(address).build()
    }

    /// The same, and its poller, which has to be [run](Poller::run).
    pub fn pair(address: DaemonAddress) -> (Self, Poller) {
        Self::builder(address).pair()
    }

    /// A strategy to be adjusted.
    pub fn builder(address: DaemonAddress) -> CentralizedBuilder {
        CentralizedBuilder::new(address)
    }

    pub(crate) fn for_recorder(address: &DaemonAddress, clock: &Clock, origin: Option<&str>) -> Self {
        let mut builder = Self::builder(address.clone());
        builder.clock = clock.clone();
        builder.service.service_type = origin.map(str::to_owned);
        builder.build()
    }

    fn from_parts(shared: Arc<Shared>, poller: Option<Poller>) -> Self {
        let launch = Launch { done: AtomicBool::new(poller.is_none()), poller: Mutex::new(poller) };
        let rules = Rules { default: Rule::new("fallback"), ..Rules::default() };
        Self { shared, fallback: LocalizedStrategy::new(rules), launch }
    }
}

impl SamplingStrategy for CentralizedStrategy {
    fn decide(&self, request: &SamplingRequest<'_>) -> Decision {
        self.launch.once();
        let manifest = self.shared.fresh(request.now);
        match manifest.as_ref().and_then(|manifest| manifest.find(request)) {
            Some(Entry { rule, state }) => {
                Decision::new(state.decide(&rule.common, request)).by_rule(rule.common.name.clone())
            }
            // No rule of X-Ray's has decided, so none is named.
            None => Decision::new(self.fallback.decide(request).is_sampled()),
        }
    }

    /// Only rules that X-Ray may boost are worth it.
    fn wants_outcomes(&self) -> bool {
        self.shared.current.boosts()
    }

    fn observe(&self, outcome: &Outcome<'_>) {
        let manifest = self.shared.current.get();
        let entry = manifest.as_ref().and_then(|manifest| manifest.by_name(outcome.rule_name));
        if let Some(entry) = entry.filter(|entry| entry.rule.boosts) {
            entry.state.count_outcome(outcome, (self.shared.anomaly)(outcome));
        }
    }

    /// The rules in force, and the local fallback.
    fn stats(&self) -> SamplingStats {
        let now = self.shared.clock.since_epoch();
        let fallback = self.fallback.stats().rules;
        let Some(manifest) = self.shared.fresh(now) else {
            return SamplingStats { source: SamplingSource::Fallback, age: None, rules: fallback };
        };
        let rules = manifest.entries.iter().map(|entry| entry.state.stats(&entry.rule.common, now)).chain(fallback);
        let age = Some(now.saturating_sub(manifest.fetched));
        SamplingStats { source: SamplingSource::Central, age, rules: rules.collect() }
    }

    fn shutdown(&self) {
        self.launch.never();
        self.shared.stop.notify_one();
    }
}

impl Drop for CentralizedStrategy {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl fmt::Debug for CentralizedStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CentralizedStrategy").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Shared {
    /// The rules, unless there are none yet or none any more.
    fn fresh(&self, now: Duration) -> Option<Arc<Manifest>> {
        self.current.get().filter(|manifest| manifest.is_fresh(now))
    }
}

impl Launch {
    /// Starts the thread, unless somebody has; whoever comes second does not wait.
    fn once(&self) {
        if self.done.load(Relaxed) || self.done.swap(true, Relaxed) {
            return;
        }
        if let Some(Err(error)) = self.take().map(start) {
            tracing::error!("sampling rules are not fetched: {error}");
        }
    }

    fn never(&self) {
        self.done.store(true, Relaxed);
        drop(self.take());
    }

    fn take(&self) -> Option<Poller> {
        self.poller.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn start(poller: Poller) -> io::Result<()> {
    let run = move || match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime.block_on(poller.run()),
        Err(error) => tracing::error!("sampling rules are not fetched: {error}"),
    };
    thread::Builder::new().name("xray-sampling".to_owned()).stack_size(512 * 1024).spawn(run).map(drop)
}
