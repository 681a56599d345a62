//! Bans from the whole server.

use std::sync::Arc;

use actors::ports::Ban;
use axum::{
    Json, Router,
    extract::{Path, RawQuery},
    http::StatusCode,
    routing::{get, put},
};
use protocol::{ErrorCode, Person, limits::MAX_ID_BYTES, limits::MAX_NAME_BYTES};
use serde::Serialize;
use serde_json::json;

use super::{
    super::{gate::Gate, problem::Problem},
    body::{Body, field},
    caller::{Caller, Query, store_problem},
    visitor::{DEFAULT_ENTRIES, MAX_ENTRIES, cut},
};

/// Longest reason, in bytes.
const MAX_REASON_BYTES: usize = 500;

/// The routes below `/api/v1`.
pub(super) fn routes() -> Router<Arc<Gate>> {
    Router::new()
        .route("/bans", get(list))
        .route("/bans/{user}", put(ban).delete(unban))
}

#[derive(Serialize)]
struct Shown {
    user: Person,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: Arc<str>,
    at: u64,
}

#[derive(Serialize)]
struct Bans {
    bans: Vec<Shown>,
    /// Where the next page begins: the value for `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Arc<str>>,
}

async fn ban(caller: Caller, Path(id): Path<String>, body: Body) -> Result<Json<Shown>, Problem> {
    caller.administrator()?;
    check_id(&id)?;
    let until = body.integer("until")?;
    if until.is_some_and(|until| until <= caller.serving.system.clock().now_ms()) {
        return Err(field("until", "must be in the future"));
    }
    let reason = body.short_text("reason", MAX_REASON_BYTES)?.unwrap_or_default();
    let store = caller.people().store();
    let account = store.account(&id).await.map_err(store_problem)?;
    if account.as_ref().is_some_and(|account| account.administrator) {
        let detail = "an administrator cannot be banned; take that away first";
        return Err(Problem::new(ErrorCode::Conflict, detail));
    }
    // Of guests, and of people of another application, only who bans them knows the name.
    let name = match account {
        Some(account) => account.person.name,
        None => body.short_text("name", MAX_NAME_BYTES)?.unwrap_or(&id).into(),
    };
    let ban = Ban {
        person: Person {
            id: id.as_str().into(),
            name,
        },
        until,
        reason: reason.into(),
        at: 0,
    };
    let details = json!({ "name": ban.person.name, "until": until, "reason": reason });
    let audit = caller.audit("user.ban", &id, &details);
    let made = caller.people().change(store.ban(&ban, &audit)).await;
    Ok(Json(made.map_err(store_problem)?.into()))
}

async fn unban(caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
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

async fn list(caller: Caller, RawQuery(query): RawQuery) -> Result<Json<Bans>, Problem> {
    caller.administrator()?;
    let query = Query::parse(query.as_deref())?;
    let limit = query.limit(DEFAULT_ENTRIES, MAX_ENTRIES)?;
    let found = caller.people().store().bans(query.text("after"), limit + 1).await;
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

fn check_id(id: &str) -> Result<(), Problem> {
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control) {
        let rule = format!("must be 1 to {MAX_ID_BYTES} bytes without control characters");
        return Err(field("user", &rule));
    }
    Ok(())
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
