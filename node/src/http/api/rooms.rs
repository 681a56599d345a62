//! Rooms and their events, for programs that do not hold a connection.

use std::sync::Arc;

use actors::ports::RoomRecord;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, RawQuery, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use protocol::{Codec, ErrorCode, Event, RoomName, client, fields::Fields, name::ROOM_NAME_RULE};
use serde::Serialize;

use super::{
    super::{gate::Gate, problem::Problem},
    body,
    caller::{Caller, Query, store_problem, unavailable},
    visitor::{DEFAULT_ENTRIES, MAX_ENTRIES},
};

/// The routes below `/api/v1`.
pub(super) fn routes() -> Router<Arc<Gate>> {
    Router::new()
        .route("/rooms", get(rooms))
        .route("/rooms/{room}", get(room))
        .route("/rooms/{room}/events", get(events))
        .route("/rooms/{room}/messages", post(send))
}

#[derive(Serialize)]
struct Room {
    room: RoomName,
    title: Arc<str>,
    topic: Arc<str>,
    head: u64,
    created_at: u64,
}

#[derive(Serialize)]
struct RoomPage {
    rooms: Vec<Room>,
    /// Where the next page begins: the value for `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<RoomName>,
}

#[derive(Serialize)]
struct EventPage {
    events: Vec<Event>,
    more: bool,
}

#[derive(Serialize)]
struct Sent {
    seq: u64,
    at: u64,
}

async fn rooms(caller: Caller, RawQuery(query): RawQuery) -> Result<Json<RoomPage>, Problem> {
    let query = Query::parse(query.as_deref())?;
    let after = query
        .text("after")
        .map(|name| room_name("after", name))
        .transpose()?;
    let limit = query.limit(DEFAULT_ENTRIES, MAX_ENTRIES)?;
    // One more than asked for tells whether there is a next page.
    let mut found = caller
        .serving
        .system
        .list_rooms(after.as_ref(), limit + 1)
        .await
        .map_err(store_problem)?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next = if more {
        found.last().map(|room| room.name.clone())
    } else {
        None
    };
    Ok(Json(RoomPage {
        rooms: found.into_iter().map(Room::from).collect(),
        next,
    }))
}

async fn room(caller: Caller, Path(name): Path<String>) -> Result<Json<Room>, Problem> {
    let name = room_name("room", &name)?;
    let found = caller.serving.system.room(&name).await.map_err(store_problem)?;
    found
        .map(|room| Json(room.into()))
        .ok_or_else(|| no_such_room(&name))
}

async fn events(
    caller: Caller,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<EventPage>, Problem> {
    let name = room_name("room", &name)?;
    let query = Query::parse(query.as_deref())?;
    let page = client::check_page(
        query.number("before")?,
        query.number("after")?,
        query.number("limit")?,
    )?;
    let done = caller.room(&name)?.history(page).await?;
    Ok(Json(EventPage {
        events: done.events.unwrap_or_default(),
        more: done.more.unwrap_or(false),
    }))
}

async fn send(
    caller: Caller,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let name = room_name("room", &name)?;
    let body = body::received(body)?;
    let fields = Fields::decode(Codec::Json, &body)
        .map_err(|error| Problem::new(ErrorCode::BadRequest, format!("the body is {error}")))?;
    let message = client::message(&fields)?;
    let room = caller.room(&name)?;
    caller
        .serving
        .system
        .take_send(&caller.user)
        .map_err(|retry_after_ms| {
            Problem::new(
                ErrorCode::RateLimited,
                "you write too fast; try again with the same cid",
            )
            .retry_after_ms(retry_after_ms)
        })?;
    let done = room
        .send(&caller.user, message.cid, message.text, message.reply_to)
        .await?;
    let sent = Sent {
        seq: done.seq.unwrap_or_default(),
        at: done.at.unwrap_or_default(),
    };
    Ok((StatusCode::CREATED, Json(sent)).into_response())
}

impl Caller {
    /// The room of that name, to talk to.
    fn room(&self, name: &RoomName) -> Result<actors::room::Room, Problem> {
        self.serving.system.rooms().get(name).map_err(|_| unavailable())
    }
}

impl From<RoomRecord> for Room {
    fn from(record: RoomRecord) -> Self {
        let RoomRecord {
            name,
            title,
            topic,
            head,
            created_at,
            ..
        } = record;
        Self {
            room: name,
            title,
            topic,
            head,
            created_at,
        }
    }
}

fn room_name(field: &str, name: &str) -> Result<RoomName, Problem> {
    RoomName::new(name).map_err(|_| {
        Problem::new(
            ErrorCode::BadRequest,
            format!("`{field}`: must be {ROOM_NAME_RULE}"),
        )
    })
}

fn no_such_room(name: &RoomName) -> Problem {
    Problem::new(
        ErrorCode::NotFound,
        format!("there is no room `{name}` that you may see"),
    )
}
