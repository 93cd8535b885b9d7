//! The error that a response carries to its segment.
//!
//! In: an error that a handler has made a response of. Out: its description, in the extensions of that response.

use std::error::Error;

use super::description::Description;

/// Attaches an error to a response, in its extensions, so that the segment records it as the cause of the status.
///
/// The status alone decides whether the segment is an error or a fault.
///
/// ```
/// use http::{Response, StatusCode};
/// use tower_xray::document::RecordedError;
///
/// fn into_response(error: std::io::Error) -> Response<String> {
///     let mut response = Response::new("try again later".to_owned());
///     *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
///     response.extensions_mut().insert(RecordedError::new(error));
///     response
/// }
/// ```
#[derive(Clone, Debug)]
pub struct RecordedError(std::sync::Arc<Description>);

impl RecordedError {
    /// Describes an error and its chain of sources; also a boxed one, or a plain text.
    ///
    /// It takes the error: what the response needs of it has to be read before.
    pub fn new<E: Into<Box<dyn Error + Send + Sync>>>(error: E) -> Self {
        Self(Description::of_error(&*error.into(), None, false).into())
    }

    pub(crate) fn description(&self) -> &Description {
        &self.0
    }
}
