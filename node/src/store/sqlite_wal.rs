//! Takes text that was deleted out of SQLite's write-ahead log, too.
//!
//! `secure_delete` overwrites it in the database; in the log it stays until the log is begun anew, which may be long where
//! little is written. So a second after it was deleted, or replaced by an edit, the log is copied into the database and
//! emptied.

use std::{sync::Arc, time::Duration};

use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tokio::{sync::Notify, time::sleep};
use tokio_util::task::AbortOnDropHandle;

/// Deletions that follow one another cost one emptying; at most one in this time.
const PAUSE: Duration = Duration::from_secs(1);
/// How long an emptying waits for who reads or writes at that moment. Who would write waits for as long at most.
const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// Empties the log behind the store's calls. Ends on drop.
pub(super) struct Wal {
    due: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl Wal {
    /// Looks after the log of the file that `options` name.
    pub(super) fn new(options: SqliteConnectOptions) -> Self {
        let due = Arc::new(Notify::new());
        let task = tokio::spawn(keep_emptying(
            options.busy_timeout(BUSY_TIMEOUT),
            Arc::clone(&due),
        ));
        Self {
            due,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Has the log emptied soon.
    pub(super) fn empty_soon(&self) {
        self.due.notify_one();
    }
}

async fn keep_emptying(options: SqliteConnectOptions, due: Arc<Notify>) {
    loop {
        due.notified().await;
        loop {
            sleep(PAUSE).await;
            match empty(&options).await {
                Ok(true) => break,
                Ok(false) => tracing::debug!("the write-ahead log is in use; it is emptied later"),
                Err(error) => tracing::warn!(
                    %error,
                    "the write-ahead log could not be emptied, so that deleted text may still be in it; it is tried again"
                ),
            }
        }
    }
}

/// Returns whether it is empty now.
async fn empty(options: &SqliteConnectOptions) -> Result<bool, sqlx::Error> {
    // A connection of its own: those of the store wait for longer, and are for its calls.
    let mut connection = options.connect().await?;
    let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(busy == 0)
}
