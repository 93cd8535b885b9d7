//! PostgreSQL with sqlx, through a layer.

use std::{net::TcpListener, sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::get};
use http::{Request, StatusCode};
use sqlx::{Executor, PgPool, Row, postgres::PgPoolOptions};
use tokio::sync::Barrier;
use tower::ServiceExt;
use tower_xray::{
    FutureExt, Sql, XRayLayer, capture_sql,
    document::{Namespace, SqlField},
    sampling::SampleNone,
};

use super::{exceptions, outline, queries};
use crate::support::{recorder, recorder_with};

const COUNT: &str = "SELECT count(*) FROM generate_series(1, 100) AS n WHERE n > 42 AND 'secret' = $1";

/// A pool, and what is recorded of its database; nothing without a database.
async fn database() -> Option<(PgPool, Sql, String)> {
    let Some(url) = std::env::var_os("DATABASE_URL").and_then(|url| url.into_string().ok()) else {
        println!("left out: there is no DATABASE_URL");
        return None;
    };
    let pool = PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
    Some((pool, Sql::new(&url), url))
}

/// The name of every subsegment, and the URL: without the password.
fn name_and_url(url: &str) -> (String, String) {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (credentials, rest) = rest.rsplit_once('@').unwrap();
    let (host, database) = rest.split_once('/').unwrap();
    (format!("{database}@{host}"), format!("{scheme}://{}@{rest}", credentials.split(':').next().unwrap()))
}

#[tokio::test]
async fn a_query_of_a_request_is_a_call_of_its_database() {
    let Some((pool, sql, url)) = database().await else { return };
    let (recorder, documents) = recorder_with(|builder| builder.sql_statements(true));
    let handler = async move || {
        let query = sqlx::query(COUNT).bind("secret").fetch_one(&pool);
        capture_sql(sql.statement(COUNT), query).await.unwrap().get::<i64, _>(0).to_string()
    };
    let router = Router::new().route("/", get(handler)).layer(XRayLayer::new("orders", recorder));
    let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), "58");

    let segment = documents.take_one();
    let query = segment.subsegments().next().unwrap();
    let (name, url) = name_and_url(&url);
    let statement = "SELECT count(*) FROM generate_series(?, ?) AS n WHERE n > ? AND ? = $1";
    assert_eq!(outline(query), (&*name, statement, false));
    assert_eq!(query.namespace(), Some(Namespace::Remote));
    assert_eq!((query.sql(SqlField::Url), query.sql(SqlField::User)), (&*url, "shop"));
    assert_eq!(query.sql(SqlField::DatabaseType), "PostgreSQL");
    let json = segment.to_json();
    assert!(!json.contains("sesame") && !json.contains("secret"), "{json}");
}

#[tokio::test]
async fn statements_are_off_by_default() {
    let Some((pool, sql, _)) = database().await else { return };
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let query = sqlx::query(COUNT).bind("secret").fetch_one(&pool);
    capture_sql(sql.statement(COUNT), query).in_entity(&segment).await.unwrap();
    segment.close();
    assert_eq!(queries(&documents.take_one())[0].sql(SqlField::SanitizedQuery), "");
}

#[tokio::test]
async fn what_the_database_refuses_is_a_fault_with_its_message() {
    let Some((pool, sql, url)) = database().await else { return };
    let name = name_and_url(&url).0;
    let (recorder, documents) = recorder_with(|builder| builder.sql_statements(true));
    let segment = recorder.begin_segment("orders");
    let mut connection = pool.acquire().await.unwrap();
    (&mut *connection).execute("CREATE TEMPORARY TABLE refused (id int PRIMARY KEY)").await.unwrap();
    for statement in ["SELEC 1", "INSERT INTO refused VALUES (1), (1)"] {
        let query = capture_sql(sql.statement(statement), (&mut *connection).execute(statement));
        query.in_entity(&segment).await.unwrap_err();
    }
    segment.close();
    let segment = documents.take_one();
    let queries = queries(&segment);
    assert_eq!(outline(queries[0]), (&*name, "SELEC ?", true));
    assert_eq!(outline(queries[1]), (&*name, "INSERT INTO refused VALUES (?), (?)", true));
    let messages: Vec<_> = queries.iter().map(|query| exceptions(*query)[0]).collect();
    assert_eq!(messages[0].0, "sqlx_core::error::Error");
    assert!(messages[0].1.contains("syntax error at or near \"SELEC\""), "{messages:?}");
    assert!(messages[1].1.contains("duplicate key value violates unique constraint \"refused_pkey\""), "{messages:?}");
    assert!(!segment.fault());
}

#[tokio::test]
async fn a_password_that_is_refused_is_not_in_the_message() {
    let Some((.., url)) = database().await else { return };
    let url = url.replace("open%20sesame", "hocus%20pocus");
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let connect = capture_sql(&Sql::new(&url), PgPool::connect(&url)).in_entity(&segment).await;
    connect.unwrap_err();
    segment.close();
    let segment = documents.take_one();
    assert!(segment.to_json().contains("authentication failed"), "{segment}");
    assert!(!segment.to_json().contains("pocus"), "{segment}");
}

#[tokio::test]
async fn a_pool_that_has_no_connection_in_time_is_a_fault() {
    // A server that takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://shop:secret@{}/shop", silent.local_addr().unwrap());
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(10)).connect_lazy(&url).unwrap();
    let sql = Sql::new(&url);
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    capture_sql(&sql, pool.execute("SELECT 1")).in_entity(&segment).await.unwrap_err();
    segment.close();
    let segment = documents.take_one();
    let message = exceptions(queries(&segment)[0])[0].1;
    assert_eq!(message, "pool timed out while waiting for an open connection");
}

#[tokio::test]
async fn a_query_that_is_dropped_while_the_database_works_is_cancelled() {
    let Some((pool, sql, _)) = database().await else { return };
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let running = async {
        let running = "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'";
        loop {
            if let Some(row) = sqlx::query(running).fetch_optional(&pool).await.unwrap() {
                return row.get::<i32, _>(0);
            }
        }
    };
    let pid = tokio::select! {
        result = capture_sql(&sql, sqlx::query("SELECT pg_sleep(600)").execute(&pool)).in_entity(&segment) => {
            panic!("{result:?}")
        }
        pid = running => pid,
    };
    sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(&pool).await.unwrap();
    segment.close();
    let segment = documents.take_one();
    let query = queries(&segment)[0];
    assert_eq!((query.annotation("cancelled"), query.fault(), query.error()), (Some(true.into()), false, false));
    assert_eq!(exceptions(query), []);
}

#[tokio::test]
async fn a_panic_between_two_queries_is_recorded_and_goes_on() {
    let Some((pool, sql, _)) = database().await else { return };
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let query = async move {
        let work = async {
            pool.execute("SELECT 1").await?;
            if pool.size() > 0 {
                panic!("no rows");
            }
            pool.execute("SELECT 2").await
        };
        capture_sql(&sql, work).await
    };
    tokio::spawn(query.in_entity(&segment)).await.unwrap_err();
    segment.close();
    let segment = documents.take_one();
    let query = queries(&segment)[0];
    assert_eq!((query.fault(), exceptions(query)), (true, vec![("panic", "no rows")]));
}

#[tokio::test]
async fn concurrent_queries_are_siblings() {
    let Some((pool, sql, _)) = database().await else { return };
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let together = Arc::new(Barrier::new(4));
    let query = || {
        let (pool, sql, together) = (pool.clone(), sql.clone(), together.clone());
        let work = async move {
            let mut connection = pool.acquire().await?;
            together.wait().await;
            (&mut *connection).execute("SELECT 1").await
        };
        tokio::spawn(async move { capture_sql(&sql, work).await }.in_entity(&segment))
    };
    for query in (0..4).map(|_| query()).collect::<Vec<_>>() {
        query.await.unwrap().unwrap();
    }
    segment.close();
    let segment = documents.take_one();
    assert_eq!(queries(&segment).len(), 4);
    assert_eq!(queries(&segment).iter().flat_map(|query| query.subsegments()).count(), 0);
}

#[tokio::test]
async fn a_query_that_is_not_sampled_emits_nothing() {
    let Some((pool, sql, _)) = database().await else { return };
    let (recorder, documents) = recorder_with(|builder| builder.sampling(SampleNone));
    let segment = recorder.begin_segment("orders");
    capture_sql(sql.statement("SELECT 1"), pool.execute("SELECT 1")).in_entity(&segment).await.unwrap();
    segment.close();
    assert_eq!(documents.len(), 0);
}
