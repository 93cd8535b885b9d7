//! The daemon: what it keeps, counts and reports.

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde_json::json;
use xray_local::LocalDaemon;

use super::support::{PATIENCE, id, segment, send, subsegment, trace_id, with, without};

#[test]
fn documents_are_kept_by_trace_in_order_of_arrival() {
    let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
    let second = with(segment(), "/trace_id", json!(trace_id(2)));
    send(&daemon, [segment(), second, subsegment()]);
    assert!(daemon.wait_for(3, PATIENCE));

    let ids: Vec<_> = daemon.traces().iter().map(|trace| trace.id().to_owned()).collect();
    assert_eq!(ids, [trace_id(1), trace_id(2)]);
    assert_eq!(daemon.traces()[0].documents(), [segment(), subsegment()]);

    let stats = daemon.stats();
    assert_eq!((stats.datagrams, stats.documents, stats.invalid, stats.warnings), (3, 3, 0, 0));
}

#[test]
fn settled_traces_leave_the_daemon() {
    let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
    send(&daemon, [segment()]);
    assert!(daemon.wait_for(1, PATIENCE));
    assert_eq!(daemon.take_settled(Duration::from_secs(3_600)), []);
    assert_eq!(daemon.take_settled(Duration::ZERO).len(), 1);
    assert_eq!(daemon.traces(), []);
    assert_eq!(daemon.stats().evicted_traces, 0);
}

#[test]
fn refused_datagrams_are_counted_and_explained() {
    let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"hello", daemon.local_addr()).unwrap();
    socket.send_to(b"", daemon.local_addr()).unwrap();
    send(&daemon, [with(segment(), "/http/response/status", json!("200"))]);
    send(&daemon, [with(segment(), "/subsegments/0/namespace", json!("local"))]);
    assert!(daemon.wait_for(1, PATIENCE));

    let stats = daemon.stats();
    assert_eq!((stats.datagrams, stats.documents, stats.invalid, stats.warnings), (3, 1, 2, 1));
    let problems: Vec<_> = daemon.take_problems().iter().map(ToString::to_string).collect();
    let sender = socket.local_addr().unwrap();
    assert_eq!(
        problems,
        [
            format!("rejected: {sender}: datagram has no newline between header and document"),
            "rejected: orders: $.http.response.status must be an integer, is \"200\"".to_owned(),
            "warning: orders: $.subsegments[0].namespace is \"local\", which older collectors refuse; leave it out"
                .to_owned(),
        ]
    );
    assert_eq!(daemon.problems(), []);
}

#[test]
fn a_complete_document_replaces_the_one_in_progress_whichever_comes_first() {
    let begun = with(without(segment(), "end_time"), "/in_progress", json!(true));
    for order in [[begun.clone(), segment()], [segment(), begun]] {
        let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
        send(&daemon, order);
        assert!(daemon.wait_for(2, PATIENCE));
        assert_eq!(daemon.traces()[0].documents(), [segment()]);
    }
}

#[test]
fn the_oldest_traces_leave_when_there_are_too_many() {
    let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
    // One at a time, so that the kernel drops none.
    for number in 1..=1_003 {
        send(&daemon, [with(segment(), "/trace_id", json!(trace_id(number)))]);
        assert!(daemon.wait_for(number as u64, PATIENCE));
    }
    let traces = daemon.traces();
    assert_eq!(traces.len(), 1_000);
    assert_eq!(traces[0].id(), trace_id(4));
    assert_eq!(daemon.stats().evicted_traces, 3);
}

#[test]
fn memory_is_bounded_even_within_one_trace() {
    let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
    // Small on the wire, about a hundred times as large in memory.
    let heavy: Vec<_> = (0..6_000).map(|_| json!({ "a": 1 })).collect();
    let heavy = with(segment(), "/metadata/default", json!({ "a": heavy }));
    for number in 1..=40 {
        send(&daemon, [with(without(heavy.clone(), "subsegments"), "/id", json!(id(number)))]);
        assert!(daemon.wait_for(number as u64, PATIENCE));
    }
    assert!(daemon.stats().evicted_traces >= 1);
}

#[test]
fn a_taken_port_is_reported_as_such() {
    let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
    let error = LocalDaemon::bind(daemon.local_addr()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn it_says_whether_others_can_reach_it() {
    for (address, exposed) in [
        ("127.0.0.1:0", false),
        ("127.8.9.10:0", false),
        ("[::1]:0", false),
        ("[::ffff:127.0.0.1]:0", false),
        ("0.0.0.0:0", true),
        ("[::]:0", true),
    ] {
        // Not every machine has IPv6.
        match LocalDaemon::bind(address) {
            Ok(daemon) => assert_eq!(daemon.is_exposed(), exposed, "{address}"),
            Err(error) => assert!(address.starts_with('['), "{address}: {error}"),
        }
    }
}

#[test]
fn dropping_it_is_quick_and_frees_the_port() {
    for address in ["127.0.0.1:0", "0.0.0.0:0"] {
        let daemon = LocalDaemon::bind(address).unwrap();
        let bound = daemon.local_addr();
        let start = Instant::now();
        drop(daemon);
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(UdpSocket::bind(bound).is_ok());
    }
}

#[test]
fn waiting_in_vain_ends() {
    let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
    assert!(daemon.wait_for(0, Duration::ZERO));
    assert!(!daemon.wait_for(1, Duration::from_millis(1)));
}
