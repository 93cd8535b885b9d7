//! Trace ids and segment ids: which texts are ids, what new ones look like, and that text and number are one.

use std::{collections::HashSet, num::NonZero, time::Duration};

use proptest::prelude::*;
use tower_xray::{SegmentId, TraceId, document::SegmentDocument, sampling::SampleNone};

use crate::support::recorder_with;

#[test]
fn a_trace_id_is_its_text() {
    for (text, epoch) in [
        ("1-57ff426a-80c11c39b0c928905eb0828d", 0x57ff_426a),
        ("1-57fbe041-2c7ad569f5d6ff149137be86", 0x57fb_e041),
        ("1-00fbe041-2c7ad569f5d6ff149137be86", 0x00fb_e041),
        ("1-00000000-000000000000000000000001", 0),
        ("1-ffffffff-ffffffffffffffffffffffff", u32::MAX),
    ] {
        let id: TraceId = text.parse().unwrap();
        assert_eq!((id.to_string().as_str(), id.epoch_seconds()), (text, epoch));
        assert_eq!(id.to_ascii(), text.as_bytes());
        assert_eq!(format!("{id:?}"), format!("TraceId({text})"));
        assert_eq!(format!("{id:>37}"), format!("  {text}"));
    }
}

#[test]
fn upper_case_digits_are_understood_and_written_in_lower_case() {
    let id: TraceId = "1-57FF426A-80C11C39B0C928905EB0828D".parse().unwrap();
    assert_eq!(id.to_string(), "1-57ff426a-80c11c39b0c928905eb0828d");
    let id: SegmentId = "53995C3F42CD8AD8".parse().unwrap();
    assert_eq!(id.to_string(), "53995c3f42cd8ad8");
}

#[test]
fn what_is_no_trace_id_is_refused_and_told_what_one_looks_like() {
    for text in [
        "",
        "1-57ff426a-80c11c39b0c928905eb0828",
        "1-57ff426a-80c11c39b0c928905eb0828d1",
        "0-57ff426a-80c11c39b0c928905eb0828d",
        "2-57ff426a-80c11c39b0c928905eb0828d",
        "2+57ff426a-80c11c39b0c928905eb0828d",
        "2+57ff426a+80c11c39b0c928905eb0828d",
        "1-57ff426a+80c11c39b0c928905eb0828d",
        "1-57fg426a-80c11c39b0c928905eb0828d",
        "1-57ff426a-80c11c39b0c928905gb0828d",
        "1-+7ff426a-80c11c39b0c928905eb0828d",
        " 1-57ff426a-80c11c39b0c928905eb0828",
        "1-57ff426a-80c11c39b0c928905eb082\u{e9}",
        "1-57ff42\u{e9}-80c11c39b0c928905eb0828d",
        "1-00000000-000000000000000000000000",
        "57ff426a80c11c39b0c928905eb0828d",
    ] {
        let error = text.parse::<TraceId>().expect_err(text);
        assert_eq!(error.to_string(), "not a trace id: expected `1-<8 hex digits>-<24 hex digits>`, not all zero");
    }
}

#[test]
fn what_is_no_segment_id_is_refused_and_told_what_one_looks_like() {
    for text in [
        "",
        "foo",
        "53995c3f42cd8ad",
        "53995c3f42cd8ad80",
        "53995c3f42cd8adg",
        "+3995c3f42cd8ad8",
        "0000000000000000",
        "53995c3f42cd8a\u{e9}",
    ] {
        let error = text.parse::<SegmentId>().expect_err(text);
        assert_eq!(error.to_string(), "not a segment id: expected 16 hex digits, not all zero");
    }
}

#[test]
fn a_trace_id_joins_its_second_and_96_random_bits() {
    assert_eq!(TraceId::new(0x5759_e988, 0x1f).to_string(), "1-5759e988-00000000000000000000001f");
    assert_eq!(TraceId::new(0x5759_e988, u128::MAX).to_string(), "1-5759e988-ffffffffffffffffffffffff");
    assert_eq!(TraceId::new(0, 1 << 96).to_string(), "1-00000000-000000000000000000000001");
}

#[test]
fn a_new_trace_begins_with_the_second_of_its_request() {
    let (recorder, documents) = recorder_with(|builder| builder.clock(|| Duration::from_millis(1_755_443_396_999)));
    recorder.begin_segment("worker").close();
    assert_eq!(documents.take_one().trace_id().epoch_seconds(), 1_755_443_396);
}

#[test]
fn a_seed_repeats_the_ids_and_another_seed_does_not() {
    let ids = |seed| {
        let (recorder, documents) =
            recorder_with(|builder| builder.seed(seed).clock(|| Duration::from_secs(1_755_443_396)));
        let segment = recorder.begin_segment("worker");
        segment.begin_subsegment("query").close();
        segment.close();
        documents.take_one().to_json()
    };
    assert_eq!(ids(7), ids(7));
    assert_ne!(ids(7), ids(8));
}

#[test]
fn every_segment_has_ids_of_its_own_on_every_thread() {
    let (recorder, documents) = recorder_with(|builder| builder);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..250).for_each(|_| recorder.begin_segment("worker").close()));
        }
    });
    let documents = documents.take();
    let traces: HashSet<TraceId> = documents.iter().map(SegmentDocument::trace_id).collect();
    let segments: HashSet<SegmentId> = documents.iter().map(SegmentDocument::id).collect();
    assert_eq!((traces.len(), segments.len()), (1000, 1000));
}

/// The SDKs for Go and Python send ids of zeros then, which tie unrelated requests together in logs.
#[test]
fn what_is_not_recorded_has_real_ids_too() {
    let (recorder, documents) = recorder_with(|builder| builder.sampling(SampleNone));
    let sent = [(); 2].map(|()| {
        let segment = recorder.begin_segment("worker");
        let subsegment = segment.begin_subsegment("query");
        let header = subsegment.header().unwrap();
        assert_eq!((Some(header.root()), header.parent()), (segment.trace_id(), segment.id()));
        header
    });
    assert_ne!(sent[0].root(), sent[1].root());
    assert_ne!(sent[0].parent(), sent[1].parent());
    assert_eq!(documents.len(), 0);
}

proptest! {
    #[test]
    fn no_text_makes_the_id_parsers_panic(text in any::<String>(), near in "[0-9a-f\u{e9}-]{30,36}") {
        for text in [&text, &near] {
            let _ = (text.parse::<TraceId>(), text.parse::<SegmentId>());
        }
    }

    #[test]
    fn a_trace_id_that_is_written_is_read_as_the_same(bits in 1..u128::MAX) {
        let id = TraceId::from_u128(NonZero::new(bits).unwrap());
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(id.to_u128(), bits);
        prop_assert_eq!(TraceId::new(id.epoch_seconds(), bits), id);
        prop_assert_eq!(id.to_ascii().to_vec(), id.to_string().into_bytes());
    }

    #[test]
    fn a_segment_id_that_is_written_is_read_as_the_same(bits in 1..u64::MAX) {
        let id = SegmentId::from_u64(NonZero::new(bits).unwrap());
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!((id.to_u64(), id.to_string()), (bits, format!("{bits:016x}")));
    }

    #[test]
    fn ids_are_ordered_as_their_texts(one in 1..u128::MAX, other in 1..u128::MAX) {
        let [one, other] = [one, other].map(|bits| TraceId::from_u128(NonZero::new(bits).unwrap()));
        prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
    }
}
