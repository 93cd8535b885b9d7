//! In: text that a stranger wrote. Out: text that a terminal shows as it is, cut to a number of columns.

use std::fmt::Write as _;

use unicode_general_category::{GeneralCategory as Category, get_general_category};
use unicode_width::UnicodeWidthChar;

/// Marks that something was cut.
const CUT: char = '…';

/// More combining marks than this on one character would smear over the lines above and below.
const MARKS: usize = 3;

/// True for what moves the cursor, changes colours, reorders the line, or cannot be seen.
pub(crate) fn is_unsafe(c: char) -> bool {
    !matches!(c, ' '..='~')
        && matches!(
            get_general_category(c),
            Category::Control
                | Category::Format
                | Category::LineSeparator
                | Category::ParagraphSeparator
                | Category::PrivateUse
                | Category::Surrogate
                | Category::Unassigned
        )
}

/// Columns that already safe text takes, counted as terminals do: one character after the other.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Escapes the text and cuts it to at most `limit` columns.
pub(crate) fn fit(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    let mut used = 0;
    // Where to cut, should it turn out that something has to leave.
    let mut cut_at = 0;
    let mut marks = 0;
    for c in text.chars() {
        let before = shown.len();
        marks = if columns(c) == 0 { marks + 1 } else { 0 };
        if is_unsafe(c) || marks > MARKS {
            escape(c, &mut shown);
        } else {
            shown.push(c);
        }
        used += width(&shown[before..]);
        if used > limit {
            shown.truncate(cut_at);
            if limit > 0 {
                shown.push(CUT);
            }
            return shown;
        }
        if used < limit {
            cut_at = shown.len();
        }
    }
    shown
}

/// The text in quotes, for a message.
pub(crate) fn quote(text: &str) -> String {
    format!("\"{}\"", fit(text, 60))
}

/// Writes unsafe characters of a JSON text as JSON escapes, so that its meaning stays.
pub(crate) fn escape_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

fn escape(c: char, shown: &mut String) {
    match c {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        _ => shown.extend(c.escape_unicode()),
    }
}

fn columns(c: char) -> usize {
    c.width().unwrap_or(0)
}
