//! Queries: what a connection string tells, what a statement does, and what neither may.

mod calls;
mod statements;

use proptest::{collection::vec, prelude::*, sample::select, test_runner::Config};
use tower_xray::{
    Sql,
    document::{Namespace, SqlField},
};

use crate::support::recorder;

/// What is recorded of a connection string.
#[derive(Debug, Eq, PartialEq)]
struct Told {
    name: String,
    url: String,
    connection_string: String,
    database_type: String,
    user: String,
}

fn told(sql: &Sql) -> (Told, Option<Namespace>) {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    segment.begin_sql(sql).close();
    segment.close();
    let segment = documents.take_one();
    let query = segment.subsegments().next().unwrap();
    let of = |field| query.sql(field).to_owned();
    let told = Told {
        name: query.name().to_owned(),
        url: of(SqlField::Url),
        connection_string: of(SqlField::ConnectionString),
        database_type: of(SqlField::DatabaseType),
        user: of(SqlField::User),
    };
    (told, query.namespace())
}

/// Asserts what is recorded: name, URL, connection string, type and user.
#[track_caller]
fn assert_told(connection_string: &str, expected: [&str; 5]) {
    let [name, url, other, database_type, user] = expected.map(str::to_owned);
    let namespace = if database_type == "SQLite" || database_type == "DuckDB" { None } else { Some(Namespace::Remote) };
    let expected = (Told { name, url, connection_string: other, database_type, user }, namespace);
    assert_eq!(told(&Sql::new(connection_string)), expected, "{connection_string}");
}

/// The vectors of the X-Ray SDK for Go. It asks the database for its type, and names the subsegment after it anyway.
#[test]
fn connection_strings_lose_their_password_wherever_it_stands() {
    let url = "postgres://host:5432/database";
    let with_user = "postgres://user@host:5432/database";
    for (text, kept, user) in [
        (with_user, with_user, "user"),
        ("postgres://user:password@host:5432/database", with_user, "user"),
        ("postgres://host:5432/database?password=password", url, ""),
        ("postgres://host:5432/database?X-Amz-Security-Token=token", url, ""),
    ] {
        assert_told(text, ["database@host", kept, "", "PostgreSQL", user]);
    }
    // The collector takes no URL without a scheme.
    for (text, kept, user) in [
        ("user:password@host:5432/database", "user@host:5432/database", "user"),
        ("user%2Fpassword@host:5432/database", "user@host:5432/database", "user"),
        ("user/password@host:5432/database", "user@host:5432/database", "user"),
        ("host:5432/database?password=password", "host:5432/database", ""),
        ("host:5432/database?X-Amz-Security-Token=token", "host:5432/database", ""),
    ] {
        assert_told(text, ["database@host:5432", "", kept, "", user]);
    }
    for text in [
        "user:password@tcp(localhost:5555)/dbname?tls=skip-verify&autocommit=true",
        "user@tcp(localhost:5555)/dbname?tls=skip-verify&autocommit=true",
    ] {
        assert_told(text, ["dbname@localhost:5555", "", "user@tcp(localhost:5555)/dbname", "", "user"]);
    }
    let text = "user:password@tcp([de:ad:be:ef::ca:fe]:80)/dbname?timeout=90s&collation=utf8mb4_unicode_ci";
    let kept = "user@tcp([de:ad:be:ef::ca:fe]:80)/dbname";
    assert_told(text, ["dbname@_de:ad:be:ef::ca:fe_:80", "", kept, "", "user"]);
    assert_told("user:password@/", ["unknown", "", "user@/", "", "user"]);
    for text in ["user=user database=database", "user=user password=password database=database"] {
        assert_told(text, ["database", "", "user=user database=database", "PostgreSQL", "user"]);
    }
    let text = "odbc:server=localhost;user id=sa;password={foo}};bar};otherthing=thing";
    assert_told(text, ["localhost", "", "odbc:server=localhost;user id=sa", "", "sa"]);
    for text in ["password=", "pwd="] {
        assert_told(text, ["PostgreSQL", "", "", "PostgreSQL", ""]);
    }
}

/// The vectors of the X-Ray SDK for Java. No driver in Rust takes these, and a descriptor may have anything in it.
#[test]
fn of_the_urls_that_oracle_has_for_java_nothing_is_known_but_the_type() {
    for text in [
        "jdbc:oracle:thin:orcluser/PW@localhost:55:orclsn",
        "jdbc:oracle:thin:orcluser/PW@//orcl.host:55/orclsn",
        "jdbc:oracle:thin:orcluser/PW@127.0.0.1:orclsn",
        "jdbc:oracle:thin:orcluser/PW@//orcl.host/orclsn",
        "jdbc:oracle:thin:@//orcl.host:55/orclsn",
        "jdbc:oracle:thin:@ldap://orcl.host:55/some,cn=OracleContext,dc=com",
        "jdbc:oracle:thin:127.0.0.1:orclsn",
        "jdbc:oracle:thin:orcl.host:orclsn",
        "jdbc:oracle:thin:@( DESCRIPTION = (ADDRESS= (HOST = orcl.host )(PORT=55)) (CONNECT_DATA=(SERVICE_NAME=orclsn)))",
        "jdbc:oracle:oci8:@",
        "jdbc:oracle:oci8:@orclsn",
    ] {
        assert_told(text, ["Oracle", "", "", "Oracle", ""]);
    }
}

#[test]
fn a_subsegment_is_named_after_database_and_host_with_a_port_that_is_not_the_default() {
    for (text, name, url, database_type, user) in [
        ("postgresql://db/shop", "shop@db", "postgresql://db/shop", "PostgreSQL", ""),
        ("postgresql://db:6432/shop", "shop@db:6432", "postgresql://db:6432/shop", "PostgreSQL", ""),
        ("POSTGRES://db:5432/shop/", "shop@db", "POSTGRES://db:5432/shop/", "PostgreSQL", ""),
        ("mysql://db:3306/shop", "shop@db", "mysql://db:3306/shop", "MySQL", ""),
        ("mariadb://db:5432/shop", "shop@db:5432", "mariadb://db:5432/shop", "MariaDB", ""),
        ("oracle://db:1521/shop", "shop@db", "oracle://db:1521/shop", "Oracle", ""),
        ("cockroach://db:26257/shop", "shop@db:26257", "cockroach://db:26257/shop", "", ""),
        ("postgres://a%20b:x@db/sh%C3%B6p", "shöp@db", "postgres://a%20b@db/sh%C3%B6p", "PostgreSQL", "a b"),
        ("postgres://u:p@ss@db/shop", "shop@db", "postgres://u@db/shop", "PostgreSQL", "u"),
        ("postgres://h1:5433,h2/shop", "shop@h1:5433", "postgres://h1:5433,h2/shop", "PostgreSQL", ""),
        ("postgresql+driver://db/shop?sslmode=require#x", "shop@db", "postgresql+driver://db/shop", "PostgreSQL", ""),
        ("jdbc:mysql://h/d?user=u&password=p", "d@h", "mysql://h/d", "MySQL", "u"),
        (" postgres://db/shop\n", "shop@db", "postgres://db/shop", "PostgreSQL", ""),
    ] {
        assert_told(text, [name, url, "", database_type, user]);
    }
}

#[test]
fn what_is_no_url_with_host_and_database_is_a_connection_string() {
    for (text, name, kept, database_type, user) in [
        ("postgresql://db:5432", "db", "postgresql://db:5432", "PostgreSQL", ""),
        ("mysql://db/", "db", "mysql://db/", "MySQL", ""),
        ("postgres:///shop?host=/var/run/postgresql&user=u", "shop@localhost", "postgres:///shop", "PostgreSQL", "u"),
        ("postgres://%2Fvar%2Frun/shop", "shop@localhost", "", "PostgreSQL", ""),
        ("sqlserver://db:1433;databaseName=shop;user=u;password=p", "shop@db", "sqlserver://db:1433", "MS SQL", "u"),
        ("u:p@unix(/tmp/mysql.sock)/shop", "shop@localhost", "u@unix(/tmp/mysql.sock)/shop", "", "u"),
        ("//db:1521/shop", "shop@db:1521", "db:1521/shop", "", ""),
        (
            "Server=tcp:db,1434;Initial Catalog=shop;User ID=u;Password=p",
            "shop@db:1434",
            "Server=tcp:db,1434;Initial Catalog=shop;User ID=u",
            "",
            "u",
        ),
        (
            r"host = db port=5433 dbname='shop' user=u password='it\'s; a secret' options='-c x=y'",
            "shop@db:5433",
            "host=db port=5433 dbname=shop user=u",
            "PostgreSQL",
            "u",
        ),
    ] {
        let url = if kept.is_empty() { text } else { "" };
        assert_told(text, [name, url, kept, database_type, user]);
    }
}

#[test]
fn a_database_in_the_process_is_local_work_named_after_its_file() {
    for (text, name) in [
        ("sqlite:data.db", "data.db"),
        ("sqlite://data.db", "data.db"),
        ("sqlite:///var/lib/shop/data.db?mode=rwc", "data.db"),
        ("sqlite::memory:", "SQLite"),
        ("sqlite://:memory:", "SQLite"),
        ("sqlite://", "SQLite"),
        ("file:data.db?cache=shared", "data.db"),
        (":memory:", "SQLite"),
        ("/var/lib/shop/data", "data"),
        ("./shop", "shop"),
        (r"C:\shop\data.sqlite3", "data.sqlite3"),
        ("sqlite:data.db;password=pass", "SQLite"),
        ("orders.DB", "orders.DB"),
    ] {
        assert_told(text, [name, "", "", "SQLite", ""]);
    }
    assert_told("duckdb:shop.duckdb", ["shop.duckdb", "", "", "DuckDB", ""]);
}

#[test]
fn where_a_password_may_be_in_another_place_only_the_type_is_recorded() {
    for text in [
        "postgres://user:pa/ss@host/db",
        "postgres://user:pa?ss@host/db",
        "postgres://user:pa#ss@host/db",
        "postgres://user:pa;ss@host/db",
        "postgres://user:p@ss/word@host/db",
        "postgres://user:pass",
        "postgres://user:pass word",
        "postgres://host/db?password=p@ss",
        "postgres://host/db&password=pass",
        "host:5432/db&password=pass",
        "user:pass:5432/db",
        "password=two words user=u",
        "user=u password='not closed",
    ] {
        let (told, _) = told(&Sql::new(text));
        assert_eq!((&*told.url, &*told.connection_string, &*told.user), ("", "", ""), "{text}");
        assert!(["PostgreSQL", "unknown"].contains(&&*told.name), "{text}: {}", told.name);
    }
    for text in ["user:pa?ss@host/db", "user=u;password=\"a\"b;", "a b c", "\0", "", "://", "@", "="] {
        let (told, _) = told(&Sql::new(text));
        assert!(!told.connection_string.contains("ss"), "{text}: {told:?}");
        assert_eq!((&*told.url, &*told.user), ("", ""), "{text}");
    }
}

proptest! {
    #![proptest_config(Config { cases: 1_000, ..Config::default() })]

    /// Also of one that is not encoded as it should be.
    #[test]
    fn no_part_of_a_password_is_recorded(
        template in select(TEMPLATES.to_vec()),
        password in vec(select("ab1 '\"\\\\/:;@?#&=%{}[]()<>,.~-\n\té".chars().collect::<Vec<_>>()), 0..8),
        encoded in any::<bool>(),
    ) {
        // Every other character of it.
        let password: String = password.into_iter().flat_map(|c| [MARK, c]).chain([MARK]).collect();
        let encode = |byte: u8| format!("%{byte:02X}");
        let written = if encoded { password.bytes().map(encode).collect() } else { password };
        let (recorder, documents) = recorder();
        let segment = recorder.begin_segment("orders");
        let connection_string = template.replace("PASSWORD", &written);
        segment.begin_sql(&Sql::new(&connection_string)).close();
        segment.close();
        let json = documents.take_one().to_json();
        let is_free = !json.contains(MARK) && !json.contains(&encode(MARK.to_string().as_bytes()[0]));
        prop_assert!(is_free, "{json} of {connection_string:?}");
    }
}

/// A character that is in every password and in nothing else.
const MARK: char = 'ж';

const TEMPLATES: [&str; 14] = [
    "postgres://user:PASSWORD@host:5432/db",
    "postgres://:PASSWORD@host/db?sslmode=disable",
    "postgres://host/db?password=PASSWORD&user=u",
    "postgres://host/db?user=u&sslpassword=PASSWORD",
    "jdbc:sqlserver://host:1433;databaseName=db;password=PASSWORD;user=u",
    "user:PASSWORD@host:5432/db",
    "user/PASSWORD@host:1521/db",
    "user:PASSWORD@tcp(host:3306)/db?timeout=9s",
    "host/db?password=PASSWORD",
    "host=h password=PASSWORD user=u dbname=db",
    "user=u password='PASSWORD'",
    "Server=host;Password=PASSWORD;Database=db;User Id=u",
    "odbc:Server=host;PWD={PASSWORD};Database=db",
    "sqlite:data.db?key=PASSWORD",
];
