//! What becomes of a query: its subsegment, its errors, and when it began and ended.

use std::{
    fmt,
    future::{pending, poll_fn, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::sync::Barrier;
use tower_xray::{
    FutureExt, Sql, capture_sql,
    client::sql::{Preparation, capture_sql_blocking},
    current,
    document::{EntityDocument, ExceptionDocument, SqlField},
    sampling::SampleNone,
};

use crate::support::{assert_valid_json, described, recorder, recorder_with};

const URL: &str = "postgres://shop_rw:open%20sesame@db.internal:5432/orders?sslmode=require";

#[derive(Debug)]
struct Says(String);

impl fmt::Display for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Says {}

#[tokio::test]
async fn a_query_is_a_remote_subsegment_with_all_that_is_known_of_its_database() {
    let (recorder, documents) = recorder();
    let sql = Sql::new(URL).database_version("16.4").driver_version("sqlx 0.9.0");
    let segment = recorder.begin_segment("orders");
    let query = capture_sql(sql.statement("SELECT 1").preparation(Preparation::Statement), async {
        assert_ne!(current().id(), segment.id());
        Ok::<_, Says>(1)
    });
    assert_eq!(query.in_entity(&segment).await.unwrap(), 1);
    segment.close();
    let document = assert_valid_json(&documents.take_one().to_json());
    let query = &document["subsegments"][0];
    assert_eq!((&query["name"], &query["namespace"]), (&"orders@db.internal".into(), &"remote".into()));
    let sql = serde_json::json!({
        "url": "postgres://shop_rw@db.internal:5432/orders",
        "database_type": "PostgreSQL",
        "database_version": "16.4",
        "driver_version": "sqlx 0.9.0",
        "user": "shop_rw",
        "preparation": "statement",
    });
    assert_eq!(query["sql"], sql);
    assert_eq!(query.get("fault"), None);
}

#[test]
fn what_the_program_says_goes_before_the_connection_string_and_within_bounds() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let long = "x".repeat(1_000);
    let sql = Sql::new("postgres://a@db/orders").name("ledger").database_type("CockroachDB").user("b");
    segment.begin_sql(sql.statement("CALL f()").preparation(Preparation::Call)).close();
    let sql = Sql::new("mysql://db/orders").name(&*long).database_type(&*long).database_version(&*long);
    segment.begin_sql(&sql.driver_version(&*long).user(&*long)).close();
    segment.begin_sql(&Sql::new(&format!("mysql://db/{long}"))).close();
    segment.begin_sql(&Sql::new(&format!("mysql://db/{}", "x".repeat(10_000)))).close();
    segment.close();
    let segment = documents.take_one();
    let queries: Vec<_> = segment.subsegments().collect();
    assert_eq!(queries[0].name(), "ledger");
    assert_eq!((queries[0].sql(SqlField::DatabaseType), queries[0].sql(SqlField::User)), ("CockroachDB", "b"));
    assert_eq!(queries[0].sql(SqlField::Preparation), "call");
    assert_eq!(queries[1].name(), &long[..200]);
    for field in [SqlField::DatabaseType, SqlField::DatabaseVersion, SqlField::DriverVersion, SqlField::User] {
        assert_eq!(queries[1].sql(field), &long[..250]);
    }
    // A URL without its end would have another form.
    assert_eq!((queries[2].name().len(), queries[2].sql(SqlField::Url)), (200, ""));
    assert_eq!(queries[2].sql(SqlField::ConnectionString).len(), 250);
    assert_eq!((queries[3].name(), queries[3].sql(SqlField::ConnectionString)), ("unknown", ""));
}

#[tokio::test]
async fn an_error_is_a_fault_with_its_cause_and_without_the_secrets_of_the_connection_string() {
    let sql = Sql::new(URL);
    let far = format!("{}open sesame", "x".repeat(995));
    for (says, told) in [
        ("no relation \"orders\"", "no relation \"orders\""),
        ("bad password open sesame for shop_rw", "bad password  for shop_rw"),
        ("open%20sesame", ""),
        (
            "cannot reach postgres://shop_rw:open%20sesame@db.internal/orders?x=1.",
            "cannot reach postgres://db.internal/orders.",
        ),
        (&far, &"x".repeat(995)),
    ] {
        for blocking in [false, true] {
            let (recorder, documents) = recorder();
            let segment = recorder.begin_segment("orders");
            let error = Err::<(), _>(Says(says.to_owned()));
            if blocking {
                let _entered = segment.enter();
                capture_sql_blocking(&sql, || error).unwrap_err();
            } else {
                capture_sql(&sql, ready(error)).in_entity(&segment).await.unwrap_err();
            }
            segment.close();
            let segment = documents.take_one();
            let query = segment.subsegments().next().unwrap();
            assert!(query.fault() && !segment.fault());
            assert_eq!(described(query), [(std::any::type_name::<Says>(), told)]);
            assert!(segment.to_json().contains(r#""remote":true"#), "{segment}");
        }
    }
}

#[tokio::test]
async fn no_secret_of_a_connection_string_is_in_a_message_however_it_is_written_there() {
    for (text, secrets) in [
        ("postgres://u:hunter2@h/d", vec!["hunter2"]),
        ("postgres://u:a%22b%5Cc@h/d", vec!["a%22b%5Cc", "a\"b\\c", "a\\\"b\\\\c"]),
        ("postgres://h/d?sslpassword=hunter2&token=t0ken", vec!["hunter2", "t0ken"]),
        ("postgres://u:hunter/2@h/d", vec!["hunter/2"]),
        ("postgres://h/d?password=hunt@er2", vec!["hunt@er2"]),
        ("host=h password='it''s me'", vec!["it's me"]),
        ("server=h;pwd={a}}b}", vec!["a}b"]),
        ("oracle:thin:u/hunter2@h", vec!["hunter2"]),
        ("sqlite:data.db?key=hunter2", vec!["hunter2"]),
    ] {
        let sql = Sql::new(text);
        for secret in secrets {
            let (recorder, documents) = recorder();
            let segment = recorder.begin_segment("orders");
            let error = Says(format!("wrong: <{secret}>"));
            capture_sql(&sql, ready(Err::<(), _>(error))).in_entity(&segment).await.unwrap_err();
            segment.close();
            let json = documents.take_one().to_json();
            assert!(json.contains(r#""message":"wrong: <>""#), "{text}: {json}");
        }
    }
}

#[test]
fn a_parameter_that_is_no_secret_is_left_in_messages() {
    for text in ["sqlite:data.db?foreign_keys=on", "mysql://h/d?allowPublicKeyRetrieval=true"] {
        let (recorder, documents) = recorder();
        let segment = recorder.begin_segment("orders");
        let entered = segment.enter();
        let says = "it is true: constraint on orders";
        capture_sql_blocking(&Sql::new(text), || Err::<(), _>(Says(says.to_owned()))).unwrap_err();
        drop(entered);
        segment.close();
        let segment = documents.take_one();
        let query = segment.subsegments().next().unwrap();
        assert_eq!(query.exceptions().map(ExceptionDocument::message).collect::<Vec<_>>(), [says], "{text}");
    }
}

#[test]
fn a_password_that_the_document_tells_anyway_is_left_in_messages() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let entered = segment.enter();
    let sql = Sql::new("postgres://postgres:postgres@localhost/postgres");
    let error = Says("no password for user \"postgres\"".to_owned());
    capture_sql_blocking(&sql, || Err::<(), _>(error)).unwrap_err();
    drop(entered);
    segment.close();
    let segment = documents.take_one();
    let query = segment.subsegments().next().unwrap();
    assert_eq!(query.exceptions().next().unwrap().message(), "no password for user \"postgres\"");
}

#[test]
fn a_query_that_is_dropped_is_cancelled_and_no_fault() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let sql = Sql::new(URL);
    {
        let query = capture_sql(&sql, pending::<Result<(), Says>>()).in_entity(&segment);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(pin!(query).poll(&mut cx).is_pending());
    }
    segment.close();
    let segment = documents.take_one();
    let query = segment.subsegments().next().unwrap();
    assert_eq!((query.name(), query.fault()), ("orders@db.internal", false));
    assert_eq!(query.annotation("cancelled"), Some(true.into()));
}

#[test]
fn a_panic_is_recorded_and_goes_on() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let sql = Sql::new(URL);
    let entered = segment.enter();
    let query = || capture_sql_blocking(&sql, || -> Result<(), Says> { panic!("no rows") });
    catch_unwind(AssertUnwindSafe(query)).unwrap_err();
    let query = capture_sql(&sql, poll_fn(|_| -> Poll<Result<(), Says>> { panic!("no rows") }));
    let mut query = pin!(query);
    let mut cx = Context::from_waker(Waker::noop());
    catch_unwind(AssertUnwindSafe(|| query.as_mut().poll(&mut cx))).unwrap_err();
    drop(entered);
    segment.close();
    let segment = documents.take_one();
    let queries: Vec<_> = segment.subsegments().collect();
    assert_eq!(queries.len(), 2);
    for query in queries {
        assert_eq!((query.fault(), described(query)), (true, vec![("panic", "no rows")]));
    }
}

#[tokio::test]
async fn concurrent_queries_are_siblings() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let (sql, together) = (Sql::new(URL), Arc::new(Barrier::new(10)));
    let queries = async {
        let query = || {
            let (sql, together) = (sql.clone(), together.clone());
            let query = async move { capture_sql(&sql, async { Ok::<_, Says>(together.wait().await) }).await };
            tokio::spawn(query.in_current_segment())
        };
        for query in (0..10).map(|_| query()).collect::<Vec<_>>() {
            query.await.unwrap().unwrap();
        }
    };
    queries.in_entity(&segment).await;
    segment.close();
    let segment = documents.take_one();
    assert_eq!(segment.subsegments().filter(|query| query.name() == "orders@db.internal").count(), 10);
    assert_eq!(segment.subsegments().flat_map(EntityDocument::subsegments).count(), 0);
}

#[tokio::test]
async fn a_query_of_a_segment_that_is_not_sampled_and_one_of_none_is_not_emitted() {
    let (recorder, documents) = recorder_with(|builder| builder.sampling(SampleNone).sql_statements(true));
    let segment = recorder.begin_segment("orders");
    let sql = Sql::new(URL);
    let query = || capture_sql(sql.statement("SELECT 1"), ready(Err::<(), _>(Says("no".to_owned()))));
    query().in_entity(&segment).await.unwrap_err();
    query().await.unwrap_err();
    segment.close();
    assert_eq!((documents.len(), recorder.stats().refused), (0, 0));
}

#[test]
fn a_query_that_is_told_of_late_began_earlier_but_not_before_what_it_is_part_of() {
    let now = Arc::new(AtomicU64::new(1_000));
    let clock = now.clone();
    let (recorder, documents) = recorder_with(|b| b.clock(move || Duration::from_secs(clock.load(Relaxed))));
    let sql = Sql::new("sqlite:orders.db");
    let ago = |ago| sql.statement("SELECT 1").began_ago(Duration::from_secs(ago));
    let segment = recorder.begin_segment("orders");
    now.store(1_010, Relaxed);
    let work = segment.begin_subsegment("work");
    now.store(1_020, Relaxed);
    for seconds in [0, 3, 10, 11, u64::MAX] {
        work.begin_sql(ago(seconds)).close();
    }
    segment.begin_sql(ago(15)).close();
    let outliving = segment.entity().clone();
    work.close();
    segment.close();
    let segment = documents.take_one();
    let starts = |entity: EntityDocument<'_>| -> Vec<_> {
        entity.subsegments().map(|query| (query.start_time().as_secs(), query.end_time().as_secs())).collect()
    };
    let [work, query] = &segment.subsegments().collect::<Vec<_>>()[..] else { panic!("{segment}") };
    let expected = [1_020, 1_017, 1_010, 1_010, 1_010].map(|start| (start, 1_020));
    assert_eq!(starts(*work), expected);
    assert_eq!((query.start_time().as_secs(), query.end_time().as_secs()), (1_005, 1_020));

    // What it is part of has been sent.
    for (seconds, start) in [(5, 1_015), (100, 1_000)] {
        outliving.begin_sql(ago(seconds)).close();
        assert_eq!(documents.take_one().root().start_time().as_secs(), start);
    }
}
