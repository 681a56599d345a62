//! Appending to the SQLite file: the same steps as the function `append_events` takes on Postgres.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use actors::ports::{Append, Change, Outcome, Refusal, StoreError};
use sqlx::{SqliteConnection, SqlitePool};

use super::{
    errors::classify,
    rows::{NewEvent, signed, unsigned},
    sqlite_rights,
};

/// Where a room stands within the transaction.
#[derive(Clone, Copy)]
struct Standing {
    head: i64,
    at: i64,
    grown: bool,
}

/// A message that an entry refers to.
#[derive(sqlx::FromRow)]
struct Target {
    author: String,
    edited_by: Option<i64>,
    deleted_by: Option<i64>,
}

/// Commits a batch in one transaction. There is one writer, so nothing else needs a lock.
pub(super) async fn append(pool: &SqlitePool, batch: &[Append]) -> Result<Vec<Outcome>, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.map_err(classify)?;
    let outcomes = append_within(&mut transaction, batch).await?;
    transaction.commit().await.map_err(classify)?;
    Ok(outcomes)
}

/// The same within a transaction of the caller's.
pub(super) async fn append_within(
    transaction: &mut SqliteConnection,
    batch: &[Append],
) -> Result<Vec<Outcome>, StoreError> {
    let mut rooms: HashMap<&str, Option<Standing>> = HashMap::new();
    let mut outcomes = Vec::with_capacity(batch.len());
    for append in batch {
        let room = append.room.as_str();
        let standing = match rooms.get(room) {
            Some(standing) => *standing,
            None => find_room(&mut *transaction, room).await.map_err(classify)?,
        };
        let Some(mut standing) = standing else {
            rooms.insert(room, None);
            outcomes.push(Outcome::Refused(Refusal::NotFound));
            continue;
        };
        outcomes.push(append_one(&mut *transaction, append, &mut standing).await?);
        rooms.insert(room, Some(standing));
    }
    for (room, standing) in rooms {
        if let Some(Standing {
            head,
            at,
            grown: true,
        }) = standing
        {
            sqlx::query("UPDATE rooms SET head = ?, last_at = ? WHERE name = ?")
                .bind(head)
                .bind(at)
                .bind(room)
                .execute(&mut *transaction)
                .await
                .map_err(classify)?;
        }
    }
    Ok(outcomes)
}

async fn find_room(connection: &mut SqliteConnection, room: &str) -> Result<Option<Standing>, sqlx::Error> {
    let found: Option<(i64, i64)> = sqlx::query_as("SELECT head, last_at FROM rooms WHERE name = ?")
        .bind(room)
        .fetch_optional(connection)
        .await?;
    Ok(found.map(|(head, last_at)| Standing {
        head,
        at: last_at.max(now_ms()),
        grown: false,
    }))
}

async fn append_one(
    connection: &mut SqliteConnection,
    append: &Append,
    standing: &mut Standing,
) -> Result<Outcome, StoreError> {
    let event = NewEvent::new(append)?;
    if let Some(known) = find_cid(connection, append).await.map_err(classify)? {
        return Ok(known);
    }
    let target = match event.target {
        None => None,
        Some(seq) => match find_message(connection, append, seq).await.map_err(classify)? {
            None => return Ok(Outcome::Refused(Refusal::NotFound)),
            Some(target) => Some((seq, target)),
        },
    };
    if let Some((seq, target)) = &target
        && let Some(outcome) = check_target(connection, append, *seq, target)
            .await
            .map_err(classify)?
    {
        return Ok(outcome);
    }
    if matches!(append.change, Change::Member { .. })
        && sqlite_rights::would_lose_its_owner(connection, append).await?
    {
        return Ok(Outcome::Refused(Refusal::Conflict));
    }
    standing.head += 1;
    standing.grown = true;
    insert(connection, append, &event, *standing)
        .await
        .map_err(classify)?;
    if let Some((seq, target)) = &target {
        amend(connection, append, *seq, target, *standing)
            .await
            .map_err(classify)?;
    }
    if matches!(append.change, Change::Member { .. } | Change::Room { .. }) {
        let event = append.to_event(unsigned(standing.head), unsigned(standing.at));
        sqlite_rights::note(connection, &append.room, &event).await?;
        sqlite_rights::record(connection, append, standing.at).await?;
    }
    Ok(Outcome::Written {
        seq: unsigned(standing.head),
        at: unsigned(standing.at),
    })
}

async fn find_cid(
    connection: &mut SqliteConnection,
    append: &Append,
) -> Result<Option<Outcome>, sqlx::Error> {
    let Some(cid) = append.cid.as_deref() else {
        return Ok(None);
    };
    let sql = "SELECT seq, at FROM events WHERE room = ? AND author = ? AND cid = ?";
    let found: Option<(i64, i64)> = sqlx::query_as(sql)
        .bind(append.room.as_str())
        .bind(&*append.author.id)
        .bind(cid)
        .fetch_optional(connection)
        .await?;
    Ok(found.map(known))
}

async fn find_message(
    connection: &mut SqliteConnection,
    append: &Append,
    seq: i64,
) -> Result<Option<Target>, sqlx::Error> {
    let sql =
        "SELECT author, edited_by, deleted_by FROM events WHERE room = ? AND seq = ? AND kind = 'message'";
    sqlx::query_as(sql)
        .bind(append.room.as_str())
        .bind(seq)
        .fetch_optional(connection)
        .await
}

/// What keeps an entry from being written, if anything does.
async fn check_target(
    connection: &mut SqliteConnection,
    append: &Append,
    seq: i64,
    target: &Target,
) -> Result<Option<Outcome>, sqlx::Error> {
    let own = target.author == *append.author.id;
    let refused = |refusal| Ok(Some(Outcome::Refused(refusal)));
    match (&append.change, target.deleted_by) {
        (Change::Delete { .. }, Some(deleted_by)) => {
            let sql = "SELECT seq, at FROM events WHERE room = ? AND seq = ?";
            let first: Option<(i64, i64)> = sqlx::query_as(sql)
                .bind(append.room.as_str())
                .bind(deleted_by)
                .fetch_optional(connection)
                .await?;
            Ok(first.map(known))
        }
        (Change::Edit { .. } | Change::React { .. }, Some(_)) => refused(Refusal::NotFound),
        (
            Change::Edit { .. }
            | Change::Delete {
                any_author: false, ..
            },
            None,
        ) if !own => refused(Refusal::Forbidden),
        (Change::React { emoji, on, .. }, None) => {
            let sql = "SELECT given, seq, at FROM reactions WHERE room = ? AND target = ? AND author = ? AND emoji = ?";
            let last: Option<(bool, i64, i64)> = sqlx::query_as(sql)
                .bind(append.room.as_str())
                .bind(seq)
                .bind(&*append.author.id)
                .bind(&**emoji)
                .fetch_optional(connection)
                .await?;
            Ok(match last {
                Some((given, seq, at)) if given == *on => Some(known((seq, at))),
                None if !on => Some(Outcome::Refused(Refusal::NotFound)),
                _ => None,
            })
        }
        _ => Ok(None),
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    append: &Append,
    event: &NewEvent,
    standing: Standing,
) -> Result<(), sqlx::Error> {
    let is_message = event.kind == "message";
    let sql = "INSERT INTO events (room, seq, author, author_name, cid, at, kind, text, reply_to, target, emoji, given,
               details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(append.room.as_str())
        .bind(standing.head)
        .bind(&*append.author.id)
        .bind(&*append.author.name)
        .bind(append.cid.as_deref())
        .bind(standing.at)
        .bind(event.kind)
        .bind(&event.text)
        .bind(event.target.filter(|_| is_message))
        .bind(event.target.filter(|_| !is_message))
        .bind(&event.emoji)
        .bind(event.flag.filter(|_| event.kind == "react"))
        .bind(&event.details)
        .execute(connection)
        .await?;
    Ok(())
}

/// Brings the target up to date: history shows the present state.
async fn amend(
    connection: &mut SqliteConnection,
    append: &Append,
    seq: i64,
    target: &Target,
    by: Standing,
) -> Result<(), sqlx::Error> {
    let room = append.room.as_str();
    if matches!(append.change, Change::Edit { .. } | Change::Delete { .. }) {
        sqlx::query("UPDATE events SET text = NULL WHERE room = ? AND seq = ?")
            .bind(room)
            .bind(target.edited_by)
            .execute(&mut *connection)
            .await?;
    }
    match &append.change {
        Change::Edit { text, .. } => {
            sqlx::query(
                "UPDATE events SET text = ?, edited_at = ?, edited_by = ? WHERE room = ? AND seq = ?",
            )
            .bind(&**text)
            .bind(by.at)
            .bind(by.head)
            .bind(room)
            .bind(seq)
            .execute(connection)
            .await?;
        }
        Change::Delete { .. } => {
            let sql =
                "UPDATE events SET text = '', edited_by = NULL, deleted_by = ? WHERE room = ? AND seq = ?";
            sqlx::query(sql)
                .bind(by.head)
                .bind(room)
                .bind(seq)
                .execute(connection)
                .await?;
        }
        Change::React { emoji, on, .. } => {
            let sql = "INSERT INTO reactions (room, target, author, emoji, given, seq, at) VALUES (?, ?, ?, ?, ?, ?, ?)
                       ON CONFLICT (room, target, author, emoji)
                       DO UPDATE SET given = excluded.given, seq = excluded.seq, at = excluded.at";
            sqlx::query(sql)
                .bind(room)
                .bind(seq)
                .bind(&*append.author.id)
                .bind(&**emoji)
                .bind(on)
                .bind(by.head)
                .bind(by.at)
                .execute(connection)
                .await?;
        }
        Change::Message { .. } | Change::Member { .. } | Change::Room { .. } => {}
    }
    Ok(())
}

fn known((seq, at): (i64, i64)) -> Outcome {
    Outcome::Known {
        seq: unsigned(seq),
        at: unsigned(at),
    }
}

/// The store is embedded: its clock is this machine's.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    signed(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
