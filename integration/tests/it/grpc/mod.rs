//! tonic's servers and clients, and gRPC behind axum: a segment there, a subsegment here, one trace.

mod service;

use std::{net::SocketAddr, time::Duration};

use tonic::{
    body::Body,
    client::{Grpc, GrpcService},
    transport::{Channel, Endpoint},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    FutureExt, XRayClientLayer, XRayLayer,
    client::{ResponseBody, XRayClient},
    current,
    document::{EntityDocument, ExceptionDocument},
};

use self::service::{Ask, Host, Kind, NEVER, PANIC, serve_by};
use crate::support::{
    Emitted, emitting_recorder, recorder,
    stops::{Counted, Fuse, stopped_after},
};

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

/// A client that says where its requests go.
fn client(address: SocketAddr) -> Grpc<XRayClient<Channel>> {
    let channel = XRayClientLayer::new().layer(endpoint(address).connect_lazy());
    Grpc::with_origin(channel, format!("http://{address}").parse().unwrap())
}

async fn server(host: Host) -> (SocketAddr, Emitted) {
    let (recorder, emitted) = emitting_recorder();
    (host.serve(XRayLayer::new("prices", recorder)).await, emitted)
}

/// Flags, HTTP status, what gRPC has said, whether it was cancelled, and the causes.
fn told(entity: EntityDocument<'_>) -> String {
    let flags = [(entity.error(), "error"), (entity.throttle(), "throttle"), (entity.fault(), "fault")];
    let flags: Vec<_> = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag).collect();
    let (status, code) = (entity.http_status().unwrap_or(0), entity.annotation("grpc_status"));
    let code = code.map_or_else(String::new, |code| format!(" {code:?}"));
    let cancelled = entity.annotation("cancelled").map_or("", |_| " cancelled");
    let cause = |exception: ExceptionDocument<'_>| format!(" | {}: {}", exception.type_name(), exception.message());
    let causes: Vec<_> = entity.exceptions().map(cause).collect();
    format!("{} {status}{code}{cancelled}{}", flags.join("+"), causes.concat())
}

fn annotation(entity: EntityDocument<'_>, key: &str) -> Option<String> {
    entity.annotation(key).map(|value| format!("{value:?}"))
}

#[tokio::test]
async fn every_kind_of_call_is_one_trace_whatever_its_status() {
    for host in Host::ALL {
        let (address, mut emitted) = server(host).await;
        let mut client = client(address);
        for kind in Kind::ALL {
            for (quotes, code, expected) in [
                (2, 0, " 200"),
                (0, 5, "error 200 Integer(5) | NOT_FOUND"),
                (2, 5, "error 200 Integer(5) | NOT_FOUND"),
                (2, 8, "error+throttle 200 Integer(8) | RESOURCE_EXHAUSTED"),
                (2, 13, "fault 200 Integer(13) | INTERNAL"),
                (0, 14, "fault 200 Integer(14) | UNAVAILABLE"),
            ] {
                let case = format!("{host:?} {kind:?} {quotes} {code}");
                let (caller, documents) = recorder();
                let segment = caller.begin_segment("shop");
                let ask = Ask::new(quotes, code);
                let result = kind.finish(&mut client, ask.clone()).in_entity(&segment).await;
                assert_eq!(result.map_or_else(|status| status.code() as i32, |()| 0), code, "{case}");
                segment.close();

                let (there, here) = (emitted.next().await, documents.take_one());
                let calls: Vec<_> = here.subsegments().collect();
                let [call] = calls[..] else { panic!("{case}: {here}") };
                assert_eq!((there.trace_id(), there.parent_id()), (here.trace_id(), Some(call.id())), "{case}");
                assert_eq!((there.name(), call.name()), ("prices", &*address.to_string()), "{case}");
                let url = format!("http://{address}{}", kind.path());
                assert_eq!((there.root().http_url(), call.http_url()), (&*url, &*url), "{case}");
                assert_eq!(there.annotation("asked"), Some(true.into()), "{case}");
                for entity in [there.root(), call] {
                    assert_eq!(entity.annotation("route"), Some(kind.path().into()), "{case}");
                    let message = if code == 0 { String::new() } else { format!(": {}", ask.message) };
                    assert_eq!(told(entity), format!("{expected}{message}"), "{case}");
                }
            }
        }
        emitted.assert_empty();
    }
}

#[tokio::test]
async fn a_method_that_does_not_exist_is_a_fault_and_has_its_route() {
    for host in Host::ALL {
        let (address, mut emitted) = server(host).await;
        let mut client = client(address);
        let (caller, documents) = recorder();
        let segment = caller.begin_segment("shop");
        let path = http::uri::PathAndQuery::from_static("/shop.Orders/Cancel");
        let call = async {
            client.ready().await.unwrap();
            let codec = tonic_prost::ProstCodec::<Ask, service::Quote>::default();
            client.unary(tonic::Request::new(Ask::default()), path, codec).await
        };
        assert_eq!(call.in_entity(&segment).await.unwrap_err().code(), tonic::Code::Unimplemented);
        segment.close();
        for entity in [emitted.next().await.root(), documents.take_one().subsegments().next().unwrap()] {
            assert_eq!(told(entity), "fault 200 Integer(12)");
            assert_eq!(annotation(entity, "route").unwrap(), r#"Text("/shop.Orders/Cancel")"#);
        }
    }
}

#[tokio::test]
async fn a_bare_channel_is_named_after_the_service_unless_it_is_given_a_name() {
    let (address, mut emitted) = server(Host::Tonic).await;
    let channel = endpoint(address).connect_lazy();
    for (layer, name) in [(XRayClientLayer::new(), "shop.Prices"), (XRayClientLayer::new().name("pricing"), "pricing")]
    {
        let (caller, documents) = recorder();
        let segment = caller.begin_segment("shop");
        let mut client = Grpc::new(layer.layer(channel.clone()));
        Kind::Unary.finish(&mut client, Ask::new(1, 0)).in_entity(&segment).await.unwrap();
        segment.close();
        let document = documents.take_one();
        let call = document.subsegments().next().unwrap();
        assert_eq!((call.name(), call.http_url()), (name, "http://unknown/shop.Prices/Quote"));
        assert_eq!(emitted.next().await.parent_id(), Some(call.id()));
    }
}

#[tokio::test]
async fn a_stream_that_the_client_leaves_is_its_error_there_and_cancelled_here() {
    for host in Host::ALL {
        for kind in [Kind::ServerStreaming, Kind::Streaming] {
            let (address, mut emitted) = server(host).await;
            let (caller, documents) = recorder();
            let segment = caller.begin_segment("shop");
            let mut client = client(address);
            let call = async {
                let mut quotes = kind.call(&mut client, Ask::new(1, NEVER)).await.unwrap().unwrap();
                assert_eq!(quotes.message().await.unwrap().map(|quote| quote.cents), Some(0));
            };
            call.in_entity(&segment).await;
            segment.close();
            let here = told(documents.take_one().subsegments().next().unwrap());
            assert_eq!(here, " 200 cancelled", "{host:?} {kind:?}");
            let there = told(emitted.next().await.root());
            let left = "error 200 | ClientDisconnect: the client left after 5 bytes of the response's body";
            assert_eq!(there, left, "{host:?} {kind:?}");
        }
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_before_there_is_a_response_is_cancelled_on_both_sides() {
    for kind in [Kind::Unary, Kind::ClientStreaming] {
        let (there, mut emitted) = emitting_recorder();
        let address = Host::Tonic.serve(XRayLayer::new("prices", there.clone())).await;
        let (caller, documents) = recorder();
        let segment = caller.begin_segment("shop");
        let mut client = client(address);
        let begun = async {
            while there.stats().opened == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            result = kind.finish(&mut client, Ask::new(0, NEVER)).in_entity(&segment) => panic!("{result:?}"),
            () = begun => {}
        }
        segment.close();
        assert_eq!(told(documents.take_one().subsegments().next().unwrap()), " 0 cancelled");
        let there = told(emitted.next().await.root());
        assert!(there.starts_with("error 0 | ClientDisconnect: "), "{there}");
    }
}

#[tokio::test]
async fn a_deadline_is_told_where_it_has_passed() {
    let soon = Duration::from_millis(50);
    // The client's own: an error of its channel.
    let (address, _emitted) = server(Host::Tonic).await;
    let (caller, documents) = recorder();
    let channel = XRayClientLayer::new().layer(endpoint(address).timeout(soon).connect_lazy());
    let segment = caller.begin_segment("shop");
    let result = Kind::Unary.finish(&mut Grpc::new(channel), Ask::new(0, NEVER)).in_entity(&segment).await;
    assert_eq!(result.unwrap_err().code(), tonic::Code::Cancelled);
    segment.close();
    let here = told(documents.take_one().subsegments().next().unwrap());
    assert!(here.starts_with("fault 0 | ") && here.ends_with(": Timeout expired"), "{here}");

    // The server's, which is outside of the layer: it has left, and the client gets its status.
    let (there, mut emitted) = emitting_recorder();
    let server = tonic::transport::Server::builder().timeout(soon);
    let address = serve_by(server, XRayLayer::new("prices", there)).await;
    let segment = caller.begin_segment("shop");
    let result = Kind::Unary.finish(&mut client(address), Ask::new(0, NEVER)).in_entity(&segment).await;
    segment.close();
    let here = told(documents.take_one().subsegments().next().unwrap());
    assert_eq!(here, format!("error 200 Integer(1) | CANCELLED: {}", result.unwrap_err().message()));
    assert!(told(emitted.next().await.root()).starts_with("error 0 | ClientDisconnect: "));
}

#[tokio::test]
async fn a_handler_that_panics_is_a_fault_on_both_sides() {
    for host in Host::ALL {
        for kind in Kind::ALL {
            let (address, mut emitted) = server(host).await;
            let (caller, documents) = recorder();
            let segment = caller.begin_segment("shop");
            assert!(kind.finish(&mut client(address), Ask::new(1, PANIC)).in_entity(&segment).await.is_err());
            segment.close();
            let status = if kind.streams_back() { 200 } else { 0 };
            let there = told(emitted.next().await.root());
            assert_eq!(there, format!("fault {status} | panic: order 13 is cursed"), "{host:?} {kind:?}");
            let here = told(documents.take_one().subsegments().next().unwrap());
            assert!(here.starts_with(&format!("fault {status} | ")), "{host:?} {kind:?} {here}");
        }
    }
}

#[tokio::test]
async fn a_message_is_bounded_and_loses_what_is_secret_in_urls() {
    let (address, mut emitted) = server(Host::Tonic).await;
    let (caller, documents) = recorder();
    let segment = caller.begin_segment("shop");
    let message = format!("no answer of http://reader:s3cret@depot/42?token=s3cret {}", "ä".repeat(1_500));
    let ask = Ask { quotes: 0, code: 14, message };
    Kind::Unary.finish(&mut client(address), ask).in_entity(&segment).await.unwrap_err();
    segment.close();
    for entity in [emitted.next().await.root(), documents.take_one().subsegments().next().unwrap()] {
        let exception = entity.exceptions().next().unwrap();
        let message = exception.message();
        assert_eq!((exception.type_name(), message.chars().count()), ("UNAVAILABLE", 1_000));
        assert!(message.starts_with("no answer of http://depot/42 ää"), "{message}");
    }
}

#[tokio::test]
async fn what_is_not_sampled_is_not_recorded_anywhere() {
    let (there, mut emitted) = emitting_recorder();
    let layer = XRayLayer::new("prices", there.clone());
    let address = Host::Tonic.serve(layer).await;
    let (caller, documents) = crate::support::recorder_with(|b| b.sampling(tower_xray::sampling::SampleNone));
    let segment = caller.begin_segment("shop");
    for kind in Kind::ALL {
        kind.finish(&mut client(address), Ask::new(1, 13)).in_entity(&segment).await.unwrap_err();
    }
    segment.close();
    assert_eq!((documents.len(), there.stats().opened, there.stats().sampled), (0, 4, 0));
    emitted.assert_empty();
}

/// A client with a fuse in what is traced.
fn client_with(
    fuse: Fuse,
    channel: Channel,
) -> Grpc<impl GrpcService<Body, ResponseBody = ResponseBody<Counted<Body>>, Error = tonic::transport::Error>> {
    let inner = service_fn(move |request| {
        fuse.step();
        let (fuse, channel) = (fuse.clone(), channel.clone());
        async move {
            let response = fuse.count(channel.oneshot(request)).await?;
            Ok::<_, tonic::transport::Error>(response.map(|body| fuse.count_body(body)))
        }
    });
    Grpc::new(XRayClientLayer::new().layer(inner))
}

/// Makes a call that is stopped, and another one by the same client; asserts that each is in its place. Says whether the
/// former has been stopped, and what it has told.
async fn assert_in_place(kind: Kind, address: SocketAddr, fuse: Fuse, polls: usize) -> (bool, String) {
    let (caller, documents) = recorder();
    let segment = caller.begin_segment("shop");
    let mut client = client_with(fuse.clone(), endpoint(address).connect_lazy());
    let work = async {
        let call = stopped_after(polls, kind.finish(&mut client, Ask::new(2, 0))).await;
        assert_eq!(current().id(), segment.id());
        fuse.disarm();
        kind.finish(&mut client, Ask::new(2, 0)).await.unwrap();
        assert_eq!(current().id(), segment.id());
        call.is_none()
    };
    let stopped = work.in_entity(&segment).await;
    assert!(current().is_none());
    segment.close();

    // What is still open when the segment closes would not be in its document.
    let document = documents.take_one();
    let calls: Vec<_> = document.subsegments().collect();
    assert_eq!(calls.len(), if polls == 0 { 1 } else { 2 }, "{document}");
    assert_eq!(told(calls[calls.len() - 1]), " 200", "{document}");
    (stopped, if polls == 0 { String::new() } else { told(calls[0]) })
}

#[tokio::test]
async fn a_call_that_is_dropped_or_panics_at_any_point_is_closed_and_in_its_place() {
    let (address, _emitted) = server(Host::Tonic).await;
    for kind in Kind::ALL {
        for polls in 0.. {
            assert!(polls < 100, "{kind:?}");
            let (stopped, told) = assert_in_place(kind, address, Fuse::none(), polls).await;
            let expected = [" 0 cancelled", " 200 cancelled", " 200"];
            assert!(expected.contains(&&*told) || polls == 0, "{kind:?} after {polls}: {told}");
            if !stopped {
                assert!(polls > 1, "{kind:?}");
                break;
            }
        }
        for steps in 0.. {
            assert!(steps < 100, "{kind:?}");
            let (stopped, told) = assert_in_place(kind, address, Fuse::new(steps), usize::MAX).await;
            if !stopped {
                assert!(steps > 2 && told == " 200", "{kind:?}: {told}");
                break;
            }
            assert!(told.starts_with("fault "), "{kind:?} at {steps}: {told}");
            assert!(told.contains(" | panic: ") && told.contains("the fuse has blown"), "{kind:?} at {steps}: {told}");
        }
    }
}
