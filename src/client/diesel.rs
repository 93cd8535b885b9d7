//! diesel: a subsegment for every query of a connection.
//!
//! In: the events of diesel's connections. Out: subsegments of the entity that is current where the query runs, as
//! [`sql`](super::sql) describes them.
//!
//! Every connection that is established later is traced by
//!
//! ```
//! use diesel::connection::set_default_instrumentation;
//! use tower_xray::client::diesel::XRayInstrumentation;
//!
//! # fn main() -> diesel::QueryResult<()> {
//! set_default_instrumentation(|| Some(Box::new(XRayInstrumentation::new())))
//! # }
//! ```
//!
//! and a single one by its `set_instrumentation`. diesel blocks, so that queries run where the current entity does not
//! go by itself:
//!
//! ```
//! # fn load() {}
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let entity = tower_xray::current();
//! let orders = tokio::task::spawn_blocking(move || {
//!     let _entered = entity.enter();
//!     load()
//! })
//! .await;
//! # }
//! ```
//!
//! # What is recorded
//!
//! Queries, as diesel tells of them: from before they are sent until their last row was read, or the iterator over their
//! rows is dropped. `BEGIN`, `COMMIT` and `ROLLBACK` are queries, too, so the events of transactions would tell of them
//! twice. So is establishing a connection a subsegment, within a trace.
//!
//! What diesel does not tell the end of, since its work has panicked, ends with the connection or at its next query.

use diesel::connection::{DebugQuery, Instrumentation, InstrumentationEvent};

use super::sql::Sql;
use crate::{
    call::{BeginCall, Call},
    context::current,
    document::{AsError, Typed},
    entity::Entity,
};

/// Traces the queries of one connection. See the [module documentation](self).
#[derive(Debug, Default)]
pub struct XRayInstrumentation {
    sql: Option<Sql>,
    /// What has begun and not ended.
    running: Option<Call>,
}

impl XRayInstrumentation {
    /// Learns what database it is when the connection is established.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records this database, whatever URL diesel connects by; also for a connection that is established already.
    #[must_use]
    pub fn of(sql: Sql) -> Self {
        Self { sql: Some(sql), running: None }
    }

    fn begin(&mut self, caller: &Entity, text: &str) {
        // What has not been told the end of has ended by now.
        self.running = None;
        if !caller.is_none() {
            let sql = self.sql.get_or_insert_with(|| Sql::new(""));
            self.running = Some(sql.statement(text).begin_call(caller));
        }
    }

    fn end(&mut self, error: Option<&impl AsError<Typed>>) {
        match (self.running.take(), error) {
            (Some(query), Some(error)) => query.fail(error),
            (Some(query), None) => query.end(),
            (None, _) => {}
        }
    }
}

impl Instrumentation for XRayInstrumentation {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => {
                self.sql.get_or_insert_with(|| Sql::new(url));
                self.begin(&current(), "");
            }
            InstrumentationEvent::FinishEstablishConnection { error, .. } => self.end(error),
            InstrumentationEvent::StartQuery { query, .. } => {
                let caller = current();
                let text = text_of(query, &caller);
                self.begin(&caller, &text);
            }
            InstrumentationEvent::FinishQuery { error, .. } => self.end(error),
            _ => {}
        }
    }
}

/// The text of a query if it is to be recorded, up to where diesel lists its values.
#[cfg(feature = "sqlparser")]
fn text_of(query: &dyn DebugQuery, caller: &Entity) -> String {
    use std::fmt::{self, Write};

    const VALUES: &str = " -- binds: ";

    struct Text(String);

    impl Write for Text {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            let mut end = part.len().min(super::sql::MAX_READ + 1);
            while !part.is_char_boundary(end) {
                end += 1;
            }
            self.0.push_str(&part[..end]);
            // The values need not be written out.
            if self.0.len() > super::sql::MAX_READ || self.0.contains(VALUES) { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let mut text = Text(String::new());
    if caller.records_sql_statements() {
        // An error means that it has been enough.
        let _ = write!(text, "{query}");
    }
    text.0.truncate(text.0.find(VALUES).unwrap_or(text.0.len()));
    text.0
}

#[cfg(not(feature = "sqlparser"))]
fn text_of(_: &dyn DebugQuery, _: &Entity) -> String {
    String::new()
}
