//! A room's events: read, and written without a connection.

use actors::ports::Change;
use axum::{
    Json,
    body::Bytes,
    extract::{Path, RawQuery, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use protocol::{
    Codec, ErrorCode, Event, RoomName,
    client::{self, check_label, check_text},
    fields::Fields,
    limits::{MAX_CID_BYTES, MAX_EMOJI_BYTES, MAX_SEQ},
    server::Done,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Body, Caller, Named, Query, read, room_name};
use super::schema as s;
use crate::http::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(super) struct EventPage {
    #[schema(value_type = Vec<s::Event>)]
    events: Vec<Event>,
    more: bool,
}

/// Where something stands in the room's log.
#[derive(Serialize, ToSchema)]
pub(super) struct Committed {
    seq: u64,
    at: u64,
}

/// A message that is to be sent. Read field by field, as on the socket.
#[derive(ToSchema)]
#[allow(dead_code, reason = "it is there for the document")]
struct NewMessage {
    #[schema(value_type = s::Cid, inline)]
    cid: String,
    #[schema(value_type = s::Text, inline)]
    text: String,
    #[schema(value_type = Option<s::Seq>, inline)]
    reply_to: Option<u64>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = NewText)]
pub(super) struct Edit {
    #[schema(value_type = s::Cid, inline)]
    cid: String,
    #[schema(value_type = s::Text, inline)]
    text: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = Reaction)]
pub(super) struct React {
    #[schema(value_type = s::Cid, inline)]
    cid: String,
    #[schema(value_type = s::Emoji, inline)]
    emoji: String,
    on: bool,
}

#[utoipa::path(
    get,
    path = "/rooms/{room}/events",
    operation_id = "readEvents",
    tag = "messages",
    summary = "A page of the room's log; the newest, unless told otherwise",
    params(("room" = inline(s::RoomName), Path, description = "The room"), ("before" = inline(s::Seq), Query, description = "Events before this one; not with `after`"), ("after" = inline(s::Number), Query, description = "Events behind this one; not with `before`"), ("limit" = inline(s::EventLimit), Query, description = "How many")),
    responses((status = 200, description = "A page, ascending", body = EventPage), (status = 429, description = "")),
)]
pub(super) async fn events(
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
    let done = caller.room_actor(&name)?.history(&caller.user, page).await?;
    Ok(Json(EventPage {
        events: done.events.unwrap_or_default(),
        more: done.more.unwrap_or(false),
    }))
}

#[utoipa::path(
    post,
    path = "/rooms/{room}/messages",
    operation_id = "sendMessage",
    tag = "messages",
    summary = "Says something. The same `cid` again is answered with the first one's place",
    params(("room" = inline(s::RoomName), Path, description = "The room")),
    request_body = NewMessage,
    responses((status = 201, description = "It is in the log", body = Committed), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn send(
    caller: Caller,
    Named(name): Named,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = read(body)?;
    let fields = Fields::decode(Codec::Json, &body)
        .map_err(|error| Problem::new(ErrorCode::BadRequest, format!("the body is {error}")))?;
    let message = client::message(&fields)?;
    let change = Change::Message {
        text: message.text,
        reply_to: message.reply_to,
    };
    let committed = caller.write(&name, &message.cid, change).await?;
    Ok((StatusCode::CREATED, Json(committed)).into_response())
}

#[utoipa::path(
    put,
    path = "/rooms/{room}/messages/{seq}",
    operation_id = "editMessage",
    tag = "messages",
    summary = "Gives one's own message another text",
    params(("room" = inline(s::RoomName), Path, description = "The room"), ("seq" = inline(s::Seq), Path, description = "The message's place in the room")),
    request_body = Edit,
    responses((status = 200, description = "It is in the log", body = Committed), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn edit(
    caller: Caller,
    Message(name, target): Message,
    Body(body): Body<Edit>,
) -> Result<Json<Committed>, Problem> {
    check_text(&body.text)?;
    let text = body.text.into();
    caller
        .write(&name, &body.cid, Change::Edit { target, text })
        .await
        .map(Json)
}

#[utoipa::path(
    delete,
    path = "/rooms/{room}/messages/{seq}",
    operation_id = "deleteMessage",
    tag = "messages",
    summary = "Deletes a message; its text leaves the store",
    params(("room" = inline(s::RoomName), Path, description = "The room"), ("seq" = inline(s::Seq), Path, description = "The message's place in the room"), ("cid" = inline(s::Cid), Query, description = "Makes it safe to repeat")),
    responses((status = 200, description = "It is in the log", body = Committed), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn delete(
    caller: Caller,
    Message(name, target): Message,
    RawQuery(query): RawQuery,
) -> Result<Json<Committed>, Problem> {
    let query = Query::parse(query.as_deref())?;
    let cid = query.text("cid")?.unwrap_or_default();
    let change = Change::Delete {
        target,
        any_author: false,
    };
    caller.write(&name, cid, change).await.map(Json)
}

#[utoipa::path(
    post,
    path = "/rooms/{room}/messages/{seq}/reactions",
    operation_id = "react",
    tag = "messages",
    summary = "Gives or withdraws a reaction",
    params(("room" = inline(s::RoomName), Path, description = "The room"), ("seq" = inline(s::Seq), Path, description = "The message's place in the room")),
    request_body = React,
    responses((status = 200, description = "It is in the log", body = Committed), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn react(
    caller: Caller,
    Message(name, target): Message,
    Body(body): Body<React>,
) -> Result<Json<Committed>, Problem> {
    check_label("emoji", &body.emoji, MAX_EMOJI_BYTES)?;
    let change = Change::React {
        target,
        emoji: body.emoji.into(),
        on: body.on,
    };
    caller.write(&name, &body.cid, change).await.map(Json)
}

impl Caller {
    async fn write(&self, name: &RoomName, cid: &str, change: Change) -> Result<Committed, Problem> {
        check_label("cid", cid, MAX_CID_BYTES)?;
        self.take_send()?;
        let room = self.room_actor(name)?;
        Ok(room.act(&self.user, Some(cid.into()), change).await?.into())
    }
}

impl From<Done> for Committed {
    fn from(done: Done) -> Self {
        Self {
            seq: done.seq.unwrap_or_default(),
            at: done.at.unwrap_or_default(),
        }
    }
}

/// The message that the address names: its room and `seq`.
pub(super) struct Message(RoomName, u64);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Message {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let (room, seq) = path.map(|Path(path)| path).unwrap_or_default();
        let room = room_name("room", &room)?;
        let seq = seq.parse().ok().filter(|seq| (1..=MAX_SEQ).contains(seq));
        let seq = seq.ok_or_else(|| {
            Problem::new(
                ErrorCode::BadRequest,
                format!("`seq`: must be an integer from 1 to {MAX_SEQ}"),
            )
        })?;
        Ok(Self(room, seq))
    }
}
