//! sqlx, whose queries are traced with no change to them, through its events.

use std::{env, sync::Once};

use axum::{Router, routing::get as route};
use serde_json::Value;
use sqlx::{Connection, Executor, PgPool, Row, SqlitePool, postgres::PgPoolOptions, sqlite::SqlitePoolOptions};
use tower_xray::{FutureExt, Sql, XRayLayer, document::SegmentDocument, subscriber::SubsegmentLayer};
use tracing::{Instrument, Level, Metadata, info_span, instrument};
use tracing_subscriber::{Registry, filter::dynamic_filter_fn, layer::Context, prelude::*};

use crate::support::{emitting_recorder, exchange, get, recorder_with, serve};

/// Where PostgreSQL is, if it is anywhere.
#[expect(clippy::disallowed_methods, reason = "the environment of the tests")]
pub(crate) fn postgres() -> Option<String> {
    let url = env::var("DATABASE_URL").ok();
    if url.is_none() {
        println!("left out: DATABASE_URL is not set");
    }
    url
}

/// Says to the threads of SQLite what spans and queries of these tests are to be recorded; those of others are not.
pub(crate) fn record_sqlite() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let of_these = |metadata: &Metadata<'_>| {
            let target = metadata.target();
            target == "tower_xray" || ["sqlx_bridge", "sea_orm"].iter().any(|module| target.contains(module))
        };
        let filter = dynamic_filter_fn(move |metadata, context: &Context<'_, Registry>| {
            let within = || context.lookup_current().is_some_and(|span| of_these(span.metadata()));
            of_these(metadata) || within()
        });
        let layer = SubsegmentLayer::new().sql(Sql::new("sqlite:orders.db"));
        Registry::default().with(layer.with_filter(filter)).init();
    });
}

async fn in_memory() -> SqlitePool {
    // Every connection would be a database of its own.
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    pool.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, email TEXT NOT NULL)").await.unwrap();
    pool
}

pub(crate) fn json(document: &SegmentDocument) -> Value {
    serde_json::from_str(&document.to_json()).unwrap()
}

#[instrument(skip_all, err)]
async fn refund(pool: &PgPool) -> Result<i32, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    sqlx::query("CREATE TEMPORARY TABLE refunds (id INT PRIMARY KEY, email TEXT)").execute(&mut *transaction).await?;
    sqlx::query("INSERT INTO refunds VALUES (1, 'a@b.c'), (2, 'secret')").execute(&mut *transaction).await?;
    let rows =
        sqlx::query("SELECT id FROM refunds WHERE email = $1").bind("secret").fetch_all(&mut *transaction).await?;
    sqlx::query("SELECT nothing FROM refunds").execute(&mut *transaction).await?;
    Ok(rows[0].get(0))
}

#[tokio::test]
async fn queries_of_postgresql_are_subsegments_of_the_span_they_are_in() {
    let Some(url) = postgres() else { return };
    let pool = PgPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    let layer = SubsegmentLayer::new().sql(Sql::new(&url).driver_version("sqlx 0.9"));
    let _default = tracing::subscriber::set_default(Registry::default().with(layer.filtered()));
    let (recorder, documents) = recorder_with(|builder| builder.sql_statements(true));
    let segment = recorder.begin_segment("report");
    assert!(refund(&pool).in_entity(&segment).await.is_err());
    sqlx::query("SELECT pg_sleep(0.05)").execute(&pool).in_entity(&segment).await.unwrap();
    segment.close();
    sqlx::query("SELECT 'outside of the trace'").execute(&pool).await.unwrap();
    let document = json(&documents.take_one());
    let [refund, sleep] = &document["subsegments"].as_array().unwrap()[..] else { panic!("{document}") };
    assert_eq!((&refund["name"], &refund["fault"]), (&"refund".into(), &true.into()));
    assert!(refund["cause"]["exceptions"][0]["message"].as_str().unwrap().contains("nothing"), "{refund}");
    let queries = refund["subsegments"].as_array().unwrap();
    let texts: Vec<_> = queries.iter().filter_map(|query| query["sql"]["sanitized_query"].as_str()).collect();
    assert!(texts.contains(&"SELECT id FROM refunds WHERE email = $1"), "{texts:?}");
    assert!(texts.contains(&"INSERT INTO refunds VALUES (?, ?), (?, ?)"), "{texts:?}");
    for query in queries.iter().chain([sleep]) {
        assert!(query["name"].as_str().unwrap().starts_with("shop@127.0.0.1:"), "{query}");
        assert_eq!(query["namespace"], "remote");
        assert_eq!(query["sql"]["driver_version"], "sqlx 0.9");
        assert!(query.get("fault").is_none(), "sqlx does not tell");
    }
    let seconds = sleep["end_time"].as_f64().unwrap() - sleep["start_time"].as_f64().unwrap();
    assert!(seconds >= 0.05, "it began when the query did: {seconds}");
    assert!(!document.to_string().contains("sesame") && !document.to_string().contains("secret"), "{document}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_of_sqlite_are_subsegments_although_they_run_on_a_thread_of_their_own() {
    record_sqlite();
    let pool = in_memory().await;
    let (recorder, documents) = recorder_with(|builder| builder);
    let segment = recorder.begin_segment("report");
    let work = async {
        let insert = sqlx::query("INSERT INTO orders (email) VALUES ('a@b.c')");
        insert.execute(&pool).instrument(info_span!("insert")).await.unwrap();
        sqlx::query("SELECT * FROM orders").fetch_all(&pool).instrument(info_span!("select")).await.unwrap()
    };
    assert_eq!(work.in_entity(&segment).await.len(), 1);
    // The thread lets go of the last span before it does this.
    sqlx::query("SELECT 'outside of the trace'").execute(&pool).await.unwrap();
    segment.close();
    let document = documents.take_one();
    let queries: Vec<String> = document
        .subsegments()
        .map(|span| format!("{}({})", span.name(), span.subsegments().map(|query| query.name()).collect::<String>()))
        .collect();
    assert_eq!(queries, ["insert(orders.db)", "select(orders.db)"]);
    let query = document.subsegments().next().unwrap().subsegments().next().unwrap();
    assert_eq!(query.namespace(), None, "a database within the process is local work");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_span_of_a_request_leads_its_queries_of_sqlite_to_the_segment() {
    record_sqlite();
    let pool = in_memory().await;
    let (recorder, mut documents) = emitting_recorder();
    let handler = async move || {
        let rows = sqlx::query("SELECT count(*) FROM orders").fetch_all(&pool).await.unwrap();
        rows[0].get::<i64, _>(0).to_string()
    };
    let app = Router::new().route("/", route(handler)).layer(XRayLayer::new("shop", recorder).log_span(Level::INFO));
    assert!(exchange(serve(app).await, &get("/")).await.ends_with('0'));
    let document = documents.next().await;
    assert_eq!(document.subsegments().map(|query| query.name().to_owned()).collect::<Vec<_>>(), ["orders.db"]);
}
