//! The name of one call.

use std::{fmt, sync::Arc};

/// Names the subsegment of one call, instead of after its host: an extension of the request.
///
/// It goes before [`XRayClientLayer::name`](super::XRayClientLayer::name). X-Ray draws one node for each name of a
/// callee that sends no segments, so names should be few. A clone allocates nothing.
///
/// A request of reqwest has no extensions: there it is [`XRayClient::named`](super::XRayClient::named), or
/// `with_extension` of reqwest-middleware.
///
/// ```
/// use tower_xray::client::SubsegmentName;
///
/// let request = http::Request::get("http://10.0.3.7/quotes/42")
///     .extension(SubsegmentName::from_static("pricing"))
///     .body(())?;
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone)]
pub struct SubsegmentName(Text);

#[derive(Clone)]
enum Text {
    Static(&'static str),
    Shared(Arc<str>),
}

impl SubsegmentName {
    /// A name; it is cut at 200 characters, and those that X-Ray refuses become `_`.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(Text::Shared(name.into()))
    }

    /// The same without an allocation.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        Self(Text::Static(name))
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static(name) => name,
            Text::Shared(name) => name,
        }
    }
}

impl fmt::Debug for SubsegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SubsegmentName").field(&self.as_str()).finish()
    }
}
