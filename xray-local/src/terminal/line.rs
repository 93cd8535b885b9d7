//! In: pieces of text that strangers wrote, each with a style. Out: one line that keeps to its width.

use std::fmt::Write as _;

use anstyle::Style;

use crate::text;

/// A line under construction. It escapes all it is given and cuts what goes past its width.
#[derive(Debug)]
pub(super) struct Line {
    shown: String,
    used: usize,
    width: usize,
    color: bool,
}

impl Line {
    pub(super) fn new(width: usize, color: bool) -> Self {
        Self { shown: String::new(), used: 0, width, color }
    }

    /// Columns that are still free.
    pub(super) fn left(&self) -> usize {
        self.width - self.used
    }

    pub(super) fn add(&mut self, style: Style, text: &str) {
        self.add_within(self.left(), style, text);
    }

    /// Adds the text, cut to `limit` columns.
    pub(super) fn add_within(&mut self, limit: usize, style: Style, text: &str) {
        let text = text::fit(text, limit.min(self.left()));
        self.used += text::width(&text);
        if self.color && !text.trim().is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(self.shown, "{style}{text}{style:#}");
        } else {
            self.shown.push_str(&text);
        }
    }

    /// Adds the text so that it ends where a column of this width would.
    pub(super) fn add_right(&mut self, width: usize, style: Style, text: &str) {
        let text = text::fit(text, width);
        self.skip_to(self.used + width.saturating_sub(text::width(&text)));
        self.add(style, &text);
    }

    /// Fills up with spaces.
    pub(super) fn skip_to(&mut self, column: usize) {
        let missing = column.min(self.width).saturating_sub(self.used);
        self.shown.extend(std::iter::repeat_n(' ', missing));
        self.used += missing;
    }

    pub(super) fn finish(self, text: &mut String) {
        text.push_str(self.shown.trim_end_matches(' '));
        text.push('\n');
    }
}
