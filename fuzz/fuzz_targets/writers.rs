//! Whatever is said about entities, in whatever order, is in the documents: once, within the limits, as valid JSON.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use tower_xray::{
    Entity, Segment, SegmentId, Subsegment, TraceId,
    document::{AnnotationValue, MAX_DOCUMENT, Namespace},
};
use tower_xray_fuzz::{Data, Failure, entities, first_chars, read_document, read_json, recorder, set_time, time};

#[derive(Arbitrary, Debug)]
struct Input {
    segment: String,
    start: u64,
    origin: Option<String>,
    version: Option<String>,
    said: Vec<(u8, Said)>,
}

#[derive(Arbitrary, Debug)]
enum Said {
    Annotation(Key, Annotation),
    Metadata(Key, Data),
    MetadataIn(Key, Key, Data),
    OwnMetadata(Data),
    User(String),
    Link(u32, u128, u64),
    Error(Chain),
    Fault(Chain),
    Boxed(Chain),
    Flags { error: bool, fault: bool, throttle: bool, aws: Option<bool> },
    Begin(String),
    Close,
    CloseSegment,
    Time(u32),
}

/// Keys that meet again, and any other.
#[derive(Arbitrary, Debug)]
enum Key {
    Lower,
    Upper,
    Repaired,
    Reserved,
    Default,
    Other(String),
}

#[derive(Arbitrary, Debug)]
enum Annotation {
    Bool(bool),
    Float(f64),
    Single(f32),
    Signed(i64),
    Wide(i128),
    Unsigned(u128),
    Text(String),
}

#[derive(Arbitrary, Debug)]
struct Chain {
    /// None are those of the error before.
    texts: Vec<String>,
    repeated: u8,
}

/// What is to be found of an entity.
#[derive(Default)]
struct Expected {
    name: String,
    parent: String,
    start: u64,
    end: Option<u64>,
    user: String,
    namespace: Option<&'static str>,
    error: bool,
    fault: bool,
    throttle: bool,
    /// By the key in lower case, the key as it was first written.
    annotations: BTreeMap<String, (String, Value)>,
    /// By the namespace and the key in lower case.
    metadata: BTreeMap<(String, String), (String, Value)>,
    links: Vec<Value>,
    /// The messages of errors, outermost only.
    failures: Vec<String>,
    cut: bool,
    links_cut: bool,
}

enum Guard {
    Closed,
    Segment(Segment),
    Subsegment(Subsegment),
}

fuzz_target!(|input: Input| {
    let mut now = micros(input.start);
    set_time(now);
    let (recorder, emitter) = recorder(|mut builder| {
        builder = builder.clock(time).seed(7);
        if let Some(origin) = &input.origin {
            builder = builder.origin(origin);
        }
        if let Some(version) = &input.version {
            builder = builder.service_version(version);
        }
        builder
    });
    let began = now;
    let segment = recorder.begin_segment(&input.segment);
    let trace_id = segment.trace_id().expect("it is recorded");
    let mut expected = vec![Expected { name: input.segment, start: now, ..Expected::default() }];
    let mut handles: Vec<(Entity, Guard)> = vec![(segment.entity().clone(), Guard::Segment(segment))];
    let mut refused = 0;
    let mut texts = Vec::new();
    for (at, said) in input.said {
        let at = usize::from(at) % handles.len();
        let entity = handles[at].0.clone();
        let open = expected[at].end.is_none();
        let model = &mut expected[at];
        match said {
            Said::Annotation(key, value) => {
                let key = key.text();
                match annotate(&entity, &key, value).filter(|_| open) {
                    Some(value) => {
                        let key = repaired_key(&key);
                        let known = model.annotations.entry(key.to_ascii_lowercase()).or_insert((key, Value::Null));
                        known.1 = value;
                    }
                    None => refused += 1,
                }
            }
            Said::Metadata(key, data) => {
                let key = key.text();
                entity.add_metadata(&key, &data);
                refused += metadata(model, open, "default".to_owned(), key, &data);
            }
            Said::MetadataIn(namespace, key, data) => {
                let (namespace, key) = (namespace.text(), key.text());
                entity.add_metadata_in(&namespace, &key, &data);
                let namespace = match namespace.strip_prefix("AWS.") {
                    Some(rest) => format!("AWS_{rest}"),
                    None if namespace == "tower_xray" => "tower_xray_".to_owned(),
                    None => namespace,
                };
                refused += metadata(model, open, namespace, key, &data);
            }
            Said::OwnMetadata(data) => {
                entity.add_metadata_in("tower_xray", "cut", &data);
                refused += metadata(model, open, "tower_xray_".to_owned(), "cut".to_owned(), &data);
            }
            Said::User(user) => {
                entity.set_user(&user);
                match expected[0].end {
                    None => expected[0].user = first_chars(&user, 250),
                    Some(_) => refused += 1,
                }
            }
            Said::Link(seconds, random, id) => {
                let Ok(id) = format!("{:016x}", id.max(1)).parse::<SegmentId>() else { continue };
                let trace = TraceId::new(seconds, random);
                entity.add_link(trace, id);
                let link = json!({ "trace_id": trace.to_string(), "id": id.to_string() });
                match open {
                    true if model.links.contains(&link) => {}
                    // X-Ray takes no more.
                    true if model.links.len() == 20 => model.links_cut = true,
                    true => model.links.push(link),
                    false => refused += 1,
                }
            }
            Said::Error(chain) => {
                let Some(error) = chain.error(&mut texts) else { continue };
                entity.add_error(&error);
                refused += model.fail(open, &error.to_string(), |model| model.error = true);
            }
            Said::Fault(chain) => {
                let Some(error) = chain.error(&mut texts) else { continue };
                entity.add_fault(&error);
                refused += model.fail(open, &error.to_string(), |model| model.fault = true);
            }
            Said::Boxed(chain) => {
                let Some(error) = chain.error(&mut texts) else { continue };
                let error: Box<dyn std::error::Error + Send + Sync> = error.into();
                entity.add_fault(&error);
                refused += model.fail(open, &error.to_string(), |model| model.fault = true);
            }
            Said::Flags { error, fault, throttle, aws } => {
                let mut calls = 0;
                if error {
                    entity.set_error();
                    calls += 1;
                }
                if fault {
                    entity.set_fault();
                    calls += 1;
                }
                if throttle {
                    entity.set_throttle();
                    calls += 1;
                }
                // X-Ray knows the namespace of subsegments.
                if let Some(aws) = aws.filter(|_| at > 0) {
                    entity.set_namespace(if aws { Namespace::Aws } else { Namespace::Remote });
                    calls += 1;
                    if open {
                        model.namespace = Some(if aws { "aws" } else { "remote" });
                    }
                }
                if open {
                    model.error |= error || throttle;
                    model.fault |= fault;
                    model.throttle |= throttle;
                } else {
                    refused += calls;
                }
            }
            Said::Begin(name) => {
                let parent = entity.id().expect("it is recorded").to_string();
                let subsegment = entity.begin_subsegment(&name);
                expected.push(Expected { name, parent, start: now.max(began), ..Expected::default() });
                handles.push((subsegment.entity().clone(), Guard::Subsegment(subsegment)));
            }
            Said::Close => close(&mut handles[at].1, model, now.max(began)),
            Said::CloseSegment => close(&mut handles[0].1, &mut expected[0], now.max(began)),
            Said::Time(forth) => {
                // Backwards, too.
                now = micros((now + u64::from(forth)).saturating_sub(1 << 30));
                set_time(now);
            }
        }
    }
    for ((_, guard), model) in handles.iter_mut().zip(&mut expected) {
        close(guard, model, now.max(began));
    }
    assert_eq!(recorder.stats().refused, refused);

    let documents = emitter.take();
    let whole: Vec<Value> = documents.iter().map(|document| read_json(&document.to_json())).collect();
    let mut found = entities(&whole);
    assert_eq!(found.len(), handles.len(), "every entity is in one document");
    let exceptions = Exceptions::of(&found);
    for ((entity, _), model) in handles.iter().zip(&expected) {
        let own = found.remove(&entity.id().expect("it is recorded").to_string()).expect("it has been sent");
        model.check(own, &exceptions);
    }
    for document in documents {
        assert_eq!(document.trace_id(), trace_id);
        let split = document.split(MAX_DOCUMENT);
        assert_eq!(split.too_large, 0);
        for piece in split.documents {
            assert!(piece.len() <= MAX_DOCUMENT);
            assert_eq!(read_document(&piece)["trace_id"], trace_id.to_string());
        }
    }
});

/// Until the year 2286.
fn micros(any: u64) -> u64 {
    any % 10_000_000_000_000_000
}

fn close(guard: &mut Guard, model: &mut Expected, now: u64) {
    match std::mem::replace(guard, Guard::Closed) {
        Guard::Closed => return,
        Guard::Segment(segment) => segment.close(),
        Guard::Subsegment(subsegment) => subsegment.close(),
    }
    model.end = Some(now.max(model.start));
}

/// Says it; what will be in the document then, unless it is refused.
fn annotate(entity: &Entity, key: &str, value: Annotation) -> Option<Value> {
    let whole = |value: Option<i128>, text: String| match value {
        Some(value) if value.abs() <= 1 << 53 => json!(value as i64),
        _ => Value::String(text),
    };
    let float = |value: f64| value.is_finite().then(|| read_json(&serde_json::to_string(&value).expect("a number")));
    match value {
        Annotation::Bool(value) => {
            entity.add_annotation(key, value);
            Some(json!(value))
        }
        Annotation::Float(value) => {
            entity.add_annotation(key, value);
            float(value)
        }
        Annotation::Single(value) => {
            entity.add_annotation(key, AnnotationValue::from(value));
            value.is_finite().then(|| float(value.to_string().parse().expect("a number"))).flatten()
        }
        Annotation::Signed(value) => {
            entity.add_annotation(key, value);
            Some(whole(Some(value.into()), value.to_string()))
        }
        Annotation::Wide(value) => {
            entity.add_annotation(key, value);
            Some(whole(value.checked_abs().and(Some(value)), value.to_string()))
        }
        Annotation::Unsigned(value) => {
            entity.add_annotation(key, value);
            Some(whole(value.try_into().ok(), value.to_string()))
        }
        Annotation::Text(value) => {
            entity.add_annotation(key, &value);
            Some(first_chars(&value, 1_000).into())
        }
    }
}

fn repaired_key(key: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let key: String = key.chars().take(500).map(allowed).collect();
    if key.is_empty() { "_".to_owned() } else { key }
}

/// How often it was refused.
fn metadata(model: &mut Expected, open: bool, namespace: String, key: String, data: &Data) -> u64 {
    let Ok(json) = serde_json::to_string(data) else { return 1 };
    let value = read_json(&json);
    if json.len() > MAX_DOCUMENT || depth(&value) > 40 {
        // That it was cut is said, or refused as well.
        model.cut |= open;
        return 1 + u64::from(!open);
    }
    if !open {
        return 1;
    }
    let place = (namespace, key.to_ascii_lowercase());
    model.metadata.entry(place).or_insert((key, Value::Null)).1 = value;
    0
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(entries) => 1 + entries.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

impl Key {
    fn text(self) -> String {
        match self {
            Self::Lower => "a_key".to_owned(),
            Self::Upper => "A_Key".to_owned(),
            Self::Repaired => "a key".to_owned(),
            Self::Reserved => "AWS.a".to_owned(),
            Self::Default => "default".to_owned(),
            Self::Other(key) => key,
        }
    }
}

impl Chain {
    fn error(self, before: &mut Vec<String>) -> Option<Failure> {
        let Self { mut texts, repeated } = self;
        if let Some(last) = texts.last().cloned() {
            texts.extend((0..repeated).map(|number| format!("{number}{last}")));
            *before = texts;
        }
        Failure::chain(before)
    }
}

/// All exceptions that are described somewhere.
struct Exceptions {
    ids: BTreeSet<String>,
    messages: BTreeSet<String>,
}

impl Exceptions {
    fn of(entities: &BTreeMap<String, Map<String, Value>>) -> Self {
        let mut all = Self { ids: BTreeSet::new(), messages: BTreeSet::new() };
        let lists = entities.values().filter_map(|entity| entity.get("cause")?.get("exceptions")?.as_array());
        for exception in lists.flatten() {
            let id = exception["id"].as_str().expect("an id");
            assert!(id.parse::<SegmentId>().is_ok_and(|parsed| parsed.to_string() == id), "{id}");
            assert!(all.ids.insert(id.to_owned()), "{id} is there twice");
            let message = exception.get("message").map_or("", |message| message.as_str().expect("a text"));
            let kind = exception["type"].as_str().expect("a type");
            // The name is that of the whole message, of which a URL may have lost the first.
            let known = kind == std::any::type_name::<Failure>() || kind == first_name(message);
            assert!(known || message.contains("://"), "{kind} of {message:?}");
            assert!(message.chars().count() <= 1_000);
            all.messages.insert(message.to_owned());
        }
        all
    }
}

/// What the type of an error is called of which only the `Debug` text is known.
fn first_name(text: &str) -> String {
    let name: String = text.chars().take(250).take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
    if name.is_empty() { "error".to_owned() } else { name }
}

impl Expected {
    fn fail(&mut self, open: bool, message: &str, mark: impl FnOnce(&mut Self)) -> u64 {
        if !open {
            // The cause, and the mark.
            return 2;
        }
        self.failures.push(first_chars(message, 1_000));
        mark(self);
        0
    }

    fn check(&self, mut own: Map<String, Value>, exceptions: &Exceptions) {
        let is_segment = self.parent.is_empty();
        let mut take = |key: &str| own.remove(key).unwrap_or_default();
        assert_name(take("name").as_str().expect("a name"), &self.name, is_segment);
        assert_eq!(take("parent_id"), self.parent);
        assert!(take("id").as_str().is_some_and(|id| id.parse::<SegmentId>().is_ok()));
        assert_time(&take("start_time"), self.start);
        assert_time(&take("end_time"), self.end.expect("it has been closed"));
        assert_eq!(take("user"), text(&self.user));
        assert_eq!(take("namespace"), self.namespace.map_or(Value::Null, Value::from));
        for (key, set) in [("error", self.error), ("fault", self.fault), ("throttle", self.throttle)] {
            assert_eq!(take(key), if set { Value::Bool(true) } else { Value::Null }, "{key}");
        }
        let annotations: Map<String, Value> = self.annotations.values().cloned().collect();
        assert_eq!(take("annotations"), non_empty(annotations));
        let links = if self.links.is_empty() { Value::Null } else { self.links.clone().into() };
        assert_eq!(take("links"), links);

        let mut metadata = Map::new();
        for ((namespace, _), (key, value)) in &self.metadata {
            metadata.entry(namespace).or_insert_with(|| json!({}))[key] = value.clone();
        }
        let cut = [(self.cut, "metadata"), (self.links_cut, "links")];
        let cut: Vec<&str> = cut.into_iter().filter_map(|(cut, part)| cut.then_some(part)).collect();
        if !cut.is_empty() {
            metadata.insert("tower_xray".to_owned(), json!({ "cut": cut }));
        }
        assert_eq!(take("metadata"), non_empty(metadata));

        let cause = take("cause");
        assert_eq!(cause.is_null(), self.failures.is_empty(), "{cause}");
        // A URL loses what may be secret in it; the target `request` looks at that.
        for message in self.failures.iter().filter(|message| !message.contains("://")) {
            assert!(exceptions.messages.contains(message), "{message:?}");
        }
        if let Some(id) = cause.as_str() {
            assert!(exceptions.ids.contains(id), "{id}");
        }
        for exception in cause["exceptions"].as_array().into_iter().flatten() {
            if let Some(id) = exception["cause"].as_str() {
                assert!(exceptions.ids.contains(id), "{id}");
            }
        }
        if is_segment {
            assert!(take("service").is_object());
            assert!(take("aws").is_object());
            take("origin");
        }
        assert!(own.is_empty(), "{own:?}");
    }
}

fn assert_name(found: &str, given: &str, is_segment: bool) {
    // A segment is not called by nothing but replaced characters.
    let legible = |c: char| c.is_ascii_alphanumeric() || ".:/%&#=+-@".contains(c);
    if given.is_empty() || (is_segment && found == "unknown" && !given.chars().take(200).any(legible)) {
        return assert_eq!(found, "unknown");
    }
    assert_eq!(found.chars().count(), given.chars().count().min(200), "{found:?} of {given:?}");
    for (found, given) in found.chars().zip(given.chars()) {
        let allowed = given.is_ascii_alphanumeric() || " _.:/%&#=+-@".contains(given);
        // What of other alphabets is a letter, the checker says.
        let letter = !given.is_ascii() && found == given;
        assert_eq!(found, if allowed || letter { given } else { '_' }, "of {given:?}");
    }
}

fn assert_time(found: &Value, micros: u64) {
    let seconds = found.as_f64().expect("a number");
    assert!((seconds - micros as f64 / 1e6).abs() < 2e-6, "{seconds} of {micros}");
}

fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

fn non_empty(map: Map<String, Value>) -> Value {
    if map.is_empty() { Value::Null } else { map.into() }
}
