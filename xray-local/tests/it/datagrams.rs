//! Which datagrams are opened, and why others are refused.

use xray_local::{Severity, check_datagram};

use super::support::{HEADER, segment};

#[track_caller]
fn refused(datagram: &[u8], reason: &str) {
    let problem = check_datagram(datagram).expect_err(reason);
    assert_eq!(problem.severity(), Severity::Rejected);
    assert!(problem.to_string().contains(reason), "{problem}");
}

#[test]
fn every_spelling_of_the_header_that_sdks_use_is_accepted() {
    for header in [
        HEADER,
        r#"{"format": "json", "version": 1}"#,
        r#"{"version":1,"format":"JSON","x":2}"#,
        "{\"format\": \"json\", \"version\": 1}\r",
        r#"{"Format":"json","Version":1}"#,
    ] {
        let datagram = format!("{header}\n{}\n", segment());
        assert_eq!(check_datagram(datagram.as_bytes()), Ok(segment()), "{header}");
    }
}

#[test]
fn headers_that_the_daemon_refuses_are_refused() {
    for (header, reason) in [
        ("", "header is no JSON object"),
        ("[]", "header is no JSON object"),
        ("{}", "header.format must be \"json\", is null"),
        (r#"{"format":"xml","version":1}"#, "header.format must be \"json\", is \"xml\""),
        (r#"{"format":"json"}"#, "header.version must be the integer 1, is null"),
        (r#"{"format":"json","version":"1"}"#, "header.version must be the integer 1, is \"1\""),
        (r#"{"format":"json","version":1.0}"#, "header.version must be the integer 1, is 1.0"),
        (r#"{"format":"json","version":2}"#, "header.version must be the integer 1, is 2"),
    ] {
        refused(format!("{header}\n{{}}").as_bytes(), reason);
    }
}

#[test]
fn a_datagram_carries_exactly_one_document_in_utf8() {
    refused(b"", "is empty");
    refused(HEADER.as_bytes(), "no newline");
    refused(format!("{HEADER}\n").as_bytes(), "no document");
    refused(format!("{HEADER}\n{{}}{{}}").as_bytes(), "no JSON document");
    refused(format!("{HEADER}\n{{}}\n{{}}").as_bytes(), "no JSON document");
    refused(format!("{HEADER}\n\u{feff}{{}}").as_bytes(), "no JSON document");
    refused(format!("{HEADER}\n{{\"a\":").as_bytes(), "no JSON document");
    refused(format!("{HEADER}\n[]").as_bytes(), "must be an object, is an array");
    refused(&[HEADER.as_bytes(), b"\n{\"a\":\"\xff\"}"].concat(), "no UTF-8");
}

#[test]
fn a_document_nested_without_end_is_refused_not_followed() {
    let deep = format!("{HEADER}\n{}", "[".repeat(60_000));
    refused(deep.as_bytes(), "no JSON document");
}
