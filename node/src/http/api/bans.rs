//! Bans from the whole server.

use std::sync::Arc;

use actors::ports::Ban;
use axum::{Json, extract::RawQuery, http::StatusCode};
use protocol::{ErrorCode, Person, limits::MAX_NAME_BYTES};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::schema as s;
use super::{
    super::problem::Problem,
    caller::{Body, Caller, Query, store_problem},
    visitor::{DEFAULT_ENTRIES, Id, MAX_ENTRIES, check_end, check_short, cut, page_after},
};

/// How many bans to ask for.
type EntryLimit = s::Whole<1, MAX_ENTRIES>;
/// Why somebody is banned.
type Reason = s::Short<0, MAX_REASON_BYTES>;
/// What somebody without an account is called.
type BannedName = s::Short<0, MAX_NAME_BYTES>;
/// Longest reason, in bytes.
const MAX_REASON_BYTES: usize = 500;

#[derive(Deserialize, ToSchema)]
#[schema(as = NewBan)]
pub(super) struct Wanted {
    /// When it ends by itself, in Unix milliseconds.
    #[schema(value_type = Option<s::Number>, inline)]
    until: Option<u64>,
    #[schema(value_type = Option<Reason>, inline)]
    reason: Option<String>,
    /// Of somebody who has no account here.
    #[schema(value_type = Option<BannedName>, inline)]
    name: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Ban)]
pub(super) struct Shown {
    #[schema(value_type = s::Person)]
    user: Person,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    until: Option<u64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: Arc<str>,
    at: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Bans {
    bans: Vec<Shown>,
    /// Where the next page begins: the value for `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<Arc<str>>,
}

#[utoipa::path(
    put,
    path = "/bans/{user}",
    operation_id = "ban",
    tag = "administration",
    summary = "Bans somebody from the server",
    params(("user" = inline(s::Id), Path, description = "A person's id")),
    request_body = Wanted,
    responses((status = 200, description = "The ban", body = Shown), (status = 409, description = "")),
)]
pub(super) async fn ban(
    caller: Caller,
    Id(id): Id,
    Body(body): Body<Wanted>,
) -> Result<Json<Shown>, Problem> {
    caller.administrator()?;
    let until = body.until;
    check_end("until", until, caller.serving.system.clock().now_ms())?;
    let reason = body.reason.unwrap_or_default();
    check_short("reason", &reason, MAX_REASON_BYTES)?;
    let name = body.name.unwrap_or_else(|| id.clone());
    check_short("name", &name, MAX_NAME_BYTES)?;
    let store = caller.people().store();
    let account = store.account(&id).await.map_err(store_problem)?;
    if account.as_ref().is_some_and(|account| account.administrator) {
        let detail = "an administrator cannot be banned; take that away first";
        return Err(Problem::new(ErrorCode::Conflict, detail));
    }
    // Of guests, and of people of another application, only who bans them knows the name.
    let name = match account {
        Some(account) => account.person.name,
        None => name.into(),
    };
    let ban = Ban {
        person: Person {
            id: id.as_str().into(),
            name,
        },
        until,
        reason: reason.as_str().into(),
        at: 0,
    };
    let details = json!({ "name": ban.person.name, "until": until, "reason": reason });
    let audit = caller.audit("user.ban", &id, &details);
    let made = caller.people().change(store.ban(&ban, &audit)).await;
    Ok(Json(made.map_err(store_problem)?.into()))
}

#[utoipa::path(
    delete,
    path = "/bans/{user}",
    operation_id = "unban",
    tag = "administration",
    summary = "Ends a ban from the server",
    params(("user" = inline(s::Id), Path, description = "A person's id")),
    responses((status = 204, description = "It is ended")),
)]
pub(super) async fn unban(caller: Caller, Id(id): Id) -> Result<StatusCode, Problem> {
    caller.administrator()?;
    let audit = caller.audit("user.unban", &id, &json!({}));
    let people = caller.people();
    let ended = people.change(people.store().unban(&id, &audit)).await;
    if ended.map_err(store_problem)? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(ErrorCode::NotFound, "there is no such ban"))
    }
}

#[utoipa::path(
    get,
    path = "/bans",
    operation_id = "listBans",
    tag = "administration",
    summary = "Who is banned from the server, by id",
    params(("after" = inline(s::Id), Query, description = "The `next` of the page before"), ("limit" = inline(EntryLimit), Query, description = "How many")),
    responses((status = 200, description = "A page", body = Bans)),
)]
pub(super) async fn list(caller: Caller, RawQuery(query): RawQuery) -> Result<Json<Bans>, Problem> {
    caller.administrator()?;
    let query = Query::parse(query.as_deref())?;
    let limit = query.limit(DEFAULT_ENTRIES, MAX_ENTRIES)?;
    let found = caller.people().store().bans(page_after(&query)?, limit + 1).await;
    let mut found = found.map_err(store_problem)?;
    let more = cut(&mut found, limit);
    let next = found
        .last()
        .filter(|_| more)
        .map(|ban| Arc::clone(&ban.person.id));
    Ok(Json(Bans {
        bans: found.into_iter().map(Shown::from).collect(),
        next,
    }))
}

impl From<Ban> for Shown {
    fn from(ban: Ban) -> Self {
        Self {
            user: ban.person,
            until: ban.until,
            reason: ban.reason,
            at: ban.at,
        }
    }
}
