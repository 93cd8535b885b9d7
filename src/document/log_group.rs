//! The log groups of CloudWatch Logs that a service writes to.
//!
//! In: names or ARNs of a user's. Out: what segment documents say of them, so that the X-Ray console finds the lines of
//! a trace.

use super::{limits::MAX_STRING, text::truncate};

/// They are part of every segment.
pub(crate) const MAX_LOG_GROUPS: usize = 5;

/// CloudWatch Logs: the name of a log group has at most 512 characters.
const MAX_NAME: usize = 512;
/// No partition, region and account take as much as an ARN has room for besides the name.
const MAX_ARN: usize = MAX_NAME + 128;

/// A log group of CloudWatch Logs that a service writes to: see [`Resource::log_groups`](super::Resource::log_groups).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogGroup {
    name: String,
    arn: Option<String>,
}

/// A text that is neither the name nor the ARN of a log group.
#[derive(Debug)]
pub(crate) struct InvalidLogGroup(pub(crate) String);

impl LogGroup {
    pub(crate) fn new(text: &str) -> Result<Self, InvalidLogGroup> {
        let invalid = || InvalidLogGroup(truncate(text, MAX_STRING).to_owned());
        let is_arn = text.starts_with("arn:");
        let name = if is_arn { name_of_arn(text).ok_or_else(invalid)? } else { text };
        // CloudWatch Logs: the characters of a name.
        let is_name_char = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/.#".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_name_char) {
            return Err(invalid());
        }
        Ok(Self { name: name.to_owned(), arn: is_arn.then(|| text.to_owned()) })
    }

    /// Returns its name: at most 512 characters.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its ARN, if it was given by that.
    #[must_use]
    pub fn arn(&self) -> Option<&str> {
        self.arn.as_deref()
    }
}

/// `arn:partition:logs:region:account:log-group:name`, with `:*` behind it where AWS shows it so.
fn name_of_arn(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.strip_suffix(":*").unwrap_or(arn).split(':').collect();
    let [_, _, "logs", _, _, "log-group", name] = parts[..] else { return None };
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
    (arn.len() <= MAX_ARN && arn.bytes().all(is_plain)).then_some(name)
}
