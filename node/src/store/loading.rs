//! Reads many rooms at once: three statements, whatever their number.

use actors::ports::{LoadedRoom, NewRoom, PageRequest, RoomRecord, RoomToLoad, StoreError};
use sqlx::{PgPool, SqlitePool};

use super::{
    errors::classify,
    rows::{EventRow, MemberRow, RoomRow, page, rows_to_read, signed},
};

/// A row that belongs to the room at this place in the list of those asked for.
#[derive(sqlx::FromRow)]
struct Placed<T> {
    place: i64,
    #[sqlx(flatten)]
    row: T,
}

/// The record of each room of these names, in the order asked for.
pub(super) async fn records_from_postgres(
    executor: impl sqlx::PgExecutor<'_>,
    names: &[&str],
) -> Result<Vec<Option<RoomRecord>>, StoreError> {
    let sql = "SELECT place - 1 AS place, rooms.name, title, topic, visibility, archived, slow_mode, head, created_at
               FROM unnest($1::text[]) WITH ORDINALITY AS asked (name, place)
               JOIN rooms ON rooms.name = asked.name COLLATE \"C\"";
    let rows = sqlx::query_as(sql)
        .bind(names)
        .fetch_all(executor)
        .await
        .map_err(classify)?;
    in_place(names.len(), rows)
}

/// As [`records_from_postgres`].
pub(super) async fn records_from_sqlite(
    executor: impl sqlx::SqliteExecutor<'_>,
    names: &[&str],
) -> Result<Vec<Option<RoomRecord>>, StoreError> {
    let sql =
        "SELECT asked.key AS place, name, title, topic, visibility, archived, slow_mode, head, created_at
               FROM json_each(?) AS asked CROSS JOIN rooms ON rooms.name = asked.value";
    let rows = sqlx::query_as(sql)
        .bind(json(names)?)
        .fetch_all(executor)
        .await
        .map_err(classify)?;
    in_place(names.len(), rows)
}

fn in_place(count: usize, rows: Vec<Placed<RoomRow>>) -> Result<Vec<Option<RoomRecord>>, StoreError> {
    let mut records = vec![None; count];
    for Placed { place, row } in rows {
        *at(&mut records, place)? = Some(RoomRecord::try_from(row)?);
    }
    Ok(records)
}

/// What the store answers to the making of rooms: each one's record, and whether it was made.
pub(super) fn created(
    rooms: &[NewRoom],
    records: Vec<Option<RoomRecord>>,
    made: Vec<bool>,
) -> Result<Vec<(RoomRecord, bool)>, StoreError> {
    let gone =
        |room: &NewRoom| StoreError::Internal(format!("room {} is gone right after it was made", room.name));
    let each = rooms.iter().zip(records).zip(made);
    each.map(|((room, record), made)| Ok((record.ok_or_else(|| gone(room))?, made)))
        .collect()
}

/// The record of each room, then its newest events, then its members, over one connection.
///
/// Of the events no more is read than a page's bytes and two rows: the row of the last event that a page has, and of the
/// one that tells that there are more, has less text than that before its newer neighbour.
pub(super) async fn from_postgres(
    pool: &PgPool,
    rooms: &[RoomToLoad],
    recent: PageRequest,
) -> Result<Vec<Option<LoadedRoom>>, StoreError> {
    let mut connection = Box::pin(pool.acquire()).await.map_err(classify)?;
    let mut loading = Loading::new(records_from_postgres(&mut *connection, &names(rooms)).await?);
    if let Some(names) = loading.with_events(rooms) {
        let sql = "SELECT place - 1 AS place, counted.*
                   FROM unnest($1::text[]) WITH ORDINALITY AS asked (name, place)
                   CROSS JOIN LATERAL (
                       SELECT *, sum(octet_length(text)) OVER (
                           ORDER BY seq DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS bytes_before
                       FROM (SELECT * FROM events WHERE room = asked.name COLLATE \"C\"
                             ORDER BY seq DESC LIMIT $2) AS newest
                   ) AS counted
                   WHERE coalesce(bytes_before, 0) <= $3 ORDER BY asked.place, seq DESC";
        let rows = sqlx::query_as(sql)
            .bind(names)
            .bind(rows_to_read(&recent))
            .bind(signed(recent.max_bytes as u64))
            .fetch_all(&mut *connection)
            .await
            .map_err(classify)?;
        loading.take_events(rows, &recent)?;
    }
    if let Some(names) = loading.found(rooms) {
        let sql = "SELECT place - 1 AS place, user_id, members.name, role, invited, banned_until, muted_until
                   FROM unnest($1::text[]) WITH ORDINALITY AS asked (name, place)
                   JOIN members ON room = asked.name COLLATE \"C\" ORDER BY asked.place, user_id";
        let rows = sqlx::query_as(sql)
            .bind(names)
            .fetch_all(&mut *connection)
            .await
            .map_err(classify)?;
        loading.take_members(rows)?;
    }
    Ok(loading.rooms)
}

/// As [`from_postgres`]. A room's numbers have no hole, so that its head says where the newest begin.
pub(super) async fn from_sqlite(
    pool: &SqlitePool,
    rooms: &[RoomToLoad],
    recent: PageRequest,
) -> Result<Vec<Option<LoadedRoom>>, StoreError> {
    let mut connection = Box::pin(pool.acquire()).await.map_err(classify)?;
    let mut loading = Loading::new(records_from_sqlite(&mut *connection, &names(rooms)).await?);
    if let Some(names) = loading.with_events(rooms) {
        let sql = "SELECT * FROM (
                       SELECT asked.key AS place, events.*, sum(length(CAST(text AS BLOB))) OVER (
                           PARTITION BY asked.key ORDER BY seq DESC
                           ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS bytes_before
                       FROM json_each(?1) AS asked CROSS JOIN rooms ON rooms.name = asked.value
                       CROSS JOIN events ON room = rooms.name AND seq > rooms.head - ?2)
                   WHERE coalesce(bytes_before, 0) <= ?3 ORDER BY place, seq DESC";
        let rows = sqlx::query_as(sql)
            .bind(json(&names)?)
            .bind(rows_to_read(&recent))
            .bind(signed(recent.max_bytes as u64))
            .fetch_all(&mut *connection)
            .await
            .map_err(classify)?;
        loading.take_events(rows, &recent)?;
    }
    if let Some(names) = loading.found(rooms) {
        let sql = "SELECT asked.key AS place, user_id, name, role, invited, banned_until, muted_until
                   FROM json_each(?) AS asked CROSS JOIN members ON room = asked.value
                   ORDER BY asked.key, user_id";
        let rows = sqlx::query_as(sql)
            .bind(json(&names)?)
            .fetch_all(&mut *connection)
            .await
            .map_err(classify)?;
        loading.take_members(rows)?;
    }
    Ok(loading.rooms)
}

fn names(rooms: &[RoomToLoad]) -> Vec<&str> {
    rooms.iter().map(|room| room.name.as_str()).collect()
}

fn json(names: &[&str]) -> Result<String, StoreError> {
    serde_json::to_string(names).map_err(|error| StoreError::Internal(error.to_string()))
}

/// What was read so far, in the order asked for.
struct Loading {
    rooms: Vec<Option<LoadedRoom>>,
}

impl Loading {
    fn new(records: Vec<Option<RoomRecord>>) -> Self {
        Self {
            rooms: records
                .into_iter()
                .map(|record| record.map(LoadedRoom::new))
                .collect(),
        }
    }

    /// The names of the rooms that there are, each at its place; `None` if there is none.
    fn found<'a>(&self, asked: &'a [RoomToLoad]) -> Option<Vec<&'a str>> {
        self.names_where(asked, |_, _| true)
    }

    /// The same, of those that come with their events.
    fn with_events<'a>(&self, asked: &'a [RoomToLoad]) -> Option<Vec<&'a str>> {
        self.names_where(asked, RoomToLoad::wants_events)
    }

    fn names_where<'a>(
        &self,
        asked: &'a [RoomToLoad],
        wanted: impl Fn(&RoomToLoad, &RoomRecord) -> bool,
    ) -> Option<Vec<&'a str>> {
        // No room has an empty name: it holds the place of one that is not wanted.
        let name = |(asked, found): (&'a RoomToLoad, &Option<LoadedRoom>)| match found {
            Some(room) if wanted(asked, &room.record) => asked.name.as_str(),
            _ => "",
        };
        let names: Vec<&str> = asked.iter().zip(&self.rooms).map(name).collect();
        names.iter().any(|name| !name.is_empty()).then_some(names)
    }

    /// Takes rows that are in the order of their rooms, and each room's with the newest first.
    fn take_events(&mut self, rows: Vec<Placed<EventRow>>, request: &PageRequest) -> Result<(), StoreError> {
        let mut rows = rows.into_iter().peekable();
        while let Some(Placed { place, row }) = rows.next() {
            let mut of_room = vec![row];
            while let Some(next) = rows.next_if(|next| next.place == place) {
                of_room.push(next.row);
            }
            if let Some(room) = at(&mut self.rooms, place)? {
                room.recent = page(of_room, request)?;
            }
        }
        Ok(())
    }

    fn take_members(&mut self, rows: Vec<Placed<MemberRow>>) -> Result<(), StoreError> {
        for Placed { place, row } in rows {
            if let Some(room) = at(&mut self.rooms, place)? {
                room.members.push(row.into());
            }
        }
        Ok(())
    }
}

fn at<T>(rooms: &mut [T], place: i64) -> Result<&mut T, StoreError> {
    usize::try_from(place)
        .ok()
        .and_then(|place| rooms.get_mut(place))
        .ok_or_else(|| StoreError::Internal(format!("a row of room {place}, which was not asked for")))
}
