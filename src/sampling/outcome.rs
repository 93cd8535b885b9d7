//! How a request ended about which a strategy has decided.
//!
//! In: the end of a request. Out: the argument of `SamplingStrategy::observe`.

use std::time::Duration;

/// How a request ended, sampled or not, about which a rule of a strategy has decided.
///
/// The flags of a request that is recorded are those of its document, also where the program has set them
/// ([`Entity::add_fault`](crate::Entity::add_fault) in a handler that answers 200). Of a request that is not recorded,
/// only what the layer itself sees is known: the status, the gRPC status, an `Err`, a panic, a client that has left.
///
/// See [`SamplingStrategy::observe`](super::SamplingStrategy::observe).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Outcome<'a> {
    /// The rule that decided.
    pub rule_name: &'a str,
    /// What it decided.
    pub sampled: bool,
    /// The name of the segment.
    pub service_name: &'a str,
    /// The route that has matched, such as `/orders/{id}`, or the method of gRPC, if that is known.
    pub route: Option<&'a str>,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    /// Whether it ended in a client error: a status of 4xx or its like in gRPC, a client that left.
    pub error: bool,
    /// Whether it was refused for coming too often: a status of 429 or its like in gRPC.
    pub throttle: bool,
    /// Whether it ended in a fault: a status of 5xx or its like in gRPC, an `Err`, a panic.
    pub fault: bool,
    /// How long it took, to the end of the response's body.
    pub duration: Duration,
    /// Now, since the Unix epoch.
    pub now: Duration,
}

impl<'a> Outcome<'a> {
    /// The end of a request about which nothing else is known; the fields can be set.
    #[must_use]
    pub const fn new(service_name: &'a str, rule_name: &'a str, sampled: bool, now: Duration) -> Self {
        Self {
            rule_name,
            sampled,
            service_name,
            route: None,
            status: None,
            error: false,
            throttle: false,
            fault: false,
            duration: Duration::ZERO,
            now,
        }
    }
}
