//! Invite links: who has one becomes a member, as long as it lasts.

use std::sync::Arc;

use actors::{ports::InviteLink, rights::Operation};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use protocol::{ErrorCode, Person, RoomName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::schema as s;
use super::{
    caller::{Body, Caller, Named, store_problem},
    members::Target,
    rooms::Room,
    visitor::internal,
};
use crate::http::problem::Problem;

/// Longest life of a link, in seconds: a year.
const MAX_LIFE_SECONDS: u64 = 366 * 86_400;
/// Most uses that a link may be limited to.
const MAX_USES: u64 = 1_000_000;
/// Most links of a room that can be used at a time.
const MAX_LINKS: usize = 200;

/// Seconds.
type Life = s::Whole<1, MAX_LIFE_SECONDS>;
/// How many may use a link.
type Uses = s::Whole<1, MAX_USES>;

/// A link. Its token is told once, to who made it.
#[derive(Serialize, ToSchema)]
#[schema(as = InviteLink)]
pub(super) struct Link {
    id: Arc<str>,
    #[schema(value_type = s::RoomName)]
    room: RoomName,
    #[schema(value_type = s::Person)]
    by: Person,
    created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    uses_left: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = InviteLinks)]
pub(super) struct Links {
    invites: Vec<Link>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = NewInviteLink)]
pub(super) struct Make {
    #[schema(value_type = Option<Life>, inline)]
    expires_in_seconds: Option<u64>,
    #[schema(value_type = Option<Uses>, inline)]
    uses: Option<u64>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = InviteToken)]
pub(super) struct Accept {
    token: String,
}

#[utoipa::path(
    get,
    path = "/rooms/{room}/invites",
    operation_id = "listInviteLinks",
    tag = "invites",
    summary = "The room's links that can be used, the newest first",
    params(("room" = inline(s::RoomName), Path, description = "The room")),
    responses((status = 200, description = "The links", body = Links), (status = 409, description = "")),
)]
pub(super) async fn list(caller: Caller, Named(name): Named) -> Result<Json<Links>, Problem> {
    caller.room(&name, Operation::InviteLinks).await?;
    let system = &caller.serving.system;
    let links = system.store().invites(&name).await.map_err(store_problem)?;
    let now_ms = system.clock().now_ms();
    let usable = links.into_iter().filter(|link| link.is_usable(now_ms));
    Ok(Json(Links {
        invites: usable.map(|link| Link::new(link, None)).collect(),
    }))
}

#[utoipa::path(
    post,
    path = "/rooms/{room}/invites",
    operation_id = "makeInviteLink",
    tag = "invites",
    summary = "Makes a link by which people become members",
    params(("room" = inline(s::RoomName), Path, description = "The room")),
    request_body = Make,
    responses((status = 201, description = "The link; its token is told this once", body = Link), (status = 409, description = "")),
)]
pub(super) async fn make(
    caller: Caller,
    Named(name): Named,
    Body(body): Body<Make>,
) -> Result<Response, Problem> {
    in_range("expires_in_seconds", body.expires_in_seconds, MAX_LIFE_SECONDS)?;
    in_range("uses", body.uses, MAX_USES)?;
    caller.room(&name, Operation::InviteLinks).await?;
    let system = &caller.serving.system;
    let now_ms = system.clock().now_ms();
    let known = system.store().invites(&name).await.map_err(store_problem)?;
    if known.iter().filter(|link| link.is_usable(now_ms)).count() >= MAX_LINKS {
        let detail = format!("a room has at most {MAX_LINKS} invite links; revoke one first");
        return Err(Problem::new(ErrorCode::Conflict, detail));
    }
    let (id, secret) = (random::<12>()?, random::<32>()?);
    let link = InviteLink {
        id: id.into(),
        room: name,
        secret_hash: hash(&secret),
        by: caller.user.person.clone(),
        created_at: now_ms,
        expires_at: body.expires_in_seconds.map(|seconds| now_ms + seconds * 1_000),
        uses_left: body.uses,
    };
    system.store().add_invite(&link).await.map_err(store_problem)?;
    Ok((StatusCode::CREATED, Json(Link::new(link, Some(secret)))).into_response())
}

#[utoipa::path(
    delete,
    path = "/rooms/{room}/invites/{invite}",
    operation_id = "endInviteLink",
    tag = "invites",
    summary = "Ends a link",
    params(("room" = inline(s::RoomName), Path, description = "The room"), ("invite" = inline(s::Id), Path, description = "The link's id")),
    responses((status = 204, description = "It is ended"), (status = 409, description = "")),
)]
pub(super) async fn remove(
    caller: Caller,
    Target {
        room: name,
        id: invite,
    }: Target,
) -> Result<StatusCode, Problem> {
    caller.room(&name, Operation::InviteLinks).await?;
    let store = caller.serving.system.store();
    if store.remove_invite(&name, &invite).await.map_err(store_problem)? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(ErrorCode::NotFound, "there is no such invite link"))
    }
}

/// Becomes a member of the link's room. The token comes in the body: addresses end up in logs.
#[utoipa::path(
    post,
    path = "/invites/accept",
    operation_id = "acceptInvite",
    tag = "invites",
    summary = "Becomes a member of a link's room",
    request_body = Accept,
    responses((status = 200, description = "The room", body = Room), (status = 404, description = ""), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn accept(caller: Caller, Body(body): Body<Accept>) -> Result<Json<Room>, Problem> {
    caller.take_send()?;
    // On its own, so that a caller who hangs up does not leave a use that let nobody in.
    let task = tokio::spawn(join(caller, hash(&body.token)));
    task.await.map_err(|error| {
        tracing::error!(%error, "an invite link could not be accepted");
        internal()
    })?
}

async fn join(caller: Caller, secret_hash: [u8; 32]) -> Result<Json<Room>, Problem> {
    // Who asks twice at the same time is a member at the second time.
    let _turn = caller.serving.accepting.of(&caller.user.person.id).await;
    let system = &caller.serving.system;
    let now_ms = system.clock().now_ms();
    let found = system.store().invite(&secret_hash, now_ms).await;
    let link = found.map_err(store_problem)?.ok_or_else(gone)?;
    let (record, roster) = caller.room(&link.room, Operation::JoinByLink).await?;
    let is_member = roster
        .get(&caller.user.person.id)
        .is_some_and(|member| member.role.is_some());
    if is_member {
        return Ok(Json(caller.shown(record, &roster)));
    }
    let room = caller.room_actor(&link.room)?;
    let used = system.store().use_invite(&link.id, now_ms).await;
    if !used.map_err(store_problem)? {
        return Err(gone());
    }
    let joined = room.join_by_link(&caller.user).await;
    // Refused, or a member already by another node: nobody was let in by this use.
    if !matches!(&joined, Ok(done) if done.seq.is_some()) {
        let returned = system.store().return_invite(&link.id).await;
        returned.map_err(store_problem)?;
    }
    joined?;
    let (record, roster) = caller.room(&link.room, Operation::Read).await?;
    Ok(Json(caller.shown(record, &roster)))
}

fn gone() -> Problem {
    Problem::new(
        ErrorCode::NotFound,
        "this invite link is not valid, or not any more",
    )
}

impl Link {
    fn new(link: InviteLink, token: Option<String>) -> Self {
        Self {
            id: link.id,
            room: link.room,
            by: link.by,
            created_at: link.created_at,
            expires_at: link.expires_at,
            uses_left: link.uses_left,
            token,
        }
    }
}

fn in_range(field: &str, value: Option<u64>, max: u64) -> Result<(), Problem> {
    if value.is_none_or(|value| (1..=max).contains(&value)) {
        return Ok(());
    }
    let detail = format!("`{field}`: must be an integer from 1 to {max}");
    Err(Problem::new(ErrorCode::BadRequest, detail))
}

fn random<const BYTES: usize>() -> Result<String, Problem> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "no randomness for an invite link");
        Problem::new(ErrorCode::Internal, "the server failed; its log says why")
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}
