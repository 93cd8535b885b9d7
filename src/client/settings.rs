//! What a layer is set to, for the calls of all of its services.
//!
//! In: the settings of a program, and what is known of a request. Out: a call that has begun, and its headers.

use std::sync::Arc;

use http::{Extensions, HeaderMap};

use super::SubsegmentName;
use crate::{
    call::{Call, CallBuilder, MissingContext},
    entity::Entity,
};

#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) traced: bool,
    pub(super) traceparent: bool,
    pub(super) name: Option<Arc<str>>,
    pub(super) missing_context: MissingContext,
}

impl Settings {
    /// Begins a call. A name of its own, in the extensions of its request, overrides that of the layer.
    pub(super) fn begin(&self, caller: &Entity, request: CallBuilder<'_>, extensions: Option<&Extensions>) -> Call {
        let own = extensions.filter(|_| caller.is_recorded()).and_then(Extensions::get).map(SubsegmentName::as_str);
        let request = request.traced(self.traced).missing_context(&self.missing_context);
        match own.or(self.name.as_deref()) {
            Some(name) => request.name(name).begin_in(caller),
            None => request.begin_in(caller),
        }
    }

    /// Writes the headers that continue the trace.
    pub(super) fn write_headers(&self, call: &Call, headers: &mut HeaderMap) {
        call.write_header(headers);
        if self.traceparent {
            call.write_traceparent(headers);
        }
    }
}
