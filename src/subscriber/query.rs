//! The queries that sqlx and sea-orm tell of.
//!
//! In: the events of sqlx, and the fields of spans around queries. Out: subsegments as those of
//! [`capture_sql`](crate::capture_sql).

use std::time::Duration;

use tracing::{Event, Metadata};

use super::fields::{STATEMENT, Value, Visitor};
use crate::{
    client::sql::Sql,
    document::{AnnotationValue, SqlField},
    entity::Entity,
};

/// The field by which a span says that it is a query, by the conventions of OpenTelemetry, older and newer.
pub(super) const SYSTEM: [&str; 2] = ["db.system", "db.system.name"];

/// More of a statement than [`Sql::statement`] looks at, which has to see that it goes on.
const MAX_STATEMENT: usize = 17 * 1024;

/// Whether a span is a query.
pub(super) fn is_query(metadata: &Metadata<'_>) -> bool {
    SYSTEM.into_iter().any(|name| metadata.fields().field(name).is_some())
}

/// Whether an event is of a query that is over. Before sqlx makes one it asks whether it is wanted, by what is no event.
pub(super) fn is_of_sqlx(metadata: &Metadata<'_>) -> bool {
    !metadata.is_span() && metadata.target() == "sqlx::query"
}

/// Records the query of an event of sqlx.
pub(super) fn record_query(sql: &Sql, parent: &Entity, event: &Event<'_>) {
    let (mut statement, mut summary, mut seconds) = (String::new(), String::new(), 0.0);
    event.record(&mut Visitor(|name, value: Value<'_>| match value {
        Value::Scalar(AnnotationValue::Float(value)) if name == "elapsed_secs" => seconds = value,
        _ if STATEMENT.contains(&name) => statement = text(parent, &value),
        _ if name == "summary" => summary = text(parent, &value),
        _ => {}
    }));
    // A statement of few words is its own summary.
    let text = [statement.trim(), summary.trim()].into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let ago = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    parent.begin_sql(sql.statement(text).began_ago(ago)).close();
}

/// Records the text of a query that is a span.
pub(super) fn add_statement(sql: &Sql, query: &Entity, value: &Value<'_>) {
    query.add_sql(SqlField::SanitizedQuery, &sql.statement(text(query, value).trim()).sanitized(query));
}

/// The text of a statement, if it is going to be recorded.
fn text(entity: &Entity, value: &Value<'_>) -> String {
    let text = if entity.records_sql_statements() { value.text(MAX_STATEMENT) } else { None };
    text.unwrap_or_default()
}
