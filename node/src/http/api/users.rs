//! Accounts: signing up, one's own, and who there is.

use std::{sync::Arc, time::Instant};

use actors::{
    Standing,
    ports::{Account, Claim, NewAccount, NewAudit},
};
use axum::{Json, extract::RawQuery, response::Response};
use protocol::{ErrorCode, Person};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::schema as s;
use super::{
    super::problem::Problem,
    caller::{Body, Caller, Query, store_problem},
    sign_in::{
        Entry, NewPassword, SignedIn, begin_attempt, hash_problem, new_password, no_randomness, open_session,
    },
    visitor::{
        DEFAULT_ENTRIES, MAX_ENTRIES, Visitor, check_short, cut, field, forbidden, internal, page_after,
    },
};
use crate::auth::{
    names::{self, Name},
    password::Password,
    token,
};

/// How many accounts to ask for.
type EntryLimit = s::Whole<1, MAX_ENTRIES>;
/// What to search for.
type Search = s::Short<0, MAX_SEARCH_BYTES>;
/// Longest text to search for, in bytes.
const MAX_SEARCH_BYTES: usize = 128;

#[derive(Deserialize, ToSchema)]
#[schema(as = AccountChanges)]
pub(super) struct Wanted {
    #[schema(value_type = Option<s::Name>, inline)]
    name: Option<String>,
    #[schema(value_type = Option<NewPassword>, inline)]
    password: Option<String>,
    /// Needed for another password.
    current_password: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    #[schema(value_type = s::Person)]
    user: Person,
    /// `guest`, `registered` or `administrator`.
    standing: &'static str,
    /// What the credential is good for.
    scopes: Vec<&'static str>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct User {
    #[serde(flatten)]
    #[schema(value_type = s::Person)]
    person: Person,
    administrator: bool,
    bot: bool,
    created_at: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Users {
    users: Vec<User>,
    /// Where the next page begins: the value for `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<Arc<str>>,
}

#[utoipa::path(
    post,
    path = "/users",
    operation_id = "signUp",
    tag = "accounts",
    summary = "Makes an account and signs in",
    request_body = Entry,
    responses((status = 201, description = "Signed in", body = SignedIn, headers(("set-cookie" = String, description = "The session, for browsers"))), (status = 403, description = ""), (status = 409, description = ""), (status = 429, description = "")),
    security(()),
)]
pub(super) async fn sign_up(visitor: Visitor, Body(body): Body<Entry>) -> Result<Response, Problem> {
    if !visitor.serving.registration {
        return Err(forbidden("accounts are made by the people who run this server"));
    }
    let name = Name::new(&body.name).map_err(|rule| field("name", rule))?;
    let people = visitor.serving.system.people();
    // Looked at first because a hash is expensive; decided when the account is made.
    if people
        .is_name_taken(name.keys.clone())
        .await
        .map_err(store_problem)?
    {
        return Err(taken());
    }
    let throttle = visitor.serving.authenticator.throttle();
    let (admitted, allowance) = throttle.take_sign_up(visitor.address, Instant::now());
    visitor.left.set(allowance);
    admitted.map_err(|wait| {
        let detail = "too many accounts are made from your address; wait";
        Problem::new(ErrorCode::RateLimited, detail).retry_after(wait)
    })?;
    let hash = new_password(&visitor, "password", &body.password).await?;
    let id: Arc<str> = token::new_id("u_").map_err(no_randomness)?.into();
    let person = Person {
        id: Arc::clone(&id),
        name: name.text.into(),
    };
    let account = NewAccount {
        person: person.clone(),
        name_keys: name.keys,
        password: Some(hash),
        administrator: false,
        bot: false,
    };
    let audit = NewAudit {
        actor: person,
        action: "user.create",
        target: id,
        room: None,
        details: "{}".to_owned(),
    };
    match people
        .store()
        .create_account(&account, &audit)
        .await
        .map_err(store_problem)?
    {
        Claim::Given(account) => open_session(&visitor, body.device, account).await,
        Claim::Taken => Err(taken()),
        Claim::NoAccount => Err(internal()),
    }
}

#[utoipa::path(
    get,
    path = "/users/me",
    operation_id = "getMe",
    tag = "accounts",
    summary = "Who you are",
    responses((status = 200, description = "You", body = Me)),
)]
pub(super) async fn me(caller: Caller) -> Json<Me> {
    let user = &caller.user;
    Json(Me {
        user: user.person.clone(),
        standing: match user.standing {
            Standing::Guest => "guest",
            Standing::Registered => "registered",
            Standing::Administrator => "administrator",
        },
        scopes: user.scopes.names(),
    })
}

#[utoipa::path(
    patch,
    path = "/users/me",
    operation_id = "changeMe",
    tag = "accounts",
    summary = "Gives yourself another name or password. Another password ends your other sessions",
    request_body = Wanted,
    responses((status = 200, description = "Your account", body = User), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn change(
    visitor: Visitor,
    caller: Caller,
    Body(body): Body<Wanted>,
) -> Result<Json<User>, Problem> {
    caller.owns_account()?;
    let id = &caller.user.person.id;
    let people = caller.people();
    let mut account = people
        .store()
        .account(id)
        .await
        .map_err(store_problem)?
        .ok_or_else(|| forbidden("your account is kept by another application"))?;
    let name = body.name.as_deref().map(Name::new).transpose();
    let name = name.map_err(|rule| field("name", rule))?;
    let password = match body.password {
        Some(password) => {
            let current = body.current_password.unwrap_or_default();
            check_own_password(&visitor, &account, &current).await?;
            Some(new_password(&visitor, "password", &password).await?)
        }
        None => None,
    };
    if let Some(name) = name {
        let audit = caller.audit(
            "user.rename",
            id,
            &json!({ "from": account.person.name, "to": name.text }),
        );
        let renamed = people.change(people.store().rename(id, &name.text, &name.keys, &audit));
        account = match renamed.await.map_err(store_problem)? {
            Claim::Given(account) => account,
            Claim::Taken => return Err(taken()),
            Claim::NoAccount => return Err(internal()),
        };
    }
    if let Some(hash) = password {
        let audit = caller.audit("user.password", id, &json!({}));
        let keep = caller.session();
        let changed = people.change(people.store().set_password(id, &hash, keep.as_deref(), &audit));
        changed.await.map_err(store_problem)?;
    }
    Ok(Json(account.into()))
}

/// Slowed as signing in is: who found an open session must not be able to guess.
async fn check_own_password(visitor: &Visitor, account: &Account, password: &str) -> Result<(), Problem> {
    let authenticator = &visitor.serving.authenticator;
    let key = names::login_key(&account.person.name);
    begin_attempt(visitor, &key)?;
    let hash = visitor
        .serving
        .system
        .people()
        .store()
        .password(&account.person.id)
        .await;
    let hash = hash.map_err(store_problem)?;
    let matches = authenticator
        .passwords()
        .matches(Password::new(password).ok(), hash)
        .await;
    if matches.map_err(hash_problem)? {
        authenticator
            .throttle()
            .succeeded(&key, visitor.address, Instant::now());
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::Forbidden,
        "`current_password`: it is another one",
    ))
}

#[utoipa::path(
    get,
    path = "/users",
    operation_id = "listUsers",
    tag = "accounts",
    summary = "Accounts, by name",
    params(("search" = inline(Search), Query, description = "Only those whose name has this in it"), ("after" = inline(s::Id), Query, description = "The `next` of the page before"), ("limit" = inline(EntryLimit), Query, description = "How many")),
    responses((status = 200, description = "A page", body = Users)),
)]
pub(super) async fn list(caller: Caller, RawQuery(query): RawQuery) -> Result<Json<Users>, Problem> {
    caller.not_guest()?;
    let query = Query::parse(query.as_deref())?;
    let limit = query.limit(DEFAULT_ENTRIES, MAX_ENTRIES)?;
    let search = query.printable("search")?;
    check_short("search", search.unwrap_or_default(), MAX_SEARCH_BYTES)?;
    let search = search.map(names::login_key);
    let found = caller
        .people()
        .store()
        .accounts(search.as_deref(), page_after(&query)?, limit + 1)
        .await;
    let mut found = found.map_err(store_problem)?;
    let more = cut(&mut found, limit);
    let next = found
        .last()
        .filter(|_| more)
        .map(|account| Arc::clone(&account.person.id));
    Ok(Json(Users {
        users: found.into_iter().map(User::from).collect(),
        next,
    }))
}

pub(super) fn taken() -> Problem {
    Problem::new(
        ErrorCode::Conflict,
        "`name`: this name, or one too much like it, is taken; choose another",
    )
}

impl From<Account> for User {
    fn from(account: Account) -> Self {
        Self {
            person: account.person,
            administrator: account.administrator,
            bot: account.bot,
            created_at: account.created_at,
        }
    }
}
