//! API keys: what bots come in with.

use std::sync::Arc;

use actors::{
    Scopes,
    ports::{Account, Claim, CredentialKind, CredentialRecord, Ending, NewAccount, NewCredential},
};
use axum::{
    Json, Router,
    extract::{Path, RawQuery},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use protocol::{ErrorCode, Person};
use serde::Serialize;
use serde_json::json;

use super::{
    super::{gate::Gate, problem::Problem},
    body::{Body, field},
    caller::{Caller, Query, store_problem, unavailable},
    sign_in::no_randomness,
    users::taken,
    visitor::{DEFAULT_ENTRIES, MAX_ENTRIES, cut, internal},
};
use crate::auth::{names::Name, token};

/// Longest label, in bytes.
const MAX_LABEL_BYTES: usize = 200;

/// The routes below `/api/v1`.
pub(super) fn routes() -> Router<Arc<Gate>> {
    Router::new()
        .route("/keys", get(list).post(make))
        .route("/keys/{id}", delete(revoke))
}

#[derive(Serialize)]
struct Key {
    id: Arc<str>,
    /// The key itself: shown when it is made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    user: Person,
    label: Arc<str>,
    scopes: Vec<&'static str>,
    created_at: u64,
    last_used_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

#[derive(Serialize)]
struct Keys {
    keys: Vec<Key>,
    /// Where the next page begins: the value for `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Arc<str>>,
}

async fn make(caller: Caller, body: Body) -> Result<Response, Problem> {
    caller.administrator()?;
    let scopes = scopes(&body)?;
    let label = body.short_text("label", MAX_LABEL_BYTES)?.unwrap_or_default();
    let expires_at = body.integer("expires_at")?;
    if expires_at.is_some_and(|end| end <= caller.serving.system.clock().now_ms()) {
        return Err(field("expires_at", "must be in the future"));
    }
    let bot = match body.text("user")? {
        Some(id) => known_bot(&caller, id).await?,
        None => new_bot(&caller, body.required("name")?).await?,
    };
    let (key, hash) = token::issue(CredentialKind::ApiKey).map_err(no_randomness)?;
    let credential = NewCredential {
        id: token::new_id("k_").map_err(no_randomness)?.into(),
        kind: CredentialKind::ApiKey,
        hash,
        account: bot.person.id,
        label: label.into(),
        scopes,
        expires_at,
    };
    let details = json!({ "user": credential.account, "label": label, "scopes": scopes.names() });
    let audit = caller.audit("key.create", &credential.id, &details);
    let made = caller
        .people()
        .store()
        .create_credential(&credential, Some(&audit))
        .await;
    let record = made.map_err(store_problem)?.ok_or_else(unavailable)?;
    let mut shown = Key::from(record);
    shown.key = Some(key);
    let mut response = (StatusCode::CREATED, Json(shown)).into_response();
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}

fn scopes(body: &Body) -> Result<Scopes, Problem> {
    let mut scopes = Scopes::NONE;
    for name in body.texts("scopes")? {
        let scope = Scopes::parse(name);
        scopes = scopes.or(scope.ok_or_else(|| field("scopes", "there are read, write, moderate, manage"))?);
    }
    if scopes == Scopes::NONE {
        return Err(field(
            "scopes",
            "must name at least one of read, write, moderate, manage",
        ));
    }
    Ok(scopes)
}

async fn known_bot(caller: &Caller, id: &str) -> Result<Account, Problem> {
    let found = caller.people().store().account(id).await.map_err(store_problem)?;
    found
        .filter(|account| account.bot)
        .ok_or_else(|| Problem::new(ErrorCode::NotFound, "there is no such bot"))
}

async fn new_bot(caller: &Caller, name: &str) -> Result<Account, Problem> {
    let name = Name::new(name).map_err(|rule| field("name", rule))?;
    let id = token::new_id("u_").map_err(no_randomness)?;
    let account = NewAccount {
        person: Person {
            id: id.as_str().into(),
            name: name.text.as_str().into(),
        },
        name_keys: name.keys,
        password: None,
        administrator: false,
        bot: true,
    };
    let audit = caller.audit("user.create", &id, &json!({ "name": name.text, "bot": true }));
    let made = caller.people().store().create_account(&account, &audit).await;
    match made.map_err(store_problem)? {
        Claim::Given(account) => Ok(account),
        Claim::Taken => Err(taken()),
        Claim::NoAccount => Err(internal()),
    }
}

async fn list(caller: Caller, RawQuery(query): RawQuery) -> Result<Json<Keys>, Problem> {
    caller.administrator()?;
    let query = Query::parse(query.as_deref())?;
    let limit = query.limit(DEFAULT_ENTRIES, MAX_ENTRIES)?;
    let store = caller.people().store();
    let found = store
        .credentials(CredentialKind::ApiKey, None, query.text("after"), limit + 1)
        .await;
    let mut found = found.map_err(store_problem)?;
    let more = cut(&mut found, limit);
    let next = found.last().filter(|_| more).map(|key| Arc::clone(&key.id));
    Ok(Json(Keys {
        keys: found.into_iter().map(Key::from).collect(),
        next,
    }))
}

async fn revoke(caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    caller.administrator()?;
    let one = Ending::One {
        kind: CredentialKind::ApiKey,
        id: &id,
        account: None,
    };
    let audit = caller.audit("key.revoke", &id, &json!({}));
    let people = caller.people();
    let ended = people
        .change(people.store().end_credentials(one, Some(&audit)))
        .await;
    if ended.map_err(store_problem)? > 0 {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(ErrorCode::NotFound, "there is no such key"))
    }
}

impl From<CredentialRecord> for Key {
    fn from(record: CredentialRecord) -> Self {
        Self {
            id: record.id,
            key: None,
            user: record.account.person,
            label: record.label,
            scopes: record.scopes.names(),
            created_at: record.created_at,
            last_used_at: record.last_used_at,
            expires_at: record.expires_at,
        }
    }
}
