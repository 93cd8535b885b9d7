//! The environment variables of the X-Ray SDKs: the one place where they are read.
//!
//! In: the variables of the process, or of a test. Out: settings that go before those in code.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::Relaxed},
};

/// What a client says when it is called outside of any trace. The call goes through in any case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ContextMissing {
    /// Nothing.
    IgnoreError,
    /// One event of level debug for every call.
    #[default]
    LogDebug,
    /// One event of level error, the first time.
    LogError,
}

/// What the recorder that was built last has read, for clients, which have no recorder where they have no context: one
/// more than the position in [`CONTEXT_MISSING`], or 0 while there is no recorder.
static OF_RECORDER: AtomicU8 = AtomicU8::new(0);

const CONTEXT_MISSING: [Option<ContextMissing>; 4] =
    [None, Some(ContextMissing::IgnoreError), Some(ContextMissing::LogDebug), Some(ContextMissing::LogError)];

/// What the environment of the recorder that was built last says about a missing context; while there is no recorder,
/// what the process says.
pub(crate) fn context_missing(of_process: Option<ContextMissing>) -> Option<ContextMissing> {
    let place = usize::from(OF_RECORDER.load(Relaxed)).checked_sub(1);
    place.map_or(of_process, |place| CONTEXT_MISSING[place])
}

/// Looks up one variable, without the spaces around its value; an unset, empty or unreadable one is nothing.
#[derive(Clone)]
pub(crate) struct Environment(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Environment {
    pub(crate) fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    pub(crate) fn process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        Self::new(|name| std::env::var(name).ok())
    }

    pub(crate) fn daemon_address(&self) -> Option<String> {
        self.get("AWS_XRAY_DAEMON_ADDRESS")
    }

    pub(crate) fn tracing_name(&self) -> Option<String> {
        self.get("AWS_XRAY_TRACING_NAME")
    }

    /// `AWS_XRAY_SDK_DISABLED=true` (as in Go) or `AWS_XRAY_SDK_ENABLED=false` (as in Python and Java).
    pub(crate) fn disabled(&self) -> bool {
        self.switch("AWS_XRAY_SDK_DISABLED") == Some(true) || self.switch("AWS_XRAY_SDK_ENABLED") == Some(false)
    }

    /// As in the X-Ray SDKs for Java and Python.
    #[cfg(feature = "sqlparser")]
    pub(crate) fn collect_sql_queries(&self) -> Option<bool> {
        self.switch("AWS_XRAY_COLLECT_SQL_QUERIES")
    }

    fn switch(&self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        let is = |words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
        match () {
            () if is(&["true", "t", "1", "yes", "y", "on"]) => Some(true),
            () if is(&["false", "f", "0", "no", "n", "off"]) => Some(false),
            () => None,
        }
    }

    pub(crate) fn context_missing(&self) -> Option<ContextMissing> {
        match self.get("AWS_XRAY_CONTEXT_MISSING")?.to_ascii_uppercase().as_str() {
            "IGNORE_ERROR" => Some(ContextMissing::IgnoreError),
            // A missing context is no reason to break the program, so the strictest setting says it as loudly as it can.
            "LOG_ERROR" | "RUNTIME_ERROR" => Some(ContextMissing::LogError),
            _ => None,
        }
    }

    /// Lets the clients of this process follow it in what they say about a missing context.
    pub(crate) fn rule_context_missing(&self) {
        let read = self.context_missing();
        let place = CONTEXT_MISSING.iter().position(|known| *known == read).unwrap_or_default();
        OF_RECORDER.store(place as u8 + 1, Relaxed);
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }
}
