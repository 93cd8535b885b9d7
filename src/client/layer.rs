//! The layer.
//!
//! In: what a program sets. Out: services that trace their calls.

use std::{fmt, marker::PhantomData, sync::Arc};

use tower_layer::Layer;

use super::{XRayClient, settings::Settings};
use crate::{
    context::ContextMissing,
    document::{Boxed, Typed},
};

/// Traces every call. See the [module documentation](super).
///
/// `K` says what the errors of the inner service are: errors ([`Typed`]), or boxes of them
/// ([`boxed_errors`](Self::boxed_errors)).
#[must_use]
pub struct XRayClientLayer<K = Typed> {
    pub(super) settings: Settings,
    kind: PhantomData<fn() -> K>,
}

impl XRayClientLayer {
    /// Traces calls. There is nothing to configure: the current entity brings its recorder along.
    ///
    /// `AWS_XRAY_CONTEXT_MISSING` sets how calls outside of any trace are reported: `IGNORE_ERROR`, `LOG_ERROR`, or
    /// `RUNTIME_ERROR`, which is taken for `LOG_ERROR`.
    pub fn new() -> Self {
        Self { settings: Settings::default(), kind: PhantomData }
    }

    /// For a client whose error is a `Box<dyn Error + Send + Sync>`, as that of tower's timeout and buffer is.
    pub fn boxed_errors(self) -> XRayClientLayer<Boxed> {
        XRayClientLayer { settings: self.settings, kind: PhantomData }
    }
}

impl<K> XRayClientLayer<K> {
    /// Says that the services called send segments themselves. Off by default.
    ///
    /// X-Ray takes a trace for broken where such a segment does not arrive, and needs no such promise where it does.
    pub fn traced(mut self, on: bool) -> Self {
        self.settings.traced = on;
        self
    }

    /// Whether calls carry `traceparent` too, for services that know W3C Trace Context only. Off by default.
    pub fn traceparent(mut self, on: bool) -> Self {
        self.settings.traceparent = on;
        self
    }

    /// Names every call like this, instead of after its host.
    ///
    /// It is for requests that do not say where they go, and are `unknown` otherwise. Those to a tonic channel do not,
    /// unless the client is made `with_origin`; they are named after the service, `package.Service`.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// What to say about calls outside of any trace, unless `AWS_XRAY_CONTEXT_MISSING` says it.
    pub fn context_missing(mut self, context_missing: ContextMissing) -> Self {
        self.settings.missing_context.set(context_missing);
        self
    }
}

impl<S, K> Layer<S> for XRayClientLayer<K> {
    type Service = XRayClient<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        XRayClient::new(inner, self.settings.clone())
    }
}

impl<K> Clone for XRayClientLayer<K> {
    fn clone(&self) -> Self {
        Self { settings: self.settings.clone(), kind: PhantomData }
    }
}

impl Default for XRayClientLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> fmt::Debug for XRayClientLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XRayClientLayer").field("settings", &self.settings).finish()
    }
}
