//! Somebody who looks into the store directly, so that it is known from when on something is there.

use std::{collections::HashMap, time::Duration};

use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{task::JoinHandle, time::timeout};

use crate::journal::{Journal, What};

/// Pause between two looks.
const EVERY: Duration = Duration::from_millis(50);
/// A look that takes longer is given up: the store is down, or paused.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks at the heads of all rooms all the time, and writes them down. Ends when it is dropped.
#[derive(Debug)]
pub struct Witness {
    pool: PgPool,
    journal: Journal,
    task: JoinHandle<()>,
}

impl Witness {
    /// Begins to look.
    ///
    /// # Errors
    /// When `url` is none.
    pub fn start(url: &str, journal: Journal) -> anyhow::Result<Self> {
        let options = PgPoolOptions::new().max_connections(2).acquire_timeout(PATIENCE);
        let pool = options.connect_lazy(url)?;
        let (looking, scribe) = (pool.clone(), journal.scribe(0));
        let task = tokio::spawn(async move {
            loop {
                let began = scribe.clock().now_us();
                if let Ok(Ok(heads)) = timeout(PATIENCE, heads(&looking)).await {
                    for (room, head) in heads {
                        scribe.write(0, What::Witnessed { room, head, began });
                    }
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        Ok(Self { pool, journal, task })
    }

    /// The heads of all rooms.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn heads(&self) -> anyhow::Result<HashMap<String, u64>> {
        Ok(timeout(PATIENCE, heads(&self.pool)).await??.into_iter().collect())
    }

    /// Ends it; all that it saw is then on disk.
    ///
    /// # Errors
    /// When its journal could not be written.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.task.abort();
        // That it was cancelled is what was wanted.
        let _ = (&mut self.task).await;
        self.journal.close()
    }

    /// Transactions of this database so far, as Postgres counts them: every statement outside of one is one. Its own are
    /// among them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn transactions(&self) -> anyhow::Result<u64> {
        let query =
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
        let count: i64 = sqlx::query_scalar(query).fetch_one(&self.pool).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn heads(pool: &PgPool) -> sqlx::Result<Vec<(String, u64)>> {
    let rows: Vec<(String, i64)> = sqlx::query_as("SELECT name, head FROM rooms")
        .fetch_all(pool)
        .await?;
    let unsigned = |(room, head): (String, i64)| (room, u64::try_from(head).unwrap_or(0));
    Ok(rows.into_iter().map(unsigned).collect())
}
