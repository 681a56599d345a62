//! The store in one SQLite file, for a node on its own.

use std::{path::Path, sync::Arc, time::Duration};

use actors::{
    ports::{
        Append, Change, EventPage, InviteLink, LoadedRoom, NewRoom, Outcome, PageRequest, ReadMark,
        RoomQuery, RoomRecord, RoomToLoad, Store, StoreError, StoreStatus, search_text,
    },
    rights::Membership,
};
use async_trait::async_trait;
use protocol::{Person, RoomName, client::PageBound};
use sqlx::{
    Connection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    errors::classify,
    loading,
    rows::{EventRow, InviteRow, MemberRow, RoomRow, page, rows_to_read, signed, unsigned},
    sqlite_append,
    sqlite_wal::Wal,
};

/// Connections for reading, beside the one that writes.
const READERS: u32 = 4;
/// How long a call waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a statement waits for another process that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// One file, in WAL mode: one connection writes, others read meanwhile.
pub(super) struct SqliteStore {
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
    wal: Wal,
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
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A disk that is full ends a transaction within SQLite, and the library believes that it goes on: no other could
            // be begun on that connection.
            .after_release(|connection, _| {
                Box::pin(async move {
                    // Behind whatever it still does.
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
            .connect_with(options.clone())
            .await
            .map_err(|error| unusable(&error))?;
        MIGRATIONS.run(&writer).await.map_err(|error| unusable(&error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options.clone());
        let wal = Wal::new(options);
        Ok(Self { writer, readers, wal })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Outcome>, StoreError> {
        let appended = sqlite_append::append(&self.writer, batch).await;
        let takes_text_away =
            |append: &Append| matches!(append.change, Change::Edit { .. } | Change::Delete { .. });
        if batch.iter().any(takes_text_away) {
            self.wal.empty_soon();
        }
        appended
    }

    async fn records(&self, names: &[RoomName]) -> Result<Vec<Option<RoomRecord>>, StoreError> {
        let names: Vec<&str> = names.iter().map(RoomName::as_str).collect();
        loading::records_from_sqlite(&self.readers, &names).await
    }

    async fn create_rooms(&self, rooms: &[NewRoom]) -> Result<Vec<(RoomRecord, bool)>, StoreError> {
        let mut transaction = self
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(classify)?;
        let sql = "INSERT INTO rooms (name, title, visibility, search, created_at) VALUES (?, ?, ?, ?, ?)
                   ON CONFLICT DO NOTHING";
        let mut made = Vec::with_capacity(rooms.len());
        for room in rooms {
            let inserted = sqlx::query(sql)
                .bind(room.name.as_str())
                .bind(&*room.title)
                .bind(room.visibility.as_str())
                .bind(search_text(&room.name, &room.title))
                .bind(sqlite_append::now_ms())
                .execute(&mut *transaction)
                .await
                .map_err(classify)?;
            made.push(inserted.rows_affected() > 0);
            if inserted.rows_affected() > 0 {
                sqlite_append::append_within(&mut transaction, &room.first_entries()).await?;
            }
        }
        let names: Vec<&str> = rooms.iter().map(|room| room.name.as_str()).collect();
        let records = loading::records_from_sqlite(&mut *transaction, &names).await?;
        transaction.commit().await.map_err(classify)?;
        loading::created(rooms, records, made)
    }

    async fn rooms(&self, query: &RoomQuery) -> Result<Vec<RoomRecord>, StoreError> {
        let sql = "SELECT name, title, topic, visibility, archived, slow_mode, head, created_at FROM rooms
                   WHERE name > ?1
                     AND CASE WHEN ?2 IS NULL THEN visibility <> 'direct'
                              ELSE visibility = 'public' OR EXISTS (SELECT 1 FROM members
                                   WHERE room = rooms.name AND user_id = ?2 AND (role IS NOT NULL OR invited)) END
                     AND (?3 IS NULL OR instr(search, ?3))
                   ORDER BY name LIMIT ?4";
        let rows: Vec<RoomRow> = sqlx::query_as(sql)
            .bind(query.after.as_ref().map_or("", RoomName::as_str))
            .bind(query.seen_by.as_deref())
            .bind(query.search.as_deref().map(str::to_lowercase))
            .bind(signed(query.limit))
            .fetch_all(&self.readers)
            .await
            .map_err(classify)?;
        rows.into_iter().map(RoomRecord::try_from).collect()
    }

    async fn members(&self, room: &RoomName) -> Result<Vec<Membership>, StoreError> {
        let sql = "SELECT user_id, name, role, invited, banned_until, muted_until FROM members
                   WHERE room = ? ORDER BY user_id";
        let rows: Vec<MemberRow> = sqlx::query_as(sql)
            .bind(room.as_str())
            .fetch_all(&self.readers)
            .await
            .map_err(classify)?;
        Ok(rows.into_iter().map(Membership::from).collect())
    }

    async fn add_invite(&self, link: &InviteLink) -> Result<(), StoreError> {
        let sql = "INSERT INTO invites (id, room, secret_hash, author, author_name, created_at, expires_at, uses_left)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        sqlx::query(sql)
            .bind(&*link.id)
            .bind(link.room.as_str())
            .bind(link.secret_hash.as_slice())
            .bind(&*link.by.id)
            .bind(&*link.by.name)
            .bind(signed(link.created_at))
            .bind(link.expires_at.map(signed))
            .bind(link.uses_left.map(signed))
            .execute(&self.writer)
            .await
            .map(drop)
            .map_err(classify)
    }

    async fn invites(&self, room: &RoomName) -> Result<Vec<InviteLink>, StoreError> {
        let rows: Vec<InviteRow> =
            sqlx::query_as("SELECT * FROM invites WHERE room = ? ORDER BY created_at DESC, id DESC")
                .bind(room.as_str())
                .fetch_all(&self.readers)
                .await
                .map_err(classify)?;
        rows.into_iter().map(InviteLink::try_from).collect()
    }

    async fn invite(&self, secret_hash: &[u8; 32], now_ms: u64) -> Result<Option<InviteLink>, StoreError> {
        let sql = "SELECT * FROM invites WHERE secret_hash = ?
                   AND (expires_at IS NULL OR expires_at > ?) AND (uses_left IS NULL OR uses_left > 0)";
        let row: Option<InviteRow> = sqlx::query_as(sql)
            .bind(secret_hash.as_slice())
            .bind(signed(now_ms))
            .fetch_optional(&self.readers)
            .await
            .map_err(classify)?;
        row.map(InviteLink::try_from).transpose()
    }

    async fn use_invite(&self, id: &str, now_ms: u64) -> Result<bool, StoreError> {
        let sql = "UPDATE invites SET uses_left = uses_left - 1 WHERE id = ?
                   AND (expires_at IS NULL OR expires_at > ?) AND (uses_left IS NULL OR uses_left > 0)";
        let used = sqlx::query(sql)
            .bind(id)
            .bind(signed(now_ms))
            .execute(&self.writer)
            .await
            .map_err(classify)?;
        Ok(used.rows_affected() > 0)
    }

    async fn return_invite(&self, id: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE invites SET uses_left = uses_left + 1 WHERE id = ?")
            .bind(id)
            .execute(&self.writer)
            .await
            .map(drop)
            .map_err(classify)
    }

    async fn remove_invite(&self, room: &RoomName, id: &str) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM invites WHERE room = ? AND id = ?")
            .bind(room.as_str())
            .bind(id)
            .execute(&self.writer)
            .await
            .map_err(classify)?;
        Ok(removed.rows_affected() > 0)
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

    async fn load_rooms(
        &self,
        rooms: &[RoomToLoad],
        recent: PageRequest,
    ) -> Result<Vec<Option<LoadedRoom>>, StoreError> {
        loading::from_sqlite(&self.readers, rooms, recent).await
    }

    async fn author(&self, room: &RoomName, id: &str) -> Result<Option<Person>, StoreError> {
        // Only events with a cid: those have an index by author.
        let sql = "SELECT author_name FROM events WHERE room = ? AND author = ? AND cid IS NOT NULL
                   ORDER BY seq DESC LIMIT 1";
        let name: Option<String> = sqlx::query_scalar(sql)
            .bind(room.as_str())
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(classify)?;
        Ok(name.map(|name| Person {
            id: id.into(),
            name: name.into(),
        }))
    }

    async fn mark_read(&self, marks: &[ReadMark]) -> Result<(), StoreError> {
        let sql = "INSERT INTO read_marks (room, \"user\", seq) SELECT name, ?, ? FROM rooms WHERE name = ?
                   ON CONFLICT (room, \"user\") DO UPDATE SET seq = max(seq, excluded.seq)";
        let mut transaction = Box::pin(self.writer.begin_with("BEGIN IMMEDIATE"))
            .await
            .map_err(classify)?;
        for mark in marks {
            sqlx::query(sql)
                .bind(&*mark.user)
                .bind(signed(mark.seq))
                .bind(mark.room.as_str())
                .execute(&mut *transaction)
                .await
                .map_err(classify)?;
        }
        transaction.commit().await.map_err(classify)
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

    async fn close(&self) {
        self.wal.stop();
        // With its last connection SQLite copies the write-ahead log into the file and removes it.
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn who_gets_no_connection_is_told_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("hubbub.db")).await.unwrap();
        let _held = store.writer.acquire().await.unwrap();
        let since = Instant::now();
        let refused = store.return_invite("x").await;
        assert!(matches!(refused, Err(StoreError::Timeout(_))), "{refused:?}");
        assert!(since.elapsed() < ACQUIRE_TIMEOUT * 5, "{:?}", since.elapsed());
    }
}
