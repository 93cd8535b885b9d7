//! Tracing headers never panic, and what is understood is written so that it is understood again.

#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tower_xray::{
    SegmentId, TraceHeader, TraceId,
    header::{MAX_EXTRA_LEN, MAX_LEN, SamplingDecision, X_AMZN_TRACE_ID},
    w3c,
};

fuzz_target!(|bytes: &[u8]| {
    let value = HeaderValue::from_bytes(bytes).ok();
    if let Ok(text) = std::str::from_utf8(bytes) {
        let parsed: Result<TraceHeader, _> = text.parse();
        if let Some(value) = &value {
            assert_eq!(TraceHeader::try_from(value), parsed, "text and header value are read alike");
        }
        if let Ok(header) = &parsed {
            assert!(bytes.len() <= MAX_LEN);
            check(header);
        }
        ids(text);
    }
    let foreign = w3c::parse(bytes);
    if let Some(header) = &foreign {
        check(header);
        assert!(bytes.len() == 55 || !bytes.starts_with(b"00-"), "only later versions may have more");
    }
    if let Some(value) = value {
        let mut headers = HeaderMap::new();
        headers.insert(&w3c::TRACEPARENT, value.clone());
        assert_eq!(TraceHeader::from_headers(&headers), foreign);
        headers.insert(&X_AMZN_TRACE_ID, value);
        if let Some(header) = TraceHeader::from_headers(&headers) {
            check(&header);
        }
    }
});

fn check(header: &TraceHeader) {
    let value = header.to_header_value();
    assert_eq!(value, header.to_string());
    assert_eq!(TraceHeader::try_from(&value).as_ref(), Ok(header), "{value:?}");
    assert!(value.len() < 120 + 2 * (MAX_EXTRA_LEN + 2 * 11), "{value:?}");
    let extra: Vec<_> = header.extra().collect();
    assert!(extra.len() <= 11, "{extra:?}");
    let legible = |key: &str| !key.is_empty() && !key.contains([' ', '\t', ';']);
    assert!(extra.iter().all(|(key, value)| legible(key) && !value.is_empty()), "{extra:?}");

    let traceparent = w3c::format(header);
    assert_eq!(traceparent.is_some(), header.parent().is_some());
    if let Some(traceparent) = traceparent {
        let back = w3c::parse(traceparent.as_bytes()).expect("what is written is understood");
        assert_eq!((back.root(), back.parent()), (header.root(), header.parent()));
        let sampled = header.decision() == SamplingDecision::Sampled;
        assert_eq!(back.decision(), SamplingDecision::from(sampled));
    }
}

fn ids(text: &str) {
    if let Ok(id) = text.parse::<TraceId>() {
        assert!(text.eq_ignore_ascii_case(&id.to_string()));
    }
    if let Ok(id) = text.parse::<SegmentId>() {
        assert!(text.eq_ignore_ascii_case(&id.to_string()));
    }
}
