//! The texts of statements: whether they are recorded, and that no literal is.

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestCaseError},
};
use tower_xray::{RecorderBuilder, Sql, document::SqlField};

use crate::support::{assert_valid_json, recorder_with};

const POSTGRES: &str = "postgres://db/orders";
const MYSQL: &str = "mysql://db/orders";
const SQLITE: &str = "sqlite:orders.db";
const MSSQL: &str = "sqlserver://db/orders";

fn recorded_with(
    adjust: impl FnOnce(RecorderBuilder) -> RecorderBuilder,
    connection_string: &str,
    statement: &str,
) -> String {
    let (recorder, documents) = recorder_with(adjust);
    let segment = recorder.begin_segment("orders");
    segment.begin_sql(Sql::new(connection_string).statement(statement)).close();
    segment.close();
    let segment = documents.take_one();
    segment.subsegments().next().unwrap().sql(SqlField::SanitizedQuery).to_owned()
}

fn recorded(connection_string: &str, statement: &str) -> String {
    recorded_with(|builder| builder.sql_statements(true), connection_string, statement)
}

#[test]
fn statements_are_recorded_if_the_environment_says_so_or_else_the_code() {
    for (environment, code, on) in [
        (None, None, false),
        (None, Some(true), true),
        (None, Some(false), false),
        (Some("true"), None, true),
        (Some(" TRUE "), Some(false), true),
        (Some("false"), Some(true), false),
        (Some("0"), Some(true), false),
        (Some("maybe"), Some(true), true),
        (Some(""), None, false),
    ] {
        let lookup =
            move |name: &str| environment.filter(|_| name == "AWS_XRAY_COLLECT_SQL_QUERIES").map(str::to_owned);
        let adjust = |builder: RecorderBuilder| {
            let builder = builder.environment(lookup);
            if let Some(on) = code { builder.sql_statements(on) } else { builder }
        };
        let expected = if on { "SELECT ?" } else { "" };
        assert_eq!(recorded_with(adjust, POSTGRES, "SELECT 1"), expected, "{environment:?} {code:?}");
    }
}

#[test]
fn literals_and_comments_are_taken_out_of_a_statement_and_nothing_else() {
    for (database, statement, told) in [
        (POSTGRES, "UPDATE orders SET state = $1 WHERE id = $2", "UPDATE orders SET state = $1 WHERE id = $2"),
        (
            POSTGRES,
            "SELECT  *\n\tFROM \"or ders\" -- all\nWHERE a='x''y' AND b>=-1.5e3",
            r#"SELECT * FROM "or ders" WHERE a=? AND b>=-?"#,
        ),
        (
            POSTGRES,
            "SELECT $$a'b$$, $t$x$t$, E'a\\\\b', U&'d', X'1F', B'01', 1_000, '{}'::jsonb->>'a'",
            "SELECT ?, ?, ?, ?, ?, ?, ?, ?::jsonb->>?",
        ),
        (POSTGRES, "/* a /* b */ 'c' */ SELECT a.b, f(TRUE, NULL);", "SELECT a.b, f(TRUE, NULL);"),
        (
            POSTGRES,
            "SELECT a[1], b FROM t WHERE c IN (1, 2,'3') LIMIT 10",
            "SELECT a[?], b FROM t WHERE c IN (?, ?,?) LIMIT ?",
        ),
        (POSTGRES, "SELECT é FROM größe WHERE x = 'ü'", "SELECT é FROM größe WHERE x = ?"),
        (MYSQL, "SELECT `a` FROM t WHERE b = \"x\" AND c = 'y' # z", "SELECT `a` FROM t WHERE b = ? AND c = ?"),
        (
            MYSQL,
            "SELECT N'a', _utf8'b', x'1F', 0x1F, b'1' FROM t WHERE d = ?",
            "SELECT ?, _utf8?, ?, ?, ? FROM t WHERE d = ?",
        ),
        (MYSQL, "INSERT INTO t VALUES (1.0, 0b01, -- x\n'a')", "INSERT INTO t VALUES (?, ?, ?)"),
        ("mariadb://db/orders", "SELECT 'a'", "SELECT ?"),
        (
            SQLITE,
            "SELECT [a b], `c`, \"d\", ?1, :e, @f, $g FROM t WHERE h = x'1F'",
            "SELECT [a b], `c`, ?, ?, :e, @f, ? FROM t WHERE h = ?",
        ),
        (MSSQL, "SELECT [a], \"b\", N'c', 0x1F, $12.50, @p1 FROM t", "SELECT [a], ?, ?, ?, ?, @p1 FROM t"),
        (POSTGRES, "", ""),
        (POSTGRES, " -- nothing", ""),
    ] {
        assert_eq!(recorded(database, statement), told, "{statement}");
    }
}

#[test]
fn what_cannot_be_read_is_left_out() {
    for (database, statement) in [
        (POSTGRES, "SELECT 'a"),
        (POSTGRES, "SELECT \"a"),
        (POSTGRES, "SELECT $$a"),
        (POSTGRES, "SELECT 1 /* a"),
        // Where the literal ends is a matter of settings.
        (POSTGRES, r"SELECT 'it\'s secret', 'x\'y'"),
        (MYSQL, r"SELECT 'it\'s secret', 'x\'y'"),
        (MYSQL, r#"SELECT "a\"b""#),
        // Nobody knows what its literals look like.
        ("cockroach://db/orders", "SELECT 1"),
        ("db:1521/orders", "SELECT 1"),
        ("oracle://db/orders", "SELECT q'[it's]' FROM dual"),
        ("duckdb:orders.db", "SELECT 1"),
    ] {
        assert_eq!(recorded(database, statement), "", "{statement}");
    }
    // A program that knows better says so.
    let (recorder, documents) = recorder_with(|builder| builder.sql_statements(true));
    let segment = recorder.begin_segment("orders");
    let sql = Sql::new("cockroach://db/orders").database_type("postgresql");
    segment.begin_sql(sql.statement("SELECT 'a'")).close();
    segment.close();
    assert_eq!(documents.take_one().subsegments().next().unwrap().sql(SqlField::SanitizedQuery), "SELECT ?");
}

#[test]
fn a_long_statement_ends_between_two_of_its_words() {
    let columns: Vec<_> = (0..2_000).map(|column| format!("größe_{column}")).collect();
    let told = recorded(POSTGRES, &format!("SELECT {} FROM t", columns.join(", ")));
    assert!((3_980..=4_000).contains(&told.chars().count()), "{}", told.len());
    let last = told.strip_suffix(',').unwrap_or(&told).rsplit(' ').next().unwrap();
    assert!(columns.iter().any(|column| column == last), "{last}");
}

#[test]
fn what_is_beyond_16_kib_is_not_looked_at() {
    let head = format!("SELECT a FROM t WHERE b = {}", " ".repeat(16 * 1024));
    let literal = "'".repeat(10 << 20);
    assert_eq!(recorded(POSTGRES, &format!("{head}{literal}")), "SELECT a FROM t WHERE b =");
    // Nor is what was cut by it.
    let head = format!("SELECT a, {}", " ".repeat(16 * 1024 - 12));
    assert_eq!(recorded(POSTGRES, &format!("{head}'secret' FROM t")), "SELECT a,");
}

/// A character that is in every literal and in nothing else; and a digit that is in every number.
const MARK: char = 'ж';
const DIGIT: char = '7';

#[derive(Clone, Copy, Debug)]
enum Quotes {
    Single,
    Double,
    Prefixed(&'static str),
    Dollar(&'static str),
    Comment(&'static str, &'static str),
    Number(&'static str),
}

/// A literal with this text, as its database has it written.
fn write(quotes: Quotes, text: &str, backslash_escapes: bool) -> String {
    let escaped = |quote: char| {
        let text = text.replace(quote, &quote.to_string().repeat(2));
        if backslash_escapes { text.replace('\\', r"\\") } else { text }
    };
    match quotes {
        Quotes::Single => format!("'{}'", escaped('\'')),
        Quotes::Double => format!("\"{}\"", escaped('"')),
        Quotes::Prefixed(prefix) => format!("{prefix}'{}'", escaped('\'').replace('\\', r"\\")),
        Quotes::Dollar(tag) => format!("${tag}${}${tag}$", text.replace('$', "")),
        Quotes::Comment(open, close) if close.starts_with('\n') => format!("{open}{}{close}", text.replace('\n', "")),
        Quotes::Comment(open, close) => format!("{open}{}{close}", text.replace(['/', '*'], "")),
        Quotes::Number(number) => number.to_owned(),
    }
}

/// How each database writes literals.
fn styles(database: &str) -> Vec<Quotes> {
    let mut styles = vec![
        Quotes::Single,
        Quotes::Comment("-- ", "\n"),
        Quotes::Comment("/*", "*/"),
        Quotes::Number("77"),
        Quotes::Number("7.7"),
        Quotes::Number("-.7"),
        Quotes::Number("7e7"),
        Quotes::Number("7E-7"),
    ];
    styles.extend(match database {
        POSTGRES => vec![
            Quotes::Prefixed("E"),
            Quotes::Prefixed("e"),
            Quotes::Prefixed("U&"),
            Quotes::Prefixed("N"),
            Quotes::Dollar(""),
            Quotes::Dollar("tag"),
            Quotes::Number("X'77'"),
            Quotes::Number("b'77'"),
            Quotes::Number("7_7"),
            Quotes::Number("0x77"),
            Quotes::Number("0o77"),
        ],
        MYSQL => vec![
            Quotes::Double,
            Quotes::Prefixed("N"),
            Quotes::Prefixed("_utf8mb4"),
            Quotes::Comment("#", "\n"),
            Quotes::Number("x'77'"),
            Quotes::Number("0x77"),
            Quotes::Number("0b77"),
        ],
        MSSQL => vec![Quotes::Double, Quotes::Number("N'7'"), Quotes::Number("0x77"), Quotes::Number("$7.7")],
        _ => vec![Quotes::Double, Quotes::Number("x'77'"), Quotes::Number("0x77")],
    });
    styles
}

/// A database, and pieces of a statement for it.
fn statement() -> impl Strategy<Value = (&'static str, Vec<String>)> {
    let code = select(vec!["SELECT", "a", "FROM t", "=", ",", "(", ")", "+", "IN", ";", "f(b.c)", "||"]);
    let text = vec(select("жabc '\"`\\;-/*$?#\n([{}])@:%é".chars().collect::<Vec<_>>()), 0..12);
    select(vec![POSTGRES, MYSQL, SQLITE, MSSQL]).prop_flat_map(move |database| {
        let literal = (select(styles(database)), text.clone()).prop_map(move |(quotes, text)| {
            // Every other character of it.
            let text: String = text.into_iter().flat_map(|c| [MARK, c]).collect();
            write(quotes, &format!("{text}{MARK}"), database == MYSQL)
        });
        let piece = prop_oneof![code.clone().prop_map(str::to_owned), literal];
        vec(piece, 1..12).prop_map(move |pieces| (database, pieces))
    })
}

fn assert_without_literals(told: &str, statement: &str) -> Result<(), TestCaseError> {
    prop_assert!(!told.contains([MARK, DIGIT]), "{told:?} of {statement:?}");
    prop_assert!(told.chars().count() <= 4_000);
    Ok(())
}

proptest! {
    #![proptest_config(Config { cases: 500, ..Config::default() })]

    #[test]
    fn no_literal_arrives_in_whatever_quotes((database, pieces) in statement()) {
        let statement = pieces.join(" ");
        assert_without_literals(&recorded(database, &statement), &statement)?;
    }

    #[test]
    fn no_half_of_a_literal_arrives_wherever_a_statement_is_cut((database, pieces) in statement(), at in 0_usize..200) {
        let statement = pieces.join(" ");
        let padding = "x".repeat(16 * 1024 - 4 - at);
        let statement = format!("/*{padding}*/{statement} FROM t");
        assert_without_literals(&recorded(database, &statement), &statement)?;
    }
}

proptest! {
    #![proptest_config(Config { cases: 100, ..Config::default() })]

    #[test]
    fn no_text_makes_it_panic(statement in "\\PC*|[ -~\n]*|['\"`$\\\\/*\\-#a0 ]*") {
        for database in [POSTGRES, MYSQL, SQLITE, MSSQL] {
            recorded(database, &statement);
        }
    }

    #[test]
    fn no_connection_string_makes_it_panic(text in "\\PC*|[ -~]*|(postgres://|sqlite:|a=)?[a-z:/@?#;='\\\\{}%0-9 \\[\\]()]*") {
        recorded(&text, "SELECT 1");
    }
}

/// One subsegment with a statement, and as much else as makes it too large for a datagram.
#[test]
fn a_statement_leaves_a_document_that_is_too_large_after_metadata_and_before_annotations() {
    let split = |metadata: usize, max: usize| {
        let (recorder, documents) = recorder_with(|builder| builder.sql_statements(true));
        let segment = recorder.begin_segment("orders");
        let columns = "column, ".repeat(300);
        let query = segment.begin_sql(Sql::new(POSTGRES).statement(&columns));
        query.add_annotation("rows", "x".repeat(1_000));
        query.add_metadata("plan", "x".repeat(metadata));
        query.close();
        segment.close();
        let split = documents.take_one().split(max);
        assert_eq!(split.too_large, 0);
        let json = split.documents.iter().find(|json| json.contains("sql")).unwrap();
        let document = assert_valid_json(json);
        if document.get("sql").is_some() { document } else { document["subsegments"][0].clone() }
    };
    let whole = split(100, 64_000);
    assert_eq!(whole["sql"]["sanitized_query"].as_str().unwrap().len(), "column, ".len() * 300 - 1);
    assert_eq!(whole["metadata"].get("tower_xray"), None);

    let without_metadata = split(4_000, 4_096);
    assert!(without_metadata["sql"].get("sanitized_query").is_some());
    assert_eq!(without_metadata["metadata"]["tower_xray"]["cut"], serde_json::json!(["metadata"]));

    let without_statement = split(4_000, 2_600);
    assert_eq!(without_statement["sql"].get("sanitized_query"), None);
    assert_eq!(without_statement["sql"]["url"], POSTGRES);
    assert_eq!(without_statement["annotations"]["rows"].as_str().unwrap().len(), 1_000);
    assert_eq!(without_statement["metadata"]["tower_xray"]["cut"], serde_json::json!(["metadata", "sql"]));
}

#[test]
fn a_literal_of_nothing_but_punctuation_is_one() {
    for literal in ["$$!#%$$", "$$$$", "$a$!$a$", "'!'", "E'!'", "U&'!'", "B''", "X''", "N'!'"] {
        assert_eq!(recorded(POSTGRES, &format!("SELECT {literal} , a")), "SELECT ? , a", "{literal}");
    }
}
