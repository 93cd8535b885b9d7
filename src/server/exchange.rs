//! One request and its response: the segment's owner, from the call to the end of the body.
//!
//! Dropping it unfinished is how a client's leaving shows: hyper drops the response's future or body then.

use std::{fmt, thread};

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE, request::Parts};
use http_body::Body;
use tracing::{Level, Span, field::display};

use super::{
    config::{Config, Trust},
    request::{Inbound, Target},
};
use crate::{
    body::BodyObserver,
    classify::{Class, Flags},
    context::current_header,
    document::{Description, RecordedError},
    entity::{Entity, Segment, Work},
    grpc,
    header::{SamplingDecision, TraceHeader, X_AMZN_TRACE_ID},
    recorder::{NewSegment, Observation, Recorder},
    response_head::ResponseHead,
};

pub(super) struct Exchange {
    /// Taken when the exchange is over.
    segment: Option<Segment>,
    /// Whether the end of the response is recorded, or reported to the strategy.
    followed: bool,
    head: bool,
    connect: bool,
    response_header: ResponseHeader,
    /// Whether there is a response already, and what is known of its body, if it is followed.
    response: Option<Progress>,
    rare: Option<Box<Rare>>,
}

/// What few exchanges have, out of the way of the others.
struct Rare {
    /// The strategy wants to know how this ends.
    observed: Option<Observed>,
    /// Tells the logs which trace this is.
    log_span: Option<Span>,
}

impl Rare {
    #[cold]
    #[inline(never)]
    fn new(observation: Option<Observation>, log_level: Option<Level>, entity: &Entity) -> Option<Box<Self>> {
        let log_span = log_level.and_then(|level| log_span(level, entity));
        let observed = observation.map(|observation| Observed { observation, flags: Flags::default() });
        (observed.is_some() || log_span.is_some()).then(|| Box::new(Self { observed, log_span }))
    }
}

/// A decision whose outcome the strategy wants to know.
struct Observed {
    observation: Observation,
    /// What a request that is not recorded can know of its outcome: the status, the gRPC status, an `Err`, a panic, a
    /// client that has left. What the program says of its entity is not kept.
    flags: Flags,
}

/// What the response says about the trace.
enum ResponseHeader {
    Off,
    /// Its id, and the decision if the caller has asked for it.
    Root(Option<bool>),
    /// What the request says, which is no more than the id.
    Same(HeaderValue),
}

#[derive(Clone, Copy, Default)]
struct Progress {
    /// The response has no body, whatever its body type says.
    bodiless: bool,
    status: StatusCode,
    /// How many bytes there will be, if that is known.
    expected: Option<u64>,
    sent: u64,
    /// Somebody has asked for the body.
    wanted: bool,
    /// Server-sent events: their reader leaves when it has seen enough.
    events: bool,
}

impl Exchange {
    /// Begins a segment; nothing for a request that is left alone.
    pub(super) fn begin(config: &Config, parts: &mut Parts) -> Option<Self> {
        if config.skip.as_ref().is_some_and(|skip| skip(parts)) {
            return None;
        }
        let inbound = Inbound::new(parts);
        // A layer around this one has begun the trace and decided.
        let outer = parts.extensions.get::<Entity>().map_or_else(current_header, Entity::header);
        let outermost = outer.is_none();
        let trust = if outermost { config.trust } else { Trust::All };
        let incoming = outer.or_else(|| match trust {
            Trust::None => None,
            Trust::All | Trust::IdsOnly => inbound.trace_header(config.traceparent),
        });
        if !config.recorder.is_enabled() {
            let new = NewSegment { segment: Recorder::passthrough(incoming), sampled: false, observation: None };
            return Some(Self::new(new, parts, ResponseHeader::Off, config.log_span));
        }
        let asked = incoming.as_ref().is_some_and(|header| header.decision() == SamplingDecision::Requested);
        let same = incoming.as_ref().filter(|header| header.parent().is_none()).and(inbound.root_only());
        let mut incoming = match trust {
            Trust::All | Trust::None => incoming,
            Trust::IdsOnly => incoming.map(|header| header.with_decision(SamplingDecision::Unknown)),
        };
        let decided = config.decide.as_ref().and_then(|decide| decide(parts));
        if let Some(limit) = &config.callers_limit {
            if outermost && decided.is_none() {
                config.recorder.limit_callers(&mut incoming, limit);
            }
        }
        let name = config.naming.name(&inbound, &config.recorder);
        let mut new = config.recorder.begin(
            &name,
            incoming,
            decided,
            |mut sampling| {
                let Target { host, path } = inbound.target();
                sampling.host = host;
                sampling.http_method(parts.method.as_str()).url_path(path)
            },
            |tree, index| {
                inbound.describe(config.tls, config.forwarded_hops, tree, index);
                if let Some(route) = config.route_annotation.then(|| inbound.route()).flatten() {
                    tree.annotate(index, "route", &route.into());
                }
            },
        );
        if let Some(observation) = &mut new.observation {
            observation.route = inbound.route().map(Into::into);
        }
        let header = match same {
            _ if !config.response_header => ResponseHeader::Off,
            Some(value) => ResponseHeader::Same(value.clone()),
            None => ResponseHeader::Root(asked.then_some(new.sampled)),
        };
        if new.segment.is_recorded() {
            parts.extensions.insert(new.segment.entity().clone());
        }
        Some(Self::new(new, parts, header, config.log_span))
    }

    fn new(new: NewSegment, parts: &Parts, response_header: ResponseHeader, log_level: Option<Level>) -> Self {
        let NewSegment { segment, observation, .. } = new;
        let followed = segment.is_recorded() || observation.is_some();
        let rare = match (observation, log_level) {
            (None, None) => None,
            (observation, log_level) => Rare::new(observation, log_level, &segment),
        };
        Self {
            followed,
            segment: Some(segment),
            head: parts.method == Method::HEAD,
            connect: parts.method == Method::CONNECT,
            response_header,
            response: None,
            rare,
        }
    }

    /// There is a response: records its status, and what is known of its body.
    pub(super) fn respond<B: Body>(&mut self, response: &mut Response<B>) {
        if self.followed {
            self.follow(response);
        }
        if let Some(value) = self.header_value() {
            response.headers_mut().entry(&X_AMZN_TRACE_ID).or_insert(value);
        }
        if response.body().is_end_stream() {
            self.on_end();
        }
    }

    fn follow<B: Body>(&mut self, response: &Response<B>) {
        let Some(segment) = &self.segment else { return };
        let status = response.status();
        // RFC 9112, 6.3: these have neither a body nor a length, and HEAD and 304 the length of a body that is not sent.
        let empty =
            status.is_informational() || status == StatusCode::NO_CONTENT || (self.connect && status.is_success());
        let bodiless = empty || self.head || status == StatusCode::NOT_MODIFIED;
        let response_head = ResponseHead::of(response.headers());
        let length = response_head.content_length.or_else(|| response.body().size_hint().exact());
        let expected = length.filter(|_| !empty);
        let events = expected.is_none() && !bodiless && is_event_stream(response.headers());
        self.response = Some(Progress { bodiless, status, expected, sent: 0, wanted: false, events });
        let class = Class::of_status(status.as_u16());
        segment.set_status(status.as_u16(), class);
        if segment.is_recorded() {
            if let Some(error) = response.extensions().get::<RecordedError>() {
                segment.add_cause(|| error.description().clone());
            }
        }
        self.classify_unrecorded(class);
        self.note(response_head.grpc);
    }

    /// Notes what gRPC says about the outcome.
    fn note(&mut self, status: Option<grpc::Status<'_>>) {
        let (Some(status), Some(segment)) = (status, &self.segment) else { return };
        segment.set_grpc_status(&status, |description| description);
        self.classify_unrecorded(Class::of_grpc(status.code.0));
    }

    pub(super) fn is_over(&self) -> bool {
        self.segment.is_none()
    }

    /// Closes the segment. Nothing happens a second time.
    fn end(&mut self) {
        let Some(segment) = self.segment.take() else { return };
        if let Some(Observed { observation, flags }) = self.rare.as_mut().and_then(|rare| rare.observed.take()) {
            let status = self.response.map(|progress| progress.status.as_u16());
            // Those of a segment that is recorded have the flags that the program has set.
            observation.end(status, segment.flags().unwrap_or(flags));
        }
    }

    /// Adds to the flags of the segment, and to those that stand in for them where nothing is recorded.
    fn classify(&mut self, class: Class) {
        if let Some(segment) = &self.segment {
            segment.classify(class);
        }
        self.classify_unrecorded(class);
    }

    fn classify_unrecorded(&mut self, class: Class) {
        if let Some(observed) = self.rare.as_mut().and_then(|rare| rare.observed.as_mut()) {
            observed.flags.add(class);
        }
    }

    fn header_value(&mut self) -> Option<HeaderValue> {
        match std::mem::replace(&mut self.response_header, ResponseHeader::Off) {
            ResponseHeader::Off => None,
            ResponseHeader::Root(answer) => {
                Some(TraceHeader::response_value(self.segment.as_ref()?.trace_id()?, answer))
            }
            ResponseHeader::Same(value) => Some(value),
        }
    }
}

impl Work for Exchange {
    fn entity(&self) -> Option<&Entity> {
        self.segment.as_ref().map(Segment::entity)
    }

    fn log_span(&self) -> Option<&Span> {
        self.rare.as_ref()?.log_span.as_ref()
    }

    fn fail(&mut self, describe: impl FnOnce() -> Description) {
        let Some(segment) = &self.segment else { return };
        segment.add_cause(describe);
        if let Some(Progress { sent, .. }) = self.response {
            segment.set_content_length(sent);
        }
        self.classify(Class::Fault);
        self.end();
    }
}

impl BodyObserver for Exchange {
    fn is_remote(&self) -> bool {
        false
    }

    fn on_poll(&mut self) {
        if let Some(progress) = &mut self.response {
            progress.wanted = true;
        }
    }

    fn on_data(&mut self, bytes: usize) {
        if let Some(progress) = &mut self.response {
            progress.sent += bytes as u64;
        }
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        self.note(ResponseHead::of(trailers).grpc);
    }

    fn on_end(&mut self) {
        let Some(segment) = &self.segment else { return };
        let Progress { bodiless, expected, sent, .. } = self.response.unwrap_or_default();
        // More than was announced is not sent, and less is all there was.
        let length = if bodiless { expected } else { Some(expected.unwrap_or(sent).min(sent)) };
        if let Some(length) = length {
            segment.set_content_length(length);
        }
        self.end();
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.followed {
            return;
        }
        // The segment says so when it closes, and sampling has to hear it before.
        let panicking = thread::panicking();
        if panicking {
            self.classify(Class::Fault);
        }
        // hyper does not ask a body for its end when it knows that there is nothing more to come.
        let ended = |progress: Progress| {
            progress.bodiless
                || progress.events && progress.wanted && !panicking
                || progress.expected.is_some_and(|expected| progress.sent >= expected)
        };
        if self.response.is_some_and(ended) {
            self.on_end();
        }
        let Some(segment) = &self.segment else { return };
        match self.response {
            // Nobody has begun to send the body: a layer outside has put another response in its place.
            Some(Progress { expected, wanted: false, .. }) => {
                if let Some(length) = expected {
                    segment.set_content_length(length);
                }
            }
            // What a panic drops says so itself.
            response if panicking => {
                if let Some(Progress { sent, .. }) = response {
                    segment.set_content_length(sent);
                }
            }
            Some(Progress { sent, .. }) => {
                segment.set_content_length(sent);
                let message = format_args!("the client left after {sent} bytes of the response's body");
                segment.add_cause(|| Description::of_text("ClientDisconnect", message, false));
                self.classify(Class::Error);
            }
            None => {
                let message = "the client left, or something outside gave up, before the response began";
                segment.add_cause(|| Description::of_text("ClientDisconnect", message, false));
                self.classify(Class::Error);
            }
        }
        self.end();
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("segment", &self.segment).finish_non_exhaustive()
    }
}

/// A span with the ids of an entity; none where nobody wants it, or there is no trace.
#[cold]
#[inline(never)]
fn log_span(level: Level, entity: &Entity) -> Option<Span> {
    // A subscriber that knows of traces takes it for the current entity.
    let _entered = entity.enter();
    let (trace_id, segment_id) = (display(entity.trace_id()?), entity.id().map(display));
    macro_rules! span {
        ($level:ident) => {
            tracing::span!(target: "tower_xray", Level::$level, "request", trace_id, segment_id)
        };
    }
    let span = match level {
        Level::ERROR => span!(ERROR),
        Level::WARN => span!(WARN),
        Level::INFO => span!(INFO),
        Level::DEBUG => span!(DEBUG),
        Level::TRACE => span!(TRACE),
    };
    Some(span).filter(|span| !span.is_disabled())
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    value.get(..EVENT_STREAM.len()).is_some_and(|value| value.eq_ignore_ascii_case(EVENT_STREAM))
}
