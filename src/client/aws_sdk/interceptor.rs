//! The interceptor: follows each call of a client through the hooks of the SDK.
//!
//! In: calls, as the SDK makes them. Out: the same calls with the tracing header, and their subsegments.

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
                BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
            },
        },
        retries::RequestAttempts,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

use super::{outcome::end, request::begin};
use crate::{
    call::{Call, MissingContext},
    context::{ContextMissing, current},
    header::X_AMZN_TRACE_ID,
};

/// Traces the calls of an AWS SDK client. See the [module documentation](super).
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct XRayInterceptor {
    attempts: bool,
    missing_context: MissingContext,
}

impl XRayInterceptor {
    /// Traces calls. There is nothing to configure: the current entity brings its recorder along.
    ///
    /// `AWS_XRAY_CONTEXT_MISSING` sets how calls outside of any trace are reported, as for
    /// [`XRayClientLayer`](crate::XRayClientLayer).
    pub fn new() -> Self {
        Self::default()
    }

    /// Records a subsegment `attempt` for every attempt, below that of the call. Off by default.
    pub fn attempts(mut self, on: bool) -> Self {
        self.attempts = on;
        self
    }

    /// What to say about calls outside of any trace, unless `AWS_XRAY_CONTEXT_MISSING` says it.
    pub fn context_missing(mut self, context_missing: ContextMissing) -> Self {
        self.missing_context.set(context_missing);
        self
    }

    /// Begins the subsegment of a call, if that is to be recorded.
    fn begin(&self, config: &mut ConfigBag) {
        // An interceptor that is added twice records once.
        if config.load::<Running>().is_some() {
            return;
        }
        let call = begin(&self.missing_context, config);
        if call.is_recorded() {
            config.interceptor_state().store_put(Running { call: Some(call), attempt: None, attempts: 0 });
        } else {
            // The header comes from the current entity.
            call.end();
        }
    }
}

/// A call while it runs. It is kept with the SDK's state of the call, which is dropped when the call is.
#[derive(Debug)]
struct Running {
    /// Taken when the call is over.
    call: Option<Call>,
    attempt: Option<Call>,
    attempts: u32,
}

impl Storable for Running {
    type Storer = StoreReplace<Self>;
}

impl Running {
    /// Ends the call, and the attempt that the SDK may have given up without a word.
    fn end(&mut self, end: impl Fn(Call)) {
        self.attempt.take().map(&end);
        if let Some(call) = self.call.take() {
            if let (Some(retries), Some(entity)) = (self.attempts.checked_sub(1), call.entity()) {
                entity.add_aws("retries", retries);
            }
            end(call);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Call::cancel);
    }
}

/// No hook returns an error: that would be the caller's.
impl Intercept for XRayInterceptor {
    fn name(&self) -> &'static str {
        "XRayInterceptor"
    }

    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.begin(config);
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let attempts = config.load::<RequestAttempts>().map_or(0, RequestAttempts::attempts);
        let Some(running) = config.get_mut_from_interceptor_state::<Running>() else { return Ok(()) };
        running.attempts = attempts;
        if let (Some(call), true, None) =
            (running.call.as_ref().and_then(Call::entity), self.attempts, &running.attempt)
        {
            running.attempt = Some(Call::builder("attempt").local().begin_in(call));
        }
        Ok(())
    }

    /// The SDK's own header, which Lambda asks for, is there already, and the signature, which leaves ours out.
    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let header = match config.load::<Running>() {
            Some(running) => running.call.as_ref().and_then(Call::header),
            None => current().header(),
        };
        if let Some(header) = header {
            // Visible ASCII, of which the SDK makes a header without a copy; it would panic for other text only.
            context.request_mut().headers_mut().insert(X_AMZN_TRACE_ID.as_str(), header.to_text());
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let running = config.get_mut_from_interceptor_state::<Running>();
        if let Some(attempt) = running.and_then(|running| running.attempt.take()) {
            end(attempt, context, components);
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // A call that has failed in its configuration has not begun yet.
        if context.input().is_some() && config.load::<Running>().is_none() {
            self.begin(config);
        }
        if let Some(running) = config.get_mut_from_interceptor_state::<Running>() {
            running.end(|call| end(call, context, components));
        }
        Ok(())
    }
}
