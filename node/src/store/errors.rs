//! What a database error means to the node.

use actors::ports::StoreError;
use sqlx::{error::ErrorKind, migrate::MigrateError};

/// Tells apart what passes by itself from what does not.
#[allow(clippy::needless_pass_by_value, reason = "an argument of map_err")]
pub(super) fn classify(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::PoolTimedOut => StoreError::Timeout("no free connection in time".to_owned()),
        sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        // A connection that ends in the middle of an answer, as a proxy makes it that has no server behind it, is read as
        // nonsense.
        | sqlx::Error::Protocol(_)
        | sqlx::Error::BeginFailed => StoreError::Down(error.to_string()),
        sqlx::Error::Database(database) => {
            let text = error.to_string();
            match database.kind() {
                ErrorKind::UniqueViolation
                | ErrorKind::ForeignKeyViolation
                | ErrorKind::NotNullViolation
                | ErrorKind::CheckViolation => StoreError::Constraint(text),
                _ => by_code(database.code().as_deref().unwrap_or_default(), text),
            }
        }
        _ => StoreError::Internal(error.to_string()),
    }
}

/// The same of what was met while the schema is brought up to date.
pub(super) fn classify_migration(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => match classify(error) {
            StoreError::Constraint(text) => StoreError::Internal(format!("migrations: {text}")),
            other => other,
        },
        other => StoreError::Internal(format!("migrations: {other}")),
    }
}

/// SQLSTATE of Postgres (its appendix A) has five characters; extended result codes of SQLite
/// (`sqlite3_extended_errcode`) are shorter numbers, with what they are a kind of in the low byte.
fn by_code(code: &str, text: String) -> StoreError {
    if code.len() < 5 {
        return match code.parse::<u32>().map(|code| code & 0xff) {
            // SQLITE_BUSY.
            Ok(5) => StoreError::Timeout(text),
            // SQLITE_READONLY, SQLITE_FULL.
            Ok(8 | 13) => StoreError::Full(text),
            // SQLITE_IOERR, SQLITE_CANTOPEN.
            Ok(10 | 14) => StoreError::Down(text),
            _ => StoreError::Internal(text),
        };
    }
    match code {
        // Statement timeout, lock timeout, a transaction that waited for this node.
        "57014" | "55P03" | "25P03" => StoreError::Timeout(text),
        // Disk full, read-only transaction.
        "53100" | "25006" => StoreError::Full(text),
        // Connection exceptions, operator intervention, resources, wrong credentials.
        _ if ["08", "57", "53", "28"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            StoreError::Down(text)
        }
        _ => StoreError::Internal(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(code: &str) -> &'static str {
        name_of(&by_code(code, String::new()))
    }

    fn name_of(error: &StoreError) -> &'static str {
        match error {
            StoreError::Down(_) => "down",
            StoreError::Timeout(_) => "timeout",
            StoreError::Full(_) => "full",
            StoreError::Constraint(_) => "constraint",
            StoreError::Internal(_) => "internal",
        }
    }

    #[test]
    fn every_kind_of_a_result_code_means_the_same() {
        for (codes, meaning) in [
            // Plain, then read, write, fsync of IOERR; the others' kinds likewise.
            (&["10", "266", "778", "1034", "6410"][..], "down"),
            (&["14", "270", "526"], "down"),
            (&["5", "261", "517", "773"], "timeout"),
            (&["13"], "full"),
            (&["8", "264", "520", "1032"], "full"),
            (&["1", "11", "267", "", "x"], "internal"),
            (&["57014", "55P03", "25P03"], "timeout"),
            (&["53100", "25006"], "full"),
            (&["08006", "57P01", "53300", "28P01"], "down"),
            (&["42P01", "10000"], "internal"),
        ] {
            for code in codes {
                assert_eq!(name(code), meaning, "{code}");
            }
        }
    }

    #[test]
    fn a_connection_that_speaks_nonsense_is_none() {
        let nonsense = || sqlx::Error::Protocol("unexpected response from SSLRequest: 0x00".to_owned());
        assert_eq!(name_of(&classify(nonsense())), "down");
        assert_eq!(name_of(&classify(sqlx::Error::BeginFailed)), "down");
        assert_eq!(name_of(&classify(sqlx::Error::RowNotFound)), "internal");
        assert_eq!(
            name_of(&classify_migration(MigrateError::Execute(nonsense()))),
            "down"
        );
        assert_eq!(
            name_of(&classify_migration(MigrateError::VersionMissing(1))),
            "internal"
        );
    }
}
