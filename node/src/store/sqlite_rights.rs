//! What the SQLite file keeps of a room and its people follows the room's log.

use actors::{
    ports::{Append, StoreError, search_text},
    rights::{RoomRights, Roster},
};
use protocol::{Event, EventBody, Person, RoomChange, RoomName, event::RoomValue};
use sqlx::SqliteConnection;

use super::{
    errors::classify,
    rows::{MemberRow, RoomRow, signed},
};

/// Takes over what a `member` or `room` event says.
pub(super) async fn note(
    connection: &mut SqliteConnection,
    room: &RoomName,
    event: &Event,
) -> Result<(), StoreError> {
    match &event.body {
        EventBody::Member { who, .. } => note_member(connection, room.as_str(), event, who).await,
        EventBody::Room { change, value } => note_room(connection, room, event, *change, value).await,
        _ => Ok(()),
    }
}

/// Whether the room would have members, and no owner.
pub(super) async fn would_lose_its_owner(
    connection: &mut SqliteConnection,
    append: &Append,
) -> Result<bool, StoreError> {
    let sql = "SELECT user_id, name, role, invited, banned_until, muted_until FROM members
               WHERE room = ? AND role IS NOT NULL";
    let rows: Vec<MemberRow> = sqlx::query_as(sql)
        .bind(append.room.as_str())
        .fetch_all(connection)
        .await
        .map_err(classify)?;
    let roster = Roster::new(RoomRights::default(), rows.into_iter().map(Into::into));
    Ok(roster.would_lose_its_owner(&append.change))
}

async fn note_member(
    connection: &mut SqliteConnection,
    room: &str,
    event: &Event,
    who: &Person,
) -> Result<(), StoreError> {
    let sql = "SELECT user_id, name, role, invited, banned_until, muted_until FROM members
               WHERE room = ? AND user_id = ?";
    let known: Option<MemberRow> = sqlx::query_as(sql)
        .bind(room)
        .bind(&*who.id)
        .fetch_optional(&mut *connection)
        .await
        .map_err(classify)?;
    let mut roster = Roster::new(RoomRights::default(), known.map(Into::into));
    roster.apply(event);
    let written = match roster.get(&who.id) {
        None => {
            sqlx::query("DELETE FROM members WHERE room = ? AND user_id = ?")
                .bind(room)
                .bind(&*who.id)
                .execute(connection)
                .await
        }
        Some(member) => {
            let sql = "INSERT OR REPLACE INTO members
                       (room, user_id, name, role, invited, banned_until, muted_until) VALUES (?, ?, ?, ?, ?, ?, ?)";
            sqlx::query(sql)
                .bind(room)
                .bind(&*who.id)
                .bind(&*who.name)
                .bind(member.role.map(actors::rights::Role::as_str))
                .bind(member.invited)
                .bind(member.banned_until.map(signed))
                .bind(member.muted_until.map(signed))
                .execute(connection)
                .await
        }
    };
    written.map(drop).map_err(classify)
}

async fn note_room(
    connection: &mut SqliteConnection,
    room: &RoomName,
    event: &Event,
    change: RoomChange,
    value: &RoomValue,
) -> Result<(), StoreError> {
    if let (RoomChange::Title, RoomValue::Text(title)) = (change, value) {
        let written = sqlx::query("UPDATE rooms SET title = ?, search = ? WHERE name = ?")
            .bind(&**title)
            .bind(search_text(room, title))
            .bind(room.as_str())
            .execute(connection)
            .await;
        return written.map(drop).map_err(classify);
    }
    if let (RoomChange::Topic, RoomValue::Text(topic)) = (change, value) {
        let written = sqlx::query("UPDATE rooms SET topic = ? WHERE name = ?")
            .bind(&**topic)
            .bind(room.as_str())
            .execute(connection)
            .await;
        return written.map(drop).map_err(classify);
    }
    let sql = "SELECT name, title, topic, visibility, archived, slow_mode, head, created_at FROM rooms WHERE name = ?";
    let row: RoomRow = sqlx::query_as(sql)
        .bind(room.as_str())
        .fetch_one(&mut *connection)
        .await
        .map_err(classify)?;
    let mut roster = Roster::new(row.rights(), []);
    roster.apply(event);
    let rights = roster.rights();
    sqlx::query("UPDATE rooms SET visibility = ?, archived = ?, slow_mode = ? WHERE name = ?")
        .bind(rights.visibility.as_str())
        .bind(rights.archived)
        .bind(signed(rights.slow_mode_seconds))
        .bind(room.as_str())
        .execute(connection)
        .await
        .map(drop)
        .map_err(classify)
}

/// Keeps who did it for the record.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    append: &Append,
    at: i64,
) -> Result<(), StoreError> {
    let Some(audit) = append.audit() else {
        return Ok(());
    };
    let sql = "INSERT INTO audit (at, actor, actor_name, action, target, room, details) VALUES (?, ?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(at)
        .bind(&*audit.actor.id)
        .bind(&*audit.actor.name)
        .bind(audit.action)
        .bind(&*audit.target)
        .bind(audit.room.as_deref())
        .bind(audit.details)
        .execute(connection)
        .await
        .map(drop)
        .map_err(classify)
}
