//! What is known of a call before anything is sent.
//!
//! In: the configuration of the call. Out: a call that has begun, with service, operation, region and inputs.

use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::{config_bag::ConfigBag, telemetry::CapturedTelemetryAttributes};
use aws_types::region::Region;

use crate::{
    call::{Call, MissingContext},
    context::current,
    document::Namespace,
};

/// Begins a call with what is known before anything is sent.
pub(super) fn begin(missing_context: &MissingContext, config: &ConfigBag) -> Call {
    let caller = current();
    if !caller.is_recorded() {
        return Call::builder("").missing_context(missing_context).begin_in(&caller);
    }
    let operation = config.load::<Metadata>().map(|metadata| ("operation", metadata.name()));
    let region = config.load::<Region>().map(|region| ("region", region.as_ref()));
    let inputs = config.load::<CapturedTelemetryAttributes>();
    let inputs = inputs.into_iter().flat_map(CapturedTelemetryAttributes::iter);
    let inputs = inputs.map(|(key, value)| (if key == "Bucket" { "bucket_name" } else { key }, value));
    let mut fields: Vec<(&str, &str)> = [operation, region].into_iter().flatten().chain(inputs).collect();
    // The SDK has the inputs in no order.
    let first = usize::from(operation.is_some()) + usize::from(region.is_some());
    fields[first..].sort_unstable();
    let service = config.load::<Metadata>().map_or("unknown", Metadata::service);
    Call::builder(service).namespace(Namespace::Aws).aws(&fields).begin_in(&caller)
}
