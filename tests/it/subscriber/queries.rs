//! Queries as sqlx and sea-orm tell of them; `integration` has these crates themselves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tower_xray::{RecorderBuilder, Sql, client::sql::capture_sql_blocking, subscriber::SubsegmentLayer};
use tracing::{Level, debug, enabled, error, event, field::Empty, info_span, warn};
use tracing_subscriber::{Registry, prelude::*};

use super::only;
use crate::{outline::outline, support::recorder_with};

/// What is below a segment, in which `work` is done with a layer that knows of a database.
fn queries(adjust: impl FnOnce(RecorderBuilder) -> RecorderBuilder, work: impl FnOnce()) -> (Vec<Value>, Vec<String>) {
    queries_by(SubsegmentLayer::new().sql(Sql::new("postgres://shop:s3cret@db:5432/orders")), adjust, work)
}

fn queries_by(
    layer: SubsegmentLayer,
    adjust: impl FnOnce(RecorderBuilder) -> RecorderBuilder,
    work: impl FnOnce(),
) -> (Vec<Value>, Vec<String>) {
    let (recorder, documents) = recorder_with(adjust);
    tracing::subscriber::with_default(only(layer), || {
        let segment = recorder.begin_segment("report");
        let _entered = segment.enter();
        work();
    });
    let document = documents.take_one();
    let mut json: Value = serde_json::from_str(&document.to_json()).unwrap();
    let below = json["subsegments"].as_array_mut().map(std::mem::take).unwrap_or_default();
    (below, outline(&[document]))
}

const STATEMENT: &str = "\n\nSELECT id\nFROM orders\nWHERE email = 'a@b.c'\n";

#[test]
fn sqlx_is_told_that_its_events_are_wanted_before_it_makes_them() {
    let wanted = || (enabled!(target: "sqlx::query", Level::DEBUG), enabled!(target: "sqlx", Level::DEBUG));
    let with = |layer: SubsegmentLayer| tracing::subscriber::with_default(only(layer), wanted);
    assert_eq!(with(SubsegmentLayer::new().sql(Sql::new("postgres://db/orders"))), (true, false));
    assert_eq!(with(SubsegmentLayer::new()), (false, false));
}

#[test]
fn what_sqlx_tells_of_a_query_that_is_captured_is_not_recorded_again() {
    let sql = Sql::new("postgres://db/orders");
    let query = || {
        debug!(target: "sqlx::query", summary = "SELECT 1", elapsed_secs = 0.5);
        Ok::<_, std::io::Error>(())
    };
    let (below, _) = queries(
        |builder| builder,
        || {
            capture_sql_blocking(&sql, query).unwrap();
            query().unwrap();
        },
    );
    let names: Vec<_> = below.iter().map(|entity| (&entity["name"], &entity["subsegments"])).collect();
    assert_eq!(names, [(&json!("orders@db"), &Value::Null); 2]);
}

#[test]
fn an_event_of_sqlx_is_a_query_that_began_before_it() {
    let now = Arc::new(AtomicU64::new(100));
    let clock = now.clone();
    let (below, _) = queries(
        |builder| builder.clock(move || Duration::from_secs(clock.load(Relaxed))),
        || {
            now.store(110, Relaxed);
            for seconds in [4.5, 60.0, f64::NAN, -1.0, f64::INFINITY] {
                debug!(
                    target: "sqlx::query",
                    summary = "SELECT id FROM orders …",
                    db.statement = STATEMENT,
                    rows_affected = 0,
                    elapsed_secs = seconds,
                );
            }
            warn!(target: "sqlx::query", summary = "BEGIN", elapsed_secs = 1.0, "slow");
            debug!(target: "sqlx::other", elapsed_secs = 1.0);
        },
    );
    let times: Vec<_> =
        below.iter().map(|query| (query["start_time"].as_f64(), query["end_time"].as_f64().unwrap())).collect();
    let starts = [105.5, 100.0, 110.0, 110.0, 110.0, 109.0];
    assert_eq!(times, starts.map(|start| (Some(start), 110.0)));
    assert_eq!((&below[0]["name"], &below[0]["namespace"]), (&json!("orders@db"), &json!("remote")));
    assert_eq!((&below[0]["sql"]["database_type"], &below[0]["sql"]["user"]), (&json!("PostgreSQL"), &json!("shop")));
    assert_eq!(below[0].get("annotations"), None);
}

#[test]
fn texts_of_statements_are_recorded_only_if_the_recorder_does() {
    let work = || {
        debug!(target: "sqlx::query", summary = "SELECT id FROM orders …", db.statement = STATEMENT, elapsed_secs = 0.1);
        event!(target: "sqlx::query", Level::INFO, summary = "SELECT 'secret'", db.statement = "", elapsed_secs = 0.1);
        let span = info_span!("orm", db.system = "postgresql", db.statement = Empty);
        span.record("db.statement", "DELETE FROM orders WHERE id = 7");
        span.record("db.statement", "DELETE FROM orders WHERE id = 8");
        drop(info_span!("driver", db.system.name = "postgresql", db.query.text = %"SELECT 'secret'"));
        drop(info_span!("no query", db.statement = "SELECT 'secret'", db.query.text = %"SELECT 'secret'"));
    };
    let (off, _) = queries(|builder| builder, work);
    let (on, _) = queries(|builder| builder.sql_statements(true), work);
    for below in [&off, &on] {
        assert_eq!(below.len(), 5);
        assert!(!format!("{below:?}").contains("secret"), "{below:?}");
    }
    assert!(off.iter().all(|query| query["sql"].get("sanitized_query").is_none()));
    let texts: Vec<_> = on.iter().map(|query| query["sql"]["sanitized_query"].as_str()).collect();
    assert_eq!(
        texts,
        [
            Some("SELECT id FROM orders WHERE email = ?"),
            Some("SELECT ?"),
            Some("DELETE FROM orders WHERE id = ?"),
            Some("SELECT ?"),
            None,
        ]
    );
}

#[test]
fn a_span_that_is_a_query_is_one_with_its_failures_and_what_sqlx_tells_of_it_is_not_told_again() {
    let (below, outline) = queries(
        |builder| builder,
        || {
            let span = info_span!(
                "sea_orm.execute",
                otel.kind = "client",
                db.system = "postgresql",
                db.operation = %"INSERT",
                otel.status_code = Empty,
                exception.message = Empty,
            );
            span.in_scope(|| debug!(target: "sqlx::query", summary = "INSERT", elapsed_secs = 0.1));
            span.record("otel.status_code", "ERROR");
            span.record("exception.message", "no such user: s3cret");
            drop(span);
            info_span!("work").in_scope(|| debug!(target: "sqlx::query", summary = "SELECT 1", elapsed_secs = 0.1));
            error!(target: "sqlx::query", summary = "SELECT 1", elapsed_secs = 0.1);
        },
    );
    assert_eq!(outline, ["report(orders@db![error: no such user: ] work(orders@db) orders@db)"]);
    assert_eq!(below[0]["metadata"], json!({ "default": { "db.operation": "INSERT" } }));
    assert_eq!(below[0].get("annotations"), None);
    assert_eq!(below[0]["cause"]["exceptions"][0]["remote"], true);
    assert_eq!(below[0]["sql"]["database_type"], "PostgreSQL");
}

#[test]
fn without_a_database_events_are_nothing_and_queries_are_spans() {
    let (below, outline) = queries_by(
        SubsegmentLayer::new(),
        |builder| builder,
        || {
            debug!(target: "sqlx::query", summary = "SELECT 1", elapsed_secs = 0.1);
            drop(info_span!("sea_orm.execute", otel.kind = "client", db.system = "sqlite", db.statement = "SELECT 1"));
        },
    );
    assert_eq!(outline, ["report(sea_orm.execute)"]);
    assert_eq!(below[0]["annotations"], json!({ "db_system": "sqlite" }));
    assert_eq!(below[0]["namespace"], "remote");
}

#[test]
fn queries_of_a_trace_that_is_not_recorded_or_of_none_are_nothing() {
    let (recorder, documents) = recorder_with(|builder| builder.sampling(tower_xray::sampling::SampleNone));
    let layer = SubsegmentLayer::new().sql(Sql::new("sqlite:orders.db"));
    tracing::subscriber::with_default(Registry::default().with(layer), || {
        let query = || debug!(target: "sqlx::query", summary = "SELECT 1", elapsed_secs = 0.1);
        query();
        let segment = recorder.begin_segment("report");
        let _entered = segment.enter();
        query();
        drop(info_span!("orm", db.system = "sqlite"));
    });
    assert_eq!((documents.len(), recorder.stats().refused), (0, 0));
}

#[test]
fn the_beginning_of_a_long_statement_is_recorded() {
    let statement = format!("\n\nSELECT id FROM orders WHERE note = '{}'\n", "x".repeat(40_000));
    let (below, _) = queries(
        |builder| builder.sql_statements(true),
        || {
            debug!(target: "sqlx::query", summary = "SELECT id FROM orders …", db.statement = statement, elapsed_secs = 0.1);
            drop(info_span!("orm", db.system = "postgresql", db.statement = statement));
        },
    );
    for query in below {
        assert_eq!(query["sql"]["sanitized_query"], "SELECT id FROM orders WHERE note =");
    }
}

#[test]
fn a_connection_string_among_the_fields_of_a_span_is_not_recorded() {
    let (below, _) = queries(
        |builder| builder,
        || {
            let url = "postgres://shop:s3cret@db/orders";
            drop(info_span!("orm", db.system = "postgresql", db.connection_string = url));
            drop(info_span!("pool", db.connection_string = %url, db.name = "orders"));
        },
    );
    assert!(!format!("{below:?}").contains("s3cret"), "{below:?}");
    assert_eq!(below[1]["annotations"], json!({ "db_name": "orders" }));
}
