//! The handle: begins segments, flushes, and counts.
//!
//! In: requests and other work that begins. Out: segments, recorded or not, and statistics.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{core::Core, observation::Observation, stats::Stats};
use crate::{
    document::{Index, SegmentName, Tree},
    emitter::Flush,
    entity::{Beginning, Entity, Segment},
    header::{SamplingDecision, TraceHeader},
    sampling::{Decision, Reservoir, SamplingRequest},
};

/// Begins segments, decides which are recorded, and sends them. A clone is another handle to the same recorder.
#[derive(Clone)]
pub struct Recorder(pub(super) Arc<Core>);

impl Recorder {
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
            return Self::passthrough(header);
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
        self.0.shut_strategy_down();
        self.0.emitter.shutdown(deadline(timeout))
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.0.enabled
    }

    /// Stands in for a segment while the recorder is disabled: downstream services get the header as it came.
    pub(crate) fn passthrough(header: Option<TraceHeader>) -> Segment {
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
    /// A `decision` of the program overrides that of the header, and that the strategy's. `complete` adds what is known
    /// to the sampling request; `describe` runs only if the segment is recorded.
    pub(crate) fn begin<'a>(
        &self,
        name: &'a str,
        incoming: Option<TraceHeader>,
        decision: Option<Decision>,
        complete: impl FnOnce(SamplingRequest<'a>) -> SamplingRequest<'a>,
        describe: impl FnOnce(&mut Tree, Index),
    ) -> NewSegment {
        let Core { capture, clock, ids, counters, .. } = &*self.0;
        let now = clock.since_epoch();
        let of_caller = incoming.as_ref().and_then(|header| header.decision().made());
        let made = decision.or_else(|| of_caller.map(Decision::new));
        let observed = made.is_none() && self.0.wants_outcomes();
        let decision =
            made.unwrap_or_else(|| self.0.decide(&complete(SamplingRequest::new(name, now, ids.fraction()))));
        let sampled = decision.is_sampled();
        counters.open(sampled);
        let header = incoming.unwrap_or_else(|| TraceHeader::new(ids.trace_id(now.as_secs() as u32)));
        let header = header.with_decision(sampled);
        let observation = decision.shared_rule_name().filter(|_| observed).map(|rule_name| {
            let (core, began) = (self.0.clone(), clock.begin(now));
            Observation { core, rule_name, sampled, service_name: name.into(), began, route: None }
        });
        let segment = if sampled || capture.is_some() {
            let rule_name = decision.into_rule_name().filter(|_| sampled);
            Segment::begin(self.0.clone(), Beginning { name, header, rule_name, began: clock.begin(now) }, describe)
        } else {
            Segment::new(Entity::propagated(header.with_parent(ids.segment_id())))
        };
        NewSegment { segment, sampled, observation }
    }

    /// Leaves the decision open that a header has made, if that is one too many in this second.
    pub(crate) fn limit_callers(&self, incoming: &mut Option<TraceHeader>, limit: &Reservoir) {
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
}

/// A segment that has begun.
pub(crate) struct NewSegment {
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
