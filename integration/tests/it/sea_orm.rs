//! sea-orm, whose spans (feature `tracing-spans`) are queries with their failures.

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, Statement, TransactionTrait};
use serde_json::Value;
use tower_xray::{FutureExt, Sql, subscriber::SubsegmentLayer};
use tracing::instrument;
use tracing_subscriber::{Registry, prelude::*};

use crate::{
    sqlx_bridge::{json, postgres, record_sqlite},
    support::recorder_with,
};

async fn connect(url: &str) -> DatabaseConnection {
    Database::connect(ConnectOptions::new(url).max_connections(1).to_owned()).await.unwrap()
}

/// A transaction with statements, one of which fails.
#[instrument(skip_all)]
async fn work(database: &DatabaseConnection) -> Result<DbErr, DbErr> {
    let transaction = database.begin().await?;
    transaction.execute_unprepared("CREATE TEMPORARY TABLE carts (id INT PRIMARY KEY, email TEXT)").await?;
    let backend = database.get_database_backend();
    let insert = Statement::from_sql_and_values(backend, "INSERT INTO carts VALUES (1, $1)", ["secret".into()]);
    transaction.execute_raw(insert).await?;
    let select = Statement::from_string(backend, "SELECT id FROM carts WHERE email = 'secret'");
    assert_eq!(transaction.query_all_raw(select).await?.len(), 1);
    let failed = transaction.execute_unprepared("SELECT nothing FROM carts").await;
    transaction.rollback().await?;
    Ok(failed.unwrap_err())
}

/// The queries below the only span of a segment: operation, text and message of the exception.
fn queries(segment: &Value, name: &str) -> Vec<(String, String, String)> {
    let [span] = &segment["subsegments"].as_array().unwrap()[..] else { panic!("{segment}") };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let query = |query: &Value| {
        assert!(query["name"].as_str().unwrap().starts_with(name), "{query}");
        assert_eq!(query.get("subsegments"), None, "sqlx tells of it, too: {query}");
        let message = &query["cause"]["exceptions"][0]["message"];
        assert_eq!(query["fault"] == true, message.is_string());
        (text(&query["metadata"]["default"]["db.operation"]), text(&query["sql"]["sanitized_query"]), text(message))
    };
    span["subsegments"].as_array().unwrap().iter().map(query).collect()
}

fn assert_queries(queries: &[(String, String, String)]) {
    let operations: Vec<&str> = queries.iter().map(|(operation, ..)| operation.as_str()).collect();
    assert_eq!(operations, ["EXECUTE", "EXECUTE", "INSERT", "SELECT", "SELECT", "EXECUTE"], "{queries:?}");
    assert!(queries[2].1.starts_with("INSERT INTO carts VALUES (?, "), "{queries:?}");
    assert_eq!(queries[3].1, "SELECT id FROM carts WHERE email = ?");
    for (number, (.., message)) in queries.iter().enumerate() {
        assert_eq!(message.contains("nothing"), number == 4, "{queries:?}");
    }
}

/// The document of a segment in which the work is done.
async fn report(url: &str) -> Value {
    let database = connect(url).await;
    let (recorder, documents) = recorder_with(|builder| builder.sql_statements(true));
    let segment = recorder.begin_segment("report");
    let failed = work(&database).in_entity(&segment).await.unwrap();
    assert!(failed.to_string().contains("nothing"), "{failed}");
    // The thread of SQLite lets go of the last span before it does this.
    database.execute_unprepared("SELECT 1").await.unwrap();
    segment.close();
    json(&documents.take_one())
}

#[tokio::test]
async fn queries_of_postgresql_are_subsegments_with_their_failures() {
    let Some(url) = postgres() else { return };
    let layer = SubsegmentLayer::new().sql(Sql::new(&url));
    let _default = tracing::subscriber::set_default(Registry::default().with(layer.filtered()));
    let document = report(&url).await;
    assert_queries(&queries(&document, "shop@127.0.0.1:"));
    assert!(!document.to_string().contains("sesame") && !document.to_string().contains("secret"), "{document}");
}

#[tokio::test]
async fn queries_of_sqlite_are_subsegments_with_their_failures() {
    record_sqlite();
    assert_queries(&queries(&report("sqlite::memory:").await, "orders.db"));
}
