//! Who is what in a room.

use std::sync::Arc;

use actors::{
    ports::Change,
    rights::{self, Membership, Operation, Role},
};
use axum::{
    Json,
    extract::{FromRequestParts, Path, RawQuery},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use protocol::{
    ErrorCode, MemberChange, Person, RoomName,
    client::check_label,
    limits::{MAX_ID_BYTES, MAX_SEQ},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema as s;
use super::{
    caller::{Body, Caller, Named, Query, denied, room_name, store_problem},
    visitor::{check_id, page_after},
};
use crate::http::problem::Problem;

/// Members on a page, unless asked otherwise.
const DEFAULT_MEMBERS: u64 = 100;
/// Most members on a page.
const MAX_MEMBERS: u64 = 1_000;
/// Longest reason, in bytes.
const MAX_REASON_BYTES: usize = 512;
/// How many members to ask for.
type MemberLimit = s::Whole<1, MAX_MEMBERS>;
/// Why something is done.
type Reason = s::Label<1, MAX_REASON_BYTES>;
/// Somebody's id in a body.
type UserId = s::Label<1, MAX_ID_BYTES>;
/// In an address, who asks.
const ME: &str = "me";

/// What somebody is in a room. Bans and mutes are shown to who may impose them.
#[derive(Serialize, ToSchema)]
pub(super) struct Member {
    #[schema(value_type = s::Person)]
    user: Person,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    invited: bool,
    /// In Unix milliseconds; 2⁵³−1: without an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    banned_until: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    muted_until: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct MemberPage {
    members: Vec<Member>,
    /// Where the next page begins: the value for `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<Arc<str>>,
}

/// Who is in a room now.
#[derive(Serialize, ToSchema)]
pub(super) struct People {
    count: u64,
    #[schema(value_type = Vec<s::Person>)]
    users: Vec<Person>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = Invitation)]
pub(super) struct Invite {
    #[schema(value_type = UserId, inline)]
    user: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = MemberRole)]
pub(super) struct Put {
    role: Option<Given>,
    #[schema(value_type = Option<Reason>, inline)]
    reason: Option<String>,
}

/// A role that can be given.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Role)]
pub(super) enum Given {
    Member,
    Moderator,
    Owner,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = UntilWhen)]
pub(super) struct Until {
    #[schema(value_type = Option<s::Number>, inline)]
    until: Option<u64>,
    #[schema(value_type = Option<Reason>, inline)]
    reason: Option<String>,
}

#[utoipa::path(
    get,
    path = "/rooms/{room}/people",
    operation_id = "listPeople",
    tag = "members",
    summary = "Who is in the room now, over all nodes",
    params(("room" = inline(s::RoomName), Path, description = "The room")),
    responses((status = 200, description = "At most 200 of them", body = People), (status = 429, description = "")),
)]
pub(super) async fn people(caller: Caller, Named(name): Named) -> Result<Json<People>, Problem> {
    let done = caller.room_actor(&name)?.people(&caller.user).await?;
    Ok(Json(People {
        count: done.count.unwrap_or_default(),
        users: done.users.unwrap_or_default(),
    }))
}

#[utoipa::path(
    get,
    path = "/rooms/{room}/members",
    operation_id = "listMembers",
    tag = "members",
    summary = "Who has a role in the room, by id",
    params(("room" = inline(s::RoomName), Path, description = "The room"), ("after" = inline(s::Id), Query, description = "The `next` of the page before"), ("limit" = inline(MemberLimit), Query, description = "How many")),
    responses((status = 200, description = "A page", body = MemberPage)),
)]
pub(super) async fn list(
    caller: Caller,
    Named(name): Named,
    RawQuery(query): RawQuery,
) -> Result<Json<MemberPage>, Problem> {
    let query = Query::parse(query.as_deref())?;
    let after = page_after(&query)?.unwrap_or_default();
    let limit = usize::try_from(query.limit(DEFAULT_MEMBERS, MAX_MEMBERS)?).unwrap_or(usize::MAX);
    let (_, roster) = caller.room(&name, Operation::Read).await?;
    let now_ms = caller.serving.system.clock().now_ms();
    let all = rights::decide(Operation::DeleteAny, &caller.user, &roster, now_ms).is_ok();
    let mut members: Vec<&Membership> = roster
        .members()
        .filter(|member| &**member.id() > after && (all || member.role.is_some()))
        .collect();
    members.sort_by(|a, b| a.id().cmp(b.id()));
    let more = members.len() > limit;
    members.truncate(limit);
    let next = members
        .last()
        .filter(|_| more)
        .map(|member| Arc::clone(member.id()));
    let members = members
        .into_iter()
        .map(|member| Member::new(member, all))
        .collect();
    Ok(Json(MemberPage { members, next }))
}

/// Invites somebody.
#[utoipa::path(
    post,
    path = "/rooms/{room}/members",
    operation_id = "inviteMember",
    tag = "members",
    summary = "Invites somebody",
    params(("room" = inline(s::RoomName), Path, description = "The room")),
    request_body = Invite,
    responses((status = 200, description = "Done", body = super::messages::Committed), (status = 204, description = "It was so already"), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn invite(
    caller: Caller,
    Named(name): Named,
    Body(body): Body<Invite>,
) -> Result<Response, Problem> {
    check_label("user", &body.user, MAX_ID_BYTES)?;
    let target = Target {
        room: name,
        id: body.user,
    };
    caller
        .member(&target, MemberChange::Invited, None, None, None)
        .await
}

/// Becomes a member (`me`), or gives somebody another role.
#[utoipa::path(
    put,
    path = "/rooms/{room}/members/{user}",
    operation_id = "putMember",
    tag = "members",
    summary = "Becomes a member (`me`), or gives somebody another role",
    params(("room" = inline(s::RoomName), Path, description = "The room"), ("user" = inline(s::Id), Path, description = "A person's id, or `me`")),
    request_body = Put,
    responses((status = 200, description = "Done", body = super::messages::Committed), (status = 204, description = "It was so already"), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn put(caller: Caller, target: Target, Body(body): Body<Put>) -> Result<Response, Problem> {
    match body.role {
        Some(role) => {
            caller
                .member(&target, MemberChange::Role, Some(role.role()), None, body.reason)
                .await
        }
        None if caller.is_meant(&target) => {
            caller
                .member(&target, MemberChange::Joined, None, None, None)
                .await
        }
        None => {
            // Who is not there cannot be given a role, either.
            caller.whom(&target).await?;
            Err(Problem::new(ErrorCode::BadRequest, "`role`: is missing"))
        }
    }
}

/// Leaves (`me`), or sends somebody out.
#[utoipa::path(
    delete,
    path = "/rooms/{room}/members/{user}",
    operation_id = "removeMember",
    tag = "members",
    summary = "Leaves (`me`), or sends somebody out",
    params(("room" = inline(s::RoomName), Path, description = "The room"), ("user" = inline(s::Id), Path, description = "A person's id, or `me`"), ("reason" = inline(Reason), Query, description = "Why; it is in the room's log")),
    responses((status = 200, description = "Done", body = super::messages::Committed), (status = 204, description = "It was so already"), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn remove(
    caller: Caller,
    target: Target,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref())?;
    let reason = query.text("reason")?.map(str::to_owned);
    let change = if caller.is_meant(&target) {
        MemberChange::Left
    } else {
        MemberChange::Removed
    };
    caller.member(&target, change, None, None, reason).await
}

#[utoipa::path(
    put,
    path = "/rooms/{room}/bans/{user}",
    operation_id = "banMember",
    tag = "members",
    summary = "Bans somebody from the room",
    params(("room" = inline(s::RoomName), Path, description = "The room"), ("user" = inline(s::Id), Path, description = "A person's id, or `me`")),
    request_body = Until,
    responses((status = 200, description = "Done", body = super::messages::Committed), (status = 204, description = "It was so already"), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn ban(
    caller: Caller,
    target: Target,
    Body(body): Body<Until>,
) -> Result<Response, Problem> {
    caller
        .member(&target, MemberChange::Banned, None, body.until, body.reason)
        .await
}

#[utoipa::path(
    delete,
    path = "/rooms/{room}/bans/{user}",
    operation_id = "unbanMember",
    tag = "members",
    summary = "Ends a ban from the room",
    params(("room" = inline(s::RoomName), Path, description = "The room"), ("user" = inline(s::Id), Path, description = "A person's id, or `me`")),
    responses((status = 200, description = "Done", body = super::messages::Committed), (status = 204, description = "It was so already"), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn unban(caller: Caller, target: Target) -> Result<Response, Problem> {
    caller
        .member(&target, MemberChange::Unbanned, None, None, None)
        .await
}

#[utoipa::path(
    put,
    path = "/rooms/{room}/mutes/{user}",
    operation_id = "muteMember",
    tag = "members",
    summary = "Mutes somebody in the room",
    params(("room" = inline(s::RoomName), Path, description = "The room"), ("user" = inline(s::Id), Path, description = "A person's id, or `me`")),
    request_body = Until,
    responses((status = 200, description = "Done", body = super::messages::Committed), (status = 204, description = "It was so already"), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn mute(
    caller: Caller,
    target: Target,
    Body(body): Body<Until>,
) -> Result<Response, Problem> {
    caller
        .member(&target, MemberChange::Muted, None, body.until, body.reason)
        .await
}

#[utoipa::path(
    delete,
    path = "/rooms/{room}/mutes/{user}",
    operation_id = "unmuteMember",
    tag = "members",
    summary = "Lets somebody speak again",
    params(("room" = inline(s::RoomName), Path, description = "The room"), ("user" = inline(s::Id), Path, description = "A person's id, or `me`")),
    responses((status = 200, description = "Done", body = super::messages::Committed), (status = 204, description = "It was so already"), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn unmute(caller: Caller, target: Target) -> Result<Response, Problem> {
    caller
        .member(&target, MemberChange::Unmuted, None, None, None)
        .await
}

impl Caller {
    fn is_meant(&self, target: &Target) -> bool {
        target.id == ME || *target.id == *self.user.person.id
    }

    /// Changes a membership. 200 with the event's place; 204 where it was so already.
    async fn member(
        &self,
        target: &Target,
        change: MemberChange,
        role: Option<Role>,
        until: Option<u64>,
        reason: Option<String>,
    ) -> Result<Response, Problem> {
        if let Some(reason) = &reason {
            check_label("reason", reason, MAX_REASON_BYTES)?;
        }
        let now_ms = self.serving.system.clock().now_ms();
        if until.is_some_and(|until| until <= now_ms || until > MAX_SEQ) {
            let detail = "`until`: must be a time to come, in Unix milliseconds";
            return Err(Problem::new(ErrorCode::BadRequest, detail));
        }
        self.take_send()?;
        let who = self.whom(target).await?;
        let change = Change::Member {
            change,
            who,
            role: role.map(|role| role.as_str().into()),
            until,
            reason: reason.map(Into::into),
        };
        let done = self
            .room_actor(&target.room)?
            .act(&self.user, None, change)
            .await?;
        Ok(match done.seq {
            Some(_) => Json(super::messages::Committed::from(done)).into_response(),
            None => StatusCode::NO_CONTENT.into_response(),
        })
    }

    /// Whom an address means: somebody known in the room, in it now, signed up, or who wrote there and is gone.
    async fn whom(&self, target: &Target) -> Result<Person, Problem> {
        if self.is_meant(target) {
            return Ok(self.user.person.clone());
        }
        let system = &self.serving.system;
        let found = system.room(&target.room).await.map_err(store_problem)?;
        let (_, roster) = found.ok_or_else(|| denied(ErrorCode::NotFound))?;
        // Who may not see the room does not learn who is in it.
        rights::decide(Operation::Read, &self.user, &roster, system.clock().now_ms()).map_err(denied)?;
        if let Some(known) = roster.get(&target.id) {
            return Ok(known.person.clone());
        }
        let present = self.room_actor(&target.room)?.people(&self.user).await?;
        let mut present = present.users.into_iter().flatten();
        if let Some(present) = present.find(|person| *person.id == *target.id) {
            return Ok(present);
        }
        match self.account(&target.id).await {
            Err(nobody) if nobody.code() == ErrorCode::NotFound => {
                let author = system.store().author(&target.room, &target.id).await;
                author.map_err(store_problem)?.ok_or(nobody)
            }
            account => account,
        }
    }

    /// The person who has the account of that id.
    pub(super) async fn account(&self, id: &str) -> Result<Person, Problem> {
        let found = self.people().store().account(id).await.map_err(store_problem)?;
        found
            .map(|account| account.person)
            .ok_or_else(|| Problem::new(ErrorCode::NotFound, format!("there is nobody with the id `{id}`")))
    }
}

impl Member {
    fn new(member: &Membership, all: bool) -> Self {
        Self {
            user: member.person.clone(),
            role: member.role.map(Role::as_str),
            invited: member.invited,
            banned_until: member.banned_until.filter(|_| all),
            muted_until: member.muted_until.filter(|_| all),
        }
    }
}

impl Given {
    fn role(self) -> Role {
        match self {
            Self::Member => Role::Member,
            Self::Moderator => Role::Moderator,
            Self::Owner => Role::Owner,
        }
    }
}

/// Somebody in a room, or something of it, as the address names them.
pub(super) struct Target {
    pub(super) room: RoomName,
    pub(super) id: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let (room, id) = path.map(|Path(path)| path).unwrap_or_default();
        let room = room_name("room", &room)?;
        check_id("user", &id)?;
        Ok(Self { room, id })
    }
}
