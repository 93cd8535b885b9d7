//! SQLite with sqlx.

use sqlx::{Executor, sqlite::SqlitePoolOptions};
use tower_xray::{FutureExt, Sql, capture_sql, document::SqlField};

use super::{exceptions, outline, queries};
use crate::support::recorder_with;

#[tokio::test]
async fn queries_are_local_work() {
    let (recorder, documents) = recorder_with(|builder| builder.sql_statements(true));
    // Another connection would be another database.
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let sql = Sql::new("sqlite::memory:");
    let segment = recorder.begin_segment("orders");
    let insert = "INSERT INTO orders VALUES (1, 'secret')";
    for statement in ["CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)", insert] {
        capture_sql(sql.statement(statement), pool.execute(statement)).in_entity(&segment).await.unwrap();
    }
    for statement in [insert, "SELEC 1"] {
        capture_sql(sql.statement(statement), pool.execute(statement)).in_entity(&segment).await.unwrap_err();
    }
    segment.close();
    let segment = documents.take_one();
    let queries = queries(&segment);
    let told: Vec<_> = queries.iter().map(|query| outline(*query)).collect();
    assert_eq!(
        told,
        [
            ("SQLite", "CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)", false),
            ("SQLite", "INSERT INTO orders VALUES (?, ?)", false),
            ("SQLite", "INSERT INTO orders VALUES (?, ?)", true),
            ("SQLite", "SELEC ?", true),
        ]
    );
    assert!(exceptions(queries[2])[0].1.contains("UNIQUE constraint failed: orders.id"));
    assert!(exceptions(queries[3])[0].1.contains("near \"SELEC\": syntax error"));
    for query in queries {
        assert_eq!((query.namespace(), query.sql(SqlField::Url)), (None, ""));
        assert_eq!(query.sql(SqlField::DatabaseType), "SQLite");
    }
}
