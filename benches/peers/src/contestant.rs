//! Who is compared: layers around a router, and what they need besides.

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use fastrace::collector::{Config, Reporter, SpanContext, SpanRecord};
use fastrace_axum::FastraceLayer;
use opentelemetry::{global, trace::TracerProvider};
use opentelemetry_aws::{
    trace::{XrayIdGenerator, XrayPropagator},
    xray_exporter::{XrayExporter, daemon_client::XrayDaemonClient},
};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tower_http::trace::TraceLayer;
use tower_otel::trace::HttpLayer;
use tower_xray::{
    Recorder, XRayLayer,
    sampling::{SampleAll, SampleNone, SamplingStrategy},
};
use tracing::Level;
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::pass_through::pass_through;

pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) mode: &'static str,
    /// Its documents go to an X-Ray daemon, so that they can be counted there.
    pub(crate) delivers: bool,
    /// Sends to the address if it sends at all. It may set globals, so each process has one contestant.
    pub(crate) start: fn(SocketAddr) -> Started,
}

pub(crate) struct Started {
    pub(crate) router: Router,
    /// Sends what is left.
    pub(crate) finish: Box<dyn FnOnce()>,
}

pub(crate) const OURS: usize = 4;
pub(crate) const OPENTELEMETRY: usize = 6;

/// The first one is the base of all others.
pub(crate) static CONTESTANTS: &[Contestant] = &[
    Contestant { name: "bare router", mode: "", delivers: false, start: |_| started(router()) },
    Contestant {
        name: "a layer that does nothing",
        mode: "",
        delivers: false,
        start: |_| started(router().layer(pass_through())),
    },
    Contestant {
        name: "tower-http `TraceLayer`",
        mode: "no subscriber",
        delivers: false,
        start: |_| started(router().layer(TraceLayer::new_for_http())),
    },
    Contestant {
        name: "tower-http `TraceLayer`",
        mode: "lines of text to a sink",
        delivers: false,
        start: |_| {
            tracing_subscriber::fmt().with_max_level(Level::DEBUG).with_writer(io::sink).init();
            started(router().layer(TraceLayer::new_for_http()))
        },
    },
    Contestant { name: "**tower-xray**", mode: "sampled", delivers: true, start: |daemon| xray(daemon, SampleAll) },
    Contestant { name: "**tower-xray**", mode: "unsampled", delivers: false, start: |daemon| xray(daemon, SampleNone) },
    Contestant {
        name: "opentelemetry-instrumentation-tower, X-Ray exporter",
        mode: "sampled",
        delivers: true,
        start: |daemon| opentelemetry(daemon, Sampler::AlwaysOn),
    },
    Contestant {
        name: "opentelemetry-instrumentation-tower, X-Ray exporter",
        mode: "unsampled",
        delivers: false,
        start: |daemon| opentelemetry(daemon, Sampler::AlwaysOff),
    },
    Contestant { name: "tower-otel, X-Ray exporter", mode: "sampled", delivers: true, start: tower_otel },
    Contestant {
        name: "fastrace-axum, reporter that sends nothing",
        mode: "sampled",
        delivers: false,
        start: |_| fastrace(true),
    },
    Contestant {
        name: "fastrace-axum, reporter that sends nothing",
        mode: "unsampled",
        delivers: false,
        start: |_| fastrace(false),
    },
];

fn router() -> Router {
    Router::new().route("/orders/{id}", get(async || "ok"))
}

fn started(router: Router) -> Started {
    Started { router, finish: Box::new(|| ()) }
}

pub(crate) fn recorder(daemon: SocketAddr, strategy: impl SamplingStrategy + 'static) -> Recorder {
    let address = daemon.to_string().parse().expect("an address");
    let builder = Recorder::builder().environment(|_| None).daemon_address(address);
    builder.sampling(strategy).build().expect("a recorder")
}

fn xray(daemon: SocketAddr, strategy: impl SamplingStrategy + 'static) -> Started {
    let recorder = recorder(daemon, strategy);
    let router = router().layer(XRayLayer::new("orders", recorder.clone()));
    let finish = move || {
        let left = recorder.shutdown(Duration::from_secs(10)).wait();
        let dropped = recorder.stats().dropped;
        if dropped.total() > 0 {
            eprintln!("tower-xray says that {left} documents were left, and of what it has dropped: {dropped:?}");
        }
    };
    Started { router, finish: Box::new(finish) }
}

fn provider(daemon: SocketAddr, sampler: Sampler) -> SdkTracerProvider {
    global::set_text_map_propagator(XrayPropagator::new());
    let client = XrayDaemonClient::new(daemon).expect("a socket");
    SdkTracerProvider::builder()
        .with_id_generator(XrayIdGenerator::default())
        .with_resource(Resource::builder().with_service_name("orders").build())
        .with_sampler(sampler)
        .with_batch_exporter(XrayExporter::new(client))
        .build()
}

fn finish(provider: SdkTracerProvider) -> Box<dyn FnOnce()> {
    Box::new(move || drop(provider.shutdown()))
}

fn opentelemetry(daemon: SocketAddr, sampler: Sampler) -> Started {
    let provider = provider(daemon, sampler);
    global::set_tracer_provider(provider.clone());
    let router = router().layer(opentelemetry_instrumentation_tower::http::server::Layer::new());
    Started { router, finish: finish(provider) }
}

fn tower_otel(daemon: SocketAddr) -> Started {
    let provider = provider(daemon, Sampler::AlwaysOn);
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("orders"));
    tracing_subscriber::registry().with(LevelFilter::INFO).with(spans).init();
    Started { router: router().layer(HttpLayer::server(Level::INFO)), finish: finish(provider) }
}

fn fastrace(sampled: bool) -> Started {
    struct Discard;

    impl Reporter for Discard {
        fn report(&mut self, _: Vec<SpanRecord>) {}
    }

    fastrace::set_reporter(Discard, Config::default());
    let layer = FastraceLayer::default();
    let layer = layer.with_span_context_extractor(move |_| Some(SpanContext::random().sampled(sampled)));
    Started { router: router().layer(layer), finish: Box::new(fastrace::flush) }
}
