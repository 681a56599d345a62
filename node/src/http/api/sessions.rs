//! Sessions: signing in and out, and what one is signed in on.

use std::sync::Arc;

use actors::ports::{CredentialKind, CredentialRecord, Ending, MAX_SESSIONS};
use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::ErrorCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::schema as s;
use super::{
    super::{credentials::set_cookie, problem::Problem},
    caller::{Body, Caller, store_problem},
    sign_in::{Entry, SignedIn, check_password, open_session},
    visitor::{Id, Visitor, forbidden},
};

#[derive(Serialize, ToSchema)]
struct Session {
    id: Arc<str>,
    device: Arc<str>,
    created_at: u64,
    last_used_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<u64>,
    /// The one that asks.
    current: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Sessions {
    sessions: Vec<Session>,
}

#[utoipa::path(
    post,
    path = "/sessions",
    operation_id = "signIn",
    tag = "sessions",
    summary = "Signs in",
    request_body = Entry,
    responses((status = 201, description = "Signed in", body = SignedIn, headers(("set-cookie" = String, description = "The session, for browsers"), ("ratelimit-limit" = u64, description = "Attempts with this name"), ("ratelimit-remaining" = u64, description = "Attempts that are left"), ("ratelimit-reset" = u64, description = "Seconds until there are more"))), (status = 401, description = ""), (status = 403, description = ""), (status = 429, description = "")),
    security(()),
)]
pub(super) async fn sign_in(visitor: Visitor, Body(body): Body<Entry>) -> Result<Response, Problem> {
    let account = check_password(&visitor, &body.name, &body.password).await?;
    if visitor.serving.system.people().is_banned(&account.person.id) {
        return Err(Problem::from(crate::auth::Refused::Banned));
    }
    open_session(&visitor, body.device, account).await
}

#[utoipa::path(
    get,
    path = "/sessions",
    operation_id = "listSessions",
    tag = "sessions",
    summary = "Your sessions, the last used first",
    responses((status = 200, description = "The sessions", body = Sessions)),
)]
pub(super) async fn list(caller: Caller) -> Result<Json<Sessions>, Problem> {
    caller.owns_account()?;
    let account = Some(&*caller.user.person.id);
    let store = caller.people().store();
    let found = store
        .credentials(CredentialKind::Session, account, None, MAX_SESSIONS)
        .await;
    let mut sessions: Vec<Session> = found
        .map_err(store_problem)?
        .into_iter()
        .map(|record| Session::new(record, &caller))
        .collect();
    sessions.sort_by_key(|session| std::cmp::Reverse(session.last_used_at));
    Ok(Json(Sessions { sessions }))
}

#[utoipa::path(
    delete,
    path = "/sessions/current",
    operation_id = "signOut",
    tag = "sessions",
    summary = "Signs out",
    responses((status = 204, description = "Signed out", headers(("set-cookie" = String, description = "The session, for browsers")))),
)]
pub(super) async fn sign_out(caller: Caller) -> Result<Response, Problem> {
    let Some(id) = caller.session() else {
        return Err(forbidden("only a session can be signed out of"));
    };
    end_one(&caller, &id).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = set_cookie(None, false) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[utoipa::path(
    delete,
    path = "/sessions/{id}",
    operation_id = "endSession",
    tag = "sessions",
    summary = "Ends one of your sessions",
    params(("id" = inline(s::Id), Path, description = "Its id")),
    responses((status = 204, description = "It is ended")),
)]
pub(super) async fn end(caller: Caller, Id(id): Id) -> Result<StatusCode, Problem> {
    caller.owns_account()?;
    if end_one(&caller, &id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(ErrorCode::NotFound, "you have no such session"))
    }
}

#[utoipa::path(
    delete,
    path = "/sessions",
    operation_id = "endOtherSessions",
    tag = "sessions",
    summary = "Ends all your sessions but this one",
    responses((status = 204, description = "They are ended")),
)]
pub(super) async fn end_others(caller: Caller) -> Result<StatusCode, Problem> {
    caller.owns_account()?;
    let id = &caller.user.person.id;
    let current = caller.session();
    let others = Ending::SessionsOf {
        account: id,
        but: current.as_deref(),
    };
    let audit = caller.audit("sessions.end", id, &json!({}));
    let people = caller.people();
    let ended = people.change(people.store().end_credentials(others, Some(&audit)));
    ended.await.map_err(store_problem)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end_one(caller: &Caller, id: &str) -> Result<bool, Problem> {
    let one = Ending::One {
        kind: CredentialKind::Session,
        id,
        account: Some(&caller.user.person.id),
    };
    let people = caller.people();
    let ended = people.change(people.store().end_credentials(one, None)).await;
    Ok(ended.map_err(store_problem)? > 0)
}

impl Caller {
    /// The id of the session that asks, if it is one.
    pub(super) fn session(&self) -> Option<Arc<str>> {
        self.user.credential.id.clone().filter(|id| id.starts_with("s_"))
    }
}

impl Session {
    fn new(record: CredentialRecord, caller: &Caller) -> Self {
        Self {
            current: caller.user.credential.id.as_ref() == Some(&record.id),
            id: record.id,
            device: record.label,
            created_at: record.created_at,
            last_used_at: record.last_used_at,
            expires_at: record.expires_at,
        }
    }
}
