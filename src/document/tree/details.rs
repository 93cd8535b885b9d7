//! What is said about an entity: annotations, metadata, links, exceptions.
//!
//! In: values within the limits of X-Ray, or to be brought within them. Out: attributes chained to a node.

use std::borrow::Cow;

use super::{
    arena::Tree,
    lookup::{Name, name},
    node::{Attribute, Detail, Index, NONE, Scalar, SqlField, State},
};
use crate::{
    document::{
        annotation::AnnotationValue,
        aws,
        cause::{Description, Exception},
        limits::{MAX_LINKS, MAX_STATEMENT, MAX_STRING, MAX_VALUE, OWN_NAMESPACE},
        text::{sanitize_key, truncate},
    },
    id::{SegmentId, TraceId},
};

/// An error on its way up was told as one of so many last attributes; one that is not found there is described again.
const RECENT: usize = 256;

/// An entity with more attributes than this has a [`Lookup`]; looking at so few is cheaper without.
const FEW: usize = 32;

/// Keys that the `aws` object of one entity has at most.
const MAX_AWS: u8 = 50;

/// These keys are looked up like those of metadata, in a namespace that metadata cannot have.
const AWS: &str = "AWS.";

impl Tree {
    pub(crate) fn annotate(&mut self, index: Index, key: &str, value: &AnnotationValue<'_>) {
        let key = sanitize_key(key);
        let value = self.write_scalar(value, MAX_VALUE);
        match self.find(index, None, &key) {
            Some(place) => {
                if let Detail::Annotation { value: old, .. } = &mut self.attributes[place as usize].detail {
                    *old = value;
                }
            }
            None => {
                let key = self.write(&key);
                self.attach(index, Detail::Annotation { key, value });
            }
        }
    }

    /// Adds to the `aws` object; false if that is full, or wants another value.
    pub(crate) fn add_aws(&mut self, index: Index, key: &str, value: AnnotationValue<'_>) -> bool {
        let key = aws::sanitize_key(key);
        let Some(value) = aws::sanitize_value(&key, value) else { return false };
        let place = if self.node(index).aws == 0 { None } else { self.find(index, Some(AWS), &key) };
        if place.is_none() && self.node(index).aws == MAX_AWS {
            self.node_mut(index).cut.aws = true;
            return false;
        }
        let value = self.write_scalar(&value, MAX_STRING);
        match place {
            Some(place) => {
                if let Detail::Aws { value: old, .. } = &mut self.attributes[place as usize].detail {
                    *old = value;
                }
            }
            None => {
                let key = self.write(&key);
                self.attach(index, Detail::Aws { key, value });
                self.node_mut(index).aws += 1;
            }
        }
        true
    }

    fn write_scalar(&mut self, value: &AnnotationValue<'_>, max: usize) -> Scalar {
        match value {
            AnnotationValue::Bool(value) => Scalar::Bool(*value),
            AnnotationValue::Float(value) => Scalar::Float(*value),
            AnnotationValue::Integer(value) => Scalar::Integer(*value),
            AnnotationValue::Text(value) => Scalar::Text(self.write(truncate(value, max))),
        }
    }

    /// `json` is one valid JSON value.
    pub(crate) fn add_metadata(&mut self, index: Index, namespace: &str, key: &str, json: &str) {
        // X-Ray segment documents: keys that begin with `AWS.` are reserved. In our own namespace we tell what was cut.
        let namespace = &*match namespace.strip_prefix("AWS.") {
            Some(rest) => Cow::Owned(format!("AWS_{rest}")),
            None if namespace == OWN_NAMESPACE => Cow::Owned(format!("{OWN_NAMESPACE}_")),
            None => Cow::Borrowed(namespace),
        };
        let json = self.write(json);
        match self.find(index, Some(namespace), key) {
            Some(place) => {
                if let Detail::Metadata { json: old, .. } = &mut self.attributes[place as usize].detail {
                    *old = json;
                }
            }
            None => {
                let (namespace, key) = (self.write(namespace), self.write(key));
                self.attach(index, Detail::Metadata { namespace, key, json });
            }
        }
    }

    /// Adds a field of a query, unless the value is empty or the field has one already.
    pub(crate) fn add_sql(&mut self, index: Index, field: SqlField, value: &str) {
        let is_known = |detail: &Detail| matches!(detail, Detail::Sql { field: known, .. } if *known == field);
        if !value.is_empty() && !self.details(index).any(is_known) {
            let value = match field {
                SqlField::SanitizedQuery => self.write(truncate(value, MAX_STATEMENT)),
                _ => self.write_string(value),
            };
            self.attach(index, Detail::Sql { field, value });
        }
    }

    pub(crate) fn add_link(&mut self, index: Index, trace_id: TraceId, id: SegmentId) {
        // Once there is one too many, there is no need to count again.
        if self.node(index).cut.links {
            return;
        }
        let mut links = 0;
        for detail in self.details(index) {
            let Detail::Link { trace_id: other, id: other_id } = *detail else { continue };
            if (trace_id, id) == (other, other_id) {
                return;
            }
            links += 1;
        }
        if links < MAX_LINKS {
            self.attach(index, Detail::Link { trace_id, id });
        } else {
            self.node_mut(index).cut.links = true;
        }
    }

    /// Describes an error at an entity; what an entity below it has described already is referred to.
    pub(crate) fn add_exceptions(
        &mut self,
        index: Index,
        description: &Description,
        mut new_id: impl FnMut() -> SegmentId,
    ) {
        let known: Vec<_> =
            description.exceptions.iter().map(|exception| self.described_below(index, exception)).collect();
        let first_known = known.iter().position(Option::is_some).unwrap_or(known.len());
        if let (0, Some(Some(id))) = (first_known, known.first()) {
            if !self.details(index).any(|detail| matches!(detail, Detail::CauseReference(_) | Detail::Exception { .. }))
            {
                self.attach(index, Detail::CauseReference(*id));
            }
            return;
        }
        let ids: Vec<SegmentId> = (0..first_known).map(|_| new_id()).collect();
        for (position, exception) in description.exceptions[..first_known].iter().enumerate() {
            let kind = self.write_string(&exception.kind);
            let message = self.write(&exception.message);
            let cause = ids.get(position + 1).copied().or_else(|| known.get(position + 1).copied().flatten());
            self.attach(
                index,
                Detail::Exception {
                    id: ids[position],
                    kind,
                    message,
                    remote: exception.remote,
                    cause,
                    skipped: exception.skipped,
                    truncated: if position == 0 { description.truncated } else { 0 },
                },
            );
            if position == 0 {
                for frame in &description.stack {
                    let (path, label) = (self.write(&frame.path), self.write(&frame.label));
                    self.attach(index, Detail::Frame { path, label, line: frame.line });
                }
            }
        }
    }

    /// The same exception at a direct child that failed; of several children, at the one that told it last.
    fn described_below(&self, index: Index, exception: &Exception) -> Option<SegmentId> {
        let recent = || self.attributes.iter().rev().take(RECENT);
        let described = |detail: &Detail| match *detail {
            Detail::Exception { id, kind, message, .. } => {
                exception.is_described_as(self.str(kind), self.str(message)).then_some(id)
            }
            _ => None,
        };
        // The child may itself refer to a deeper one, which it does not describe again.
        let referred = |detail: &Detail| match *detail {
            Detail::CauseReference(id) => recent().find_map(|attribute| match attribute.detail {
                Detail::Exception { id: deeper, .. } if deeper == id => described(&attribute.detail),
                _ => None,
            }),
            _ => None,
        };
        let of_failed_child = |attribute: &&Attribute| {
            let node = self.node(attribute.node);
            node.parent == index && node.state != State::Vacant && (node.flags.fault || node.flags.error)
        };
        recent()
            .filter(of_failed_child)
            .find_map(|attribute| described(&attribute.detail).or_else(|| referred(&attribute.detail)))
    }

    /// Removes the attributes of a node that `drop` chooses.
    pub(crate) fn remove_details(&mut self, index: Index, mut drop: impl FnMut(&Self, &Detail) -> bool) {
        let kept: Vec<Index> =
            self.places(index).filter(|place| !drop(self, &self.attributes[*place as usize].detail)).collect();
        for pair in kept.windows(2) {
            self.attributes[pair[0] as usize].next = pair[1];
        }
        if let Some(last) = kept.last() {
            self.attributes[*last as usize].next = NONE;
        }
        self.lookup = None;
        let node = self.node_mut(index);
        node.first_attribute = kept.first().copied().unwrap_or(NONE);
        node.last_attribute = kept.last().copied().unwrap_or(NONE);
    }

    fn attach(&mut self, index: Index, detail: Detail) {
        let place = self.attributes.len() as Index;
        self.attributes.push(Attribute { next: NONE, node: index, detail });
        match self.node(index).last_attribute {
            NONE => self.node_mut(index).first_attribute = place,
            last => self.attributes[last as usize].next = place,
        }
        self.node_mut(index).last_attribute = place;
        if self.lookup.is_some() {
            let (id, name) = (self.node(index).id, self.name(&detail));
            let known = self.lookup.as_mut().and_then(|lookup| lookup.get_mut(&id));
            if let (Some(known), Some(name)) = (known, name) {
                known.insert(name, place);
            }
        }
    }

    /// The annotation with this key, or the metadata with this namespace and key; that of [`AWS`] is the `aws` object.
    ///
    /// Keys that differ by case only would become one in the collector, so they are one here.
    fn find(&mut self, index: Index, namespace: Option<&str>, key: &str) -> Option<Index> {
        let mut place = self.node(index).first_attribute;
        for _ in 0..FEW {
            // There is nothing at the end of the chain.
            let Attribute { next, detail, .. } = self.attributes.get(place as usize)?;
            let same = match (detail, namespace) {
                (Detail::Annotation { key: old, .. }, None) => self.str(*old).eq_ignore_ascii_case(key),
                (Detail::Aws { key: old, .. }, Some(AWS)) => self.str(*old) == key,
                (Detail::Metadata { namespace: other, key: old, .. }, Some(namespace)) => {
                    self.str(*other) == namespace && self.str(*old).eq_ignore_ascii_case(key)
                }
                _ => false,
            };
            if same {
                return Some(place);
            }
            place = *next;
        }
        if place == NONE {
            return None;
        }
        let id = self.node(index).id;
        if !self.lookup.as_ref().is_some_and(|lookup| lookup.contains_key(&id)) {
            let known = |place: Index| Some((self.name(&self.attributes[place as usize].detail)?, place));
            let known = self.places(index).filter_map(known).collect();
            self.lookup.get_or_insert_default().insert(id, known);
        }
        self.lookup.as_ref()?.get(&id)?.get(&name(namespace, key)).copied()
    }

    fn name(&self, detail: &Detail) -> Option<Name> {
        match detail {
            Detail::Annotation { key, .. } => Some(name(None, self.str(*key))),
            Detail::Aws { key, .. } => Some(name(Some(AWS), self.str(*key))),
            Detail::Metadata { namespace, key, .. } => Some(name(Some(self.str(*namespace)), self.str(*key))),
            _ => None,
        }
    }
}
