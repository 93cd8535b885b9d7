//! Building a strategy and its poller.
//!
//! In: what rules ask about the service, and where time and randomness come from. Out: a strategy that starts its poller
//! itself, or the two of them.

use std::{fmt, sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::sync::Notify;

use super::{
    CentralizedStrategy, Poller,
    daemon::Daemon,
    manifest::Current,
    rule::Identity,
    shared::{Anomaly, Shared},
};
use crate::{clock::Clock, sampling::Outcome, transport::DaemonAddress};

impl CentralizedStrategy {
    /// Asks the daemon at this address, in a thread that the first decision starts.
    #[must_use]
    pub fn new(address: DaemonAddress) -> Self {
        Self::builder(address).build()
    }

    /// Returns such a strategy without a thread, and its poller, which the program has to [run](Poller::run).
    pub fn pair(address: DaemonAddress) -> (Self, Poller) {
        Self::builder(address).pair()
    }

    /// Returns a builder of such a strategy.
    pub fn builder(address: DaemonAddress) -> CentralizedBuilder {
        CentralizedBuilder::new(address)
    }

    pub(crate) fn for_recorder(address: &DaemonAddress, clock: &Clock, origin: Option<&str>) -> Self {
        let mut builder = Self::builder(address.clone());
        builder.clock = clock.clone();
        builder.service.service_type = origin.map(str::to_owned);
        builder.build()
    }
}

/// Adjusts a [`CentralizedStrategy`].
///
/// Rules that ask for something that is not set here are not about this service, unless they take anything (`*`).
#[must_use]
pub struct CentralizedBuilder {
    address: DaemonAddress,
    service: Identity,
    anomaly: Arc<Anomaly>,
    clock: Clock,
    random: Rng,
}

impl CentralizedBuilder {
    fn new(address: DaemonAddress) -> Self {
        Self {
            address,
            service: Identity::default(),
            anomaly: Arc::new(is_fault),
            clock: Clock::default(),
            random: Rng::new(),
        }
    }

    /// The kind of AWS resource that runs the service, as in
    /// [`RecorderBuilder::origin`](crate::RecorderBuilder::origin), for rules with a service type.
    pub fn service_type(mut self, origin: impl Into<String>) -> Self {
        self.service.service_type = Some(origin.into());
        self
    }

    /// The ARN of the AWS resource that runs the service, for rules with a resource ARN.
    pub fn resource_arn(mut self, arn: impl Into<String>) -> Self {
        self.service.resource_arn = Some(arn.into());
        self
    }

    /// One more attribute of every segment, for rules with attributes.
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.service.attributes.push((key.into(), value.into()));
        self
    }

    /// Sets which ends of requests are anomalies, for which X-Ray boosts the rate of rules that allow it.
    ///
    /// The default is faults: a status of 5xx, an `Err`, a panic.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_xray::{emitter::DaemonAddress, sampling::CentralizedStrategy};
    /// let strategy = CentralizedStrategy::builder(DaemonAddress::default())
    ///     .anomaly(|outcome| outcome.fault || outcome.duration > Duration::from_secs(3))
    ///     .build();
    /// ```
    pub fn anomaly(mut self, anomaly: impl Fn(&Outcome<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.anomaly = Arc::new(anomaly);
        self
    }

    /// Takes the time from here (since the Unix epoch) instead of the system's clock: for tests.
    pub fn clock(mut self, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Clock::Given(Arc::new(now));
        self
    }

    /// Makes the moments of its calls repeatable: for tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Rng::with_seed(seed);
        self
    }

    /// Builds a strategy that polls in a thread of its own, which the first decision starts.
    #[must_use]
    pub fn build(self) -> CentralizedStrategy {
        let (shared, poller) = self.parts();
        CentralizedStrategy::from_parts(shared, Some(poller))
    }

    /// Builds a strategy without a thread, and its poller, which the program has to [run](Poller::run).
    pub fn pair(self) -> (CentralizedStrategy, Poller) {
        let (shared, poller) = self.parts();
        (CentralizedStrategy::from_parts(shared, None), poller)
    }

    fn parts(self) -> (Arc<Shared>, Poller) {
        let Self { address, service, anomaly, clock, random } = self;
        let shared = Arc::new(Shared { current: Current::default(), anomaly, clock, stop: Notify::new() });
        let poller = Poller::new(shared.clone(), Daemon::new(address.tcp().clone()), service, random);
        (shared, poller)
    }
}

impl fmt::Debug for CentralizedBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CentralizedBuilder")
            .field("address", &self.address)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

fn is_fault(outcome: &Outcome<'_>) -> bool {
    outcome.fault
}
