//! What a database error means to the node.

use actors::ports::StoreError;
use sqlx::error::ErrorKind;

/// Tells apart what passes by itself from what does not.
#[allow(clippy::needless_pass_by_value, reason = "an argument of map_err")]
pub(super) fn classify(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::PoolTimedOut => StoreError::Timeout("no free connection in time".to_owned()),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::Io(_) | sqlx::Error::Tls(_) => {
            StoreError::Down(error.to_string())
        }
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

/// SQLSTATE of Postgres (its appendix A), result codes of SQLite (`sqlite3_extended_errcode`).
fn by_code(code: &str, text: String) -> StoreError {
    match code {
        // Statement timeout, lock timeout; SQLITE_BUSY and its kinds.
        "57014" | "55P03" | "5" | "261" | "517" => StoreError::Timeout(text),
        // Disk full, read-only transaction; SQLITE_FULL, SQLITE_READONLY.
        "53100" | "25006" | "13" | "8" | "1032" => StoreError::Full(text),
        // SQLITE_IOERR, SQLITE_CANTOPEN.
        "10" | "14" => StoreError::Down(text),
        // Connection exceptions, operator intervention, resources, wrong credentials.
        _ if ["08", "57", "53", "28"]
            .iter()
            .any(|class| code.len() == 5 && code.starts_with(class)) =>
        {
            StoreError::Down(text)
        }
        _ => StoreError::Internal(text),
    }
}
