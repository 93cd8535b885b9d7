//! The layer.
//!
//! In: what a program sets. Out: services that trace their requests.

use std::{fmt, marker::PhantomData, sync::Arc};

use http::request::Parts;
use tower_layer::Layer;
use tracing::Level;

use super::{
    Naming, XRay,
    config::{Config, Trust},
};
use crate::{
    document::{Boxed, InvalidNameError, Typed},
    recorder::Recorder,
    sampling::{Decision, Reservoir},
};

/// Traces every request. See the [module documentation](super).
///
/// `K` says what the errors of the inner service are: errors ([`Typed`]), or boxes of them
/// ([`boxed_errors`](Self::boxed_errors)).
#[must_use]
pub struct XRayLayer<K = Typed> {
    config: Arc<Config>,
    kind: PhantomData<fn() -> K>,
}

impl XRayLayer {
    /// Names segments like this (a text stands for itself, see [`Naming`]), and records them here.
    ///
    /// `AWS_XRAY_TRACING_NAME` goes before a fixed name. A name of which X-Ray accepts no character becomes `unknown`;
    /// [`try_new`](Self::try_new) makes that an error.
    pub fn new(naming: impl Into<Naming>, recorder: Recorder) -> Self {
        let naming = naming.into().or_environment(recorder.name());
        let config = Config {
            naming,
            recorder,
            trust: Trust::default(),
            traceparent: true,
            response_header: true,
            route_annotation: true,
            tls: false,
            log_span: None,
            forwarded_hops: None,
            callers_limit: None,
            skip: None,
            decide: None,
        };
        Self { config: Arc::new(config), kind: PhantomData }
    }

    /// The same with a fixed name.
    ///
    /// # Errors
    ///
    /// When nothing is left of the name after characters that X-Ray refuses have been replaced.
    pub fn try_new(name: &str, recorder: Recorder) -> Result<Self, InvalidNameError> {
        Naming::fixed(name).map(|naming| Self::new(naming, recorder))
    }

    /// For a service whose error is a `Box<dyn Error + Send + Sync>`, as that of tower's timeout and buffer is.
    ///
    /// Without it, such a stack does not compile; below axum's `HandleErrorLayer` the message is about
    /// ``the trait bound `HandleError<XRay<Timeout<…>, …>, …>: Service<…>` ``.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum::{BoxError, Router, error_handling::HandleErrorLayer, http::StatusCode, routing::get};
    /// use tower::ServiceBuilder;
    /// # use tower_xray::{Recorder, XRayLayer};
    ///
    /// # let recorder = Recorder::from_env()?;
    /// let app: Router = Router::new().route("/", get(async || "")).layer(
    ///     ServiceBuilder::new()
    ///         .layer(HandleErrorLayer::new(async |_: BoxError| StatusCode::REQUEST_TIMEOUT))
    ///         .layer(XRayLayer::new("orders", recorder).boxed_errors())
    ///         .timeout(Duration::from_secs(10)),
    /// );
    /// # Ok::<(), tower_xray::recorder::BuildError>(())
    /// ```
    pub fn boxed_errors(self) -> XRayLayer<Boxed> {
        XRayLayer { config: self.config, kind: PhantomData }
    }
}

impl<K> XRayLayer<K> {
    /// Whom to believe about the trace. The default is [`Trust::All`].
    pub fn trust(self, trust: Trust) -> Self {
        self.with(|config| config.trust = trust)
    }

    /// Limits how many requests per second are recorded because their header says so. Unlimited by default.
    ///
    /// Beyond it `Sampled=1`, or the flag of a `traceparent`, counts as if it were not there: the rules decide, and
    /// [`Stats::forced_limited`](crate::recorder::Stats::forced_limited) counts. So a client that sends the header with
    /// every request cannot make the service record them all. `Sampled=0` is not limited, neither are decisions of
    /// [`decide`](Self::decide), nor the trace of a layer around this one. Clones of the layer share the limit.
    pub fn limit_forced(self, per_second: u32) -> Self {
        self.with(|config| config.callers_limit = Some(Arc::new(Reservoir::new(per_second))))
    }

    /// How many proxies in front of this service append to `X-Forwarded-For`: the client is the address at that place,
    /// counted from the end of the list.
    ///
    /// A client can send the header itself, and proxies append to it, so that only its end can be believed: one address
    /// per proxy of yours. A list that is shorter has not passed them all, and does not count; with 0, none does. Then
    /// the client is the peer. By default it is the first address of the list, as in every X-Ray SDK.
    pub fn forwarded_hops(self, proxies: usize) -> Self {
        self.with(|config| config.forwarded_hops = Some(proxies))
    }

    /// Whether `traceparent` counts where `X-Amzn-Trace-Id` is missing or names no parent. On by default.
    pub fn traceparent(self, on: bool) -> Self {
        self.with(|config| config.traceparent = on)
    }

    /// Whether responses carry `X-Amzn-Trace-Id: Root=…`. On by default; one that the handler has set stays.
    pub fn response_header(self, on: bool) -> Self {
        self.with(|config| config.response_header = on)
    }

    /// Whether the matched route (`/orders/{id}`) becomes the annotation `route`. On by default, with feature `axum`.
    ///
    /// Of a call by gRPC it is its method (`/shop.Prices/Quote`), with or without that feature.
    pub fn route_annotation(self, on: bool) -> Self {
        self.with(|config| config.route_annotation = on)
    }

    /// Says that this service itself terminates TLS, so that URLs begin with `https` where nothing else tells: neither
    /// `X-Forwarded-Proto`, nor the scheme of an HTTP/2 request.
    pub fn tls(self, on: bool) -> Self {
        self.with(|config| config.tls = on)
    }

    /// Opens a span `request{trace_id=… segment_id=…}` of this level around the handler and the body of every request,
    /// recorded or not, so that what they log can be found by the trace. Off by default.
    ///
    /// It is a span of the `tracing` crate, with the target `tower_xray`: subscribers show it with every event inside.
    /// A span of your own, as that of tower-http's `TraceLayer` below this layer, can have the same fields:
    ///
    /// ```
    /// use tracing::field::display;
    ///
    /// let entity = tower_xray::current();
    /// let (trace_id, segment_id) = (entity.trace_id().map(display), entity.id().map(display));
    /// let span = tracing::info_span!("request", trace_id, segment_id);
    /// ```
    pub fn log_span(self, level: Level) -> Self {
        self.with(|config| config.log_span = Some(level))
    }

    /// Leaves requests alone for which this is true, such as health checks: no segment, no header, no decision.
    ///
    /// Called again, it leaves alone what either closure names. In a nested router the path of the
    /// [`Parts`](http::request::Parts) lacks what the outer one has matched.
    pub fn skip(self, skip: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.with(|config| {
            let earlier = config.skip.take();
            config.skip = Some(Arc::new(move |parts| earlier.as_ref().is_some_and(|skip| skip(parts)) || skip(parts)));
        })
    }

    /// Decides about some requests before everything else: forces them to be recorded, or not to be.
    ///
    /// Where it says nothing, the header and the sampling strategy decide as usual.
    ///
    /// ```
    /// # use tower_xray::{Recorder, XRayLayer, sampling::Decision};
    /// # let recorder = Recorder::from_env()?;
    /// let layer = XRayLayer::new("orders", recorder)
    ///     .decide(|request| request.headers.contains_key("x-debug").then_some(Decision::new(true)));
    /// # Ok::<(), tower_xray::recorder::BuildError>(())
    /// ```
    pub fn decide(self, decide: impl Fn(&Parts) -> Option<Decision> + Send + Sync + 'static) -> Self {
        self.with(|config| config.decide = Some(Arc::new(decide)))
    }

    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }
}

impl<S, K> Layer<S> for XRayLayer<K> {
    type Service = XRay<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        XRay::new(inner, self.config.clone())
    }
}

impl<K> Clone for XRayLayer<K> {
    fn clone(&self) -> Self {
        Self { config: self.config.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for XRayLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { naming, trust, .. } = &*self.config;
        f.debug_struct("XRayLayer").field("naming", naming).field("trust", trust).finish_non_exhaustive()
    }
}
