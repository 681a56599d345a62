//! Takes text that was deleted out of SQLite's write-ahead log, too.
//!
//! `secure_delete` overwrites it in the database; in the log it stays until the log is begun anew, which may be long where
//! little is written. So a second after it was deleted, or replaced by an edit, the log is copied into the database and
//! emptied.

use std::{sync::Arc, time::Duration};

use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{sync::Notify, time::sleep};
use tokio_util::task::AbortOnDropHandle;

/// Deletions that follow one another cost one emptying; at most one in this time.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, where it fails again and again.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How long an emptying waits for who reads or writes at that moment.
const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// Empties the log behind the store's calls. Ends on drop.
pub(super) struct Wal {
    due: Arc<Notify>,
    task: AbortOnDropHandle<()>,
}

impl Wal {
    /// Looks after the log of the file that `options` name. What a process left there that was killed is emptied, too.
    pub(super) fn new(options: SqliteConnectOptions) -> Self {
        let due = Arc::new(Notify::new());
        let task = tokio::spawn(keep_emptying(
            options.busy_timeout(BUSY_TIMEOUT),
            Arc::clone(&due),
        ));
        let wal = Self {
            due,
            task: AbortOnDropHandle::new(task),
        };
        wal.empty_soon();
        wal
    }

    /// Has the log emptied soon.
    pub(super) fn empty_soon(&self) {
        self.due.notify_one();
    }

    /// Has it emptied no more.
    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

async fn keep_emptying(options: SqliteConnectOptions, due: Arc<Notify>) {
    loop {
        due.notified().await;
        let mut pause = PAUSE;
        loop {
            sleep(pause).await;
            match empty(&options).await {
                Ok(true) => break,
                Ok(false) => tracing::debug!("the write-ahead log is in use; it is emptied later"),
                Err(error) => {
                    pause = (pause * 2).min(MAX_PAUSE);
                    tracing::warn!(
                        %error,
                        "the write-ahead log could not be emptied; deleted text may be in it until that succeeds"
                    );
                }
            }
        }
    }
}

/// Returns whether it is empty now.
async fn empty(options: &SqliteConnectOptions) -> Result<bool, sqlx::Error> {
    // A connection of its own: those of the store wait for longer, and are for its calls.
    let mut connection = options.connect().await?;
    // Most is copied while others write; they wait for the rest of it only.
    checkpoint(&mut connection, "PRAGMA wal_checkpoint(PASSIVE)").await?;
    let emptied = checkpoint(&mut connection, "PRAGMA wal_checkpoint(TRUNCATE)").await?;
    connection.close().await?;
    Ok(emptied)
}

/// Returns whether nobody was in its way.
async fn checkpoint(connection: &mut SqliteConnection, sql: &'static str) -> Result<bool, sqlx::Error> {
    let (busy, _, _): (i64, i64, i64) = sqlx::query_as(sql).fetch_one(connection).await?;
    Ok(busy == 0)
}
