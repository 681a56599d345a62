//! API keys: what bots come in with.

use std::sync::Arc;

use actors::{
    Scopes,
    ports::{Account, Claim, CredentialKind, CredentialRecord, Ending, NewAccount, NewCredential},
};
use axum::{
    Json,
    extract::RawQuery,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::{ErrorCode, Person};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::schema as s;
use super::{
    super::problem::Problem,
    caller::{Body, Caller, Query, store_problem, unavailable},
    sign_in::no_randomness,
    users::taken,
    visitor::{
        DEFAULT_ENTRIES, Id, MAX_ENTRIES, check_end, check_id, check_short, cut, field, internal, page_after,
    },
};
use crate::auth::{names::Name, token};

/// How many keys to ask for.
type EntryLimit = s::Whole<1, MAX_ENTRIES>;
/// What a key is called.
type Label = s::Short<0, MAX_LABEL_BYTES>;
/// Longest label, in bytes.
const MAX_LABEL_BYTES: usize = 200;

#[derive(Deserialize)]
pub(super) struct Wanted {
    /// Of a new bot.
    name: Option<String>,
    /// The id of a bot that there is.
    user: Option<String>,
    label: Option<String>,
    scopes: Vec<String>,
    /// In Unix milliseconds.
    expires_at: Option<u64>,
}

/// An API key to be made: for a new bot, or for one that there is. What [`Wanted`] is to the document.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it is there for the document")]
enum NewKey {
    ForNewBot {
        #[schema(value_type = s::Name, inline)]
        name: String,
        #[schema(value_type = Option<Label>, inline)]
        label: Option<String>,
        #[schema(value_type = Vec<s::Scope>, min_items = 1)]
        scopes: Vec<String>,
        #[schema(value_type = Option<s::Number>, inline)]
        expires_at: Option<u64>,
    },
    ForBot {
        #[schema(value_type = s::Id, inline)]
        user: String,
        #[schema(value_type = Option<Label>, inline)]
        label: Option<String>,
        #[schema(value_type = Vec<s::Scope>, min_items = 1)]
        scopes: Vec<String>,
        #[schema(value_type = Option<s::Number>, inline)]
        expires_at: Option<u64>,
    },
}

#[derive(Serialize, ToSchema)]
pub(super) struct Key {
    id: Arc<str>,
    /// The key itself: shown when it is made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    key: Option<String>,
    #[schema(value_type = s::Person)]
    user: Person,
    label: Arc<str>,
    scopes: Vec<&'static str>,
    created_at: u64,
    last_used_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Keys {
    keys: Vec<Key>,
    /// Where the next page begins: the value for `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<Arc<str>>,
}

#[utoipa::path(
    post,
    path = "/keys",
    operation_id = "makeKey",
    tag = "keys",
    summary = "Makes an API key, for a new bot (`name`) or for one that there is (`user`)",
    request_body = NewKey,
    responses((status = 201, description = "The key, told this once", body = Key), (status = 404, description = ""), (status = 409, description = "")),
)]
pub(super) async fn make(caller: Caller, Body(body): Body<Wanted>) -> Result<Response, Problem> {
    caller.administrator()?;
    let scopes = scopes(&body.scopes)?;
    let label = body.label.unwrap_or_default();
    check_short("label", &label, MAX_LABEL_BYTES)?;
    let expires_at = body.expires_at;
    check_end("expires_at", expires_at, caller.serving.system.clock().now_ms())?;
    let bot = match (body.user, body.name) {
        (Some(id), None) => known_bot(&caller, &id).await?,
        (None, Some(name)) => new_bot(&caller, &name).await?,
        _ => {
            return Err(field(
                "name",
                "give it for a new bot, or `user` for one that there is",
            ));
        }
    };
    let (key, hash) = token::issue(CredentialKind::ApiKey).map_err(no_randomness)?;
    let credential = NewCredential {
        id: token::new_id("k_").map_err(no_randomness)?.into(),
        kind: CredentialKind::ApiKey,
        hash,
        account: bot.person.id,
        label: label.as_str().into(),
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

fn scopes(names: &[String]) -> Result<Scopes, Problem> {
    let mut scopes = Scopes::NONE;
    for name in names {
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
    check_id("user", id)?;
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

#[utoipa::path(
    get,
    path = "/keys",
    operation_id = "listKeys",
    tag = "keys",
    summary = "All API keys, by id",
    params(("after" = inline(s::Id), Query, description = "The `next` of the page before"), ("limit" = inline(EntryLimit), Query, description = "How many")),
    responses((status = 200, description = "A page", body = Keys)),
)]
pub(super) async fn list(caller: Caller, RawQuery(query): RawQuery) -> Result<Json<Keys>, Problem> {
    caller.administrator()?;
    let query = Query::parse(query.as_deref())?;
    let limit = query.limit(DEFAULT_ENTRIES, MAX_ENTRIES)?;
    let store = caller.people().store();
    let found = store
        .credentials(CredentialKind::ApiKey, None, page_after(&query)?, limit + 1)
        .await;
    let mut found = found.map_err(store_problem)?;
    let more = cut(&mut found, limit);
    let next = found.last().filter(|_| more).map(|key| Arc::clone(&key.id));
    Ok(Json(Keys {
        keys: found.into_iter().map(Key::from).collect(),
        next,
    }))
}

#[utoipa::path(
    delete,
    path = "/keys/{id}",
    operation_id = "revokeKey",
    tag = "keys",
    summary = "Revokes an API key",
    params(("id" = inline(s::Id), Path, description = "Its id")),
    responses((status = 204, description = "It is revoked")),
)]
pub(super) async fn revoke(caller: Caller, Id(id): Id) -> Result<StatusCode, Problem> {
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
