//! The recorder: owns the sampling strategy, the emitter and what all segments have in common.
//!
//! In: requests and other work that begins. Out: [`Segment`]s, recorded or not; their documents; and
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
mod observation;
mod stats;

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    time::{Duration, Instant},
};

pub(crate) use self::observation::Observation;
use self::stats::Counters;
pub use self::{
    builder::{BuildError, RecorderBuilder},
    stats::Stats,
};
use crate::{
    clock::Clock,
    context::{enter, with_current},
    document::{Index, Resource, SegmentDocument, SegmentName, Tree},
    emitter::{Emitter, Flush},
    entity::{Entity, Recording, Segment},
    header::{SamplingDecision, TraceHeader},
    id::IdSource,
    sampling::{Capture, Decision, Reservoir, SamplingRequest, SamplingStrategy},
};

/// Begins segments, decides which are recorded, and sends them. A clone is another handle to the same recorder.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    emitter: Box<dyn Emitter>,
    strategy: Box<dyn SamplingStrategy>,
    capture: Option<Capture>,
    resource: Arc<Resource>,
    name: Option<SegmentName>,
    enabled: bool,
    backtraces: bool,
    #[cfg(feature = "sqlparser")]
    sql_statements: bool,
    clock: Clock,
    ids: IdSource,
    counters: Counters,
}

impl Recorder {
    /// A recorder as the environment says: see [`RecorderBuilder::build`] for the variables.
    ///
    /// # Errors
    ///
    /// When a variable has no valid value, or the emitter cannot be started.
    pub fn from_env() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// A recorder to be adjusted.
    pub fn builder() -> RecorderBuilder {
        RecorderBuilder::default()
    }

    /// Begins a segment outside of a request. The strategy decides whether it is recorded; it is asked about the name
    /// only.
    pub fn begin_segment(&self, name: &str) -> Segment {
        self.begin_segment_from(name, None)
    }

    /// Begins a segment that continues a trace, as one does that handles a message.
    ///
    /// Where the header says `Sampled=0` or `1`, the strategy is not asked.
    pub fn begin_segment_from(&self, name: &str, header: Option<&TraceHeader>) -> Segment {
        self.begin_segment_as(name, header.cloned(), None)
    }

    /// The same where something else than the header may have decided.
    pub(crate) fn begin_segment_as(
        &self,
        name: &str,
        header: Option<TraceHeader>,
        decision: Option<Decision>,
    ) -> Segment {
        if !self.is_enabled() {
            return Self::pass_on(header);
        }
        let name = SegmentName::lenient(name);
        self.begin(name.as_str(), header, decision, |request| request, |_, _| {}).segment
    }

    /// What was opened, sampled, emitted and dropped since the recorder was made.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.counters.stats(self.0.emitter.stats(), self.0.strategy.stats())
    }

    /// Sends what has closed so far, until `timeout` is over; how many documents were left then.
    pub fn flush(&self, timeout: Duration) -> Flush {
        self.0.emitter.flush(deadline(timeout))
    }

    /// Sends what has closed, until `timeout` is over, and takes nothing any more.
    ///
    /// The output counts the documents that were left; they are dropped, and counted in the statistics.
    pub fn shutdown(&self, timeout: Duration) -> Flush {
        self.0.strategy.shutdown();
        self.0.emitter.shutdown(deadline(timeout))
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.0.enabled
    }

    /// What stands in for a segment while the recorder is disabled: whoever is called gets the header as it came.
    pub(crate) fn pass_on(header: Option<TraceHeader>) -> Segment {
        // A question goes to us, and is answered by nobody then.
        let unasked = |header: TraceHeader| match header.decision() {
            SamplingDecision::Requested => header.with_decision(SamplingDecision::Unknown),
            _ => header,
        };
        Segment::new(header.map(unasked).map_or_else(Entity::none, Entity::propagated))
    }

    /// The name that the environment gives to every segment.
    pub(crate) fn name(&self) -> Option<&SegmentName> {
        self.0.name.as_ref()
    }

    /// Begins a segment, recorded or not.
    ///
    /// A decision that was `forced` goes before that of the header, and that before the strategy's. `complete` adds what
    /// is known to the sampling request; `describe` runs only if the segment is recorded.
    pub(crate) fn begin<'a>(
        &self,
        name: &'a str,
        incoming: Option<TraceHeader>,
        forced: Option<Decision>,
        complete: impl FnOnce(SamplingRequest<'a>) -> SamplingRequest<'a>,
        describe: impl FnOnce(&mut Tree, Index),
    ) -> Begun {
        let Inner { capture, clock, ids, counters, strategy, .. } = &*self.0;
        let now = clock.since_epoch();
        let told = incoming.as_ref().and_then(|header| header.decision().made());
        let made = forced.or_else(|| told.map(Decision::new));
        let observed = made.is_none() && strategy.wants_outcomes();
        let decision = made.unwrap_or_else(|| self.decide(&complete(SamplingRequest::new(name, now, ids.fraction()))));
        let sampled = decision.is_sampled();
        counters.open(sampled);
        let header = incoming.unwrap_or_else(|| TraceHeader::new(ids.trace_id(now.as_secs() as u32)));
        let header = header.with_decision(sampled);
        let observation = decision.shared_rule_name().filter(|_| observed).map(|rule_name| {
            let (recorder, began) = (self.clone(), clock.begin(now));
            Observation { recorder, rule_name, sampled, service_name: name.into(), began, route: None }
        });
        let entity = if sampled || capture.is_some() {
            let rule_name = decision.into_rule_name().filter(|_| sampled);
            Recording::begin(self.clone(), name, header, rule_name, clock.begin(now), describe)
        } else {
            Entity::propagated(header.with_parent(ids.segment_id()))
        };
        Begun { segment: Segment::new(entity), sampled, observation }
    }

    /// Leaves the decision open that a header has made, if that is one too many in this second.
    pub(crate) fn limit_forced(&self, incoming: &mut Option<TraceHeader>, limit: &Reservoir) {
        let Some(header) = incoming.take_if(|header| header.decision().made() == Some(true)) else { return };
        let allowed = limit.take(self.0.clock.since_epoch().as_secs());
        if !allowed {
            self.0.counters.limit_forced();
        }
        *incoming = Some(if allowed { header } else { header.with_decision(SamplingDecision::Unknown) });
    }

    pub(crate) fn count_limited_name(&self) {
        self.0.counters.limit_name();
    }

    /// Why a segment that was not sampled is sent after all, if it is.
    pub(crate) fn capture(&self, error: bool, fault: bool, duration: Duration) -> Option<&'static str> {
        let capture = self.0.capture.as_ref()?;
        let reason = capture.reason(error, fault, duration)?;
        if capture.allows(self.0.clock.since_epoch().as_secs()) {
            self.count_captured();
            Some(reason)
        } else {
            self.0.counters.limit_capture();
            None
        }
    }

    pub(crate) fn count_captured(&self) {
        self.0.counters.capture();
    }

    pub(crate) fn count_discarded(&self) {
        self.0.counters.discard();
    }

    pub(crate) fn emit(&self, document: SegmentDocument) {
        let emit = || self.0.emitter.emit(document);
        let emitted = if with_current(Entity::is_recorded) {
            // Spans and calls of an emitter are no part of what it sends: that would never end.
            enter(&Entity::none(), emit)
        } else {
            panic::catch_unwind(AssertUnwindSafe(emit))
        };
        if emitted.is_err() {
            self.0.counters.emitter_panic();
        }
    }

    pub(crate) fn resource(&self) -> Arc<Resource> {
        self.0.resource.clone()
    }

    pub(crate) fn records_backtraces(&self) -> bool {
        self.0.backtraces
    }

    #[cfg(feature = "sqlparser")]
    pub(crate) fn records_sql_statements(&self) -> bool {
        self.0.sql_statements
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn ids(&self) -> &IdSource {
        &self.0.ids
    }

    pub(crate) fn count_refused(&self) {
        self.0.counters.refuse();
    }

    fn decide(&self, request: &SamplingRequest<'_>) -> Decision {
        panic::catch_unwind(AssertUnwindSafe(|| self.0.strategy.decide(request))).unwrap_or_else(|_| {
            self.0.counters.strategy_panic();
            Decision::new(false)
        })
    }
}

/// A segment that has begun.
pub(crate) struct Begun {
    pub(crate) segment: Segment,
    pub(crate) sampled: bool,
    /// What the strategy wants to know of its end.
    pub(crate) observation: Option<Observation>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("enabled", &self.0.enabled)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// A timeout beyond the end of time is an hour.
fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or(now + Duration::from_secs(3600))
}
