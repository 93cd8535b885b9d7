//! The tree as JSON, in one pass and straight into the caller's buffer.
//!
//! In: a closed tree. Out: one segment document as X-Ray's daemon, the CloudWatch agent and the OpenTelemetry
//! collector take it. Absent fields, empty objects and false flags are left out.

use std::fmt;

use serde::{Serialize, Serializer, ser::Error as _};

use super::{
    aws,
    entity::EntityDocument,
    json::{
        Key, List, key, seconds, write_float, write_id, write_integer, write_key, write_plain, write_string, write_text,
    },
    limits::OWN_NAMESPACE,
    segment::{Kind, SegmentDocument},
    tree::{Cut, Detail, Http, Index, NONE, Namespace, Node, Scalar, SqlField, Text, Tree},
};
use crate::id::{SegmentId, TraceId};

impl SegmentDocument {
    /// Returns the document as JSON, however large; see [`split`](Self::split) for pieces of bounded size.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(1024);
        self.write(&mut out);
        into_text(out)
    }

    /// Appends the whole document; returns how many levels deep its subsegments are nested.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> usize {
        out.reserve(self.tree.weight());
        self.write_part(0, |_| true, out)
    }

    /// Appends `top` and what is below it, except for subtrees whose root `keep` refuses.
    ///
    /// The walk keeps no stack, so depth costs nothing here.
    pub(crate) fn write_part(&self, top: Index, keep: impl Fn(Index) -> bool, out: &mut Vec<u8>) -> usize {
        let tree = &self.tree;
        let kept = |mut index: Index| {
            while index != NONE && !keep(index) {
                index = tree.next_sibling(index);
            }
            index
        };
        let (mut depth, mut deepest) = (0, 0);
        let mut index = top;
        self.write_own(index, true, out);
        loop {
            let child = kept(tree.first_child(index));
            if child != NONE {
                out.extend_from_slice(b",\"subsegments\":[");
                depth += 1;
                deepest = deepest.max(depth);
                index = child;
            } else {
                out.push(b'}');
                loop {
                    if index == top {
                        return deepest;
                    }
                    let sibling = kept(tree.next_sibling(index));
                    if sibling != NONE {
                        out.push(b',');
                        index = sibling;
                        break;
                    }
                    out.extend_from_slice(b"]}");
                    depth -= 1;
                    index = tree.parent(index);
                }
            }
            self.write_own(index, false, out);
        }
    }

    /// Appends the fields of one entity without its children and its closing brace.
    ///
    /// As the `top` of a document it says which trace and parent it belongs to.
    pub(crate) fn write_own(&self, index: Index, top: bool, out: &mut Vec<u8>) {
        let tree = &self.tree;
        let node = tree.node(index);
        let whole_segment = top && index == 0 && self.kind == Kind::Segment;
        let mut head = *b"{\"id\":\"................\",\"name\":";
        head[7..7 + SegmentId::LEN].copy_from_slice(&node.id.to_ascii());
        out.extend_from_slice(&head);
        write_plain(tree.bytes(node.name), out);
        if top {
            let mut trace_id = *b",\"trace_id\":\"1-........-........................\"";
            trace_id[13..13 + TraceId::LEN].copy_from_slice(&self.trace_id.to_ascii());
            out.extend_from_slice(&trace_id);
            if let Some(parent) = node.parent_id {
                write_id(key!("parent_id"), parent, out);
            }
            if !whole_segment {
                out.extend_from_slice(b",\"type\":\"subsegment\"");
            }
        }
        let mut start = *b",\"start_time\":.................";
        start[14..].copy_from_slice(&seconds(node.start));
        out.extend_from_slice(&start);
        if node.is_open() {
            out.extend_from_slice(b",\"in_progress\":true");
        } else {
            let mut end = *b",\"end_time\":.................";
            end[12..].copy_from_slice(&seconds(node.end));
            out.extend_from_slice(&end);
        }
        match node.namespace {
            Some(Namespace::Aws) => out.extend_from_slice(b",\"namespace\":\"aws\""),
            Some(Namespace::Remote) => out.extend_from_slice(b",\"namespace\":\"remote\""),
            None => {}
        }
        for (set, name) in [
            (node.flags.error, key!("error")),
            (node.flags.fault, key!("fault")),
            (node.flags.throttle, key!("throttle")),
            (node.http.traced, key!("traced")),
        ] {
            if set {
                write_key(name, out);
                out.extend_from_slice(b"true");
            }
        }
        self.write_http(&node.http, out);
        self.write_field(key!("user"), node.user, out);
        if whole_segment {
            self.write_resource(out);
        }
        if whole_segment || node.aws > 0 {
            self.write_aws(index, whole_segment, out);
        }
        if node.has_details() || node.cut != Cut::default() {
            self.write_sql(index, out);
            self.write_annotations(index, out);
            self.write_metadata(index, node, out);
            self.write_cause(index, out);
            self.write_links(index, out);
        }
    }

    fn write_http(&self, http: &Http, out: &mut Vec<u8>) {
        let request = !(http.method.is_empty() && http.url.is_empty());
        let response = http.status.is_some() || http.content_length.is_some();
        if !request && !response {
            return;
        }
        out.extend_from_slice(b",\"http\":{");
        if request {
            out.extend_from_slice(b"\"request\":{");
            if !http.method.is_empty() {
                write_key(key!("method"), out);
                write_plain(self.tree.bytes(http.method), out);
            }
            self.write_field(key!("url"), http.url, out);
            self.write_field(key!("user_agent"), http.user_agent, out);
            self.write_field(key!("client_ip"), http.client_ip, out);
            for (set, name) in [(http.x_forwarded_for, key!("x_forwarded_for")), (http.traced, key!("traced"))] {
                if set {
                    write_key(name, out);
                    out.extend_from_slice(b"true");
                }
            }
            out.push(b'}');
        }
        if response {
            write_key(key!("response"), out);
            out.push(b'{');
            if let Some(status) = http.status {
                write_key(key!("status"), out);
                write_integer(status, out);
            }
            if let Some(length) = http.content_length {
                write_key(key!("content_length"), out);
                write_integer(length, out);
            }
            out.push(b'}');
        }
        out.push(b'}');
    }

    fn write_resource(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.resource.fields().as_bytes());
        if let Some(rule) = self.sampling_rule_name() {
            write_key(key!("sampling_rule_name"), out);
            write_text(rule.as_bytes(), out);
        }
        out.push(b'}');
    }

    /// Goes on with the object that [`write_resource`](Self::write_resource) has begun, or writes one.
    fn write_aws(&self, index: Index, begun: bool, out: &mut Vec<u8>) {
        let mut list = if begun { List::begun(out) } else { List::new(key!("aws"), b'{', out) };
        for detail in self.tree.details(index) {
            let Detail::Aws { key, value } = detail else { continue };
            list.next();
            write_plain(self.tree.bytes(*key), list.out);
            list.out.push(b':');
            let is_list = aws::is_list(self.tree.str(*key));
            if is_list {
                list.out.push(b'[');
            }
            self.write_scalar(*value, list.out);
            if is_list {
                list.out.push(b']');
            }
        }
        list.end(b'}');
    }

    fn write_sql(&self, index: Index, out: &mut Vec<u8>) {
        let mut list = List::new(key!("sql"), b'{', out);
        for detail in self.tree.details(index) {
            let Detail::Sql { field, value } = detail else { continue };
            let Key(key) = match field {
                SqlField::ConnectionString => key!("connection_string"),
                SqlField::DatabaseType => key!("database_type"),
                SqlField::DatabaseVersion => key!("database_version"),
                SqlField::DriverVersion => key!("driver_version"),
                SqlField::Preparation => key!("preparation"),
                SqlField::SanitizedQuery => key!("sanitized_query"),
                SqlField::Url => key!("url"),
                SqlField::User => key!("user"),
            };
            list.next();
            list.out.extend_from_slice(key.as_bytes());
            write_text(self.tree.bytes(*value), list.out);
        }
        list.end(b'}');
    }

    fn write_annotations(&self, index: Index, out: &mut Vec<u8>) {
        let mut list = List::new(key!("annotations"), b'{', out);
        for detail in self.tree.details(index) {
            let Detail::Annotation { key, value } = detail else { continue };
            list.next();
            write_plain(self.tree.bytes(*key), list.out);
            list.out.push(b':');
            self.write_scalar(*value, list.out);
        }
        list.end(b'}');
    }

    fn write_metadata(&self, index: Index, node: &Node, out: &mut Vec<u8>) {
        let mut entries: Vec<(&[u8], Text, Text)> = Vec::new();
        for detail in self.tree.details(index) {
            let Detail::Metadata { namespace, key, json } = detail else { continue };
            entries.push((self.tree.bytes(*namespace), *key, *json));
        }
        entries.sort_by_key(|(namespace, ..)| *namespace);
        let mut list = List::new(key!("metadata"), b'{', out);
        for entries in entries.chunk_by(|a, b| a.0 == b.0) {
            list.next();
            write_text(entries[0].0, list.out);
            list.out.extend_from_slice(b":{");
            for (position, (_, key, json)) in entries.iter().enumerate() {
                if position > 0 {
                    list.out.push(b',');
                }
                write_text(self.tree.bytes(*key), list.out);
                list.out.push(b':');
                list.out.extend_from_slice(self.tree.bytes(*json));
            }
            list.out.push(b'}');
        }
        if node.cut != Cut::default() {
            list.next();
            write_text(OWN_NAMESPACE.as_bytes(), list.out);
            list.out.extend_from_slice(b":{\"cut\":[");
            for (position, part) in node.cut.parts().enumerate() {
                if position > 0 {
                    list.out.push(b',');
                }
                write_text(part.as_bytes(), list.out);
            }
            list.out.extend_from_slice(b"]}");
        }
        list.end(b'}');
    }

    fn write_cause(&self, index: Index, out: &mut Vec<u8>) {
        let tree = &self.tree;
        let described = tree.details(index).any(|detail| matches!(detail, Detail::Exception { .. }));
        if !described {
            if let Some(id) = EntityDocument::new(tree, index).cause_id() {
                write_id(key!("cause"), id, out);
            }
            return;
        }
        write_key(key!("cause"), out);
        out.push(b'{');
        write_string(key!("working_directory"), self.resource.working_directory().as_bytes(), out);
        let mut list = List::new(key!("exceptions"), b'[', out);
        let mut exceptions = tree.details(index).peekable();
        while let Some(detail) = exceptions.next() {
            let Detail::Exception { id, kind, message, remote, cause, skipped, truncated } = *detail else { continue };
            list.next();
            let out = &mut *list.out;
            out.extend_from_slice(b"{\"id\":\"");
            out.extend_from_slice(&id.to_ascii());
            out.push(b'"');
            self.write_field(key!("type"), kind, out);
            self.write_field(key!("message"), message, out);
            if remote {
                out.extend_from_slice(b",\"remote\":true");
            }
            for (count, name) in [(skipped, key!("skipped")), (truncated, key!("truncated"))] {
                if count > 0 {
                    write_key(name, out);
                    write_integer(count, out);
                }
            }
            if let Some(cause) = cause {
                write_id(key!("cause"), cause, out);
            }
            let mut stack = List::new(key!("stack"), b'[', out);
            while let Some(Detail::Frame { path, label, line }) = exceptions.peek() {
                stack.next();
                stack.out.extend_from_slice(b"{\"line\":");
                write_integer(*line, stack.out);
                self.write_field(key!("path"), *path, stack.out);
                self.write_field(key!("label"), *label, stack.out);
                stack.out.push(b'}');
                exceptions.next();
            }
            stack.end(b']');
            list.out.push(b'}');
        }
        list.end(b']');
        out.push(b'}');
    }

    fn write_links(&self, index: Index, out: &mut Vec<u8>) {
        let mut list = List::new(key!("links"), b'[', out);
        for detail in self.tree.details(index) {
            let Detail::Link { trace_id, id } = detail else { continue };
            list.next();
            list.out.extend_from_slice(b"{\"trace_id\":\"");
            list.out.extend_from_slice(&trace_id.to_ascii());
            list.out.push(b'"');
            write_id(key!("id"), *id, list.out);
            list.out.push(b'}');
        }
        list.end(b']');
    }

    fn write_scalar(&self, value: Scalar, out: &mut Vec<u8>) {
        match value {
            Scalar::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Scalar::Float(value) => write_float(value, out),
            Scalar::Integer(value) => write_integer(value, out),
            Scalar::Text(value) => write_text(self.tree.bytes(value), out),
        }
    }

    fn write_field(&self, key: Key, value: Text, out: &mut Vec<u8>) {
        write_string(key, self.tree.bytes(value), out);
    }

    /// How many bytes one attribute takes, about.
    pub(crate) fn detail_len(tree: &Tree, detail: &Detail, scratch: &mut Vec<u8>) -> usize {
        scratch.clear();
        let texts = match *detail {
            Detail::Annotation { key, value: Scalar::Text(value) }
            | Detail::Aws { key, value: Scalar::Text(value) } => [key, value, Text::default()],
            Detail::Annotation { key, .. } | Detail::Aws { key, .. } => [key, Text::default(), Text::default()],
            Detail::CauseReference(_) | Detail::Link { .. } => [Text::default(); 3],
            Detail::Exception { kind, message, .. } => [kind, message, Text::default()],
            Detail::Frame { path, label, .. } => [path, label, Text::default()],
            Detail::Metadata { key, json, .. } => [key, json, Text::default()],
            Detail::Sql { value, .. } => [value, Text::default(), Text::default()],
        };
        for text in texts {
            write_text(tree.bytes(text), scratch);
        }
        scratch.len()
    }
}

impl fmt::Display for SegmentDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

impl Serialize for SegmentDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let document: serde_json::Value = serde_json::from_str(&self.to_json()).map_err(S::Error::custom)?;
        document.serialize(serializer)
    }
}

/// What the writer has written: text joined with text, so nothing is ever replaced.
pub(super) fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
