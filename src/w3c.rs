//! W3C Trace Context: `traceparent`, whose ids are the same bits as X-Ray's.
//!
//! In: the header that services of other make send. Out: the same trace as a [`TraceHeader`], and back. Which of the two
//! headers of a request counts is decided here, too: see [`TraceHeader::from_headers`].
//!
//! ```
//! use tower_xray::w3c;
//!
//! let header = w3c::parse(b"00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-01").unwrap();
//! assert_eq!(header.to_string(), "Root=1-4efaaf4d-1e8720b39541901950019ee5;Parent=53995c3f42cd8ad8;Sampled=1");
//! assert_eq!(w3c::format(&header).unwrap(), "00-4efaaf4d1e8720b39541901950019ee5-53995c3f42cd8ad8-01");
//! ```

use std::num::NonZero;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    header::{TraceHeader, X_AMZN_TRACE_ID},
    id::{SegmentId, TraceId},
};

/// `traceparent`.
pub static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Length of version 00; later versions may append more after a dash.
const LEN: usize = 55;

/// Reads a `traceparent`; nothing if it is malformed, of version `ff`, or has an all-zero id.
#[must_use]
pub fn parse(value: &[u8]) -> Option<TraceHeader> {
    let (known, rest) = value.split_at_checked(LEN)?;
    let version = read_hex(&known[..2])?;
    let complete = rest.is_empty() || (version > 0 && rest[0] == b'-');
    if version == 0xff || !complete || known[2] != b'-' || known[35] != b'-' || known[52] != b'-' {
        return None;
    }
    let root = TraceId::from_u128(NonZero::new(read_hex(&known[3..35])?)?);
    let parent = SegmentId::from_u64(NonZero::new(read_hex(&known[36..52])? as u64)?);
    let sampled = read_hex(&known[53..])? & 1 == 1;
    Some(TraceHeader::new(root).with_parent(parent).with_decision(sampled))
}

/// Writes a `traceparent`; nothing if the header has no parent, which W3C Trace Context cannot express.
///
/// An open decision is written as "not sampled".
#[must_use]
pub fn format(header: &TraceHeader) -> Option<HeaderValue> {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    let root = header.root().to_ascii();
    text[3..11].copy_from_slice(&root[2..10]);
    text[11..35].copy_from_slice(&root[11..]);
    text[36..52].copy_from_slice(&header.parent()?.to_ascii());
    if header.decision().made() == Some(true) {
        text[54] = b'1';
    }
    HeaderValue::from_bytes(&text).ok()
}

impl TraceHeader {
    /// The context of a request: its `X-Amzn-Trace-Id`, or its `traceparent` where the former is missing, unusable, or
    /// names no `Parent` (a load balancer adds such a header to a request that has a `traceparent`).
    ///
    /// Only the first line of each header counts. Anything unusable is as good as absent.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        Self::from_values(headers.get(&X_AMZN_TRACE_ID), headers.get(&TRACEPARENT))
    }

    /// The same for headers that have been found already.
    pub(crate) fn from_values(
        x_amzn_trace_id: Option<&HeaderValue>,
        traceparent: Option<&HeaderValue>,
    ) -> Option<Self> {
        let own: Option<Self> = x_amzn_trace_id.and_then(|value| value.try_into().ok());
        if own.as_ref().is_some_and(|header| header.parent().is_some()) {
            return own;
        }
        match (traceparent.and_then(|value| parse(value.as_bytes())), own) {
            (Some(foreign), Some(own)) => Some(foreign.with_extra_of(own)),
            (foreign, own) => foreign.or(own),
        }
    }
}

/// Lower-case digits only, as W3C Trace Context demands.
fn read_hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| match digit {
        b'0'..=b'9' => Some(value << 4 | u128::from(digit - b'0')),
        b'a'..=b'f' => Some(value << 4 | u128::from(digit - b'a' + 10)),
        _ => None,
    })
}
