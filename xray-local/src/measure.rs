//! In: a JSON value of any depth. Out: how deep it is, how long on the wire, how heavy in memory.

use std::io;

use serde_json::Value;

pub(crate) fn is_deeper_than(document: &Value, levels: usize) -> bool {
    let mut todo = vec![(document, 1)];
    while let Some((value, level)) = todo.pop() {
        let inner = level + 1;
        match value {
            Value::Array(_) | Value::Object(_) if level > levels => return true,
            Value::Array(items) => todo.extend(items.iter().map(|item| (item, inner))),
            Value::Object(fields) => todo.extend(fields.values().map(|value| (value, inner))),
            _ => {}
        }
    }
    false
}

pub(crate) fn compact_len(document: &Value) -> usize {
    struct Counter(usize);

    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    // Neither the counter nor a tree of values can fail.
    let _ = serde_json::to_writer(&mut counter, document);
    counter.0
}

/// About what a document takes in memory, which is much more than it took on the wire.
pub(crate) fn weight(document: &Value) -> usize {
    // A map allocates a node for up to eleven entries, however few it has.
    const NODE: usize = 11 * (size_of::<Value>() + size_of::<String>());
    let mut bytes = 0;
    let mut todo = vec![document];
    while let Some(value) = todo.pop() {
        bytes += size_of::<Value>();
        match value {
            Value::String(string) => bytes += string.len(),
            Value::Array(items) => todo.extend(items),
            Value::Object(fields) => {
                bytes += NODE * fields.len().div_ceil(6) + fields.keys().map(String::len).sum::<usize>();
                todo.extend(fields.values());
            }
            _ => {}
        }
    }
    bytes
}
