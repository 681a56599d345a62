//! What is in the store: the table `events`, as documented, read directly and never written.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use futures_util::TryStreamExt;
use sqlx::{Row as _, postgres::PgPoolOptions, sqlite::SqlitePoolOptions};

use super::violation::{Findings, Kind};
use crate::journal::{Op, text_digest};

/// The logs of all rooms.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    /// By name.
    pub rooms: HashMap<String, LedgerRoom>,
}

/// The log of one room.
#[derive(Debug, Default, Clone)]
pub struct LedgerRoom {
    /// The head as the store keeps it beside the log.
    pub head: u64,
    /// The events, by `seq`.
    pub rows: Vec<Row>,
}

/// An event as it is stored.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its place.
    pub seq: u64,
    /// Who wrote it.
    pub author: Arc<str>,
    /// As the command carried it.
    pub cid: Option<Arc<str>>,
    /// The store's time, in Unix milliseconds.
    pub at: u64,
    /// Which command writes such an event; `None`: one that is no command of the socket.
    pub op: Option<Op>,
    /// As [`crate::journal::event_digest`].
    pub digest: u64,
    /// As [`text_digest`]; of its present text.
    pub text: u32,
    /// Whether its text is not the first one any more.
    pub changed: bool,
}

const QUERY: &str = "SELECT room, seq, author, cid, at, kind, text, reply_to, edited_at, deleted_by, target, emoji, given \
                     FROM events ORDER BY room, seq";

/// Reads one row of either database.
macro_rules! read_row {
    ($row:expr) => {{
        let row = $row;
        Stored {
            room: row.try_get("room")?,
            seq: row.try_get("seq")?,
            author: row.try_get("author")?,
            cid: row.try_get("cid")?,
            at: row.try_get("at")?,
            kind: row.try_get("kind")?,
            text: row.try_get("text")?,
            reply_to: row.try_get("reply_to")?,
            edited_at: row.try_get("edited_at")?,
            deleted_by: row.try_get("deleted_by")?,
            target: row.try_get("target")?,
            emoji: row.try_get("emoji")?,
            given: row.try_get("given")?,
        }
    }};
}

struct Stored {
    room: String,
    seq: i64,
    author: String,
    cid: Option<String>,
    at: i64,
    kind: String,
    text: Option<String>,
    reply_to: Option<i64>,
    edited_at: Option<i64>,
    deleted_by: Option<i64>,
    target: Option<i64>,
    emoji: Option<String>,
    given: Option<bool>,
}

impl Ledger {
    /// Reads everything from `url`, `postgres://…` or `sqlite://…`. Writes nothing.
    ///
    /// # Errors
    /// When the store cannot be reached or has no such tables.
    pub async fn read(url: &str) -> anyhow::Result<Self> {
        let mut ledger = Self::default();
        if url.starts_with("postgres") {
            let options = PgPoolOptions::new().max_connections(1);
            let pool = options.acquire_timeout(Duration::from_secs(30));
            let pool = Box::pin(pool.connect(url))
                .await
                .context("cannot reach the store")?;
            let mut rows = sqlx::query(QUERY).fetch(&pool);
            while let Some(row) = rows.try_next().await.context("cannot read the store")? {
                ledger.add(read_row!(row));
            }
            drop(rows);
            let heads: Vec<(String, i64)> = sqlx::query_as("SELECT name, head FROM rooms")
                .fetch_all(&pool)
                .await?;
            ledger.set_heads(heads);
            pool.close().await;
        } else if let Some(path) = url.strip_prefix("sqlite://") {
            // Not created, and opened so that nothing can be written.
            let options = SqlitePoolOptions::new().max_connections(1);
            let url = format!("sqlite://{path}?mode=ro");
            let pool = Box::pin(options.connect(&url))
                .await
                .context("cannot reach the store")?;
            let mut rows = sqlx::query(QUERY).fetch(&pool);
            while let Some(row) = rows.try_next().await.context("cannot read the store")? {
                ledger.add(read_row!(row));
            }
            drop(rows);
            let heads: Vec<(String, i64)> = sqlx::query_as("SELECT name, head FROM rooms")
                .fetch_all(&pool)
                .await?;
            ledger.set_heads(heads);
            pool.close().await;
        } else {
            bail!("a store's address begins with postgres:// or sqlite://");
        }
        Ok(ledger)
    }

    fn add(&mut self, stored: Stored) {
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        let lasting = crate::journal::Lasting {
            seq: unsigned(stored.seq),
            author: &stored.author,
            cid: stored.cid.as_deref(),
            at: unsigned(stored.at),
            kind: &stored.kind,
            target: stored.target.or(stored.reply_to).map(unsigned),
            emoji: stored.emoji.as_deref(),
            given: stored.given,
        };
        let row = Row {
            seq: lasting.seq,
            at: lasting.at,
            digest: lasting.digest(),
            op: match &*stored.kind {
                "message" => Some(Op::Send),
                "edit" => Some(Op::Edit),
                "delete" => Some(Op::Delete),
                "react" => Some(Op::React),
                _ => None,
            },
            text: stored.text.as_deref().map_or(0, text_digest),
            changed: stored.edited_at.is_some() || stored.deleted_by.is_some(),
            author: stored.author.as_str().into(),
            cid: stored.cid.as_deref().map(Into::into),
        };
        self.rooms.entry(stored.room).or_default().rows.push(row);
    }

    fn set_heads(&mut self, heads: Vec<(String, i64)>) {
        for (room, head) in heads {
            self.rooms.entry(room).or_default().head = u64::try_from(head).unwrap_or(0);
        }
    }

    /// How many events there are.
    pub fn events(&self) -> u64 {
        self.rooms.values().map(|room| room.rows.len() as u64).sum()
    }

    /// What is wrong with the store itself: holes, repeats, times that go back, heads that do not fit.
    pub(super) fn check(&self, findings: &mut Findings) {
        for (name, room) in &self.rooms {
            let mut before: Option<&Row> = None;
            for row in &room.rows {
                let expected = before.map_or(1, |before| before.seq + 1);
                if row.seq != expected {
                    findings.add(Kind::StoreHole, || {
                        format!("room {name}: {} is stored where {expected} is due", row.seq)
                    });
                }
                if before.is_some_and(|before| before.at > row.at) {
                    findings.add(Kind::StoreTime, || {
                        format!("room {name}: event {} is older than the one before it", row.seq)
                    });
                }
                before = Some(row);
            }
            let last = before.map_or(0, |before| before.seq);
            if last != room.head {
                findings.add(Kind::StoreHead, || {
                    format!("room {name}: the head is {}, the last event {last}", room.head)
                });
            }
        }
    }
}

impl LedgerRoom {
    /// The event at `seq`.
    pub fn row(&self, seq: u64) -> Option<&Row> {
        // In a log without holes it is in its place; else it is looked for.
        let place = usize::try_from(seq.checked_sub(1)?).ok()?;
        match self.rows.get(place) {
            Some(row) if row.seq == seq => Some(row),
            _ => {
                let found = self.rows.binary_search_by_key(&seq, |row| row.seq).ok()?;
                self.rows.get(found)
            }
        }
    }
}
