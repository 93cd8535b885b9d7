//! What the benchmarks measure: a request through an axum router, traced in different ways.

#[path = "../../tests/pass_through.rs"]
mod pass_through;

use std::{
    convert::Infallible,
    net::UdpSocket,
    pin::pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
};

use axum::{
    Router,
    body::Body,
    routing::{MethodRouter, get},
};
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_xray::{
    Recorder, RecorderBuilder, Sql, XRayClientLayer, XRayLayer, capture_sql,
    emitter::UdpEmitter,
    sampling::{Capture, LocalizedStrategy, Rule, Rules, RulesBuilder, SampleAll, SampleNone, SamplingStrategy},
    subscriber::SubsegmentLayer,
};
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::{Registry, prelude::*};

use self::pass_through::pass_through;
pub(crate) use self::pass_through::request;

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The scenario that it adds something to.
    #[allow(dead_code, reason = "only instructions are counted as differences")]
    pub(crate) over: &'static str,
    router: fn() -> Router,
    /// What hears of spans meanwhile, if anything does.
    subscriber: Option<fn() -> Dispatch>,
}

const fn scenario(name: &'static str, over: &'static str, router: fn() -> Router) -> Scenario {
    Scenario { name, over, router, subscriber: None }
}

pub(crate) static SCENARIOS: &[Scenario] = &[
    scenario("bare", "", || router(plain())),
    scenario("pass-through layer", "bare", || router(plain()).layer(pass_through())),
    scenario("unsampled", "bare", || router(plain()).layer(traced(SampleNone))),
    scenario("unsampled, no response header", "bare", || {
        router(plain()).layer(traced(SampleNone).response_header(false))
    }),
    scenario("unsampled by the last of 25 rules", "unsampled", || {
        router(plain()).layer(traced(LocalizedStrategy::new(rules(25))))
    }),
    scenario("unsampled, with capture", "bare", || {
        let recorder = recorder(|builder| builder.sampling(SampleNone).capture(Capture::faults()));
        router(plain()).layer(XRayLayer::new("orders", recorder))
    }),
    scenario("sampled", "bare", || router(plain()).layer(traced(SampleAll))),
    scenario("sampled, 1 subsegment", "bare", || router(subsegments::<1>()).layer(traced(SampleAll))),
    scenario("sampled, 10 subsegments", "bare", || router(subsegments::<10>()).layer(traced(SampleAll))),
    scenario("unsampled, an untraced call", "unsampled", || router(calls(pricing())).layer(traced(SampleNone))),
    scenario("unsampled, a call", "unsampled, an untraced call", || {
        router(calls(XRayClientLayer::new().layer(pricing()))).layer(traced(SampleNone))
    }),
    scenario("sampled, an untraced call", "sampled", || router(calls(pricing())).layer(traced(SampleAll))),
    scenario("sampled, a call", "sampled, an untraced call", || {
        router(calls(XRayClientLayer::new().layer(pricing()))).layer(traced(SampleAll))
    }),
    scenario("unsampled, a query", "unsampled", || router(query()).layer(traced(SampleNone))),
    scenario("sampled, a query", "sampled", || router(query()).layer(traced(SampleAll))),
    Scenario {
        subscriber: Some(registry),
        ..scenario("unsampled, a span of a registry", "unsampled", || router(span()).layer(traced(SampleNone)))
    },
    Scenario {
        subscriber: Some(subsegments_of_spans),
        ..scenario("unsampled, a span", "unsampled, a span of a registry", || router(span()).layer(traced(SampleNone)))
    },
    Scenario {
        subscriber: Some(subsegments_of_spans),
        ..scenario("sampled, a span", "sampled", || router(span()).layer(traced(SampleAll)))
    },
];

impl Scenario {
    /// What takes one request to the end of its response.
    pub(crate) fn start(&self) -> impl FnMut(Request<Body>) + use<> {
        let mut router = (self.router)().with_state::<()>(());
        let default = self.subscriber.map(|subscriber| dispatcher::set_default(&subscriber()));
        move |request| {
            // It is the default one as long as requests are made.
            let _ = &default;
            let mut call = pin!(async { router.call(request).await.map(|response| response.into_body().collect()) });
            let mut cx = Context::from_waker(Waker::noop());
            // Nothing in here waits for anything.
            let Poll::Ready(Ok(body)) = call.as_mut().poll(&mut cx) else { unreachable!("the router answers at once") };
            assert!(pin!(body).poll(&mut cx).is_ready());
        }
    }
}

fn router(handler: MethodRouter) -> Router {
    Router::new().route("/orders/{id}", handler)
}

fn plain() -> MethodRouter {
    get(async || "ok")
}

/// The number is part of the type: a closure that held it would take an allocation of its own.
fn subsegments<const COUNT: u32>() -> MethodRouter {
    get(async || {
        for _ in 0..COUNT {
            tower_xray::current().begin_subsegment("query").close();
        }
        "ok"
    })
}

/// Asks a database that answers at once.
fn query() -> MethodRouter {
    // A handler that held it would take an allocation of its own.
    static SQL: LazyLock<Sql> = LazyLock::new(|| Sql::new("postgres://shop:secret@db.internal/orders"));
    get(async || {
        let answered = capture_sql(SQL.statement("SELECT 1"), async { Ok::<_, Infallible>(1) }).await;
        if answered.is_ok() { "ok" } else { "sorry" }
    })
}

fn span() -> MethodRouter {
    get(async || tracing::info_span!("reserve", item = 42).in_scope(|| "ok"))
}

fn registry() -> Dispatch {
    Registry::default().into()
}

fn subsegments_of_spans() -> Dispatch {
    Registry::default().with(SubsegmentLayer::new().filtered()).into()
}

/// Asks another service, and reads its answer.
fn calls<S, B>(client: S) -> MethodRouter
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible, Future: Send>,
    S: Clone + Send + Sync + 'static,
    B: http_body::Body<Data: Send, Error: Send> + Send,
{
    get(async move || {
        let request = Request::get("http://pricing.example.com/quotes/42").body(Body::empty());
        let Ok(response) = client.oneshot(request.expect("a request")).await;
        let answered = response.into_body().collect().await.is_ok();
        if answered { "ok" } else { "sorry" }
    })
}

/// Another service, without a network in between.
fn pricing()
-> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + Sync {
    service_fn(async |_: Request<Body>| Ok(Response::new(Body::from("12.50"))))
}

fn rules(count: usize) -> Rules {
    let others = (1..count).map(|n| Rule::new(format!("rule {n}")).http_method("POST").url_path(format!("/api/{n}/*")));
    let orders = Rule::new("orders").http_method("GET").url_path("/orders/*").reservoir(0).fixed_rate(0.0);
    others.chain([orders]).fold(Rules::builder(), RulesBuilder::rule).build().expect("good rules")
}

fn traced(strategy: impl SamplingStrategy + 'static) -> XRayLayer {
    XRayLayer::new("orders", recorder(|builder| builder.sampling(strategy)))
}

/// A recorder whose emitter sends real datagrams to a socket that nobody reads, and never has to drop one.
fn recorder(adjust: impl FnOnce(RecorderBuilder) -> RecorderBuilder) -> Recorder {
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = receiver.local_addr().expect("an address").to_string();
    // Kept open until the process ends.
    Box::leak(Box::new(receiver));
    let emitter = UdpEmitter::builder(address.parse().expect("an address")).max_queue_bytes(64 << 20);
    let emitter = emitter.build().expect("a thread");
    adjust(Recorder::builder().environment(|_| None).emitter(emitter)).build().expect("a recorder")
}
