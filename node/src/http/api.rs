//! `/api/v1`: rooms and their events, for programs that do not hold a connection.

use std::sync::Arc;

use actors::{
    User,
    ports::{Change, RoomQuery, RoomRecord, StoreError},
    rights::{self, Operation},
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequestParts, Path, RawQuery, rejection::BytesRejection},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use protocol::{
    Codec, ErrorCode, Event, RoomName, client, fields::Fields, limits::MAX_TEXT_BYTES, name::ROOM_NAME_RULE,
};
use serde::Serialize;

use super::{
    bearer::bearer,
    gate::{Gate, Serving},
    problem::Problem,
};

/// A text of the largest size, every byte of it escaped, and its envelope.
const MAX_BODY_BYTES: usize = MAX_TEXT_BYTES * 6 + 4 * 1024;
/// Rooms on a page, unless asked otherwise.
const DEFAULT_ROOMS: u64 = 50;
/// Most rooms on a page.
const MAX_ROOMS: u64 = 200;
/// After this many milliseconds a request that the store could not serve may be repeated.
const RETRY_MS: u64 = 1_000;

/// The routes below `/api/v1`.
pub(super) fn routes() -> Router<Arc<Gate>> {
    Router::new()
        .route("/rooms", get(rooms))
        .route("/rooms/{room}", get(room))
        .route("/rooms/{room}/events", get(events))
        .route("/rooms/{room}/messages", post(send))
        .fallback(|| async { Problem::no_such_address() })
        .method_not_allowed_fallback(|| async { Problem::no_such_method() })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

/// Somebody who may ask.
struct Caller {
    serving: Arc<Serving>,
    user: Arc<User>,
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
    let limit = query.number("limit")?.unwrap_or(DEFAULT_ROOMS);
    if !(1..=MAX_ROOMS).contains(&limit) {
        let detail = format!("`limit`: must be an integer from 1 to {MAX_ROOMS}");
        return Err(Problem::new(ErrorCode::BadRequest, detail));
    }
    // One more than asked for tells whether there is a next page.
    let query = RoomQuery {
        seen_by: Some(Arc::clone(&caller.user.person.id)),
        search: None,
        after,
        limit: limit + 1,
    };
    let mut found = caller
        .serving
        .system
        .store()
        .rooms(&query)
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

async fn room(caller: Caller, Named(name): Named) -> Result<Json<Room>, Problem> {
    let found = caller.serving.system.room(&name).await.map_err(store_problem)?;
    let (record, roster) = found.ok_or_else(|| no_such_room(&name))?;
    let now_ms = caller.serving.system.clock().now_ms();
    rights::decide(Operation::Read, &caller.user, &roster, now_ms)
        .map_err(|code| Problem::new(code, rights::refusal_text(code)))?;
    Ok(Json(record.into()))
}

async fn events(
    caller: Caller,
    Named(name): Named,
    RawQuery(query): RawQuery,
) -> Result<Json<EventPage>, Problem> {
    let query = Query::parse(query.as_deref())?;
    let page = client::check_page(
        query.number("before")?,
        query.number("after")?,
        query.number("limit")?,
    )?;
    let done = caller.room(&name)?.history(&caller.user, page).await?;
    Ok(Json(EventPage {
        events: done.events.unwrap_or_default(),
        more: done.more.unwrap_or(false),
    }))
}

async fn send(
    caller: Caller,
    Named(name): Named,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            ErrorCode::TooLarge,
            format!("a body may have {MAX_BODY_BYTES} bytes"),
        ),
        _ => Problem::new(ErrorCode::BadRequest, "the body could not be read"),
    })?;
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
        .act(
            &caller.user,
            Some(message.cid),
            Change::Message {
                text: message.text,
                reply_to: message.reply_to,
            },
        )
        .await?;
    let sent = Sent {
        seq: done.seq.unwrap_or_default(),
        at: done.at.unwrap_or_default(),
    };
    Ok((StatusCode::CREATED, Json(sent)).into_response())
}

impl Caller {
    fn room(&self, name: &RoomName) -> Result<actors::room::Room, Problem> {
        self.serving.system.rooms().get(name).map_err(|_| unavailable())
    }
}

impl FromRequestParts<Arc<Gate>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gate: &Arc<Gate>) -> Result<Self, Problem> {
        let serving = gate.answering().ok_or_else(unavailable)?;
        let token = bearer(&parts.headers)?.ok_or_else(|| {
            Problem::new(
                ErrorCode::Unauthenticated,
                "send a token as `Authorization: Bearer TOKEN`",
            )
        })?;
        let user = serving
            .authenticator
            .verify(token)
            .map_err(|error| Problem::new(ErrorCode::Unauthenticated, error.to_string()))?;
        Ok(Self {
            serving: Arc::clone(serving),
            user: Arc::new(user),
        })
    }
}

/// The room that the address names.
struct Named(RoomName);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // What is no text is no name, either.
        let name = Path::<String>::from_request_parts(parts, state).await;
        room_name("room", name.as_deref().map_or("", String::as_str)).map(Self)
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

/// The parameters of a URL. Those that are not asked for are ignored.
struct Query(Vec<(String, String)>);

impl Query {
    fn parse(query: Option<&str>) -> Result<Self, Problem> {
        serde_urlencoded::from_str(query.unwrap_or_default())
            .map(Self)
            .map_err(|error| {
                Problem::new(
                    ErrorCode::BadRequest,
                    format!("the query is not understood: {error}"),
                )
            })
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.text(name)
            .map(|text| {
                let detail = || format!("`{name}`: must be an integer from 0");
                text.parse()
                    .map_err(|_| Problem::new(ErrorCode::BadRequest, detail()))
            })
            .transpose()
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

#[allow(clippy::needless_pass_by_value, reason = "an argument of map_err")]
fn store_problem(error: StoreError) -> Problem {
    if error.is_transient() {
        return unavailable();
    }
    tracing::error!(%error, "a request could not be served");
    Problem::new(ErrorCode::Internal, "the server failed; its log says why")
}

fn unavailable() -> Problem {
    Problem::new(ErrorCode::Overloaded, "this cannot be served at the moment").retry_after_ms(RETRY_MS)
}
