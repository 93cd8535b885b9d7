//! In: a trace. Out: its picture: a line of summary, then the tree of its entities beside a time line.

use anstyle::Style;

use super::describe::{self, State};
use super::exceptions::Recorded;
use super::line::Line;
use super::timeline::Timeline;
use crate::model::entity::string;
use crate::model::forest::Forest;
use crate::model::trace::Trace;
use crate::options::RenderOptions;
use crate::text;

/// Below this the bars leave, and no name is cut to less.
const NARROW: usize = 60;

impl Trace {
    /// Draws the trace as a tree: a line of summary, then a line or more per entity.
    #[must_use]
    pub fn render(&self, options: &RenderOptions) -> String {
        let forest = Forest::of(self);
        let picture = Picture {
            recorded: Recorded::of(&forest),
            timeline: Timeline::of(&forest.nodes),
            columns: Columns::of(&forest, options.columns()),
            color: options.color,
            forest,
        };
        let mut text = String::new();
        picture.summary(self.id(), &mut text);
        picture.tree(&mut text);
        text
    }
}

struct Picture<'a> {
    forest: Forest<'a>,
    recorded: Recorded<'a>,
    timeline: Timeline,
    columns: Columns,
    color: bool,
}

/// Widths of the columns: the tree, the status, the duration, the bar.
#[derive(Clone, Copy)]
struct Columns {
    all: usize,
    tree: usize,
    status: usize,
    duration: usize,
    bar: usize,
}

impl Columns {
    const GAP: usize = 2;

    fn of(forest: &Forest<'_>, all: usize) -> Self {
        let entities = || forest.nodes.iter().map(|node| node.entity);
        let status = entities().map(|entity| text::width(&describe::status(entity))).max().unwrap_or(0).min(12);
        let duration = entities().filter_map(describe::elapsed).map(|text| text::width(&text)).max().unwrap_or(0);
        let bar = if all < NARROW { 0 } else { (all * 3 / 10).min(60) };
        let gap = |column: usize| if column == 0 { 0 } else { column + Self::GAP };
        let tree = all.saturating_sub(gap(status) + gap(duration) + gap(bar));
        Self { all, tree, status, duration, bar }
    }
}

/// A place in the tree: what stands left of it.
struct Place {
    node: usize,
    depth: usize,
    is_last: bool,
}

impl Picture<'_> {
    fn summary(&self, id: &str, text: &mut String) {
        let mut line = Line::new(self.columns.all, self.color);
        line.add(Style::new().bold(), id);
        let Some(root) = self.forest.roots.first().map(|root| self.forest.nodes[*root].entity) else {
            line.finish(text);
            return;
        };
        let status = describe::status(root);
        let total = describe::duration(self.timeline.seconds());
        let tail = text::width(&status) + 2 + text::width(&total);
        let free = line.left().saturating_sub(tail + 4);
        let (method, url) = describe::request(root);
        let url = if text::width(method) + 1 + text::width(url) > free { describe::without_scheme(url) } else { url };
        line.add(Style::new(), "  ");
        line.add_within(free, Style::new(), format!("{method} {url}").trim());
        line.add(Style::new(), "  ");
        line.add_right(line.left().saturating_sub(text::width(&total) + 2), State::of(root).style(), &status);
        line.add(Style::new(), "  ");
        line.add(Style::new().bold(), &total);
        line.finish(text);
    }

    /// Draws depth first, with a stack of its own: a tree may be as deep as it has nodes.
    fn tree(&self, text: &mut String) {
        let place = |depth| move |(index, node): (usize, &usize)| Place { node: *node, depth, is_last: index == 0 };
        let mut todo: Vec<Place> = self.forest.roots.iter().rev().enumerate().map(place(0)).collect();
        // For each level above, whether more siblings follow further down.
        let mut open: Vec<bool> = Vec::new();
        while let Some(Place { node, depth, is_last }) = todo.pop() {
            open.truncate(depth);
            self.entity(node, &open, is_last, text);
            open.push(!is_last);
            let children = &self.forest.nodes[node].children;
            self.details(node, &open, text);
            todo.extend(children.iter().rev().enumerate().map(place(depth + 1)));
        }
    }

    fn entity(&self, node: usize, above: &[bool], is_last: bool, text: &mut String) {
        let Columns { all, tree, status, duration: time, bar } = self.columns;
        let entity = self.forest.nodes[node].entity;
        let state = State::of(entity);
        let mut line = Line::new(all, self.color);

        self.guides(&mut line, above);
        if !above.is_empty() {
            line.add(Style::new().dimmed(), if is_last { "└─ " } else { "├─ " });
        }
        let used = all - line.left();
        let name = string(entity, &["name"]).unwrap_or("?");
        let style = if above.is_empty() { Style::new().bold() } else { Style::new() };
        line.add_within(tree.saturating_sub(used), style, name);
        // The summary has said what the first root was asked for.
        let hint = match describe::hint(entity) {
            _ if self.forest.roots.first() == Some(&node) => string(entity, &["origin"]).unwrap_or_default().to_owned(),
            hint => hint,
        };
        let room = tree.saturating_sub(all - line.left() + Columns::GAP);
        if room >= text::width(&hint).min(6) && !hint.is_empty() {
            line.add(Style::new(), "  ");
            line.add_within(room, Style::new().dimmed(), &hint);
        }

        line.skip_to(tree);
        if status > 0 {
            line.skip_to(all - line.left() + Columns::GAP);
            line.add_right(status, state.style(), &describe::status(entity));
        }
        if time > 0 {
            line.skip_to(all - line.left() + Columns::GAP);
            line.add_right(time, Style::new(), &describe::elapsed(entity).unwrap_or_default());
        }
        line.skip_to(all - bar);
        line.add(state.style(), &self.timeline.bar(entity, bar));
        line.finish(text);
    }

    /// Annotations, then what went wrong.
    fn details(&self, node: usize, above: &[bool], text: &mut String) {
        let entity = self.forest.nodes[node].entity;
        let has_children = !self.forest.nodes[node].children.is_empty();
        let begin = || {
            let mut line = Line::new(self.columns.all, self.color);
            self.guides(&mut line, above);
            line.add(Style::new().dimmed(), if has_children { "│  " } else { "   " });
            line
        };
        let annotations = describe::annotations(entity);
        if !annotations.is_empty() {
            let mut line = begin();
            for (key, value) in annotations {
                line.add(Style::new().dimmed(), &format!("{key}="));
                line.add(Style::new(), &format!("{value}  "));
            }
            line.finish(text);
        }
        for pieces in self.recorded.lines(&self.forest, entity) {
            let mut line = begin();
            for (style, piece) in pieces {
                line.add(style, &piece);
            }
            line.finish(text);
        }
    }

    /// The guides of the levels above, as many as leave room for a name; how many more there are.
    fn guides(&self, line: &mut Line, above: &[bool]) {
        // The top has no guide of its own.
        let levels = above.get(1..).unwrap_or_default();
        let shown = levels.len().min(self.columns.tree / 6);
        let guides: String = levels[..shown].iter().map(|open| if *open { "│  " } else { "   " }).collect();
        line.add(Style::new().dimmed(), &guides);
        if shown < levels.len() {
            line.add(Style::new().dimmed(), &format!("+{} ", levels.len() - shown));
        }
    }
}
