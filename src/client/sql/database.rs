//! A database, as its queries are recorded.
//!
//! In: the connection string of a driver, and what it does not tell. Out: the same for every query.

use std::{fmt, sync::Arc};

use super::{connection_string::Target, kind::Kind};

/// A database, as its queries are recorded. Made once; a clone is another handle to the same.
///
/// Names and descriptions are cut at 250 characters (X-Ray segment documents).
#[derive(Clone)]
pub struct Sql(Arc<Database>);

#[derive(Clone)]
pub(super) struct Database {
    pub(super) target: Target,
    /// What no message may contain.
    pub(super) secrets: Arc<[String]>,
    pub(super) database_type: String,
    pub(super) database_version: String,
    pub(super) driver_version: String,
}

impl Sql {
    /// Takes the string that the driver connects by: a URL, a path, `key=value` pairs.
    ///
    /// `postgres`, `mysql`, `mariadb`, `sqlserver`, `oracle`, `sqlite` and `duckdb` are schemes that are known; pairs with
    /// spaces in between are PostgreSQL's. A string that is none of all that, is longer than 8 KiB, or may have its
    /// password in another place than it seems, is left out, but for the type of the database.
    #[must_use]
    pub fn new(connection_string: &str) -> Self {
        let mut target = Target::parse(connection_string);
        let database_type = target.kind.map(Kind::name).unwrap_or_default().to_owned();
        let secrets = std::mem::take(&mut target.secrets).into();
        let (database_version, driver_version) = (String::new(), String::new());
        Self(Arc::new(Database { target, secrets, database_type, database_version, driver_version }))
    }

    /// Names the subsegments, instead of after database and host.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with(|database| database.target.name = name.into())
    }

    /// Says of what type the database is, such as `PostgreSQL`, where the connection string does not.
    ///
    /// Of a type that is known, it is also how statements are read.
    #[must_use]
    pub fn database_type(self, database_type: impl Into<String>) -> Self {
        self.with(|database| {
            database.database_type = database_type.into();
            database.target.kind = Kind::of_name(&database.database_type);
        })
    }

    /// The version of the database.
    #[must_use]
    pub fn database_version(self, version: impl Into<String>) -> Self {
        self.with(|database| database.database_version = version.into())
    }

    /// The driver with its version, such as `sqlx 0.9.0`.
    #[must_use]
    pub fn driver_version(self, version: impl Into<String>) -> Self {
        self.with(|database| database.driver_version = version.into())
    }

    /// Whom the database takes the client for, where the connection string does not say it.
    #[must_use]
    pub fn user(self, user: impl Into<String>) -> Self {
        self.with(|database| database.target.user = user.into())
    }

    pub(super) fn database(&self) -> &Database {
        &self.0
    }

    /// What no error of a query may repeat.
    #[cfg(feature = "tracing-subscriber")]
    pub(crate) fn secrets(&self) -> &[String] {
        &self.0.secrets
    }

    /// Whether a query is local work, of a database within the process.
    pub(crate) fn is_in_process(&self) -> bool {
        self.0.target.kind.is_some_and(Kind::is_in_process)
    }

    fn with(mut self, change: impl FnOnce(&mut Database)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sql").field("name", &self.0.target.name).finish_non_exhaustive()
    }
}
