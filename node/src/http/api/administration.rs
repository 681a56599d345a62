//! Who runs the server, and the record of what was done.

use std::sync::Arc;

use actors::ports::AuditRecord;
use axum::{Json, extract::RawQuery, http::StatusCode};
use protocol::{ErrorCode, Person};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::schema as s;
use super::{
    super::problem::Problem,
    caller::{Caller, Query, store_problem},
    visitor::{DEFAULT_ENTRIES, Id, MAX_ENTRIES, cut},
};

/// How many entries to ask for.
type EntryLimit = s::Whole<1, MAX_ENTRIES>;

#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct Entry {
    id: u64,
    at: u64,
    #[schema(value_type = s::Person)]
    actor: Person,
    action: Arc<str>,
    target: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    room: Option<Arc<str>>,
    #[schema(value_type = Object)]
    details: Value,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditPage)]
pub(super) struct Record {
    entries: Vec<Entry>,
    /// Where the next page begins: the value for `before`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<u64>,
}

#[utoipa::path(
    put,
    path = "/administrators/{user}",
    operation_id = "makeAdministrator",
    tag = "administration",
    summary = "Makes somebody an administrator",
    params(("user" = inline(s::Id), Path, description = "A person's id")),
    responses((status = 204, description = "So they are")),
)]
pub(super) async fn give(caller: Caller, Id(id): Id) -> Result<StatusCode, Problem> {
    set(&caller, &id, true).await
}

#[utoipa::path(
    delete,
    path = "/administrators/{user}",
    operation_id = "unmakeAdministrator",
    tag = "administration",
    summary = "Makes somebody an administrator no longer",
    params(("user" = inline(s::Id), Path, description = "A person's id")),
    responses((status = 204, description = "So they are not")),
)]
pub(super) async fn take(caller: Caller, Id(id): Id) -> Result<StatusCode, Problem> {
    set(&caller, &id, false).await
}

async fn set(caller: &Caller, id: &str, administrator: bool) -> Result<StatusCode, Problem> {
    caller.administrator()?;
    let action = if administrator {
        "administrator.give"
    } else {
        "administrator.take"
    };
    let audit = caller.audit(action, id, &json!({}));
    let people = caller.people();
    let changed = people
        .change(people.store().set_administrator(id, administrator, &audit))
        .await;
    match changed.map_err(store_problem)? {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(Problem::new(ErrorCode::NotFound, "there is no such account")),
    }
}

#[utoipa::path(
    get,
    path = "/audit",
    operation_id = "readAudit",
    tag = "administration",
    summary = "Who did what to whom, the newest first",
    params(("before" = inline(s::Number), Query, description = "The `next` of the page before"), ("limit" = inline(EntryLimit), Query, description = "How many")),
    responses((status = 200, description = "A page", body = Record)),
)]
pub(super) async fn audit(caller: Caller, RawQuery(query): RawQuery) -> Result<Json<Record>, Problem> {
    caller.administrator()?;
    let query = Query::parse(query.as_deref())?;
    let limit = query.limit(DEFAULT_ENTRIES, MAX_ENTRIES)?;
    let before = query.number("before")?;
    let found = caller.people().store().audit(before, limit + 1).await;
    let mut found = found.map_err(store_problem)?;
    let more = cut(&mut found, limit);
    let next = found.last().filter(|_| more).map(|entry| entry.id);
    Ok(Json(Record {
        entries: found.into_iter().map(Entry::from).collect(),
        next,
    }))
}

impl From<AuditRecord> for Entry {
    fn from(record: AuditRecord) -> Self {
        Self {
            id: record.id,
            at: record.at,
            actor: record.actor,
            action: record.action,
            target: record.target,
            room: record.room,
            details: serde_json::from_str(&record.details).unwrap_or_default(),
        }
    }
}
