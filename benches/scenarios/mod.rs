//! What the benchmarks measure: a request through an axum router, traced in different ways.

#[path = "../../tests/pass_through.rs"]
mod pass_through;

use std::{
    convert::Infallible,
    net::UdpSocket,
    pin::pin,
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
    Recorder, RecorderBuilder, XRayClientLayer, XRayLayer,
    emitter::UdpEmitter,
    sampling::{Capture, LocalizedStrategy, Rule, Rules, RulesBuilder, SampleAll, SampleNone, SamplingStrategy},
};

use self::pass_through::pass_through;
pub(crate) use self::pass_through::request;

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The scenario that it adds something to.
    #[allow(dead_code, reason = "only instructions are counted as differences")]
    pub(crate) over: &'static str,
    router: fn() -> Router,
}

pub(crate) static SCENARIOS: &[Scenario] = &[
    Scenario { name: "bare", over: "", router: || router(plain()) },
    Scenario { name: "pass-through layer", over: "bare", router: || router(plain()).layer(pass_through()) },
    Scenario { name: "unsampled", over: "bare", router: || router(plain()).layer(traced(SampleNone)) },
    Scenario {
        name: "unsampled, no response header",
        over: "bare",
        router: || router(plain()).layer(traced(SampleNone).response_header(false)),
    },
    Scenario {
        name: "unsampled by the last of 25 rules",
        over: "unsampled",
        router: || router(plain()).layer(traced(LocalizedStrategy::new(rules(25)))),
    },
    Scenario {
        name: "unsampled, with capture",
        over: "bare",
        router: || {
            let recorder = recorder(|builder| builder.sampling(SampleNone).capture(Capture::faults()));
            router(plain()).layer(XRayLayer::new("orders", recorder))
        },
    },
    Scenario { name: "sampled", over: "bare", router: || router(plain()).layer(traced(SampleAll)) },
    Scenario {
        name: "sampled, 1 subsegment",
        over: "bare",
        router: || router(subsegments::<1>()).layer(traced(SampleAll)),
    },
    Scenario {
        name: "sampled, 10 subsegments",
        over: "bare",
        router: || router(subsegments::<10>()).layer(traced(SampleAll)),
    },
    Scenario {
        name: "unsampled, an untraced call",
        over: "unsampled",
        router: || router(calls(pricing())).layer(traced(SampleNone)),
    },
    Scenario {
        name: "unsampled, a call",
        over: "unsampled, an untraced call",
        router: || router(calls(XRayClientLayer::new().layer(pricing()))).layer(traced(SampleNone)),
    },
    Scenario {
        name: "sampled, an untraced call",
        over: "sampled",
        router: || router(calls(pricing())).layer(traced(SampleAll)),
    },
    Scenario {
        name: "sampled, a call",
        over: "sampled, an untraced call",
        router: || router(calls(XRayClientLayer::new().layer(pricing()))).layer(traced(SampleAll)),
    },
];

impl Scenario {
    /// What takes one request to the end of its response.
    pub(crate) fn start(&self) -> impl FnMut(Request<Body>) + use<> {
        let mut router = (self.router)().with_state::<()>(());
        move |request| {
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
