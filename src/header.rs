//! The tracing header `X-Amzn-Trace-Id`, read leniently and written exactly.
//!
//! In: the header of a request, or the text of a message attribute. Out: a [`TraceHeader`] with valid ids only, and
//! the text to send on: `Root=…;Parent=…;Sampled=…`, then the pairs that belong to others, unchanged.
//!
//! Elements may come in any order, with spaces around them, with keys in any case, twice (the last one counts), or
//! broken (they are left out). `Self` is a load balancer's own and is dropped. Only a missing or invalid `Root` makes
//! the whole header unusable; the request then starts a new trace.
//!
//! ```
//! use tower_xray::{TraceHeader, header::SamplingDecision};
//!
//! // What a load balancer sends: the trace has an id, and nobody has decided yet.
//! let header: TraceHeader = "Root=1-5759e988-bd862e3fe1be46a994272793".parse()?;
//! assert_eq!(header.parent(), None);
//! assert_eq!(header.decision(), SamplingDecision::Unknown);
//! # Ok::<(), tower_xray::header::ParseTraceHeaderError>(())
//! ```

use std::{fmt, str::FromStr, sync::Arc};

use http::{HeaderName, HeaderValue};

use crate::id::{SegmentId, TraceId, ascii};

/// `x-amzn-trace-id`.
pub static X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// A header that is longer than this many bytes is ignored.
pub const MAX_LEN: usize = 2048;

/// Of the pairs that belong to others, at most this many bytes of keys and values are kept; pairs that no longer fit
/// are left out (the X-Ray SDK for Node has the same bound). `Lineage`, which Lambda adds, may be as long by itself.
pub const MAX_EXTRA_LEN: usize = 256;

const MAX_EXTRA_PAIRS: usize = 10;

const LINEAGE: &str = "Lineage";

/// Who decided about sampling, and how.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum SamplingDecision {
    /// `Sampled=0`: the caller decided not to record.
    NotSampled,
    /// `Sampled=?`: the caller asks us to decide, and to tell it in the response.
    Requested,
    /// `Sampled=1`: the caller decided to record.
    Sampled,
    /// Nobody has decided.
    #[default]
    Unknown,
}

impl SamplingDecision {
    /// The decision `0` or `1` that has been made, if any.
    #[must_use]
    pub const fn made(self) -> Option<bool> {
        match self {
            Self::NotSampled => Some(false),
            Self::Sampled => Some(true),
            Self::Requested | Self::Unknown => None,
        }
    }
}

impl From<bool> for SamplingDecision {
    fn from(sampled: bool) -> Self {
        if sampled { Self::Sampled } else { Self::NotSampled }
    }
}

/// The content of a tracing header.
///
/// Cloning it allocates nothing; parsing allocates only for extra pairs.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TraceHeader {
    root: TraceId,
    parent: Option<SegmentId>,
    decision: SamplingDecision,
    /// `key=value` pairs joined by `;`, ready to be written.
    extra: Option<Arc<str>>,
}

impl TraceHeader {
    /// The header of a trace of which only the id is known.
    #[must_use]
    pub const fn new(root: TraceId) -> Self {
        Self { root, parent: None, decision: SamplingDecision::Unknown, extra: None }
    }

    /// Names the segment or subsegment that makes the call.
    #[must_use]
    pub const fn with_parent(mut self, parent: SegmentId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Says what was decided, or who is to decide.
    #[must_use]
    pub fn with_decision(mut self, decision: impl Into<SamplingDecision>) -> Self {
        self.decision = decision.into();
        self
    }

    /// The same with the pairs of another header that belong to others.
    pub(crate) fn with_extra_of(self, other: Self) -> Self {
        Self { extra: other.extra, ..self }
    }

    /// Only what is X-Ray's own: root, parent and decision.
    pub(crate) const fn without_extra(&self) -> Self {
        Self { root: self.root, parent: self.parent, decision: self.decision, extra: None }
    }

    /// The trace id.
    #[must_use]
    pub const fn root(&self) -> TraceId {
        self.root
    }

    /// The segment or subsegment that made the call.
    #[must_use]
    pub const fn parent(&self) -> Option<SegmentId> {
        self.parent
    }

    /// What was decided, or who is to decide.
    #[must_use]
    pub const fn decision(&self) -> SamplingDecision {
        self.decision
    }

    /// Pairs that belong to others, such as `Lineage`, in their order.
    pub fn extra(&self) -> impl Iterator<Item = (&str, &str)> {
        self.extra.iter().flat_map(|extra| extra.split(';')).filter_map(|pair| pair.split_once('='))
    }

    /// The value to send: one exact-size allocation.
    ///
    /// `Sampled=?` is written as it is: a header that goes downstream carries a decision, which
    /// [`Entity::header`](crate::Entity::header) sees to.
    #[must_use]
    pub fn to_header_value(&self) -> HeaderValue {
        let text = self.to_bytes();
        // Ids are hex and extra pairs are visible ASCII, so the fallback is never taken.
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
    }

    /// Whether a valid value is `Root=…` as we write it, and nothing else.
    pub(crate) fn is_root_only(value: &HeaderValue) -> bool {
        let text = value.as_bytes();
        let id = text.strip_prefix(b"Root=").filter(|id| id.len() == TraceId::LEN);
        id.is_some_and(|id| id.iter().fold(true, |lower, byte| lower & !byte.is_ascii_uppercase()))
    }

    /// `Root=…`, and the decision if the caller has asked for it: what goes into a response.
    pub(crate) fn response_value(root: TraceId, answer: Option<bool>) -> HeaderValue {
        let mut text = [0; 5 + TraceId::LEN + 10];
        text[..5].copy_from_slice(b"Root=");
        text[5..5 + TraceId::LEN].copy_from_slice(&root.to_ascii());
        let decided: &[u8] = match answer {
            None => b"",
            Some(false) => b";Sampled=0",
            Some(true) => b";Sampled=1",
        };
        let len = 5 + TraceId::LEN + decided.len();
        text[5 + TraceId::LEN..len].copy_from_slice(decided);
        HeaderValue::from_bytes(&text[..len]).unwrap_or(HeaderValue::from_static(""))
    }

    fn from_bytes(text: &[u8]) -> Result<Self, ParseTraceHeaderError> {
        Self::canonical(text).map_or_else(|| Self::lenient(text), Ok)
    }

    /// The form that everybody writes, at a fraction of the cost: `Root=…`, `Parent=…`, `Sampled=…`.
    fn canonical(text: &[u8]) -> Option<Self> {
        let (root, rest) = text.strip_prefix(b"Root=")?.split_at_checked(TraceId::LEN)?;
        let header = Self::new(TraceId::from_ascii(root).ok()?);
        let (header, rest) = match rest.strip_prefix(b";Parent=") {
            Some(rest) => {
                let (parent, rest) = rest.split_at_checked(SegmentId::LEN)?;
                (header.with_parent(SegmentId::from_ascii(parent).ok()?), rest)
            }
            None => (header, rest),
        };
        match rest {
            b"" => Some(header),
            b";Sampled=0" => Some(header.with_decision(SamplingDecision::NotSampled)),
            b";Sampled=1" => Some(header.with_decision(SamplingDecision::Sampled)),
            b";Sampled=?" => Some(header.with_decision(SamplingDecision::Requested)),
            _ => None,
        }
    }

    fn lenient(text: &[u8]) -> Result<Self, ParseTraceHeaderError> {
        // Without an early exit this is a handful of vector instructions.
        let illegible = |byte: &u8| (*byte < b' ' && *byte != b'\t') | (*byte > b'~');
        if text.len() > MAX_LEN || text.iter().fold(false, |found, byte| found | illegible(byte)) {
            return Err(ParseTraceHeaderError);
        }
        let mut root = None;
        let mut parent = None;
        let mut decision = SamplingDecision::Unknown;
        let mut extra = Extra::default();
        for element in text.split(|byte| *byte == b';') {
            let Some(equals) = element.iter().position(|byte| *byte == b'=') else { continue };
            let (key, value) = (element[..equals].trim_ascii(), element[equals + 1..].trim_ascii());
            if key.eq_ignore_ascii_case(b"root") {
                root = TraceId::from_ascii(value).ok();
            } else if key.eq_ignore_ascii_case(b"parent") {
                parent = SegmentId::from_ascii(value).ok();
            } else if key.eq_ignore_ascii_case(b"sampled") {
                decision = match value {
                    b"0" => SamplingDecision::NotSampled,
                    b"1" => SamplingDecision::Sampled,
                    b"?" => SamplingDecision::Requested,
                    _ => SamplingDecision::Unknown,
                };
            } else if !key.eq_ignore_ascii_case(b"self") {
                let key = if key.eq_ignore_ascii_case(LINEAGE.as_bytes()) { LINEAGE.as_bytes() } else { key };
                extra.push(ascii(key), ascii(value));
            }
        }
        let root = root.ok_or(ParseTraceHeaderError)?;
        Ok(Self { root, parent, decision, extra: extra.finish() })
    }

    /// Returns the value as text: one exact-size allocation.
    #[must_use]
    pub fn to_text(&self) -> String {
        String::from_utf8(self.to_bytes()).unwrap_or_default()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.len());
        self.write(&mut text);
        text
    }

    /// How long it is as text. A value made of a vector with room to spare would take a second allocation.
    fn len(&self) -> usize {
        let parent = self.parent.map_or(0, |_| ";Parent=".len() + SegmentId::LEN);
        let decision = if self.decision == SamplingDecision::Unknown { 0 } else { ";Sampled=?".len() };
        "Root=".len() + TraceId::LEN + parent + decision + self.extra.as_ref().map_or(0, |extra| 1 + extra.len())
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Root=");
        out.extend_from_slice(&self.root.to_ascii());
        if let Some(parent) = self.parent {
            out.extend_from_slice(b";Parent=");
            out.extend_from_slice(&parent.to_ascii());
        }
        out.extend_from_slice(match self.decision {
            SamplingDecision::NotSampled => b";Sampled=0",
            SamplingDecision::Requested => b";Sampled=?",
            SamplingDecision::Sampled => b";Sampled=1",
            SamplingDecision::Unknown => b"",
        });
        if let Some(extra) = &self.extra {
            out.push(b';');
            out.extend_from_slice(extra.as_bytes());
        }
    }
}

impl fmt::Display for TraceHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(ascii(&self.to_bytes()))
    }
}

impl FromStr for TraceHeader {
    type Err = ParseTraceHeaderError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.as_bytes())
    }
}

impl TryFrom<&HeaderValue> for TraceHeader {
    type Error = ParseTraceHeaderError;

    fn try_from(value: &HeaderValue) -> Result<Self, Self::Error> {
        Self::from_bytes(value.as_bytes())
    }
}

/// For messages whose headers are bytes, such as the records of Kafka.
impl TryFrom<&[u8]> for TraceHeader {
    type Error = ParseTraceHeaderError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        Self::from_bytes(bytes)
    }
}

impl TryFrom<&str> for TraceHeader {
    type Error = ParseTraceHeaderError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<&TraceHeader> for HeaderValue {
    fn from(header: &TraceHeader) -> Self {
        header.to_header_value()
    }
}

/// Says that a text has no usable `Root`, is longer than [`MAX_LEN`], or is not visible ASCII.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseTraceHeaderError;

impl fmt::Display for ParseTraceHeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a tracing header: expected `Root=1-<8 hex digits>-<24 hex digits>` among its elements")
    }
}

impl std::error::Error for ParseTraceHeaderError {}

/// Collects foreign pairs within their bounds.
#[derive(Default)]
struct Extra {
    text: String,
    pairs: usize,
    len: usize,
    lineage: bool,
}

impl Extra {
    fn push(&mut self, key: &str, value: &str) {
        let own = key.len() + value.len();
        // A key with a space inside would not survive the next parser.
        let legible = !key.is_empty() && !value.is_empty() && !key.contains([' ', '\t']);
        // Nothing that a client sends may push it out.
        let reserved = key == LINEAGE && !self.lineage;
        let fits = reserved || (self.len + own <= MAX_EXTRA_LEN && self.pairs < MAX_EXTRA_PAIRS);
        if !legible || own > MAX_EXTRA_LEN || !fits {
            return;
        }
        if reserved {
            self.lineage = true;
        } else {
            self.len += own;
            self.pairs += 1;
        }
        if !self.text.is_empty() {
            self.text.push(';');
        }
        self.text.push_str(key);
        self.text.push('=');
        self.text.push_str(value);
    }

    fn finish(self) -> Option<Arc<str>> {
        (!self.text.is_empty()).then(|| self.text.into())
    }
}
