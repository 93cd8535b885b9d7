//! Messages without what is secret in them.
//!
//! In: the text of an error, however long. Out: as much of it as X-Ray takes, in which URLs have lost what may be secret.

use std::{
    cmp::Reverse,
    fmt::{self, Write},
};

use crate::document::{limits::MAX_VALUE, text::truncate};

/// As much of a text is read to make a message of it. One that is longer may end within a URL.
pub(crate) const MAX_MESSAGE: usize = 8 * MAX_VALUE;

/// The message of an exception: within X-Ray's limit, and without what is secret in URLs.
///
/// It is truncated afterwards: a part of a secret would not be known as one.
pub(crate) fn message(text: impl fmt::Display) -> String {
    let mut text = bounded(text, MAX_MESSAGE);
    if let Some(last_url) = text.rfind("://") {
        if text.len() >= MAX_MESSAGE {
            text.truncate(last_url);
        }
        text = redact_urls(&text);
    }
    text.truncate(truncate(&text, MAX_VALUE).len());
    text
}

/// Leaves these texts out of a message, wherever they stand.
pub(super) fn redact_secrets(message: &mut String, secrets: &[String]) {
    // A message that was truncated may end within a secret.
    let is_truncated = message.chars().count() == MAX_VALUE;
    let mut secrets: Vec<&str> = secrets.iter().map(String::as_str).filter(|secret| !secret.is_empty()).collect();
    // One may be a part of another.
    secrets.sort_unstable_by_key(|secret| Reverse(secret.len()));
    for secret in secrets {
        *message = message.replace(secret, "");
        let part = |(end, _): &(usize, char)| message.ends_with(&secret[..*end]);
        let end = secret.char_indices().rev().find(part).filter(|_| is_truncated);
        message.truncate(message.len() - end.map_or(0, |(end, _)| end));
    }
}

/// Leaves out the credentials, query and fragment of every URL: clients such as reqwest put whole ones into their errors.
///
/// A URL ends at white space, or at a character that [`http::Uri`] refuses. Punctuation at its end belongs to the text.
fn redact_urls(text: &str) -> String {
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
            let kept = truncate(part, self.left);
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
