//! Errors and panics as the exceptions of a segment document.
//!
//! In: an error with its `source()` chain, or the payload of a panic. Out: descriptions bounded in number and length,
//! outermost first, each of which the next one caused. URLs in their messages have lost what may be secret.

use std::{
    any::Any,
    backtrace::Backtrace,
    borrow::Cow,
    error::Error,
    fmt::{self, Write},
    ops::Deref,
};

use super::{
    limits::{MAX_STRING, MAX_VALUE},
    text::cut,
};

/// Exceptions kept of one chain; of a longer one, the last place goes to its root cause.
const MAX_CHAIN: usize = 32;
/// A chain is followed this far, in case it never ends.
const MAX_DEPTH: usize = 10_000;
/// As much of a text is read to make a message of it. One that is longer may end within a URL.
pub(crate) const MAX_MESSAGE: usize = 8 * MAX_VALUE;
/// The X-Ray SDK for Java keeps as many frames.
const MAX_FRAMES: usize = 50;

/// The type of the exception that a panic becomes, and its message where the payload is out of reach.
const PANIC: &str = "panic";
const UNKNOWN_PANIC: &str = "the thread panicked";

/// Marks errors that implement [`Error`] themselves. See [`AsError`].
#[derive(Debug)]
pub enum Typed {}

/// Marks pointers to errors: `Box<dyn Error + Send + Sync>`, `anyhow::Error` and the like. See [`AsError`].
#[derive(Debug)]
pub enum Boxed {}

/// Marks errors of which only the trait is known: `dyn Error`. See [`AsError`].
#[derive(Debug)]
pub enum Bare {}

/// Anything that an exception can be made of: errors ([`Typed`]), pointers to errors ([`Boxed`]), and errors behind a
/// reference ([`Bare`]).
///
/// Hardly a type is two of them, so functions such as [`capture`](crate::capture) infer `Kind`. An `Arc<dyn Error>` is:
/// pass what it points to, `&*error`. Layers ask for boxes by [`boxed_errors`](crate::XRayLayer::boxed_errors).
///
/// The type of an exception is the type of the error where that is known, and otherwise the first name in its `Debug`
/// text: `error` for an error that is plain text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded as an exception",
    label = "neither an error nor a box of one",
    note = "implement `std::error::Error` for it, or make one of it: `.map_err(BoxError::from)` does for text",
    note = "the error of a service may be a `BoxError` if `.boxed_errors()` is called on the X-Ray layer, and only then"
)]
pub trait AsError<Kind> {
    /// The error itself.
    fn as_error(&self) -> &dyn Error;

    /// Its type, where it is known.
    #[must_use]
    fn type_name() -> Option<&'static str>;
}

impl<E: Error + 'static> AsError<Typed> for E {
    fn as_error(&self) -> &dyn Error {
        self
    }

    fn type_name() -> Option<&'static str> {
        Some(std::any::type_name::<E>())
    }
}

impl AsError<Bare> for dyn Error + 'static {
    fn as_error(&self) -> &dyn Error {
        self
    }

    fn type_name() -> Option<&'static str> {
        None
    }
}

impl AsError<Bare> for dyn Error + Send + Sync + 'static {
    fn as_error(&self) -> &dyn Error {
        self
    }

    fn type_name() -> Option<&'static str> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<P> AsError<Boxed> for P
where
    P: Deref,
    P::Target: private::DynError,
{
    fn as_error(&self) -> &dyn Error {
        private::DynError::as_error(&**self)
    }

    fn type_name() -> Option<&'static str> {
        None
    }
}

mod private {
    use std::error::Error;

    /// The trait objects that an error can be behind. This trait is sealed.
    #[expect(unnameable_types, reason = "sealed")]
    pub trait DynError {
        fn as_error(&self) -> &dyn Error;
    }

    macro_rules! dyn_error {
        ($($object:ty),*) => {$(
            impl<'a> DynError for $object {
                fn as_error(&self) -> &dyn Error {
                    self
                }
            }
        )*};
    }

    dyn_error!(dyn Error + 'a, dyn Error + Send + 'a, dyn Error + Send + Sync + 'a);
}

/// Puts an error into a response's extensions, so that its segment tells why the status is what it is.
///
/// Whether the segment is an error or a fault is still the status's to say.
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
    /// It takes the error, so what the response needs of it has to be taken before.
    pub fn new<E: Into<Box<dyn Error + Send + Sync>>>(error: E) -> Self {
        Self(Description::of_error(&*error.into(), None, false).into())
    }

    pub(crate) fn description(&self) -> &Description {
        &self.0
    }
}

/// A chain of exceptions that is not yet part of a document.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// Outermost first; never empty.
    pub(crate) exceptions: Vec<Exception>,
    /// Where the outermost was recorded; empty unless backtraces are on.
    pub(crate) stack: Vec<Frame>,
    /// Frames left out at the end of the stack.
    pub(crate) truncated: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Exception {
    pub(crate) kind: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) remote: bool,
    /// Exceptions left out between this one and the next.
    pub(crate) skipped: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) label: String,
    pub(crate) path: String,
    pub(crate) line: u32,
}

impl Exception {
    /// Whether another entity, where it was described as this, has described the same.
    pub(super) fn is_described_as(&self, kind: &str, message: &str) -> bool {
        self.message == message || (self.kind == PANIC && self.message == UNKNOWN_PANIC && kind == PANIC)
    }
}

impl Description {
    /// `kind` is the type of the error, if it is known; the types of its sources never are.
    pub(crate) fn of_error(error: &dyn Error, kind: Option<&'static str>, remote: bool) -> Self {
        let mut exceptions: Vec<Exception> = Vec::new();
        let chain = std::iter::successors(Some(error), |&error| error.source()).take(MAX_DEPTH);
        let mut root_cause = None;
        for (depth, error) in chain.enumerate() {
            if depth < MAX_CHAIN {
                let kind = kind.filter(|_| depth == 0).map_or_else(|| debug_name(error).into(), Cow::Borrowed);
                exceptions.push(Exception { kind, message: message(error), remote, skipped: 0 });
            } else {
                root_cause = Some((error, depth));
            }
        }
        if let (Some((error, depth)), Some(last)) = (root_cause, exceptions.last_mut()) {
            last.kind = debug_name(error).into();
            last.message = message(error);
            exceptions[MAX_CHAIN - 2].skipped = (depth + 1 - MAX_CHAIN) as u32;
        }
        Self { exceptions, stack: Vec::new(), truncated: 0 }
    }

    /// An error of which only the text is certain, and its sources if it is a box that is known.
    pub(crate) fn of_opaque<E: fmt::Display + 'static>(error: &E, remote: bool) -> Self {
        match (error as &dyn Any).downcast_ref::<Box<dyn Error + Send + Sync>>() {
            Some(boxed) => Self::of_error(&**boxed, None, remote),
            None => Self::of_text(std::any::type_name::<E>(), error, remote),
        }
    }

    pub(crate) fn of_panic(payload: &(dyn Any + Send)) -> Self {
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => text,
            (None, Some(text)) => text.as_str(),
            (None, None) => "a panic whose payload is not text",
        };
        Self::of_text(PANIC, message, false)
    }

    /// A panic of which only that it has happened is known: one that was caught has said more.
    pub(crate) fn of_unknown_panic() -> Self {
        Self::of_text(PANIC, UNKNOWN_PANIC, false)
    }

    pub(crate) fn of_text(kind: impl Into<Cow<'static, str>>, text: impl fmt::Display, remote: bool) -> Self {
        let exception = Exception { kind: kind.into(), message: message(text), remote, skipped: 0 };
        Self { exceptions: vec![exception], stack: Vec::new(), truncated: 0 }
    }

    /// Leaves these texts out of every message, wherever they stand.
    pub(crate) fn without(mut self, secrets: &[String]) -> Self {
        for Exception { message, .. } in &mut self.exceptions {
            // A message that was cut may end within a secret.
            let is_cut = message.chars().count() == MAX_VALUE;
            for secret in secrets {
                *message = message.replace(secret, "");
                let part = |(end, _): &(usize, char)| message.ends_with(&secret[..*end]);
                let end = secret.char_indices().rev().find(part).filter(|_| is_cut);
                message.truncate(message.len() - end.map_or(0, |(end, _)| end));
            }
        }
        self
    }

    /// Adds the stack of the caller, without the frames of this crate on top of it.
    pub(crate) fn with_stack(mut self) -> Self {
        let text = Backtrace::force_capture().to_string();
        let frames = parse_frames(&text);
        let own = frames.iter().rposition(|frame| frame.label.contains("tower_xray::")).map_or(0, |last| last + 1);
        self.truncated = (frames.len() - own).saturating_sub(MAX_FRAMES) as u32;
        self.stack = frames.into_iter().skip(own).take(MAX_FRAMES).collect();
        self
    }
}

/// The first name in an error's `Debug` text: the only trace of its type that a trait object leaves.
///
/// The text is not written any further: the rest may be long, or a backtrace that takes its time.
fn debug_name(error: &dyn Error) -> String {
    struct Name(String);

    impl Write for Name {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            let room = MAX_STRING.saturating_sub(self.0.len());
            let name = part.chars().take(room).take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'));
            let before = self.0.len();
            self.0.extend(name);
            if self.0.len() - before < part.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let mut name = Name(String::new());
    // An error means that the name has ended.
    let _ = write!(name, "{error:?}");
    if name.0.is_empty() { "error".to_owned() } else { name.0 }
}

/// The message of an exception: within X-Ray's limit, and without what is secret in URLs.
///
/// It is cut afterwards: a part of a secret would not be known as one.
pub(crate) fn message(text: impl fmt::Display) -> String {
    let mut text = bounded(text, MAX_MESSAGE);
    if let Some(last_url) = text.rfind("://") {
        if text.len() >= MAX_MESSAGE {
            text.truncate(last_url);
        }
        text = without_url_secrets(&text);
    }
    text.truncate(cut(&text, MAX_VALUE).len());
    text
}

/// Leaves out the credentials, query and fragment of every URL: clients such as reqwest put whole ones into their errors.
///
/// A URL ends at white space, or at a character that [`http::Uri`] refuses. Punctuation at its end belongs to the text.
fn without_url_secrets(text: &str) -> String {
    let is_end = |c: char| c.is_whitespace() || "\"<>".contains(c);
    let mut kept = String::with_capacity(text.len());
    for word in text.split_inclusive(is_end) {
        let begin = word.find("://").unwrap_or(word.len());
        let end = word[begin..].find(['?', '#']).map_or(word.len(), |end| begin + end);
        let (mut url, secret) = word.split_at(end);
        while let Some((before, rest)) = url.split_once("://") {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            for part in [before, "://", host] {
                kept.push_str(part);
            }
            url = path;
        }
        kept.push_str(url);
        let secret_end = secret.trim_end_matches(|c: char| is_end(c) || ".,;:'`)]}".contains(c)).len();
        kept.push_str(&secret[secret_end..]);
    }
    kept
}

/// At most `max` characters of a text, without writing out the rest of it.
pub(crate) fn bounded(text: impl fmt::Display, max: usize) -> String {
    struct Bounded {
        text: String,
        left: usize,
    }

    impl Write for Bounded {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            let kept = cut(part, self.left);
            self.text.push_str(kept);
            self.left -= kept.chars().count();
            if kept.len() < part.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let mut out = Bounded { text: String::new(), left: max };
    // An error means that the bound is reached.
    let _ = write!(out, "{text}");
    out.text
}

/// Reads the standard library's backtrace text: `N: label` lines, each followed by `at path:line:column` if known.
fn parse_frames(text: &str) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(place) = line.strip_prefix("at ") {
            let mut parts = place.rsplitn(3, ':');
            let (_column, line, path) = (parts.next(), parts.next(), parts.next());
            if let (Some(frame), Some(path)) = (frames.last_mut(), path) {
                frame.path = bounded(path, MAX_STRING);
                frame.line = line.and_then(|line| line.parse().ok()).unwrap_or(0);
            }
        } else if let Some((number, label)) = line.split_once(": ") {
            if number.bytes().all(|byte| byte.is_ascii_digit()) {
                frames.push(Frame { label: bounded(label, MAX_STRING), path: String::new(), line: 0 });
            }
        }
    }
    frames
}
