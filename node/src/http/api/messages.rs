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

use super::caller::{Body, Caller, Named, Query, read, room_name};
use crate::http::problem::Problem;

#[derive(Serialize)]
pub(super) struct EventPage {
    events: Vec<Event>,
    more: bool,
}

/// Where something stands in the room's log.
#[derive(Serialize)]
pub(super) struct Committed {
    seq: u64,
    at: u64,
}

#[derive(Deserialize)]
pub(super) struct Edit {
    cid: String,
    text: String,
}

#[derive(Deserialize)]
pub(super) struct React {
    cid: String,
    emoji: String,
    on: bool,
}

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
