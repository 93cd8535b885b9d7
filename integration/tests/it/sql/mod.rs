//! Queries of real databases.

mod diesel;
mod postgres;
mod sqlite;

use tower_xray::document::{EntityDocument, SegmentDocument, SqlField};

/// Name, statement, and whether it is a fault.
fn outline(query: EntityDocument<'_>) -> (&str, &str, bool) {
    (query.name(), query.sql(SqlField::SanitizedQuery), query.fault())
}

/// The types and messages of the exceptions of one query.
fn exceptions(query: EntityDocument<'_>) -> Vec<(&str, &str)> {
    query.exceptions().map(|exception| (exception.type_name(), exception.message())).collect()
}

fn queries(segment: &SegmentDocument) -> Vec<EntityDocument<'_>> {
    segment.subsegments().collect()
}
