//! What a segment is called.

use std::{borrow::Cow, fmt, sync::Arc};

use http::request::Parts;

use super::request::Inbound;
use crate::{
    document::{InvalidNameError, SegmentName},
    sampling::host_match,
};

/// Names the segments of a layer: after the service, after the host that was asked for, or by a closure.
///
/// The name is the node on the service map, so there should be few of them: never put a path into it.
#[derive(Clone)]
pub struct Naming(Kind);

#[derive(Clone)]
enum Kind {
    Fixed(SegmentName),
    ByHost { pattern: Arc<str>, fallback: SegmentName },
    By(Arc<dyn Fn(&Parts) -> String + Send + Sync>),
}

impl Naming {
    /// Always the same name.
    ///
    /// # Errors
    ///
    /// When nothing is left of the name after characters that X-Ray refuses have been replaced.
    pub fn fixed(name: &str) -> Result<Self, InvalidNameError> {
        SegmentName::new(name).map(Self::from)
    }

    /// The host of the request if it matches a pattern (`*`, `?`), otherwise `fallback`.
    ///
    /// The port is part of the name only if the pattern asks for it; letters are lower case.
    ///
    /// # Errors
    ///
    /// When nothing is left of the fallback after characters that X-Ray refuses have been replaced.
    pub fn by_host(pattern: &str, fallback: &str) -> Result<Self, InvalidNameError> {
        Ok(Self(Kind::ByHost { pattern: pattern.into(), fallback: SegmentName::new(fallback)? }))
    }

    /// What the closure says. Characters that X-Ray refuses are replaced.
    pub fn by(name: impl Fn(&Parts) -> String + Send + Sync + 'static) -> Self {
        Self(Kind::By(Arc::new(name)))
    }

    /// The environment's name takes the place of every name but that of a matching host.
    pub(super) fn or_environment(self, name: Option<&SegmentName>) -> Self {
        match (self.0, name) {
            (kind, None) => Self(kind),
            (Kind::ByHost { pattern, .. }, Some(name)) => Self(Kind::ByHost { pattern, fallback: name.clone() }),
            (Kind::Fixed(_) | Kind::By(_), Some(name)) => Self(Kind::Fixed(name.clone())),
        }
    }

    pub(super) fn name<'a>(&'a self, inbound: &Inbound<'a>) -> Cow<'a, str> {
        match &self.0 {
            Kind::Fixed(name) => Cow::Borrowed(name.as_str()),
            Kind::ByHost { pattern, fallback } => {
                match inbound.target().host.and_then(|host| host_match(pattern, host)) {
                    // One service has one name, however its clients write it.
                    Some(host) if host.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                        host.to_ascii_lowercase().into()
                    }
                    Some(host) => Cow::Borrowed(host),
                    None => Cow::Borrowed(fallback.as_str()),
                }
            }
            Kind::By(name) => Cow::Owned(name(inbound.parts)),
        }
    }
}

impl fmt::Debug for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Fixed(name) => f.debug_tuple("Fixed").field(&name.as_str()).finish(),
            Kind::ByHost { pattern, fallback } => {
                f.debug_struct("ByHost").field("pattern", pattern).field("fallback", &fallback.as_str()).finish()
            }
            Kind::By(_) => f.debug_tuple("By").finish_non_exhaustive(),
        }
    }
}

impl From<SegmentName> for Naming {
    fn from(name: SegmentName) -> Self {
        Self(Kind::Fixed(name))
    }
}

impl From<&str> for Naming {
    /// `unknown` stands in for a name of which nothing is left; [`Naming::fixed`] makes that an error.
    fn from(name: &str) -> Self {
        SegmentName::lenient(name).into()
    }
}

impl From<String> for Naming {
    /// `unknown` stands in for a name of which nothing is left; [`Naming::fixed`] makes that an error.
    fn from(name: String) -> Self {
        name.as_str().into()
    }
}

impl From<&String> for Naming {
    /// `unknown` stands in for a name of which nothing is left; [`Naming::fixed`] makes that an error.
    fn from(name: &String) -> Self {
        name.as_str().into()
    }
}
