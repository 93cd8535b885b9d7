//! Connection strings and statements: whatever they are, what is recorded of them is bounded, valid, and has neither a
//! password nor a literal.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tower_xray::Sql;
use tower_xray_fuzz::{read_document, recorder};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    connection_string: &'a str,
    statement: &'a str,
    password: &'a str,
    literal: &'a str,
    dialect: u8,
}

/// A character that is in every secret and in nothing else.
const MARK: char = 'ж';

const SCHEMES: [&str; 5] = ["postgres", "mysql", "sqlserver", "sqlite", "mariadb"];

fuzz_target!(|input: Input<'_>| {
    let document = record(&Sql::new(input.connection_string), input.statement);
    for (field, value) in document["sql"].as_object().into_iter().flatten() {
        let max = if field == "sanitized_query" { 4_000 } else { 250 };
        assert!(value.as_str().expect("text").chars().count() <= max, "{field}: {value}");
    }
    // Of what is written as it should be, it is certain where the secret ends.
    let scheme = SCHEMES[usize::from(input.dialect) % SCHEMES.len()];
    let password: String = marked(input.password).bytes().map(|byte| format!("%{byte:02X}")).collect();
    let literal = marked(input.literal).replace('\'', "''");
    let connection_string = format!("{scheme}://user:{password}@host/db");
    let statement = format!("SELECT a FROM b WHERE c = '{literal}' AND d = 1");
    let json = record(&Sql::new(&connection_string), &statement).to_string();
    assert!(!json.contains(MARK) && !json.contains("%D0%B6"), "{json}");
});

/// A secret of which no part is anything else.
fn marked(text: &str) -> String {
    let text = text.chars().take(100).flat_map(|c| [MARK, c]);
    text.chain([MARK]).collect()
}

/// What is recorded of a query.
fn record(sql: &Sql, statement: &str) -> Value {
    let (recorder, emitter) = recorder(|builder| builder.sql_statements(true));
    let segment = recorder.begin_segment("orders");
    segment.begin_sql(sql.statement(statement)).close();
    segment.close();
    let documents = emitter.take();
    let [document] = &documents[..] else { panic!("one segment, one document") };
    read_document(&document.to_json())["subsegments"][0].clone()
}
