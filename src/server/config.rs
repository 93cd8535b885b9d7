//! What a layer is set to, for all of its services.
//!
//! In: the settings of a program. Out: the same, shared.

use std::sync::Arc;

use http::request::Parts;
use tracing::Level;

use super::Naming;
use crate::{
    recorder::Recorder,
    sampling::{Decision, Reservoir},
};

/// Whom to believe about the trace: what the header of a request may say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Trust {
    /// Everything, as in every X-Ray SDK.
    #[default]
    All,
    /// The ids; whether the request is recorded is decided here.
    IdsOnly,
    /// Nothing: every request starts a trace. For services that face the public without a load balancer.
    None,
}

#[derive(Clone)]
pub(super) struct Config {
    pub(super) naming: Naming,
    pub(super) recorder: Recorder,
    pub(super) trust: Trust,
    pub(super) traceparent: bool,
    pub(super) response_header: bool,
    pub(super) route_annotation: bool,
    pub(super) tls: bool,
    pub(super) log_span: Option<Level>,
    /// How many proxies in front are believed; if that is not said, all that `X-Forwarded-For` names.
    pub(super) forwarded_hops: Option<usize>,
    /// How many requests per second are recorded because their callers say so, if that is limited.
    pub(super) callers_limit: Option<Arc<Reservoir>>,
    pub(super) skip: Option<Arc<Predicate>>,
    pub(super) decide: Option<Arc<Decide>>,
}

type Predicate = dyn Fn(&Parts) -> bool + Send + Sync;
type Decide = dyn Fn(&Parts) -> Option<Decision> + Send + Sync;
