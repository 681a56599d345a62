//! Who runs the server, and the record of what was done.

use std::sync::Arc;

use actors::ports::AuditRecord;
use axum::{Json, extract::RawQuery, http::StatusCode};
use protocol::{ErrorCode, Person};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    super::problem::Problem,
    caller::{Caller, Query, store_problem},
    visitor::{DEFAULT_ENTRIES, Id, MAX_ENTRIES, cut},
};

#[derive(Serialize)]
struct Entry {
    id: u64,
    at: u64,
    actor: Person,
    action: Arc<str>,
    target: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<Arc<str>>,
    details: Value,
}

#[derive(Serialize)]
pub(super) struct Record {
    entries: Vec<Entry>,
    /// Where the next page begins: the value for `before`.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

pub(super) async fn give(caller: Caller, Id(id): Id) -> Result<StatusCode, Problem> {
    set(&caller, &id, true).await
}

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
