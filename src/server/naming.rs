//! What a segment is called.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use http::request::Parts;

use super::request::Inbound;
use crate::{
    document::{InvalidNameError, SegmentName},
    recorder::Recorder,
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
    ByHost { pattern: Arc<str>, fallback: SegmentName, hosts: Arc<Hosts> },
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
    /// Clients choose the host, so there are at most 100 names of up to 200 bytes: the first hosts that match. For
    /// further ones it is the fallback, and [`Stats::names_limited`](crate::recorder::Stats::names_limited) counts. The
    /// better the pattern, the fewer names a client can invent.
    ///
    /// # Errors
    ///
    /// When nothing is left of the fallback after characters that X-Ray refuses have been replaced.
    pub fn by_host(pattern: &str, fallback: &str) -> Result<Self, InvalidNameError> {
        Ok(Self(Kind::ByHost { pattern: pattern.into(), fallback: SegmentName::new(fallback)?, hosts: Arc::default() }))
    }

    /// What the closure says. Characters that X-Ray refuses are replaced.
    ///
    /// Nothing limits how many names it gives; never take one from a request without looking it up.
    pub fn by(name: impl Fn(&Parts) -> String + Send + Sync + 'static) -> Self {
        Self(Kind::By(Arc::new(name)))
    }

    /// The environment's name takes the place of every name but that of a matching host.
    pub(super) fn or_environment(self, name: Option<&SegmentName>) -> Self {
        match (self.0, name) {
            (kind, None) => Self(kind),
            (Kind::ByHost { pattern, hosts, .. }, Some(name)) => {
                Self(Kind::ByHost { pattern, fallback: name.clone(), hosts })
            }
            (Kind::Fixed(_) | Kind::By(_), Some(name)) => Self(Kind::Fixed(name.clone())),
        }
    }

    pub(super) fn name<'a>(&'a self, inbound: &Inbound<'a>, recorder: &Recorder) -> Cow<'a, str> {
        match &self.0 {
            Kind::Fixed(name) => Cow::Borrowed(name.as_str()),
            Kind::ByHost { pattern, fallback, hosts } => {
                match inbound.target().host.and_then(|host| host_match(pattern, host)) {
                    Some(host) if !hosts.admit(host) => {
                        recorder.count_limited_name();
                        Cow::Borrowed(fallback.as_str())
                    }
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

/// The first hosts that have become names. Reading them takes no lock; a service has few.
struct Hosts([OnceLock<Box<str>>; Self::MAX]);

impl Hosts {
    const MAX: usize = 100;

    /// X-Ray segment documents: names have up to 200 characters.
    const MAX_LEN: usize = 200;

    /// Whether a host can be a name: it is one already, or there is room for one more.
    fn admit(&self, host: &str) -> bool {
        let is_host = |place: &OnceLock<Box<str>>| place.get_or_init(|| host.into()).eq_ignore_ascii_case(host);
        host.len() <= Self::MAX_LEN && self.0.iter().any(is_host)
    }
}

impl Default for Hosts {
    fn default() -> Self {
        Self([const { OnceLock::new() }; Self::MAX])
    }
}

impl fmt::Debug for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Fixed(name) => f.debug_tuple("Fixed").field(&name.as_str()).finish(),
            Kind::ByHost { pattern, fallback, .. } => {
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
