//! The frames of a backtrace.
//!
//! In: the stack of the thread. Out: its frames, bounded in number, each within the limits of X-Ray.

use std::backtrace::Backtrace;

use super::redact::bounded;
use crate::document::limits::MAX_STRING;

/// The X-Ray SDK for Java keeps as many frames.
const MAX_FRAMES: usize = 50;

#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) label: String,
    pub(crate) path: String,
    pub(crate) line: u32,
}

/// The stack of the caller, without the frames of this crate on top of it; and how many frames were left out at its end.
pub(super) fn capture() -> (Vec<Frame>, u32) {
    let frames = parse_frames(&Backtrace::force_capture().to_string());
    let own = frames.iter().rposition(|frame| frame.label.contains("tower_xray::")).map_or(0, |last| last + 1);
    let truncated = (frames.len() - own).saturating_sub(MAX_FRAMES) as u32;
    (frames.into_iter().skip(own).take(MAX_FRAMES).collect(), truncated)
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
