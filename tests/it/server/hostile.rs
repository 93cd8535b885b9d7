//! Clients that mean harm: what they send breaks nothing, is bounded, and decides no more than it may.

use std::{
    collections::HashSet,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, routing::any};
use http::{HeaderName, HeaderValue, Request, Response};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_xray::{
    Recorder, RecorderBuilder, XRayLayer,
    document::SegmentDocument,
    sampling::{Decision, LocalizedStrategy, Rules, SampleNone, SamplingRequest, SamplingStrategy},
    server::{Naming, Trust},
};
use xray_local::{RenderOptions, Trace};

use super::edge::told;
use crate::support::{Documents, assert_valid_json, emitting_recorder, exchange, recorder, recorder_with, serve};

const ROOT: &str = "1-5759e988-bd862e3fe1be46a994272793";

/// A traced service, called in process, and what it records.
#[derive(Clone)]
struct Target {
    layer: XRayLayer,
    recorder: Recorder,
    documents: Documents,
}

impl Target {
    fn new(adjust: impl FnOnce(RecorderBuilder) -> RecorderBuilder, layer: impl FnOnce(Recorder) -> XRayLayer) -> Self {
        let (recorder, documents) = recorder_with(adjust);
        Self { layer: layer(recorder.clone()), recorder, documents }
    }

    /// The response's headers.
    async fn send(&self, request: http::request::Builder) -> http::HeaderMap {
        let empty = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
        let response = self.layer.layer(empty).oneshot(request.body(()).unwrap()).await.unwrap();
        response.into_parts().0.headers
    }

    /// The segment of a request.
    async fn segment(&self, request: http::request::Builder) -> SegmentDocument {
        self.send(request).await;
        self.documents.take_one()
    }
}

fn plain() -> Target {
    Target::new(|builder| builder, |recorder| XRayLayer::new("orders", recorder))
}

fn from(forwarded: &[&str]) -> http::request::Builder {
    forwarded.iter().fold(Request::get("http://a/"), |request, line| request.header("x-forwarded-for", *line))
}

/// A server on a socket.
async fn shop() -> (SocketAddr, crate::support::Emitted) {
    let (recorder, emitted) = emitting_recorder();
    let router = Router::new().fallback(any(async || "an order")).layer(XRayLayer::new("orders", recorder));
    (serve(router).await, emitted)
}

mod headers {
    use super::*;

    #[tokio::test]
    async fn large_ones_are_cut_and_many_are_no_matter() {
        let (address, mut emitted) = shop().await;
        let long = "x".repeat(8_000);
        for name in ["x-amzn-trace-id", "traceparent", "user-agent", "x-forwarded-for", "x-forwarded-proto", "cookie"] {
            let request = format!("GET / HTTP/1.1\r\nhost: a\r\n{name}: {long}\r\nconnection: close\r\n\r\n");
            assert!(exchange(address, &request).await.starts_with("HTTP/1.1 200"), "{name}");
            let segment = emitted.next().await;
            assert_eq!(told(&segment), "GET http://a/ 200 8", "{name}");
            assert!(segment.to_json().len() < 1_000, "{name}: {segment}");
        }
        // hyper reads a hundred lines; a server that takes more of them has the same segments.
        let lines: String =
            (0..90).map(|n| format!("x-{n}: {n}\r\nx-forwarded-for: 10.0.0.{n}\r\n")).take(45).collect();
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\n{lines}connection: close\r\n\r\n");
        assert!(exchange(address, &request).await.starts_with("HTTP/1.1 200"));
        assert_eq!(emitted.next().await.root().client_ip(), "10.0.0.0");
        let too_many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(1_000));
        assert!(exchange(address, &too_many).await.starts_with("HTTP/1.1 431"));
        emitted.assert_empty();
    }

    #[tokio::test]
    async fn a_thousand_lines_are_one_segment() {
        let mut request = Request::get("http://a/");
        for number in 0..1_000 {
            let name = HeaderName::try_from(format!("x-{number}")).unwrap();
            request = request.header(name, "y").header("x-amzn-trace-id", format!("Root={ROOT};Parent={number:016x}"));
        }
        let segment = plain().segment(request).await;
        // The first line counts, and its parent is all zero, which is none.
        assert_eq!((segment.trace_id().to_string().as_str(), segment.parent_id()), (ROOT, None));
    }

    #[tokio::test]
    async fn any_bytes_make_a_valid_document_that_a_terminal_shows_as_text() {
        let evil: &[u8] = b"\t\"}],{\\\x80\xff\xe2\x80\xae\xc2\x9b2J\xf0\x9f\x92\xa9\xed\xa0\x80";
        let mut request = Request::get("http://a/%00%1b%5b2J%E2%80%AE\"}{");
        for name in ["user-agent", "x-forwarded-for", "x-forwarded-proto", "host", "x-amzn-trace-id", "traceparent"] {
            request = request.header(name, HeaderValue::from_bytes(evil).unwrap());
        }
        let segment = plain().segment(request).await;
        let document = assert_valid_json(&segment.to_json());
        let trace = &Trace::group([document])[0];
        for shown in [trace.render(&RenderOptions::default().color(false).width(500)), trace.to_json_lines()] {
            let unsafe_char = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{9b}".contains(c));
            assert!(!shown.contains(unsafe_char), "{shown:?}");
        }
    }

    #[tokio::test]
    async fn control_characters_on_the_wire_are_refused_or_text() {
        let (address, mut emitted) = shop().await;
        for byte in (0..=255_u8).filter(|byte| !b"\r\n".contains(byte)) {
            let mut stream = TcpStream::connect(address).await.unwrap();
            for part in
                [b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nuser-agent: x".as_slice(), &[byte], b"y\r\n\r\n"]
            {
                stream.write_all(part).await.unwrap();
            }
            let mut response = String::new();
            // A refused connection may be reset.
            let _ = tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut response).await;
            if response.starts_with("HTTP/1.1 200") {
                assert_eq!(told(&emitted.next().await), "GET http://a/ 200 8", "{byte:#x}");
            } else {
                assert!(byte < b' ' || byte == 0x7f, "{byte:#x}: {response}");
            }
        }
        emitted.assert_empty();
    }

    #[tokio::test]
    async fn ids_of_other_traces_are_taken_only_from_whom_they_may_come() {
        let header = format!("Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1;Evil=a");
        for (trust, taken) in [(Trust::All, true), (Trust::IdsOnly, true), (Trust::None, false)] {
            let target = Target::new(|builder| builder, |recorder| XRayLayer::new("orders", recorder).trust(trust));
            let traceparent = "00-4efaaf4d1e8720b39541901950019ee5-00f067aa0ba902b7-01";
            let request = Request::get("/").header("x-amzn-trace-id", &header).header("traceparent", traceparent);
            let segment = target.segment(request).await;
            assert_eq!(segment.trace_id().to_string() == ROOT, taken, "{trust:?}");
            assert_eq!(segment.parent_id().is_some(), taken, "{trust:?}");
            assert!(!segment.to_json().contains("4efaaf4d"), "{trust:?}");
        }
    }
}

mod forced {
    use super::*;

    /// A target that records nothing of its own accord, with a clock that a test sets.
    fn limited(adjust: impl FnOnce(XRayLayer) -> XRayLayer) -> (Target, Arc<AtomicU64>) {
        let seconds = Arc::new(AtomicU64::new(1_000));
        let clock = seconds.clone();
        let target = Target::new(
            |builder| builder.sampling(SampleNone).clock(move || Duration::from_secs(clock.load(Relaxed))),
            |recorder| adjust(XRayLayer::new("orders", recorder)),
        );
        (target, seconds)
    }

    fn forced() -> http::request::Builder {
        Request::get("/").header("x-amzn-trace-id", format!("Root={ROOT};Sampled=1"))
    }

    #[tokio::test]
    async fn a_flood_of_sampled_headers_is_recorded_in_full_without_a_limit_and_up_to_it_with_one() {
        let (target, _) = limited(|layer| layer);
        for _ in 0..20 {
            target.send(forced()).await;
        }
        assert_eq!((target.documents.take().len(), target.recorder.stats().forced_limited), (20, 0));

        let (target, seconds) = limited(|layer| layer.limit_forced(3));
        for second in 0..4 {
            seconds.store(1_000 + second, Relaxed);
            for _ in 0..10 {
                target.send(forced()).await;
            }
        }
        assert_eq!((target.documents.take().len(), target.recorder.stats().forced_limited), (4 * 3, 4 * 7));
    }

    #[tokio::test]
    async fn beyond_the_limit_the_rules_decide_as_if_the_header_had_left_it_open() {
        struct Own;

        impl SamplingStrategy for Own {
            fn decide(&self, _: &SamplingRequest<'_>) -> Decision {
                Decision::new(true).by_rule("own")
            }
        }

        let target =
            Target::new(|builder| builder.sampling(Own), |recorder| XRayLayer::new("orders", recorder).limit_forced(0));
        let segment = target.segment(forced()).await;
        assert_eq!((segment.sampling_rule_name(), segment.trace_id().to_string().as_str()), (Some("own"), ROOT));
        let w3c = Request::get("/").header("traceparent", "00-4efaaf4d1e8720b39541901950019ee5-00f067aa0ba902b7-01");
        let segment = target.segment(w3c).await;
        assert_eq!(segment.sampling_rule_name(), Some("own"), "a traceparent's flag counts, too");
        assert_eq!(target.recorder.stats().forced_limited, 2);
        // What leaves the decision open, or is against, is none of its business.
        for decision in ["", ";Sampled=?", ";Sampled=0"] {
            let request = Request::get("/").header("x-amzn-trace-id", format!("Root={ROOT}{decision}"));
            target.send(request).await;
        }
        assert_eq!((target.documents.take().len(), target.recorder.stats().forced_limited), (2, 2));
    }

    #[tokio::test]
    async fn the_program_and_a_layer_outside_decide_without_a_limit() {
        let decide = |_: &http::request::Parts| Some(Decision::new(true));
        let (target, _) = limited(|layer| layer.limit_forced(0).decide(decide));
        target.send(forced()).await;
        assert_eq!((target.documents.take().len(), target.recorder.stats().forced_limited), (1, 0));

        let (recorder, documents) = recorder();
        let layer = XRayLayer::new("orders", recorder.clone()).limit_forced(1);
        let empty = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
        let mut service = layer.layer(layer.layer(empty));
        for _ in 0..3 {
            service.ready().await.unwrap().call(Request::new(())).await.unwrap();
        }
        assert_eq!((documents.take().len(), recorder.stats().forced_limited), (6, 0));
    }

    #[tokio::test]
    async fn clones_share_the_limit_and_requests_at_the_same_time_never_exceed_it() {
        let (target, _) = limited(|layer| layer.limit_forced(10));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let target = target.clone();
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async {
                        for _ in 0..25 {
                            target.send(forced()).await;
                        }
                    });
                });
            }
        });
        assert_eq!((target.documents.take().len(), target.recorder.stats().forced_limited), (10, 90));
    }
}

mod forwarded {
    use super::*;

    async fn client_ip(hops: Option<usize>, peer: bool, lines: &[&str]) -> (String, bool) {
        let target = Target::new(
            |builder| builder,
            |recorder| match hops {
                Some(hops) => XRayLayer::new("orders", recorder).forwarded_hops(hops),
                None => XRayLayer::new("orders", recorder),
            },
        );
        let mut request = from(lines);
        if peer {
            let peer: SocketAddr = "192.0.2.1:5000".parse().unwrap();
            request = request.extension(axum::extract::ConnectInfo(peer));
        }
        let segment = target.segment(request).await;
        (segment.root().client_ip().to_owned(), segment.to_json().contains(r#""x_forwarded_for":true"#))
    }

    #[tokio::test]
    async fn an_address_that_a_client_has_made_up_is_not_taken_where_the_proxies_are_known() {
        for (hops, lines, client) in [
            // The client says it is 6.6.6.6; the load balancer appends what it has seen.
            (None, &["6.6.6.6, 203.0.113.7"][..], "6.6.6.6"),
            (Some(1), &["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
            (Some(1), &["203.0.113.7"], "203.0.113.7"),
            (Some(1), &["203.0.113.7:51234"], "203.0.113.7"),
            (Some(1), &["6.6.6.6,[2001:db8::1]:443"], "2001:db8::1"),
            // A content delivery network before it.
            (Some(2), &["6.6.6.6, 203.0.113.7, 198.51.100.2"], "203.0.113.7"),
            (Some(2), &["6.6.6.6", "203.0.113.7", "198.51.100.2"], "203.0.113.7"),
            (Some(2), &["6.6.6.6, 203.0.113.7", "198.51.100.2"], "203.0.113.7"),
            // It has not passed them all.
            (Some(2), &["6.6.6.6"], ""),
            (Some(3), &["6.6.6.6", "203.0.113.7"], ""),
            (Some(1), &["6.6.6.6,"], ""),
            (Some(0), &["6.6.6.6, 203.0.113.7"], ""),
            (Some(1), &[], ""),
            (Some(usize::MAX), &["6.6.6.6"], ""),
        ] {
            let taken = !client.is_empty();
            assert_eq!(client_ip(hops, false, lines).await, (client.to_owned(), taken), "{hops:?} {lines:?}");
            let or_peer = if taken { client } else { "192.0.2.1" };
            assert_eq!(client_ip(hops, true, lines).await, (or_peer.to_owned(), taken), "{hops:?} {lines:?}");
        }
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_hide_nothing_that_a_proxy_has_appended() {
        let target = Target::new(|builder| builder, |recorder| XRayLayer::new("orders", recorder).forwarded_hops(1));
        let line = HeaderValue::from_bytes(b"\xff\xfe, 203.0.113.7").unwrap();
        let segment = target.segment(Request::get("/").header("x-forwarded-for", line)).await;
        assert_eq!(segment.root().client_ip(), "203.0.113.7");
    }
}

mod names {
    use super::*;

    fn by_host(pattern: &str) -> Target {
        let naming = Naming::by_host(pattern, "orders").unwrap();
        Target::new(|builder| builder, |recorder| XRayLayer::new(naming, recorder))
    }

    #[tokio::test]
    async fn invented_hosts_are_a_hundred_names_at_most() {
        let target = by_host("*");
        let mut names = HashSet::new();
        for number in 0..1_000 {
            let host = format!("host-{number}.example.com");
            names.insert(target.segment(Request::get("/").header("host", host)).await.name().to_owned());
        }
        assert_eq!((names.len(), target.recorder.stats().names_limited), (101, 900));
        assert!(names.contains("orders") && names.contains("host-99.example.com"));
        // The names that are there stay, in any case of letters; a clone of the layer has the same.
        let request = || Request::get("/").header("host", "HOST-7.example.com");
        assert_eq!(target.segment(request()).await.name(), "host-7.example.com");
        assert_eq!(target.clone().segment(request()).await.name(), "host-7.example.com");
        assert_eq!(target.recorder.stats().names_limited, 900);
    }

    #[tokio::test]
    async fn what_does_not_match_or_is_too_long_takes_no_place() {
        let target = by_host("*.example.com");
        for number in 0..200 {
            let host = format!("{number}.example.org");
            assert_eq!(target.segment(Request::get("/").header("host", host)).await.name(), "orders");
        }
        assert_eq!(target.recorder.stats().names_limited, 0);
        for number in 0..200 {
            let host = format!("{number}.{}.example.com", "x".repeat(200));
            assert_eq!(target.segment(Request::get("/").header("host", host)).await.name(), "orders");
        }
        assert_eq!(target.recorder.stats().names_limited, 200);
        assert_eq!(
            target.segment(Request::get("/").header("host", "shop.example.com")).await.name(),
            "shop.example.com"
        );
    }

    #[test]
    fn hosts_at_the_same_time_never_exceed_the_limit() {
        let target = by_host("*");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let target = target.clone();
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async {
                        for number in 0..100 {
                            // Half of the names are those of the other threads.
                            let host = format!("{}-{number}", thread * (number % 2));
                            target.send(Request::get("/").header("host", host)).await;
                        }
                    });
                });
            }
        });
        let documents = target.documents.take();
        let names: HashSet<_> = documents.iter().map(SegmentDocument::name).collect();
        assert_eq!((documents.len(), names.len()), (400, 101));
        let limited = documents.iter().filter(|document| document.name() == "orders").count();
        assert_eq!(target.recorder.stats().names_limited, limited as u64);
    }
}

#[tokio::test]
async fn hosts_and_paths_that_would_break_out_of_json_do_not() {
    let (address, mut emitted) = shop().await;
    for (host, path) in [
        (r#"a","fault":true,"x":"#, "/"),
        (r"a\", r#"/"},{"id":"0""#),
        ("a</script>", "/<script>alert(1)</script>"),
        ("a\u{202e}moc", "/\u{1f4a9}"),
        ("${jndi:ldap://x}", "/../../../../etc/passwd"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let response = exchange(address, &request).await;
        if response.starts_with("HTTP/1.1 200") {
            let segment = emitted.next().await;
            assert!(!segment.fault() && segment.name() == "orders", "{segment}");
            assert_eq!(segment.root().http_url(), format!("http://{host}{path}"));
        } else {
            assert!(response.starts_with("HTTP/1.1 400"), "{response}");
        }
    }
    emitted.assert_empty();
}

#[tokio::test]
async fn a_flood_costs_what_the_strategy_grants() {
    // The reservoir and the rate of the default rule: one per second, and 5 % of the others.
    let clock = || Duration::from_secs(1_000);
    let target = Target::new(
        |builder| {
            let rules = Rules::builder().build().unwrap();
            builder.sampling(LocalizedStrategy::new(rules)).clock(clock).seed(7)
        },
        |recorder| XRayLayer::new("orders", recorder).trust(Trust::IdsOnly),
    );
    for _ in 0..2_000 {
        target.send(Request::get("/").header("x-amzn-trace-id", format!("Root={ROOT};Sampled=1"))).await;
    }
    let sampled = target.documents.take().len();
    assert!((50..200).contains(&sampled), "{sampled} of 2,000");
    assert_eq!(target.recorder.stats().opened, 2_000);
}
