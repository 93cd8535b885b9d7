//! Traces as text, to be compared as a whole.
//!
//! In: the documents of all services. Out: a line for each segment and subsegment, indented below what it is part of.

use tower_xray::{
    SegmentId,
    document::{AnnotationValue, EntityDocument, SegmentDocument},
};

/// `name annotations flags | causes`. `→` is followed by the names of what a segment is linked to, `remote` marks the errors
/// of another service. Segments and subsegments are in the order of their beginning.
pub(crate) fn tree(documents: &[SegmentDocument]) -> String {
    let roots: Vec<_> = documents.iter().map(SegmentDocument::root).collect();
    let mut all = Vec::new();
    let mut pending = roots.clone();
    while let Some(entity) = pending.pop() {
        all.push(entity);
        pending.extend(entity.subsegments());
    }
    let is_known = |id: SegmentId| all.iter().any(|entity| entity.id() == id);
    let mut text = String::new();
    let mut tops: Vec<_> = roots.iter().filter(|root| !root.parent_id().is_some_and(is_known)).copied().collect();
    tops.sort_by_key(|top| top.start_time());
    for top in tops {
        write(top, 0, &all, &roots, &mut text);
    }
    text
}

fn write<'a>(
    entity: EntityDocument<'a>,
    depth: usize,
    all: &[EntityDocument<'a>],
    roots: &[EntityDocument<'a>],
    text: &mut String,
) {
    text.push_str(&"  ".repeat(depth));
    text.push_str(&line(entity, all));
    text.push('\n');
    let segments = roots.iter().copied().filter(|root| root.parent_id() == Some(entity.id()));
    let mut below: Vec<_> = entity.subsegments().chain(segments).collect();
    below.sort_by_key(|below| below.start_time());
    for entity in below {
        write(entity, depth + 1, all, roots, text);
    }
}

/// What is known of one of them.
pub(crate) fn line(entity: EntityDocument<'_>, all: &[EntityDocument<'_>]) -> String {
    let mut line = entity.name().to_owned();
    for (key, value) in entity.annotations() {
        let value = match value {
            AnnotationValue::Text(text) => text.into_owned(),
            AnnotationValue::Integer(value) => value.to_string(),
            AnnotationValue::Bool(value) => value.to_string(),
            value => format!("{value:?}"),
        };
        line += &format!(" {key}={value}");
    }
    for (is_set, flag) in [(entity.error(), "error"), (entity.throttle(), "throttle"), (entity.fault(), "fault")] {
        if is_set {
            line = line + " " + flag;
        }
    }
    for (_, id) in entity.links() {
        let linked = all.iter().find(|other| other.id() == id).map_or("unknown", |other| other.name());
        line = line + " → " + linked;
    }
    for exception in entity.exceptions() {
        let remote = if exception.remote() { "remote " } else { "" };
        let message = exception.message().replace('\n', " ");
        line += &format!(" | {remote}{}: {message}", exception.type_name());
    }
    line
}
