//! In: when an entity began and ended. Out: a bar, scaled to the whole trace, in half columns.

use serde_json::Value;

use crate::model::entity::{end, is_in_progress, start};
use crate::model::forest::Node;

/// The time that a whole trace takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline {
    start: f64,
    end: f64,
}

impl Timeline {
    pub(super) fn of(nodes: &[Node<'_>]) -> Self {
        let times = nodes.iter().flat_map(|node| [start(node.entity), end(node.entity)]);
        let times = times.flatten().filter(|time| time.is_finite());
        let (start, end) = times.fold((f64::MAX, f64::MIN), |(start, end), time| (start.min(time), end.max(time)));
        Self { start: start.min(end), end }
    }

    pub(super) fn seconds(self) -> f64 {
        self.end - self.start
    }

    /// Heavy where the entity ran; dashed up to the end where it still runs.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "the values are within the width of a terminal; `as` saturates"
    )]
    pub(super) fn bar(self, entity: &Value, columns: usize) -> String {
        let Some(start) = start(entity) else {
            return String::new();
        };
        let halves = columns * 2;
        let scaled = |time: f64| (time - self.start) / self.seconds().max(f64::MIN_POSITIVE) * halves as f64;
        let first = (scaled(start).floor() as usize).min(halves.saturating_sub(1));
        let last = match end(entity) {
            Some(end) => (scaled(end).ceil() as usize).clamp(first + 1, halves.max(first + 1)),
            None => halves,
        };
        let full = if is_in_progress(entity) { '┅' } else { '━' };
        let bar: String = (0..columns)
            .map(|column| {
                let runs = |half: usize| (first..last).contains(&half);
                match (runs(column * 2), runs(column * 2 + 1)) {
                    (true, true) => full,
                    (true, false) => '╸',
                    (false, true) => '╺',
                    (false, false) => ' ',
                }
            })
            .collect();
        bar.trim_end().to_owned()
    }
}
