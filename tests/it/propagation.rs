//! From a header that comes in to the one that goes on, where there is no HTTP request: messages and other work.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tower_xray::{
    TraceHeader,
    sampling::{Decision, SamplingRequest, SamplingStrategy},
};

use crate::support::recorder_with;

const ROOT: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";

/// Decides always the same, and counts how often it is asked.
struct Sampler {
    sampled: bool,
    asked: Arc<AtomicUsize>,
}

impl SamplingStrategy for Sampler {
    fn decide(&self, _: &SamplingRequest<'_>) -> Decision {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Decision::new(self.sampled)
    }
}

/// The header that goes on from a segment which continues this one, how often the sampler was asked, and whether the
/// segment was recorded.
fn continued(sampled: bool, rest: &str) -> (String, usize, bool) {
    let asked = Arc::<AtomicUsize>::default();
    let (recorder, documents) = recorder_with(|builder| builder.sampling(Sampler { sampled, asked: asked.clone() }));
    let header: TraceHeader = format!("{ROOT}{rest}").parse().unwrap();
    let segment = recorder.begin_segment_from("worker", Some(&header));
    let sent = segment.header().unwrap().to_string().replace(&segment.id().unwrap().to_string(), "own");
    segment.close();
    let document = documents.take().pop();
    if let Some(document) = &document {
        assert_eq!((document.trace_id(), document.parent_id()), (header.root(), header.parent()));
    }
    (sent, asked.load(Ordering::Relaxed), document.is_some())
}

#[test]
fn the_sampler_is_asked_only_where_nobody_has_decided_and_what_goes_on_is_always_decided() {
    let (parent, extra) = (";Parent=53995c3f42cd8ad8", ";Lineage=1:a87bd80c:0;a=b");
    for (sampled, rest, decision, asked) in [
        (true, String::new(), 1, 1),
        (false, String::new(), 0, 1),
        (true, ";Sampled=?".to_owned(), 1, 1),
        (false, format!("{parent};Sampled=?"), 0, 1),
        (false, ";Sampled=1".to_owned(), 1, 0),
        (true, ";Sampled=0".to_owned(), 0, 0),
        (false, format!("{parent};Sampled=1"), 1, 0),
        (true, format!("{parent};Sampled=0"), 0, 0),
    ] {
        let expected = |extra| (format!("{ROOT};Parent=own;Sampled={decision}{extra}"), asked, decision == 1);
        assert_eq!(continued(sampled, &rest), expected(""), "{rest}");
        assert_eq!(continued(sampled, &format!("{rest}{extra}")), expected(extra), "{rest}");
    }
}
