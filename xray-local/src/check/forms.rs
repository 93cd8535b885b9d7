//! In: a string of a document. Out: whether it has the form that its place demands.

use unicode_general_category::{GeneralCategory as Category, get_general_category};

/// Eight bytes in hexadecimal.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 16 && is_hex(text)
}

/// `1-`, eight hexadecimal digits, a dash, twenty-four of them.
pub(super) fn is_trace_id(text: &str) -> bool {
    let Some((epoch, random)) = text.strip_prefix("1-").and_then(|rest| rest.split_once('-')) else {
        return false;
    };
    epoch.len() == 8 && is_hex(epoch) && random.len() == 24 && is_hex(random)
}

pub(super) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || " _.:/%&#=+-@".contains(c)
        || matches!(
            get_general_category(c),
            Category::UppercaseLetter
                | Category::LowercaseLetter
                | Category::TitlecaseLetter
                | Category::ModifierLetter
                | Category::OtherLetter
                | Category::DecimalNumber
                | Category::LetterNumber
                | Category::OtherNumber
                | Category::SpaceSeparator
                | Category::LineSeparator
                | Category::ParagraphSeparator
        )
}

pub(super) fn is_annotation_key(key: &str, also: &str) -> bool {
    (1..=500).contains(&key.len()) && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || also.contains(c))
}

/// What the collector's `^(.+//.+)/([^\?]+)\??.*$` matches: `scheme://host/database`.
///
/// A dot does not match a newline there, `[^\?]` does.
pub(super) fn is_sql_url(url: &str) -> bool {
    let bytes = url.as_bytes();
    let Some(first) = url.chars().next() else {
        return false;
    };
    let Some(slashes) = url[first.len_utf8()..].find("//") else {
        return false;
    };
    // One character at least has to stand between the two slashes and the one before the database.
    let host = first.len_utf8() + slashes + 2;
    let first_newline = url.find('\n').unwrap_or(url.len());
    // After the first `?` behind the host no newline may follow, so no `?` may precede the last one.
    let last_newline = url.rfind('\n').unwrap_or(0);
    let no_host_before = url[..last_newline].rfind('?').map_or(0, |at| at + 1);
    (host + 1..first_newline)
        .any(|at| bytes[at] == b'/' && at >= no_host_before && bytes.get(at + 1).is_some_and(|next| *next != b'?'))
}

/// As Go's decoder compares keys: by simple case folding.
pub(super) fn fold(key: &str) -> String {
    key.to_uppercase().to_lowercase()
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}
