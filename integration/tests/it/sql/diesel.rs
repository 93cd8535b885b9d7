//! diesel, with SQLite.

use std::panic::{AssertUnwindSafe, catch_unwind};

use diesel::{
    Connection, RunQueryDsl, SqliteConnection,
    connection::{SimpleConnection, set_default_instrumentation},
    deserialize::QueryableByName,
    row::NamedRow,
    serialize::{Output, ToSql},
    sql_query,
    sql_types::{Integer, Text},
    sqlite::Sqlite,
};
use tower_xray::{Sql, client::diesel::XRayInstrumentation, document::SqlField, sampling::SampleNone};

use super::{exceptions, outline, queries};
use crate::support::{recorder, recorder_with};

/// A new database, whose connection is traced from its beginning if an entity is current.
fn connect(url: &str) -> diesel::ConnectionResult<SqliteConnection> {
    set_default_instrumentation(|| Some(Box::new(XRayInstrumentation::new()))).unwrap();
    SqliteConnection::establish(url)
}

struct Id;

impl QueryableByName<Sqlite> for Id {
    fn build<'a>(row: &impl NamedRow<'a, Sqlite>) -> diesel::deserialize::Result<Self> {
        NamedRow::get::<Integer, i32>(row, "id").map(|_| Self)
    }
}

#[test]
fn every_query_of_a_connection_is_a_subsegment() {
    let (recorder, documents) = recorder_with(|builder| builder.sql_statements(true));
    let segment = recorder.begin_segment("orders");
    let entered = segment.enter();
    let mut connection = connect(":memory:").unwrap();
    connection.batch_execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)").unwrap();
    let insert = || sql_query("INSERT INTO orders VALUES (7, ?)").bind::<Text, _>("secret -- binds: secret");
    assert_eq!(insert().execute(&mut connection), Ok(1));
    insert().execute(&mut connection).unwrap_err();
    let rows = sql_query("SELECT id FROM orders WHERE id = 7").load::<Id>(&mut connection).unwrap();
    assert_eq!(rows.len(), 1);
    sql_query("SELEC 1").execute(&mut connection).unwrap_err();
    connection.transaction(|connection| sql_query("SELECT 1").execute(connection)).unwrap();
    drop(entered);
    // Outside of a trace.
    sql_query("SELECT 2").execute(&mut connection).unwrap();
    segment.close();

    let segment = documents.take_one();
    let queries = queries(&segment);
    let told: Vec<_> = queries.iter().map(|query| outline(*query)).collect();
    assert_eq!(
        told,
        [
            ("SQLite", "", false),
            ("SQLite", "CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)", false),
            ("SQLite", "INSERT INTO orders VALUES (?, ?)", false),
            ("SQLite", "INSERT INTO orders VALUES (?, ?)", true),
            ("SQLite", "SELECT id FROM orders WHERE id = ?", false),
            ("SQLite", "SELEC ?", true),
            ("SQLite", "BEGIN", false),
            ("SQLite", "SELECT ?", false),
            ("SQLite", "COMMIT", false),
        ]
    );
    assert_eq!(exceptions(queries[3]), [("diesel::result::Error", "UNIQUE constraint failed: orders.id")]);
    assert!(exceptions(queries[5])[0].1.contains("syntax error"));
    assert!(queries.iter().all(|query| query.sql(SqlField::DatabaseType) == "SQLite"));
    assert!(!segment.to_json().contains("secret"), "{segment}");
}

#[test]
fn a_connection_that_cannot_be_established_is_a_fault() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let entered = segment.enter();
    assert!(connect("file:/nowhere/at/all/orders.db?key=secret").is_err());
    drop(entered);
    segment.close();
    let segment = documents.take_one();
    let query = queries(&segment)[0];
    assert_eq!(outline(query), ("orders.db", "", true));
    assert!(exceptions(query)[0].1.contains("nable to open"), "{segment}");
    assert!(!segment.to_json().contains("secret"), "{segment}");
}

#[test]
fn a_connection_that_is_established_already_is_told_its_database() {
    let mut connection = connect(":memory:").unwrap();
    connection.set_instrumentation(XRayInstrumentation::of(Sql::new("sqlite:orders.db").name("ledger")));
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let entered = segment.enter();
    sql_query("SELECT 1").execute(&mut connection).unwrap();
    connection.set_instrumentation(XRayInstrumentation::new());
    sql_query("SELECT 1").execute(&mut connection).unwrap();
    drop(entered);
    segment.close();
    let segment = documents.take_one();
    let names: Vec<_> = segment.subsegments().map(|query| query.name()).collect();
    assert_eq!(names, ["ledger", "unknown"]);
}

#[derive(Debug)]
struct Panics;

impl ToSql<Text, Sqlite> for Panics {
    fn to_sql<'a>(&'a self, _: &mut Output<'a, '_, Sqlite>) -> diesel::serialize::Result {
        panic!("no text")
    }
}

#[test]
fn a_query_without_an_end_ends_with_the_next_one_or_the_connection() {
    let (recorder, documents) = recorder_with(|builder| builder.sql_statements(true));
    let segment = recorder.begin_segment("orders");
    let mut connection = connect(":memory:").unwrap();
    let entered = segment.enter();
    let mut panics = |statement: &'static str| {
        let query = sql_query(statement).bind::<Text, _>(Panics);
        catch_unwind(AssertUnwindSafe(|| query.execute(&mut connection))).unwrap_err();
    };
    panics("SELECT ? AS a");
    panics("SELECT ? AS b");
    drop(connection);
    drop(entered);
    segment.close();
    let segment = documents.take_one();
    let [first, second] = queries(&segment)[..] else { panic!("{segment}") };
    assert_eq!((outline(first).1, outline(second).1), ("SELECT ? AS a", "SELECT ? AS b"));
    assert!(first.end_time() <= second.start_time());
}

#[test]
fn rows_that_are_not_read_to_their_end_end_the_query() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let mut connection = connect(":memory:").unwrap();
    let entered = segment.enter();
    let rows = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n LIMIT 1000";
    let mut iterator = diesel::connection::LoadConnection::load(&mut connection, sql_query(rows)).unwrap();
    assert!(iterator.next().is_some());
    drop(iterator);
    segment.begin_subsegment("afterwards").close();
    drop(entered);
    segment.close();
    let segment = documents.take_one();
    let [query, afterwards] = queries(&segment)[..] else { panic!("{segment}") };
    assert!(query.end_time() <= afterwards.start_time());
}

#[test]
fn a_query_that_is_not_sampled_emits_nothing() {
    let (recorder, documents) = recorder_with(|builder| builder.sampling(SampleNone).sql_statements(true));
    let segment = recorder.begin_segment("orders");
    let entered = segment.enter();
    let mut connection = connect(":memory:").unwrap();
    sql_query("SELECT 1").execute(&mut connection).unwrap();
    drop(entered);
    segment.close();
    assert_eq!(documents.len(), 0);
}
