//! What the targets share: JSON that is read strictly, values to write, and what makes a document a good one.

use std::{cell::Cell, collections::BTreeMap, fmt};

use arbitrary::{Arbitrary, Unstructured};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap, SerializeSeq, SerializeStructVariant, SerializeTupleVariant},
};
use serde_json::{Map, Value};
use tower_xray::{Recorder, RecorderBuilder, emitter::InMemoryEmitter, sampling::SampleAll};
use xray_local::{Problem, check_document};

/// A recorder of everything, and its documents.
pub fn recorder(adjust: impl FnOnce(RecorderBuilder) -> RecorderBuilder) -> (Recorder, InMemoryEmitter) {
    let emitter = InMemoryEmitter::new();
    let builder = Recorder::builder().environment(|_| None).emitter(emitter.clone()).sampling(SampleAll);
    (adjust(builder).build().expect("there is nothing wrong with it"), emitter)
}

/// JSON without a key that is twice in its object.
pub fn read_json(json: &str) -> Value {
    let mut reader = serde_json::Deserializer::from_str(json);
    // A document that has not been split may be deeper than parsers like.
    reader.disable_recursion_limit();
    let value = Strict::deserialize(&mut reader).and_then(|value| reader.end().map(|()| value.0));
    value.unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// The same for a document, with which no reader finds fault.
pub fn read_document(json: &str) -> Value {
    let value = read_json(json);
    // X-Ray indexes so many annotations, and keeps them all.
    let found = |problem: &Problem| !problem.message().ends_with("annotations; X-Ray indexes 50 per trace");
    let problems: Vec<Problem> = check_document(&value).into_iter().filter(found).collect();
    assert!(problems.is_empty(), "{problems:?}: {json}");
    value
}

/// Entities of documents by their ids, each without those below it; an entity that is there twice is refused.
pub fn entities<'a>(documents: impl IntoIterator<Item = &'a Value>) -> BTreeMap<String, Map<String, Value>> {
    let mut found = BTreeMap::new();
    for document in documents {
        let parent = document.get("parent_id").and_then(Value::as_str).unwrap_or_default();
        let mut pending = vec![(document, parent)];
        while let Some((entity, parent)) = pending.pop() {
            let id = entity["id"].as_str().expect("checked");
            pending.extend(entity["subsegments"].as_array().into_iter().flatten().map(|child| (child, id)));
            let mut own = entity.as_object().expect("checked").clone();
            own.remove("subsegments");
            // Whether it travels by itself is no part of what it says.
            own.remove("type");
            own.remove("trace_id");
            own.insert("parent_id".to_owned(), parent.into());
            assert_eq!(found.insert(id.to_owned(), own), None, "{id} is there twice");
        }
    }
    found
}

/// What an entity says has been cut from it.
pub fn cut(entity: &Map<String, Value>) -> Vec<String> {
    let cut = entity.get("metadata").and_then(|metadata| metadata.get("tower_xray")?.get("cut"));
    cut.and_then(Value::as_array).into_iter().flatten().map(|part| part.as_str().expect("a text").to_owned()).collect()
}

/// At most so many characters.
pub fn first_chars(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Strict;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Strict, E> {
                Ok(Strict(Value::Null))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
                let mut list = Vec::new();
                while let Some(Strict(item)) = items.next_element()? {
                    list.push(item);
                }
                Ok(Strict(list.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Strict, A::Error> {
                let mut map = Map::new();
                while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
                    if map.insert(key.clone(), value).is_some() {
                        return Err(serde::de::Error::custom(format!("the key {key:?} is there twice")));
                    }
                }
                Ok(Strict(map.into()))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// Everything that can be serialized, also what cannot be JSON.
#[derive(Arbitrary, Debug)]
pub enum Data {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u128),
    Float(f64),
    Single(f32),
    Char(char),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Data>),
    Object(BTreeMap<String, Data>),
    /// Keys that are no text, but can become it.
    Numbered(BTreeMap<i8, Data>),
    /// Keys that cannot.
    Keyed(BTreeMap<Vec<u8>, bool>),
    Nested(Nested),
    Tuple(Box<(Data, Data)>),
    Variant(Box<Data>),
    Wrong,
}

/// Arrays within each other: one byte makes many levels.
#[derive(Debug)]
pub struct Nested(u8);

impl<'a> Arbitrary<'a> for Nested {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(input.int_in_range(0..=100)?))
    }
}

impl Serialize for Nested {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        if self.0 > 1 {
            list.serialize_element(&Self(self.0 - 1))?;
        }
        list.end()
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::Unsigned(value) => serializer.serialize_u128(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Single(value) => serializer.serialize_f32(*value),
            Self::Char(value) => serializer.serialize_char(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::List(items) => items.serialize(serializer),
            Self::Object(entries) => entries.serialize(serializer),
            Self::Numbered(entries) => entries.serialize(serializer),
            Self::Keyed(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Self::Nested(levels) => levels.serialize(serializer),
            Self::Tuple(pair) => {
                let mut variant = serializer.serialize_tuple_variant("Data", 0, "pair \"of\"\n", 2)?;
                variant.serialize_field(&pair.0)?;
                variant.serialize_field(&pair.1)?;
                variant.end()
            }
            Self::Variant(value) => {
                let mut variant = serializer.serialize_struct_variant("Data", 1, "variant", 2)?;
                variant.serialize_field("a\\b", value)?;
                variant.serialize_field("", &())?;
                variant.end()
            }
            Self::Wrong => Err(serde::ser::Error::custom("it does not want to")),
        }
    }
}

/// An error as a program may have it: any text, also as its `Debug` text, and other errors behind it.
pub struct Failure {
    text: String,
    source: Option<Box<Failure>>,
}

impl Failure {
    /// Outermost first.
    pub fn chain(texts: &[String]) -> Option<Self> {
        let wrap =
            |source: Option<Self>, text: &String| Some(Self { text: text.clone(), source: source.map(Box::new) });
        texts.iter().rev().fold(None, wrap)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In two parts, as formatted text comes.
        let middle = self.text.char_indices().nth(self.text.len() / 3).map_or(0, |(middle, _)| middle);
        f.write_str(&self.text[..middle])?;
        f.write_str(&self.text[middle..])
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// The time of [`recorder`]s with this clock, in microseconds since the epoch.
pub fn set_time(micros: u64) {
    NOW.set(micros);
}

/// What a recorder asks for the time.
pub fn time() -> std::time::Duration {
    std::time::Duration::from_micros(NOW.get())
}
