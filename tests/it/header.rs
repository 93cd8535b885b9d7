//! The tracing header: what is understood of one, and what is written.

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use tower_xray::{
    SegmentId, TraceHeader, TraceId,
    header::{MAX_EXTRA_LEN, MAX_LEN, ParseTraceHeaderError, SamplingDecision, X_AMZN_TRACE_ID},
};

const ROOT: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";

/// What is understood of a header, as it is written; nothing if the request would start a new trace.
fn understood(text: &str) -> Option<String> {
    text.parse().ok().map(|header: TraceHeader| header.to_string())
}

/// Compares what is understood of each text. An expectation that begins with `;` follows the root.
#[track_caller]
fn assert_understood<'a>(table: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) {
    for (text, expected) in table {
        let expected =
            expected.map(|rest| if rest.starts_with("Root=") { rest.to_owned() } else { format!("{ROOT}{rest}") });
        assert_eq!(understood(text), expected, "{text:?}");
    }
}

#[test]
fn a_root_alone_names_the_trace_and_neither_a_parent_nor_a_decision() {
    let header: TraceHeader = ROOT.parse().unwrap();
    assert_eq!(header, TraceHeader::new("1-5759e988-bd862e3fe1be46a994272793".parse().unwrap()));
    assert_eq!((header.parent(), header.decision()), (None, SamplingDecision::Unknown));
    assert_eq!(header.extra().count(), 0);
}

#[test]
fn a_message_has_it_as_bytes() {
    let text = format!("{ROOT};Parent=53995c3f42cd8ad8;Sampled=1");
    assert_eq!(TraceHeader::try_from(text.as_bytes()).unwrap(), text.parse().unwrap());
    for damaged in [&b""[..], b"\xff\xfe", b"Root=\x00", &[ROOT.as_bytes(), b"\xff"].concat()] {
        assert_eq!(TraceHeader::try_from(damaged), Err(ParseTraceHeaderError), "{damaged:?}");
    }
}

#[test]
fn broken_elements_are_left_out_and_only_a_broken_root_costs_the_header() {
    assert_understood([
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            Some(";Parent=53995c3f42cd8ad8;Sampled=1"),
        ),
        (
            "Self=1-67891234-12456789abcdef012345678a;Root=1-5759e988-bd862e3fe1be46a994272793;CalledFrom=app",
            Some(";CalledFrom=app"),
        ),
        (" Sampled=? ; Root=1-5759e988-bd862e3fe1be46a994272793 ", Some(";Sampled=?")),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=2", Some("")),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=true", Some("")),
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=xyz;Sampled=0;Lineage=1:a87bd80c:0",
            Some(";Sampled=0;Lineage=1:a87bd80c:0"),
        ),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;a=b=c", Some(";a=b=c")),
        ("Parent=53995c3f42cd8ad8;Sampled=1", None),
        ("Root=5759e988-bd862e3fe1be46a994272793", None),
        ("Root;Sampled=1", None),
        ("Root=", None),
        (";;=;Root", None),
        ("", None),
    ]);
}

#[test]
fn a_parent_that_is_no_id_or_all_zero_is_ignored() {
    for parent in
        ["", "foo", "53995c3f42cd8ad", "53995c3f42cd8ad80", "53995c3f42cd8adg", "0000000000000000", "+3995c3f42cd8ad8"]
    {
        assert_eq!(
            understood(&format!("{ROOT};Parent={parent};Sampled=1")),
            Some(format!("{ROOT};Sampled=1")),
            "{parent:?}"
        );
    }
}

#[test]
fn elements_come_in_any_order_and_case_with_spaces_and_tabs_around_them() {
    assert_understood([
        (
            "rOOT=1-5759E988-BD862E3FE1BE46A994272793;PARENT=53995C3F42CD8AD8;sampled=1;LINEAGE=1:a87bd80c:0",
            Some(";Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a87bd80c:0"),
        ),
        (
            "\tLineage = 1:a87bd80c:0 ;\tSampled\t=\t0 ; SELF=x; Parent = 53995c3f42cd8ad8\t; Root = 1-5759e988-bd862e3fe1be46a994272793",
            Some(";Parent=53995c3f42cd8ad8;Sampled=0;Lineage=1:a87bd80c:0"),
        ),
    ]);
}

#[test]
fn of_an_element_that_comes_twice_the_last_counts_even_if_it_is_broken() {
    assert_understood([
        ("Root=1-67891234-12456789abcdef012345678a;Root=1-5759e988-bd862e3fe1be46a994272793", Some("")),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Root=1", None),
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=1111111111111111;Sampled=0;Sampled=1;parent=53995c3f42cd8ad8",
            Some(";Parent=53995c3f42cd8ad8;Sampled=1"),
        ),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Parent=x;Sampled=1;Sampled=x", Some("")),
        // Pairs of others are theirs: both go on.
        ("Root=1-5759e988-bd862e3fe1be46a994272793;a=1;a=2", Some(";a=1;a=2")),
    ]);
}

#[test]
fn pairs_of_others_are_kept_in_their_order_unless_they_would_not_survive_the_next_parser() {
    let header: TraceHeader = format!("z=1;{ROOT};CalledFrom=app;a b=c;=x;k=;v= x y ;m").parse().unwrap();
    assert_eq!(header.extra().collect::<Vec<_>>(), [("z", "1"), ("CalledFrom", "app"), ("v", "x y")]);
    assert_eq!(header.to_string(), format!("{ROOT};z=1;CalledFrom=app;v=x y"));
}

#[test]
fn the_vectors_of_the_official_sdks_hold_wherever_ids_are_valid() {
    let baz = format!("Baz={}", "a".repeat(251));
    let crowded = format!("Root=1-58ed6027-14afb2e09172c337713486c0;Foo=bar;{baz}");
    let reversed = format!("{baz};Root=1-58ed6027-14afb2e09172c337713486c0;Foo=bar");
    let kept = format!("Root=1-58ed6027-14afb2e09172c337713486c0;{baz}");
    let node = "Root=1-58ed6027-14afb2e09172c337713486c0";
    let full = "Root=1-58ed6027-14afb2e09172c337713486c0;Parent=48af77592b6dd73f;Sampled=1";
    let lambda = "Root=1-57ff426a-80c11c39b0c928905eb0828d;Parent=1234abcd1234abcd;Sampled=1";
    assert_understood([
        // Go and Java keep a decision that belongs to no trace, and `Parent=foo`; Go keeps a root of version 0.
        ("Sampled=1", None),
        (
            "Sampled=?;Root=1-57ff426a-80c11c39b0c928905eb0828d;Parent=foo;Self=2;Foo=bar",
            Some("Root=1-57ff426a-80c11c39b0c928905eb0828d;Sampled=?;Foo=bar"),
        ),
        (
            "Sampled=?; Root=1-57ff426a-80c11c39b0c928905eb0828d; Parent=foo; Self=2; Foo=bar",
            Some("Root=1-57ff426a-80c11c39b0c928905eb0828d;Sampled=?;Foo=bar"),
        ),
        ("Sampled=?;Root=0-57ff426a-80c11c39b0c928905eb0828d;Parent=foo;Self=2;Foo=bar", None),
        // Node
        ("RoOt=1-58ed6027-14afb2e09172c337713486c0;PaREnT=48af77592b6dd73f;saMpLed=1", Some(full)),
        ("Root=1-58ed6027-14afb2e09172c337713486c0; Parent=48af77592b6dd73f; Sampled=1", Some(full)),
        ("Root=1-58ed6027-14afb2e09172c337713486c0;", Some(node)),
        ("Root=1-58ed6027-14afb2e09172c337713486c0;Parent", Some(node)),
        ("Root=1-58ed6027-14afb2e09172c337713486c0;=48af77592b6dd73f", Some(node)),
        ("Root=1-58ed6027-14afb2e09172c337713486c0;Parent=", Some(node)),
        ("Root=1-58ed6027-14afb2e09172c337713486c0;Foo=bar", Some("Root=1-58ed6027-14afb2e09172c337713486c0;Foo=bar")),
        (&crowded, Some("Root=1-58ed6027-14afb2e09172c337713486c0;Foo=bar")),
        (&reversed, Some(&kept)),
        // Python
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=?", Some(";Sampled=?")),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8", Some(";Parent=53995c3f42cd8ad8")),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;k1=v1;k2=v2", Some(";k1=v1;k2=v2")),
        ("some invalid string", None),
        // .NET writes spaces, with which Python loses parent and decision.
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793; Parent=53995c3f42cd8ad8; Sampled=1",
            Some(";Parent=53995c3f42cd8ad8;Sampled=1"),
        ),
        // Java in Lambda
        (";;Root=1-57ff426a-80c11c39b0c928905eb0828d;;Parent=1234abcd1234abcd;;;Sampled=1;;;", Some(lambda)),
        (";;root-missing;;Parent=1234abcd1234abcd;;;Sampled=1;;;", None),
        (
            "Root=1-5759e988-bd862e3fe1be46a994272711;Lineage=10:1234abcd:3",
            Some("Root=1-5759e988-bd862e3fe1be46a994272711;Lineage=10:1234abcd:3"),
        ),
        ("a", None),
    ]);
}

#[test]
fn a_header_of_more_than_2048_bytes_is_unusable() {
    assert_eq!(understood(&format!("{ROOT};{}", "x".repeat(MAX_LEN - ROOT.len() - 1))), Some(ROOT.to_owned()));
    assert_eq!(understood(&format!("{ROOT};{}", "x".repeat(MAX_LEN - ROOT.len()))), None);
}

#[test]
fn ten_foreign_pairs_and_256_bytes_of_them_are_kept() {
    let pairs = (0..12).map(|n| format!(";k{n}=v")).collect::<Vec<_>>();
    assert_eq!(understood(&format!("{ROOT}{}", pairs.concat())), Some(format!("{ROOT}{}", pairs[..10].concat())));

    let (fits, too_long) = ("x".repeat(MAX_EXTRA_LEN - 1), "x".repeat(MAX_EXTRA_LEN));
    assert_eq!(understood(&format!("{ROOT};a={fits}")), Some(format!("{ROOT};a={fits}")));
    assert_eq!(understood(&format!("{ROOT};a={too_long};b=still fits")), Some(format!("{ROOT};b=still fits")));
}

#[test]
fn bytes_that_are_not_visible_ascii_make_a_header_unusable() {
    for bad in ["\u{e9}", "\u{212a}", "\0", "\n", "\r\n", "\u{7f}", "\u{a0}"] {
        assert_eq!(understood(&format!("{ROOT};a={bad}")), None, "{bad:?}");
    }
    let opaque = HeaderValue::from_bytes(b"Root=1-5759e988-bd862e3fe1be46a994272793;a=\xff").unwrap();
    assert_eq!(TraceHeader::try_from(&opaque), Err(ParseTraceHeaderError));
}

#[test]
fn the_error_says_what_is_missing() {
    assert_eq!(
        ParseTraceHeaderError.to_string(),
        "not a tracing header: expected `Root=1-<8 hex digits>-<24 hex digits>` among its elements",
    );
}

#[test]
fn only_the_first_of_several_header_lines_counts() {
    let mut headers = HeaderMap::new();
    headers.append(&X_AMZN_TRACE_ID, HeaderValue::from_static(ROOT));
    headers.append(&X_AMZN_TRACE_ID, HeaderValue::from_static("Root=1-67891234-12456789abcdef012345678a;Sampled=0"));
    assert_eq!(TraceHeader::from_headers(&headers), ROOT.parse().ok());

    headers.insert(&X_AMZN_TRACE_ID, HeaderValue::from_static("Root=broken"));
    headers.append(&X_AMZN_TRACE_ID, HeaderValue::from_static(ROOT));
    assert_eq!(TraceHeader::from_headers(&headers), None);
}

#[test]
fn what_is_unknown_is_not_written_and_leaves_no_empty_element() {
    let new = TraceHeader::new("1-5759e988-bd862e3fe1be46a994272793".parse().unwrap());
    let parent = "53995c3f42cd8ad8".parse().unwrap();
    let foreign: TraceHeader = format!("{ROOT};Foo=bar").parse().unwrap();
    for (header, written) in [
        (new.clone(), ""),
        (new.clone().with_parent(parent), ";Parent=53995c3f42cd8ad8"),
        (new.clone().with_decision(true), ";Sampled=1"),
        (new.clone().with_decision(false), ";Sampled=0"),
        (new.with_decision(SamplingDecision::Requested), ";Sampled=?"),
        (foreign.clone(), ";Foo=bar"),
        (foreign.with_parent(parent).with_decision(true), ";Parent=53995c3f42cd8ad8;Sampled=1;Foo=bar"),
    ] {
        assert_eq!(header.to_string(), format!("{ROOT}{written}"));
        assert_eq!(HeaderValue::from(&header), header.to_string());
    }
}

#[test]
fn a_decision_is_made_by_0_and_1_only() {
    use SamplingDecision::{NotSampled, Requested, Sampled, Unknown};
    assert_eq!(
        [NotSampled, Requested, Sampled, Unknown].map(SamplingDecision::made),
        [Some(false), None, Some(true), None]
    );
    assert_eq!([true, false].map(SamplingDecision::from), [Sampled, NotSampled]);
    assert_eq!(SamplingDecision::default(), Unknown);
}

/// Headers as they come: any order, any case, broken elements, spaces.
fn sloppy() -> impl Strategy<Value = String> {
    let element = prop_oneof![
        3 => "[ \t]?(Root|ROOT|root)=[ \t]?1-[0-9a-fA-F]{8}-[0-9a-fA-F]{24}[ \t]?",
        2 => "(Parent|parent)=[0-9a-fA-F]{16}",
        2 => "(Sampled|sampled)[ ]?=[01?2]",
        1 => "(Self|self)=[!-:<-~]{0,40}",
        1 => "(Lineage|lineage)=[!-:<-~]{0,40}",
        3 => "[ -:<-~]{0,20}=[ -:<-~]{0,60}",
        1 => "[\t -~]{0,10}",
    ];
    prop::collection::vec(element, 0..16).prop_map(|elements| elements.join(";"))
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = text.parse::<TraceHeader>();
    }

    #[test]
    fn no_header_value_makes_the_parser_panic(bytes in any::<Vec<u8>>()) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let _ = TraceHeader::try_from(&value);
        }
    }

    #[test]
    fn what_was_understood_of_a_header_is_understood_again_when_it_is_written(text in sloppy()) {
        if let Ok(header) = text.parse::<TraceHeader>() {
            prop_assert_eq!(header.to_string().parse(), Ok(header.clone()));
            prop_assert_eq!(TraceHeader::try_from(&header.to_header_value()), Ok(header));
        }
    }

    #[test]
    fn a_header_that_is_written_is_read_as_the_same(
        root in 1..u128::MAX,
        parent in prop::option::of(1..u64::MAX),
        decision in prop_oneof![
            Just(SamplingDecision::NotSampled),
            Just(SamplingDecision::Requested),
            Just(SamplingDecision::Sampled),
            Just(SamplingDecision::Unknown),
        ],
    ) {
        let mut header = TraceHeader::new(TraceId::from_u128(root.try_into().unwrap())).with_decision(decision);
        if let Some(parent) = parent {
            header = header.with_parent(SegmentId::from_u64(parent.try_into().unwrap()));
        }
        prop_assert_eq!(header.to_string().parse(), Ok(header.clone()));
        prop_assert_eq!(TraceHeader::try_from(&HeaderValue::from(&header)), Ok(header));
    }
}
