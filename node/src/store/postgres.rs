//! The store on Postgres. What must be one step is one PL/pgSQL function (`migrations/postgres`).

use std::{collections::HashSet, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use actors::{
    ports::{
        Append, EventPage, InviteLink, LoadedRoom, NewRoom, Outcome, PageRequest, ReadMark, RoomQuery,
        RoomRecord, RoomToLoad, Store, StoreError, StoreStatus, search_text,
    },
    rights::Membership,
};
use async_trait::async_trait;
use protocol::{Person, RoomName, client::PageBound};
use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    errors::{classify, classify_migration},
    loading,
    password::PasswordFile,
    postgres_append,
    rows::{EventRow, InviteRow, MemberRow, RoomRow, page, rows_to_read, signed, unsigned},
};

/// How long a call waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one statement may take; longer and the server gives it up.
const STATEMENT_TIMEOUT_MS: &str = "5000";
/// How long a statement may wait for another node's lock.
const LOCK_TIMEOUT_MS: &str = "4000";

/// How long a transaction may wait for this node to go on; longer and the server ends it, with its locks. Without this one
/// of a node that is cut off would last until TCP gives the connection up.
const IDLE_TRANSACTION_TIMEOUT_MS: &str = "5000";

/// A connection that lay idle for so long is tried before it is used: its server may be gone.
const TRIED_AFTER_IDLE: Duration = Duration::from_millis(500);
/// A connection that does not answer to that in time, or after a call that was given up, is dropped. Without this one into
/// nowhere (its server was replaced at the same address) would hold its place in the pool until TCP gives it up.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// An append that has no answer by then has a connection into nowhere: the server would have given it up before.
const APPEND_TIMEOUT: Duration = Duration::from_secs(9);

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// A pool of connections to one database.
pub(super) struct PostgresStore {
    pub(super) pool: PgPool,
    /// Keeps the pool's password up to date.
    _password: Option<AbortOnDropHandle<()>>,
}

impl PostgresStore {
    /// Connects once and brings the schema up to date. Several nodes may do so at the same time: the migrations hold a
    /// lock of the database. The password is that of the file, if there is one, whenever a connection is made.
    pub(super) async fn open(
        url: &str,
        password_file: Option<PathBuf>,
        pool_size: u32,
    ) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| StoreError::Internal(format!("store.url: {error}")))?
            .application_name("hubbub")
            .options([
                ("statement_timeout", STATEMENT_TIMEOUT_MS),
                ("lock_timeout", LOCK_TIMEOUT_MS),
                ("idle_in_transaction_session_timeout", IDLE_TRANSACTION_TIMEOUT_MS),
                ("default_transaction_isolation", "read committed"),
            ]);
        let place = format!("{}:{}", options.get_host(), options.get_port());
        let (options, password) = match password_file {
            Some(file) => {
                let password = PasswordFile::read(file, options).await?;
                (password.options(), Some(password))
            }
            None => (options, None),
        };
        let pool = Box::pin(pool_options(pool_size).connect_with(options))
            .await
            .map_err(|error| match classify(error) {
                StoreError::Down(reason) => StoreError::Down(format!("Postgres at {place}: {reason}")),
                StoreError::Timeout(_) => StoreError::Down(format!("Postgres at {place} does not answer")),
                other => other,
            })?;
        MIGRATIONS.run(&pool).await.map_err(classify_migration)?;
        let password = password.map(|password| password.follow(pool.clone()));
        Ok(Self {
            pool,
            _password: password,
        })
    }
}

fn pool_options(pool_size: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(pool_size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for >= TRIED_AFTER_IDLE {
                    ping(connection).await?;
                }
                Ok(true)
            })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                ping(connection).await?;
                Ok(true)
            })
        })
}

async fn ping(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    match tokio::time::timeout(PING_TIMEOUT, connection.ping()).await {
        Ok(answer) => answer,
        Err(late) => Err(sqlx::Error::Io(late.into())),
    }
}

/// Makes those rooms that are not there, without their first entries; whether each was.
async fn insert_rooms(
    executor: impl sqlx::PgExecutor<'_>,
    rooms: &[NewRoom],
) -> Result<Vec<bool>, StoreError> {
    let names: Vec<&str> = rooms.iter().map(|room| room.name.as_str()).collect();
    let titles: Vec<&str> = rooms.iter().map(|room| &*room.title).collect();
    let visibilities: Vec<&str> = rooms.iter().map(|room| room.visibility.as_str()).collect();
    let searches = rooms.iter().map(|room| search_text(&room.name, &room.title));
    // In one order on all nodes: who makes a room waits for whoever else does.
    let sql = "INSERT INTO rooms (name, title, visibility, search, created_at)
               SELECT name, title, visibility, search, unix_ms()
               FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
                   AS asked (name, title, visibility, search)
               ORDER BY name COLLATE \"C\"
               ON CONFLICT DO NOTHING RETURNING name";
    let new: HashSet<String> = sqlx::query_scalar(sql)
        .bind(&names)
        .bind(titles)
        .bind(visibilities)
        .bind(searches.collect::<Vec<_>>())
        .fetch_all(executor)
        .await
        .map_err(classify)?
        .into_iter()
        .collect();
    Ok(names.into_iter().map(|name| new.contains(name)).collect())
}

#[async_trait]
impl Store for PostgresStore {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Outcome>, StoreError> {
        tokio::time::timeout(APPEND_TIMEOUT, postgres_append::append(&self.pool, batch))
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::Timeout(format!(
                    "no answer within {APPEND_TIMEOUT:?}"
                )))
            })
    }

    async fn records(&self, names: &[RoomName]) -> Result<Vec<Option<RoomRecord>>, StoreError> {
        let names: Vec<&str> = names.iter().map(RoomName::as_str).collect();
        loading::records_from_postgres(&self.pool, &names).await
    }

    async fn create_rooms(&self, rooms: &[NewRoom]) -> Result<Vec<(RoomRecord, bool)>, StoreError> {
        let names: Vec<&str> = rooms.iter().map(|room| room.name.as_str()).collect();
        // One statement makes rooms that begin empty: a node that is cut off leaves no locks behind.
        if rooms.iter().all(|room| room.members.is_empty()) {
            let made = insert_rooms(&self.pool, rooms).await?;
            let records = loading::records_from_postgres(&self.pool, &names).await?;
            return loading::created(rooms, records, made);
        }
        let mut transaction = Box::pin(self.pool.begin()).await.map_err(classify)?;
        let made = insert_rooms(&mut *transaction, rooms).await?;
        let new = rooms.iter().zip(&made).filter(|(_, made)| **made);
        let first_entries: Vec<Append> = new.flat_map(|(room, _)| room.first_entries()).collect();
        if !first_entries.is_empty() {
            postgres_append::append(&mut *transaction, &first_entries).await?;
        }
        let records = loading::records_from_postgres(&mut *transaction, &names).await?;
        transaction.commit().await.map_err(classify)?;
        loading::created(rooms, records, made)
    }

    async fn rooms(&self, query: &RoomQuery) -> Result<Vec<RoomRecord>, StoreError> {
        let sql = "SELECT name, title, topic, visibility, archived, slow_mode, head, created_at FROM rooms
                   WHERE name > $1
                     AND CASE WHEN $2::text IS NULL THEN visibility <> 'direct'
                              ELSE visibility = 'public' OR EXISTS (SELECT FROM members
                                   WHERE room = rooms.name AND user_id = $2 AND (role IS NOT NULL OR invited)) END
                     AND ($3::text IS NULL OR position($3 IN search) > 0)
                   ORDER BY name LIMIT $4";
        let rows: Vec<RoomRow> = sqlx::query_as(sql)
            .bind(query.after.as_ref().map_or("", RoomName::as_str))
            .bind(query.seen_by.as_deref())
            .bind(query.search.as_deref().map(str::to_lowercase))
            .bind(signed(query.limit))
            .fetch_all(&self.pool)
            .await
            .map_err(classify)?;
        rows.into_iter().map(RoomRecord::try_from).collect()
    }

    async fn members(&self, room: &RoomName) -> Result<Vec<Membership>, StoreError> {
        let sql = "SELECT user_id, name, role, invited, banned_until, muted_until FROM members
                   WHERE room = $1 ORDER BY user_id";
        let rows: Vec<MemberRow> = sqlx::query_as(sql)
            .bind(room.as_str())
            .fetch_all(&self.pool)
            .await
            .map_err(classify)?;
        Ok(rows.into_iter().map(Membership::from).collect())
    }

    async fn add_invite(&self, link: &InviteLink) -> Result<(), StoreError> {
        let sql = "INSERT INTO invites (id, room, secret_hash, author, author_name, created_at, expires_at, uses_left)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        sqlx::query(sql)
            .bind(&*link.id)
            .bind(link.room.as_str())
            .bind(link.secret_hash.as_slice())
            .bind(&*link.by.id)
            .bind(&*link.by.name)
            .bind(signed(link.created_at))
            .bind(link.expires_at.map(signed))
            .bind(link.uses_left.map(signed))
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(classify)
    }

    async fn invites(&self, room: &RoomName) -> Result<Vec<InviteLink>, StoreError> {
        let rows: Vec<InviteRow> =
            sqlx::query_as("SELECT * FROM invites WHERE room = $1 ORDER BY created_at DESC, id DESC")
                .bind(room.as_str())
                .fetch_all(&self.pool)
                .await
                .map_err(classify)?;
        rows.into_iter().map(InviteLink::try_from).collect()
    }

    async fn invite(&self, secret_hash: &[u8; 32], now_ms: u64) -> Result<Option<InviteLink>, StoreError> {
        let sql = "SELECT * FROM invites WHERE secret_hash = $1
                   AND (expires_at IS NULL OR expires_at > $2) AND (uses_left IS NULL OR uses_left > 0)";
        let row: Option<InviteRow> = sqlx::query_as(sql)
            .bind(secret_hash.as_slice())
            .bind(signed(now_ms))
            .fetch_optional(&self.pool)
            .await
            .map_err(classify)?;
        row.map(InviteLink::try_from).transpose()
    }

    async fn use_invite(&self, id: &str, now_ms: u64) -> Result<bool, StoreError> {
        let sql = "UPDATE invites SET uses_left = uses_left - 1 WHERE id = $1
                   AND (expires_at IS NULL OR expires_at > $2) AND (uses_left IS NULL OR uses_left > 0)";
        let used = sqlx::query(sql)
            .bind(id)
            .bind(signed(now_ms))
            .execute(&self.pool)
            .await
            .map_err(classify)?;
        Ok(used.rows_affected() > 0)
    }

    async fn return_invite(&self, id: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE invites SET uses_left = uses_left + 1 WHERE id = $1")
            .bind(id)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(classify)
    }

    async fn remove_invite(&self, room: &RoomName, id: &str) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM invites WHERE room = $1 AND id = $2")
            .bind(room.as_str())
            .bind(id)
            .execute(&self.pool)
            .await
            .map_err(classify)?;
        Ok(removed.rows_affected() > 0)
    }

    async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<u64>, StoreError> {
        let names: Vec<&str> = rooms.iter().map(RoomName::as_str).collect();
        let sql =
            "SELECT coalesce(rooms.head, 0) FROM unnest($1::text[]) WITH ORDINALITY AS asked (name, place)
                   LEFT JOIN rooms ON rooms.name = asked.name COLLATE \"C\" ORDER BY place";
        let heads: Vec<i64> = sqlx::query_scalar(sql)
            .bind(names)
            .fetch_all(&self.pool)
            .await
            .map_err(classify)?;
        Ok(heads.into_iter().map(unsigned).collect())
    }

    async fn page(&self, room: &RoomName, request: PageRequest) -> Result<EventPage, StoreError> {
        let (sql, bound) = match request.bound {
            PageBound::After(seq) => (
                "SELECT * FROM events WHERE room = $1 AND seq > $2 ORDER BY seq LIMIT $3",
                signed(seq),
            ),
            PageBound::Before(seq) => (
                "SELECT * FROM events WHERE room = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3",
                signed(seq),
            ),
            PageBound::Newest => (
                "SELECT * FROM events WHERE room = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3",
                i64::MAX,
            ),
        };
        let rows: Vec<EventRow> = sqlx::query_as(sql)
            .bind(room.as_str())
            .bind(bound)
            .bind(rows_to_read(&request))
            .fetch_all(&self.pool)
            .await
            .map_err(classify)?;
        page(rows, &request)
    }

    async fn load_rooms(
        &self,
        rooms: &[RoomToLoad],
        recent: PageRequest,
    ) -> Result<Vec<Option<LoadedRoom>>, StoreError> {
        loading::from_postgres(&self.pool, rooms, recent).await
    }

    async fn author(&self, room: &RoomName, id: &str) -> Result<Option<Person>, StoreError> {
        // Only events with a cid: those have an index by author.
        let sql = "SELECT author_name FROM events WHERE room = $1 AND author = $2 AND cid IS NOT NULL
                   ORDER BY seq DESC LIMIT 1";
        let name: Option<String> = sqlx::query_scalar(sql)
            .bind(room.as_str())
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(classify)?;
        Ok(name.map(|name| Person {
            id: id.into(),
            name: name.into(),
        }))
    }

    async fn mark_read(&self, marks: &[ReadMark]) -> Result<(), StoreError> {
        // In one order on all nodes, each once: rows that are there already are locked one after the other.
        let sql = "INSERT INTO read_marks (room, \"user\", seq)
                   SELECT room, \"user\", max(seq) FROM unnest($1::text[], $2::text[], $3::bigint[])
                       AS marks (room, \"user\", seq)
                   WHERE EXISTS (SELECT FROM rooms WHERE name = room COLLATE \"C\")
                   GROUP BY room, \"user\" ORDER BY room, \"user\"
                   ON CONFLICT (room, \"user\") DO UPDATE SET seq = greatest(read_marks.seq, excluded.seq)";
        let rooms: Vec<&str> = marks.iter().map(|mark| mark.room.as_str()).collect();
        let users: Vec<&str> = marks.iter().map(|mark| &*mark.user).collect();
        let seqs: Vec<i64> = marks.iter().map(|mark| signed(mark.seq)).collect();
        sqlx::query(sql)
            .bind(rooms)
            .bind(users)
            .bind(seqs)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(classify)
    }

    async fn read_mark(&self, room: &RoomName, user: &str) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT seq FROM read_marks WHERE room = $1 AND \"user\" = $2";
        let seq: Option<i64> = sqlx::query_scalar(sql)
            .bind(room.as_str())
            .bind(user)
            .fetch_optional(&self.pool)
            .await
            .map_err(classify)?;
        Ok(seq.map(unsigned))
    }

    async fn shared_key(&self, name: &str) -> Result<[u8; 32], StoreError> {
        let fresh = super::random_key()?;
        let sql = "INSERT INTO shared_keys (name, key) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        sqlx::query(sql)
            .bind(name)
            .bind(fresh.as_slice())
            .execute(&self.pool)
            .await
            .map_err(classify)?;
        let key: Vec<u8> = sqlx::query_scalar("SELECT key FROM shared_keys WHERE name = $1")
            .bind(name)
            .fetch_one(&self.pool)
            .await
            .map_err(classify)?;
        super::key_of(name, &key)
    }

    async fn status(&self) -> Result<StoreStatus, StoreError> {
        let (now, epoch): (i64, String) = sqlx::query_as("SELECT unix_ms(), epoch FROM history")
            .fetch_one(&self.pool)
            .await
            .map_err(classify)?;
        Ok(StoreStatus {
            now_ms: unsigned(now),
            epoch: epoch.into(),
        })
    }

    async fn new_epoch(&self) -> Result<Arc<str>, StoreError> {
        let sql = "UPDATE history SET epoch = replace(gen_random_uuid()::text, '-', '') RETURNING epoch";
        let epoch: String = sqlx::query_scalar(sql)
            .fetch_one(&self.pool)
            .await
            .map_err(classify)?;
        Ok(epoch.into())
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
