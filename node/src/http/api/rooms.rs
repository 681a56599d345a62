//! Rooms: listed, made, changed.

use std::sync::Arc;

use actors::{
    Standing,
    ports::{Change, NewRoom, RoomQuery, RoomRecord},
    rights::{self, Operation, Role, Roster, Visibility},
};
use axum::{
    Json,
    extract::RawQuery,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::{ErrorCode, RoomChange, RoomName, event::RoomValue};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Body, Caller, Named, Query, denied, room_name, store_problem};
use super::schema as s;
use crate::http::problem::Problem;

/// Rooms on a page, unless asked otherwise.
const DEFAULT_ROOMS: u64 = 50;
/// Most rooms on a page.
const MAX_ROOMS: u64 = 200;
/// Longest title, in bytes.
const MAX_TITLE_BYTES: usize = 128;
/// Longest topic, in bytes.
const MAX_TOPIC_BYTES: usize = 1_024;
/// Longest text to search for, in bytes.
const MAX_SEARCH_BYTES: usize = 128;
/// Longest pause of slow mode, in seconds: a day.
const MAX_SLOW_MODE_SECONDS: u64 = 86_400;

/// How many rooms to ask for.
type RoomLimit = s::Whole<1, MAX_ROOMS>;
/// What to search for.
type Search = s::Short<0, MAX_SEARCH_BYTES>;
/// A title; not only white space.
type Title = s::Label<1, MAX_TITLE_BYTES>;
/// Seconds.
type SlowMode = s::Whole<0, MAX_SLOW_MODE_SECONDS>;
/// What a room is about.
type Topic = s::Free<0, MAX_TOPIC_BYTES>;

/// A room.
#[derive(Serialize, ToSchema)]
pub(super) struct Room {
    /// Its name, which never changes.
    #[schema(value_type = s::RoomName)]
    room: RoomName,
    /// For people.
    title: Arc<str>,
    /// What it is about; may be empty.
    topic: Arc<str>,
    /// `public`, `private` or `direct`.
    visibility: &'static str,
    /// It can be read, but not written to.
    archived: bool,
    /// Shortest pause between two messages of one person, in seconds; 0: none.
    slow_mode: u64,
    /// The last committed `seq`; 0: none.
    head: u64,
    /// When it was made, in Unix milliseconds.
    created_at: u64,
    /// The caller's role; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    role: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct RoomPage {
    rooms: Vec<Room>,
    /// Where the next page begins: the value for `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    #[schema(value_type = Option<s::RoomName>)]
    next: Option<RoomName>,
}

/// A room to be made.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewRoom)]
pub(super) struct Make {
    #[schema(value_type = s::RoomName)]
    room: String,
    #[schema(value_type = Option<Title>, inline)]
    title: Option<String>,
    #[schema(value_type = Option<Topic>, inline)]
    topic: Option<String>,
    visibility: Option<Shown>,
}

/// Who can see a room that people make or change.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RoomVisibility)]
pub(super) enum Shown {
    Public,
    Private,
}

/// What is to change about a room.
#[derive(Deserialize, ToSchema)]
#[schema(as = RoomChanges)]
pub(super) struct Alter {
    #[schema(value_type = Option<Title>, inline)]
    title: Option<String>,
    #[schema(value_type = Option<Topic>, inline)]
    topic: Option<String>,
    visibility: Option<Shown>,
    archived: Option<bool>,
    #[schema(value_type = Option<SlowMode>, inline)]
    slow_mode: Option<u64>,
}

#[utoipa::path(
    get,
    path = "/rooms",
    operation_id = "listRooms",
    tag = "rooms",
    summary = "Rooms that you can see, by name",
    params(("search" = inline(Search), Query, description = "Only rooms whose name or title has this in it, in any case"), ("after" = inline(s::RoomName), Query, description = "The `next` of the page before"), ("limit" = inline(RoomLimit), Query, description = "How many")),
    responses((status = 200, description = "A page", body = RoomPage)),
)]
pub(super) async fn list(caller: Caller, RawQuery(query): RawQuery) -> Result<Json<RoomPage>, Problem> {
    let query = Query::parse(query.as_deref())?;
    let after = query
        .text("after")?
        .map(|name| room_name("after", name))
        .transpose()?;
    let search = query.printable("search")?.filter(|text| !text.is_empty());
    if search.is_some_and(|text| text.len() > MAX_SEARCH_BYTES) {
        let detail = format!("`search`: at most {MAX_SEARCH_BYTES} bytes");
        return Err(Problem::new(ErrorCode::BadRequest, detail));
    }
    let limit = query.limit(DEFAULT_ROOMS, MAX_ROOMS)?;
    let user = &caller.user;
    let everywhere = user.standing == Standing::Administrator;
    let query = RoomQuery {
        seen_by: (!everywhere).then(|| Arc::clone(&user.person.id)),
        search: search.map(Into::into),
        after,
        // One more than asked for tells whether there is a next page.
        limit: limit + 1,
    };
    let store = caller.serving.system.store();
    let mut found = store.rooms(&query).await.map_err(store_problem)?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next = found.last().filter(|_| more).map(|room| room.name.clone());
    let rooms = found.into_iter().map(|record| Room::new(record, None)).collect();
    Ok(Json(RoomPage { rooms, next }))
}

#[utoipa::path(
    get,
    path = "/rooms/{room}",
    operation_id = "getRoom",
    tag = "rooms",
    summary = "A room",
    params(("room" = inline(s::RoomName), Path, description = "The room")),
    responses((status = 200, description = "The room", body = Room)),
)]
pub(super) async fn get(caller: Caller, Named(name): Named) -> Result<Json<Room>, Problem> {
    let (record, roster) = caller.room(&name, Operation::Read).await?;
    Ok(Json(caller.shown(record, &roster)))
}

#[utoipa::path(
    post,
    path = "/rooms",
    operation_id = "makeRoom",
    tag = "rooms",
    summary = "Makes a room and owns it",
    request_body = Make,
    responses((status = 201, description = "It is made", body = Room, headers(("location" = String, description = "The room's address"))), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn make(caller: Caller, Body(body): Body<Make>) -> Result<Response, Problem> {
    if caller.user.is_guest() || !caller.user.scopes.moderate {
        return Err(Problem::new(
            ErrorCode::Forbidden,
            "who makes a room must be signed up",
        ));
    }
    let name = room_name("room", &body.room)?;
    let title = body.title.as_deref().map(title).transpose()?;
    let topic = body.topic.as_deref().map(topic).transpose()?;
    let room = NewRoom {
        title: title.unwrap_or_else(|| name.as_str().into()),
        visibility: body.visibility.map_or(Visibility::Public, Shown::visibility),
        members: vec![(caller.user.person.clone(), Role::Owner)],
        name: name.clone(),
    };
    caller.take_send()?;
    let topic = topic.filter(|topic| !topic.is_empty());
    if topic.is_some() {
        caller.take_send()?;
    }
    let store = caller.serving.system.store();
    let (_, made) = store.create_room(&room).await.map_err(store_problem)?;
    if !made {
        return Err(Problem::new(
            ErrorCode::Conflict,
            format!("there is a room `{name}` already"),
        ));
    }
    if let Some(topic) = topic {
        caller
            .change(&name, RoomChange::Topic, RoomValue::Text(topic))
            .await?;
    }
    let (record, roster) = caller.room(&name, Operation::Read).await?;
    let place = format!("/api/v1/rooms/{name}");
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, place)],
        Json(caller.shown(record, &roster)),
    )
        .into_response())
}

#[utoipa::path(
    patch,
    path = "/rooms/{room}",
    operation_id = "changeRoom",
    tag = "rooms",
    summary = "Changes a room. Coming back from the archive counts first, going there last",
    params(("room" = inline(s::RoomName), Path, description = "The room")),
    request_body = Alter,
    responses((status = 200, description = "As it is now", body = Room), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn alter(
    caller: Caller,
    Named(name): Named,
    Body(body): Body<Alter>,
) -> Result<Json<Room>, Problem> {
    let (_, mut roster) = caller.room(&name, Operation::Read).await?;
    let changes = body.changes()?;
    // All or, as far as can be known beforehand, nothing: each is judged as the room is after those before it.
    let now_ms = caller.serving.system.clock().now_ms();
    for (operation, change, value) in &changes {
        rights::decide(*operation, &caller.user, &roster, now_ms).map_err(denied)?;
        roster.change_room(*change, value);
    }
    for _ in &changes {
        caller.take_send()?;
    }
    for (_, change, value) in changes {
        caller.change(&name, change, value).await?;
    }
    let (record, roster) = caller.room(&name, Operation::Read).await?;
    Ok(Json(caller.shown(record, &roster)))
}

impl Alter {
    /// The changes; bringing a room back from the archive comes first, putting it there last.
    fn changes(self) -> Result<Vec<(Operation<'static>, RoomChange, RoomValue)>, Problem> {
        let mut changes = Vec::new();
        let archived = |on| {
            (
                Operation::SetArchived,
                RoomChange::Archived,
                RoomValue::Switch(on),
            )
        };
        if self.archived == Some(false) {
            changes.push(archived(false));
        }
        if let Some(text) = &self.title {
            changes.push((
                Operation::SetTitle,
                RoomChange::Title,
                RoomValue::Text(title(text)?),
            ));
        }
        if let Some(text) = &self.topic {
            changes.push((
                Operation::SetTopic,
                RoomChange::Topic,
                RoomValue::Text(topic(text)?),
            ));
        }
        if let Some(shown) = self.visibility {
            let visibility = shown.visibility();
            let value = RoomValue::Text(visibility.as_str().into());
            changes.push((
                Operation::SetVisibility(visibility),
                RoomChange::Visibility,
                value,
            ));
        }
        if let Some(seconds) = self.slow_mode {
            if seconds > MAX_SLOW_MODE_SECONDS {
                let detail = format!("`slow_mode`: must be an integer from 0 to {MAX_SLOW_MODE_SECONDS}");
                return Err(Problem::new(ErrorCode::BadRequest, detail));
            }
            changes.push((
                Operation::SetSlowMode,
                RoomChange::SlowMode,
                RoomValue::Number(seconds),
            ));
        }
        if self.archived == Some(true) {
            changes.push(archived(true));
        }
        Ok(changes)
    }
}

impl Shown {
    fn visibility(self) -> Visibility {
        match self {
            Self::Public => Visibility::Public,
            Self::Private => Visibility::Private,
        }
    }
}

impl Caller {
    /// Changes the room; the write is counted already.
    async fn change(&self, name: &RoomName, change: RoomChange, value: RoomValue) -> Result<(), Problem> {
        self.room_actor(name)?
            .act(&self.user, None, Change::Room { change, value })
            .await?;
        Ok(())
    }

    pub(super) fn shown(&self, record: RoomRecord, roster: &Roster) -> Room {
        Room::new(
            record,
            Some(roster.role_of(&self.user, self.serving.system.clock().now_ms())),
        )
    }
}

impl Room {
    fn new(record: RoomRecord, role: Option<&'static str>) -> Self {
        Self {
            room: record.name,
            title: record.title,
            topic: record.topic,
            visibility: record.rights.visibility.as_str(),
            archived: record.rights.archived,
            slow_mode: record.rights.slow_mode_seconds,
            head: record.head,
            created_at: record.created_at,
            role,
        }
    }
}

fn title(text: &str) -> Result<Arc<str>, Problem> {
    protocol::client::check_label("title", text, MAX_TITLE_BYTES)?;
    if text.trim().is_empty() {
        return Err(Problem::new(
            ErrorCode::BadRequest,
            "`title`: must not be only white space",
        ));
    }
    Ok(text.into())
}

fn topic(text: &str) -> Result<Arc<str>, Problem> {
    if text.len() > MAX_TOPIC_BYTES || text.contains('\0') {
        let detail = format!("`topic`: at most {MAX_TOPIC_BYTES} bytes, without NUL");
        return Err(Problem::new(ErrorCode::BadRequest, detail));
    }
    Ok(text.into())
}
