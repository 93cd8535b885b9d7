//! What tracing costs in allocations, over a layer that does nothing.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod pass_through;

use std::{
    convert::Infallible,
    fmt,
    pin::pin,
    sync::Mutex,
    task::{Context, Waker},
};

use allocation_counter::measure;
use axum::{Router, body::Body, routing::get};
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_xray::{
    Recorder, Sql, TraceHeader, XRayClientLayer, XRayLayer, capture_sql,
    client::sql::capture_sql_blocking,
    document::SegmentDocument,
    emitter::Emitter,
    sampling::{SampleAll, SampleNone, SamplingStrategy},
    subscriber::{SubsegmentLayer, TraceIds},
};
use tracing::{Subscriber, field::Empty, info_span, subscriber::with_default};
use tracing_subscriber::{Registry, fmt::MakeWriter, prelude::*};

use self::pass_through::{pass_through, request};

/// Drops every document, as an emitter does that has sent it.
struct Discard;

impl Emitter for Discard {
    fn emit(&self, _: SegmentDocument) {}
}

fn layer(strategy: impl SamplingStrategy + 'static) -> XRayLayer {
    let recorder = Recorder::builder().environment(|_| None).emitter(Discard).sampling(strategy).build().unwrap();
    XRayLayer::new("orders", recorder)
}

fn app(handler: axum::routing::MethodRouter) -> Router {
    Router::new().route("/orders/{id}", handler)
}

fn plain() -> axum::routing::MethodRouter {
    get(async || "ok")
}

/// Allocations of one request with all that a load balancer adds, after others have warmed everything up.
fn allocations(app: Router) -> u64 {
    requests(app)[99]
}

/// Those of a hundred requests.
fn requests(app: Router) -> [u64; 100] {
    let mut app = app.with_state::<()>(());
    [(); 100].map(|()| {
        let request = request();
        measure(|| run(async { drop(app.call(request).await.unwrap().into_body().collect().await) })).count_total
    })
}

/// Nothing in here waits for anything.
fn run(future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn an_unsampled_request_allocates_the_response_header_and_nothing_else() {
    let floor = allocations(app(plain()).layer(pass_through()));
    let with_header = allocations(app(plain()).layer(layer(SampleNone)));
    let without = allocations(app(plain()).layer(layer(SampleNone).response_header(false)));
    assert_eq!((with_header - floor, without - floor), (1, 0));
}

#[test]
fn a_sampled_request_allocates_three_times() {
    let floor = allocations(app(plain()).layer(pass_through()));
    let sampled = allocations(app(plain()).layer(layer(SampleAll)));
    assert_eq!(sampled - floor, 3, "the response header, and the entity in the extensions, which have to grow");
}

#[test]
fn a_further_subsegment_allocates_nothing() {
    let handler = |subsegments: u32| {
        get(async move || {
            for _ in 0..subsegments {
                let subsegment = tower_xray::current().begin_subsegment("query");
                subsegment.add_annotation("rows", 5_000);
                subsegment.close();
            }
        })
    };
    let one = allocations(app(handler(1)).layer(layer(SampleAll)));
    let ten = allocations(app(handler(10)).layer(layer(SampleAll)));
    assert_eq!(ten, one);
}

/// Allocations of the end of a segment, with all that is said about an order, after others have warmed everything up.
fn allocations_of_close(emitter: impl Emitter + 'static) -> u64 {
    let recorder = Recorder::builder().environment(|_| None).emitter(emitter).sampling(SampleAll).build().unwrap();
    let counts = [(); 100].map(|()| {
        let segment = recorder.begin_segment("orders");
        segment.add_annotation("tier", "gold");
        segment.add_metadata("cart", [1, 2, 3]);
        segment.begin_subsegment("query").close();
        measure(|| segment.close()).count_total
    });
    counts[99]
}

#[test]
fn a_document_goes_to_one_emitter_without_a_copy() {
    /// Keeps every document, so that there are no spare buffers: a copy would have to allocate.
    struct Keep(Mutex<Vec<SegmentDocument>>);

    impl Emitter for Keep {
        fn emit(&self, document: SegmentDocument) {
            self.0.lock().unwrap().push(document);
        }
    }

    assert_eq!(allocations_of_close(Keep(Mutex::new(Vec::with_capacity(100)))), 0);
}

#[test]
fn a_copy_for_a_second_emitter_takes_spare_buffers() {
    struct Tee(Discard, Discard);

    impl Emitter for Tee {
        fn emit(&self, document: SegmentDocument) {
            self.0.emit(document.clone());
            self.1.emit(document);
        }
    }

    assert_eq!(allocations_of_close(Discard), 0);
    assert_eq!(allocations_of_close(Tee(Discard, Discard)), 0);
}

/// Calls another service without a network in between, with so many headers, and reads its answer.
fn calls<S, B>(client: S, headers: usize) -> axum::routing::MethodRouter
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible, Future: Send>,
    S: Clone + Send + Sync + 'static,
    B: http_body::Body<Data: Send, Error: Send> + Send,
{
    get(async move || {
        let request = Request::get("http://pricing.example.com/quotes/42");
        let request = HEADERS[..headers].iter().fold(request, |request, name| request.header(*name, "x"));
        let Ok(response) = client.oneshot(request.body(Body::empty()).unwrap()).await;
        if response.into_body().collect().await.is_ok() { "ok" } else { "sorry" }
    })
}

/// Most clients send some headers of their own.
static HEADERS: [&str; 2] = ["accept", "user-agent"];

fn pricing()
-> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + Sync {
    service_fn(async |_: Request<Body>| Ok(Response::new(Body::from("12.50"))))
}

#[test]
fn an_unsampled_call_allocates_the_text_of_its_header_and_the_place_for_it() {
    let over_untraced = |headers| {
        let untraced = allocations(app(calls(pricing(), headers)).layer(layer(SampleNone)));
        let traced = calls(XRayClientLayer::new().layer(pricing()), headers);
        allocations(app(traced).layer(layer(SampleNone))) - untraced
    };
    assert_eq!(over_untraced(0), 3, "the text, and the map's first two");
    assert_eq!(over_untraced(2), 1, "the text");
}

#[test]
fn a_header_without_foreign_pairs_is_parsed_without_an_allocation() {
    let value = HeaderValue::from_static("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1");
    let parsed = measure(|| drop(TraceHeader::try_from(&value).unwrap()));
    assert_eq!(parsed.count_total, 0);
    let cloned = TraceHeader::try_from(&value).unwrap();
    assert_eq!(measure(|| drop(cloned.clone())).count_total, 0);
}

#[test]
fn a_query_of_a_request_that_is_not_sampled_allocates_nothing() {
    let handler = |queries: u32| {
        let sql = Sql::new("postgres://shop:secret@db.internal:5432/orders");
        get(async move || {
            for _ in 0..queries {
                let query = sql.statement("SELECT * FROM orders WHERE id = 7");
                let _ = capture_sql(query, async { Err::<(), _>(fmt::Error) }).await;
                let _ = capture_sql_blocking(query, || Err::<(), _>(fmt::Error));
            }
        })
    };
    let builder = Recorder::builder().environment(|_| None).emitter(Discard).sampling(SampleNone).sql_statements(true);
    let layer = XRayLayer::new("orders", builder.build().unwrap());
    let none = allocations(app(handler(0)).layer(layer.clone()));
    let ten = allocations(app(handler(10)).layer(layer));
    assert_eq!(ten, none);
}

#[test]
fn a_sampled_query_allocates_nothing_but_for_its_statement() {
    let handler = |queries: u32| {
        let sql = Sql::new("postgres://shop:secret@db.internal:5432/orders");
        get(async move || {
            for _ in 0..queries {
                let _ = capture_sql(sql.statement("SELECT 1"), async { Ok::<_, fmt::Error>(()) }).await;
            }
        })
    };
    let one = allocations(app(handler(1)).layer(layer(SampleAll)));
    let ten = allocations(app(handler(10)).layer(layer(SampleAll)));
    assert_eq!(ten, one);
}

/// Allocations of a request whose handler has ten spans. A registry has some of its own now and then.
fn with_spans(subscriber: impl Subscriber + Send + Sync + 'static, layer: XRayLayer, span: fn()) -> u64 {
    let handler = async move || (0..10).for_each(|_| span());
    with_default(subscriber, || requests(app(get(handler)).layer(layer))).into_iter().min().unwrap()
}

#[test]
fn spans_of_a_request_that_is_not_sampled_allocate_nothing() {
    let span = || {
        let span = info_span!("work", number = 1, rows = Empty);
        span.in_scope(|| tracing::error!("failed"));
        span.in_scope(|| drop(info_span!(parent: &span, "below")));
        span.record("rows", 5);
    };
    for layer in [layer(SampleNone), layer(SampleNone).skip(|_| true)] {
        let floor = with_spans(Registry::default(), layer.clone(), span);
        let filtered = Registry::default().with(SubsegmentLayer::new().filtered());
        assert_eq!(with_spans(filtered, layer.clone(), span), floor);
        assert_eq!(with_spans(Registry::default().with(SubsegmentLayer::new()), layer, span), floor);
    }
}

#[test]
fn a_span_that_is_sampled_allocates_once() {
    let span = || info_span!("work", number = 1).in_scope(|| {});
    let floor = with_spans(Registry::default(), layer(SampleAll), span);
    let filtered = Registry::default().with(SubsegmentLayer::new().filtered());
    assert_eq!(with_spans(filtered, layer(SampleAll), span) - floor, 10, "the extension of every span");
}

#[test]
fn the_ids_in_log_lines_allocate_nothing() {
    let ids = TraceIds::new(std::io::sink);
    let recorder = Recorder::builder().environment(|_| None).emitter(Discard).sampling(SampleNone).build().unwrap();
    let segment = recorder.begin_segment("report");
    let _entered = segment.enter();
    let write = || {
        for line in [b"a line of text\n".as_slice(), b"{\"level\":\"INFO\"}\n"] {
            std::io::Write::write_all(&mut ids.make_writer(), line).unwrap();
        }
    };
    write();
    assert_eq!(measure(write).count_total, 0);
}
