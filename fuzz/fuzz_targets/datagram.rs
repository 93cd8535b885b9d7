//! Whatever arrives at the local daemon is parsed, checked and drawn without a panic, within bounds, and without a
//! character that a terminal would obey.

#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use tower_xray_fuzz::{Data, read_json};
use unicode_width::UnicodeWidthChar;
use xray_local::{Problem, RenderOptions, Trace, check_datagram, check_document};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    datagrams: Vec<Datagram<'a>>,
    width: u16,
    color: bool,
}

#[derive(Arbitrary, Debug)]
enum Datagram<'a> {
    Bytes(&'a [u8]),
    /// After a header as it should be.
    Body(&'a [u8]),
    Document(Entity<'a>),
}

/// A document that is right but for what is said here.
#[derive(Debug)]
struct Entity<'a> {
    fields: Vec<(&'a str, Value)>,
    children: Vec<Entity<'a>>,
    /// Above it; parsers take 63 of them.
    levels: u8,
}

/// Fields that documents have, and that somebody looks at.
const KEYS: [&str; 40] = [
    "annotations",
    "aws",
    "bucket_name",
    "cause",
    "client_ip",
    "content_length",
    "end_time",
    "error",
    "exceptions",
    "fault",
    "http",
    "id",
    "in_progress",
    "inferred",
    "key",
    "label",
    "line",
    "links",
    "message",
    "metadata",
    "method",
    "name",
    "namespace",
    "operation",
    "origin",
    "parent_id",
    "path",
    "precursor_ids",
    "remote",
    "request",
    "response",
    "service",
    "sql",
    "stack",
    "start_time",
    "status",
    "subsegments",
    "throttle",
    "type",
    "url",
];

impl<'a> Arbitrary<'a> for Entity<'a> {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut fields = Vec::new();
        for _ in 0..input.int_in_range(0..=6)? {
            let key = if input.ratio(1, 8)? { input.arbitrary()? } else { *input.choose(&KEYS)? };
            fields.push((key, value(input, 3)?));
        }
        let mut children = Vec::new();
        if input.ratio(1, 3)? {
            for _ in 0..input.int_in_range(0..=3)? {
                children.push(input.arbitrary()?);
            }
        }
        Ok(Self { fields, children, levels: if input.ratio(1, 16)? { input.int_in_range(0..=70)? } else { 0 } })
    }
}

/// Mostly what may stand in such a field.
fn value(input: &mut Unstructured<'_>, depth: usize) -> arbitrary::Result<Value> {
    Ok(match input.int_in_range(0..=11)? {
        0 => Value::Null,
        1 => Value::Bool(input.arbitrary()?),
        2 => json!(input.arbitrary::<u16>()?),
        3 => json!(input.arbitrary::<f64>()?),
        4 => json!(1_755_443_396.0 + input.arbitrary::<f32>()?),
        5 => json!(format!("{:016x}", input.arbitrary::<u8>()?)),
        6 => json!(input.arbitrary::<String>()?.repeat(input.int_in_range(0..=20)?)),
        7 => json!(input.arbitrary::<String>()?),
        8 => {
            json!(*input.choose(&["aws", "remote", "subsegment", "GET", "500", "\u{202e}", "\u{1b}[2J", "e\u{301}"])?)
        }
        9 if depth > 0 => {
            let mut items = Vec::new();
            for _ in 0..input.int_in_range(0..=3)? {
                items.push(value(input, depth - 1)?);
            }
            items.into()
        }
        10 | 11 if depth > 0 => {
            let mut entries = Map::new();
            for _ in 0..input.int_in_range(0..=4)? {
                entries.insert((*input.choose(&KEYS)?).to_owned(), value(input, depth - 1)?);
            }
            entries.into()
        }
        _ => serde_json::to_value(input.arbitrary::<Data>()?).unwrap_or_default(),
    })
}

impl Entity<'_> {
    fn document(self, number: &mut u64) -> Value {
        let mut document = self.entity(number);
        let known = |document: &Value, key| document.get(key).is_some();
        if !known(&document, "trace_id") {
            document["trace_id"] = json!("1-68a1f0c4-7b3e9d215f80a6c4e2b71d09");
        }
        document
    }

    fn entity(self, number: &mut u64) -> Value {
        *number += 1;
        let mut entity = json!({
            "name": "orders",
            "id": format!("{number:016x}"),
            "start_time": 1_755_443_396.104,
            "end_time": 1_755_443_396.391,
        });
        for (key, value) in self.fields {
            match value {
                // Something is missing.
                Value::Null => drop(entity.as_object_mut().expect("an object").remove(key)),
                value => entity[key] = value,
            }
        }
        if !self.children.is_empty() {
            entity["subsegments"] = self.children.into_iter().map(|child| child.entity(number)).collect();
        }
        for _ in 0..self.levels {
            *number += 1;
            let mut above = json!({ "name": "level", "id": format!("{number:016x}"), "start_time": 1, "end_time": 2 });
            above["subsegments"] = Value::Array(vec![entity]);
            entity = above;
        }
        entity
    }
}

fuzz_target!(|input: Input<'_>| {
    let mut number = 0;
    let mut documents = Vec::new();
    for datagram in input.datagrams {
        let header = b"{\"format\":\"json\",\"version\":1}\n";
        let checked = match datagram {
            Datagram::Bytes(bytes) => check_datagram(bytes),
            Datagram::Body(body) => check_datagram(&[header, body].concat()),
            Datagram::Document(entity) => {
                check_datagram(&[header, entity.document(&mut number).to_string().as_bytes()].concat())
            }
        };
        match checked {
            Ok(document) => {
                let problems = check_document(&document);
                assert!(problems.len() <= 100, "{} problems", problems.len());
                problems.iter().for_each(check_problem);
                documents.push(document);
            }
            Err(problem) => check_problem(&problem),
        }
    }
    let all = documents.len();
    let traces = Trace::group(documents);
    assert_eq!(traces.iter().map(|trace| trace.documents().len()).sum::<usize>(), all);
    for trace in &traces {
        let lines = trace.to_json_lines();
        assert_safe(&lines);
        assert_eq!(lines.lines().count(), trace.documents().len());
        for (line, document) in lines.lines().zip(trace.documents()) {
            // By way of text, in which the last digit of a float may get lost.
            assert_eq!(read_json(line), read_json(&document.to_string()));
        }
        draw(trace, input.width.into(), input.color);
    }
});

fn check_problem(problem: &Problem) {
    let text = problem.to_string();
    assert_safe(&text);
    assert!(!text.contains('\n'), "{text:?}");
    assert!(text.len() < 4_000, "{} bytes: {text:?}", text.len());
}

fn draw(trace: &Trace, width: usize, color: bool) {
    let plain = trace.render(&RenderOptions::default().width(width).color(false));
    assert_safe(&plain);
    let columns = width.clamp(40, 1_000);
    for line in plain.lines() {
        let used: usize = line.chars().map(|c| c.width().unwrap_or(0)).sum();
        assert!(used <= columns, "{used} of {columns} columns: {line:?}");
        // Marks take no columns, but there are only so many of them.
        assert!(line.chars().count() <= 5 * columns + 5, "{line:?}");
    }
    // An entity has its line, one of annotations, and some of exceptions.
    let values: usize = trace.documents().iter().map(values).sum();
    assert!(plain.lines().count() <= 3 + 2 * values, "{} lines for {values} values", plain.lines().count());
    if color {
        let colored = trace.render(&RenderOptions::default().width(width).color(true));
        // A style may end after the last spaces.
        let lines =
            |text: &str| -> Vec<String> { text.lines().map(|line| line.trim_end_matches(' ').to_owned()).collect() };
        assert_eq!(lines(&without_styles(&colored)), lines(&plain));
    }
}

/// The styles that are taken out are all that an escape character may be for.
fn without_styles(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (style, rest) = part.split_once('m').unwrap_or_else(|| panic!("no style: {part:?}"));
        assert!(style.strip_prefix('[').is_some_and(|codes| codes.bytes().all(|b| b.is_ascii_digit() || b == b';')));
        plain.push_str(rest);
    }
    plain
}

fn assert_safe(text: &str) {
    let obeyed = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    assert!(!text.contains(obeyed), "{text:?}");
}

fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(entries) => entries.values().map(values).sum(),
        _ => 0,
    }
}
