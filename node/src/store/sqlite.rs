//! The store in one SQLite file, for a node on its own.

use std::{path::Path, sync::Arc, time::Duration};

use actors::ports::{
    Append, EventPage, NewRoom, Outcome, PageRequest, ReadMark, RoomRecord, Store, StoreError, StoreStatus,
};
use async_trait::async_trait;
use protocol::{RoomName, client::PageBound};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    errors::classify,
    rows::{EventRow, RoomRow, page, rows_to_read, signed, unsigned},
    sqlite_append,
};

/// Connections for reading, beside the one that writes.
const READERS: u32 = 4;
/// How long a statement waits for another process that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// One file, in WAL mode: one connection writes, others read meanwhile.
pub(super) struct SqliteStore {
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the file, made if it is missing together with its folder, and brings its schema up to date.
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        let unusable = |reason: &dyn std::fmt::Display| {
            let advice = "set data_dir or store.url to a place that can be written";
            StoreError::Internal(format!(
                "the SQLite file {} cannot be opened ({reason}); {advice}",
                path.display()
            ))
        };
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder)
                .await
                .map_err(|error| unusable(&error))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What is acked survives a loss of power, too.
            .synchronous(SqliteSynchronous::Full)
            // Deleted text leaves the file.
            .pragma("secure_delete", "ON")
            .busy_timeout(BUSY_TIMEOUT);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(|error| unusable(&error))?;
        MIGRATIONS.run(&writer).await.map_err(|error| unusable(&error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_lazy_with(options);
        Ok(Self { writer, readers })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Outcome>, StoreError> {
        sqlite_append::append(&self.writer, batch).await
    }

    async fn room(&self, name: &RoomName) -> Result<Option<RoomRecord>, StoreError> {
        let sql = "SELECT name, title, topic, head, created_at FROM rooms WHERE name = ?";
        let row: Option<RoomRow> = sqlx::query_as(sql)
            .bind(name.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(classify)?;
        row.map(RoomRecord::try_from).transpose()
    }

    async fn create_room(&self, room: &NewRoom) -> Result<RoomRecord, StoreError> {
        let sql = "INSERT INTO rooms (name, title, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        sqlx::query(sql)
            .bind(room.name.as_str())
            .bind(&*room.title)
            .bind(sqlite_append::now_ms())
            .execute(&self.writer)
            .await
            .map_err(classify)?;
        let made = self.room(&room.name).await?;
        made.ok_or_else(|| {
            StoreError::Internal(format!("room {} is gone right after it was made", room.name))
        })
    }

    async fn rooms(&self, after: Option<&RoomName>, limit: u64) -> Result<Vec<RoomRecord>, StoreError> {
        let sql =
            "SELECT name, title, topic, head, created_at FROM rooms WHERE name > ? ORDER BY name LIMIT ?";
        let rows: Vec<RoomRow> = sqlx::query_as(sql)
            .bind(after.map_or("", RoomName::as_str))
            .bind(signed(limit))
            .fetch_all(&self.readers)
            .await
            .map_err(classify)?;
        rows.into_iter().map(RoomRecord::try_from).collect()
    }

    async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<u64>, StoreError> {
        let names = serde_json::to_string(rooms).map_err(|error| StoreError::Internal(error.to_string()))?;
        let sql = "SELECT coalesce(rooms.head, 0) FROM json_each(?) AS asked
                   LEFT JOIN rooms ON rooms.name = asked.value ORDER BY asked.key";
        let heads: Vec<i64> = sqlx::query_scalar(sql)
            .bind(names)
            .fetch_all(&self.readers)
            .await
            .map_err(classify)?;
        Ok(heads.into_iter().map(unsigned).collect())
    }

    async fn page(&self, room: &RoomName, request: PageRequest) -> Result<EventPage, StoreError> {
        let (sql, bound) = match request.bound {
            PageBound::After(seq) => (
                "SELECT * FROM events WHERE room = ? AND seq > ? ORDER BY seq LIMIT ?",
                signed(seq),
            ),
            PageBound::Before(seq) => (
                "SELECT * FROM events WHERE room = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
                signed(seq),
            ),
            PageBound::Newest => (
                "SELECT * FROM events WHERE room = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
                i64::MAX,
            ),
        };
        let rows: Vec<EventRow> = sqlx::query_as(sql)
            .bind(room.as_str())
            .bind(bound)
            .bind(rows_to_read(&request))
            .fetch_all(&self.readers)
            .await
            .map_err(classify)?;
        page(rows, &request)
    }

    async fn mark_read(&self, marks: &[ReadMark]) -> Result<(), StoreError> {
        let sql = "INSERT INTO read_marks (room, \"user\", seq) SELECT name, ?, ? FROM rooms WHERE name = ?
                   ON CONFLICT (room, \"user\") DO UPDATE SET seq = max(seq, excluded.seq)";
        for mark in marks {
            sqlx::query(sql)
                .bind(&*mark.user)
                .bind(signed(mark.seq))
                .bind(mark.room.as_str())
                .execute(&self.writer)
                .await
                .map_err(classify)?;
        }
        Ok(())
    }

    async fn read_mark(&self, room: &RoomName, user: &str) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT seq FROM read_marks WHERE room = ? AND \"user\" = ?";
        let seq: Option<i64> = sqlx::query_scalar(sql)
            .bind(room.as_str())
            .bind(user)
            .fetch_optional(&self.readers)
            .await
            .map_err(classify)?;
        Ok(seq.map(unsigned))
    }

    async fn shared_key(&self, name: &str) -> Result<[u8; 32], StoreError> {
        let fresh = super::random_key()?;
        let sql = "INSERT INTO shared_keys (name, key) VALUES (?, ?) ON CONFLICT DO NOTHING";
        sqlx::query(sql)
            .bind(name)
            .bind(fresh.as_slice())
            .execute(&self.writer)
            .await
            .map_err(classify)?;
        let key: Vec<u8> = sqlx::query_scalar("SELECT key FROM shared_keys WHERE name = ?")
            .bind(name)
            .fetch_one(&self.writer)
            .await
            .map_err(classify)?;
        super::key_of(name, &key)
    }

    async fn status(&self) -> Result<StoreStatus, StoreError> {
        let epoch: String = sqlx::query_scalar("SELECT epoch FROM history")
            .fetch_one(&self.readers)
            .await
            .map_err(classify)?;
        Ok(StoreStatus {
            now_ms: unsigned(sqlite_append::now_ms()),
            epoch: epoch.into(),
        })
    }

    async fn new_epoch(&self) -> Result<Arc<str>, StoreError> {
        let sql = "UPDATE history SET epoch = lower(hex(randomblob(16))) RETURNING epoch";
        let epoch: String = sqlx::query_scalar(sql)
            .fetch_one(&self.writer)
            .await
            .map_err(classify)?;
        Ok(epoch.into())
    }
}
