//! Errors and panics as the exceptions of a segment document.
//!
//! In: an error with its `source()` chain, or the payload of a panic. Out: descriptions bounded in number and length,
//! without what may be secret in URLs.

mod as_error;
mod description;
mod recorded_error;
mod redact;
mod stack;

pub(super) use self::description::Exception;
#[cfg(feature = "tracing-subscriber")]
pub(crate) use self::redact::{bounded, message};
pub use self::{
    as_error::{AsError, Bare, Boxed, Typed},
    recorded_error::RecordedError,
};
pub(crate) use self::{description::Description, redact::MAX_MESSAGE};
