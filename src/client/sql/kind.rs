//! The databases that are known by the scheme of their URL.

/// A database whose URLs, and whose dialect, are known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    DuckDb,
    MariaDb,
    MsSql,
    MySql,
    Oracle,
    PostgreSql,
    Sqlite,
}

impl Kind {
    pub(super) fn of_scheme(scheme: &str) -> Option<Self> {
        // Some name a driver, too: `postgresql+unix`.
        let scheme = scheme.split('+').next().unwrap_or_default().to_ascii_lowercase();
        Some(match &*scheme {
            "duckdb" => Self::DuckDb,
            "mariadb" => Self::MariaDb,
            "mssql" | "sqlserver" => Self::MsSql,
            "mysql" => Self::MySql,
            "oracle" => Self::Oracle,
            "postgres" | "postgresql" => Self::PostgreSql,
            "file" | "sqlite" => Self::Sqlite,
            _ => return None,
        })
    }

    /// The database of this name, however it is written.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let name: String = name.chars().filter(|c| !c.is_whitespace()).collect();
        Self::of_scheme(&name)
    }

    /// As it is written in documents.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DuckDb => "DuckDB",
            Self::MariaDb => "MariaDB",
            // The X-Ray SDK for Go.
            Self::MsSql => "MS SQL",
            Self::MySql => "MySQL",
            Self::Oracle => "Oracle",
            Self::PostgreSql => "PostgreSQL",
            Self::Sqlite => "SQLite",
        }
    }

    pub(super) fn port(self) -> Option<&'static str> {
        match self {
            Self::MariaDb | Self::MySql => Some("3306"),
            Self::MsSql => Some("1433"),
            Self::Oracle => Some("1521"),
            Self::PostgreSql => Some("5432"),
            Self::DuckDb | Self::Sqlite => None,
        }
    }

    /// Whether it runs within the program, so that a query is no call.
    pub(super) fn is_in_process(self) -> bool {
        matches!(self, Self::DuckDb | Self::Sqlite)
    }
}
