//! In: the wishes of the caller. Out: how wide and how colourful a trace is drawn.

/// How [`Trace::render`](crate::Trace::render) draws.
///
/// ```
/// use xray_local::RenderOptions;
///
/// let options = RenderOptions::default().width(80).color(false);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RenderOptions {
    /// Columns that a line may take; 40 at least.
    pub width: usize,
    /// Whether to write ANSI colours.
    pub color: bool,
}

impl Default for RenderOptions {
    /// 100 columns, in colour.
    fn default() -> Self {
        Self { width: 100, color: true }
    }
}

impl RenderOptions {
    /// Sets the columns that a line may take.
    #[must_use]
    pub fn width(self, width: usize) -> Self {
        Self { width, ..self }
    }

    /// Sets whether to write ANSI colours; `anstream` removes them where they cannot be shown.
    #[must_use]
    pub fn color(self, color: bool) -> Self {
        Self { color, ..self }
    }

    /// The width, kept within what can be drawn and what is not a slip of the finger.
    pub(crate) fn columns(&self) -> usize {
        self.width.clamp(40, 1_000)
    }
}
