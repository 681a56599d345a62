//! Opening a session: with a name and a password, or with a new account.

use std::time::Instant;

use actors::{
    Scopes,
    ports::{Account, CredentialKind, NewCredential},
};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::{ErrorCode, Person};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema as s;
use super::{
    super::{credentials::set_cookie, problem::Problem},
    caller::{store_problem, unavailable},
    visitor::{Visitor, check_short, field, internal},
};
use crate::auth::{
    names,
    password::{self, HashError, Password},
    token,
};

/// Longest text that says on which device a session is, in bytes.
const MAX_DEVICE_BYTES: usize = 200;

/// A device's name.
type Device = s::Short<0, MAX_DEVICE_BYTES>;
/// A password that may be one.
pub(super) type NewPassword = s::Short<{ password::MIN_BYTES }, { password::MAX_BYTES }>;

/// Somebody who wants to sign in, or up.
#[derive(Deserialize, ToSchema)]
#[schema(as = Credentials)]
pub(super) struct Entry {
    #[schema(value_type = s::Name, inline)]
    pub(super) name: String,
    #[schema(value_type = NewPassword, inline)]
    pub(super) password: String,
    /// What the session is called in the list of sessions; by default what the client says of itself.
    #[schema(value_type = Option<Device>, inline)]
    pub(super) device: Option<String>,
}

/// Somebody who has just signed in.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedIn {
    #[schema(value_type = s::Person)]
    user: Person,
    token: String,
    expires_at: u64,
}

/// Checks a name and a password. Takes as long for a name that there is not.
pub(super) async fn check_password(
    visitor: &Visitor,
    name: &str,
    password: &str,
) -> Result<Account, Problem> {
    let authenticator = &visitor.serving.authenticator;
    let key = names::login_key(name);
    begin_attempt(visitor, &key)?;
    let store = visitor.serving.system.people().store();
    let not_made = || {
        authenticator
            .throttle()
            .not_made(&key, visitor.address, Instant::now())
    };
    let login = store.login(&key).await.map_err(|error| {
        not_made();
        store_problem(error)
    })?;
    let (account, hash) = match login {
        Some(login) => (Some(login.account), login.password),
        None => (None, None),
    };
    let matches = authenticator
        .passwords()
        .matches(Password::new(password).ok(), hash)
        .await;
    let matches = matches.map_err(|error| {
        not_made();
        hash_problem(error)
    })?;
    match account {
        Some(account) if matches => {
            authenticator
                .throttle()
                .succeeded(&key, visitor.address, Instant::now());
            Ok(account)
        }
        _ => Err(Problem::new(
            ErrorCode::Unauthenticated,
            "the name or the password is wrong",
        )),
    }
}

/// Opens a session and answers with its token. Whatever the client brought along has no part in it.
pub(super) async fn open_session(
    visitor: &Visitor,
    device: Option<String>,
    account: Account,
) -> Result<Response, Problem> {
    let system = &visitor.serving.system;
    let lasts = visitor.serving.session_lasts;
    let device = device.unwrap_or_else(|| beginning(&visitor.agent));
    check_short("device", &device, MAX_DEVICE_BYTES)?;
    let (token, hash) = token::issue(CredentialKind::Session).map_err(no_randomness)?;
    let now_ms = system.clock().now_ms();
    let expires_at = now_ms + u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX / 2);
    let credential = NewCredential {
        id: token::new_id("s_").map_err(no_randomness)?.into(),
        kind: CredentialKind::Session,
        hash,
        account: account.person.id.clone(),
        label: device.into(),
        scopes: Scopes::ALL,
        expires_at: Some(expires_at),
    };
    let people = system.people();
    let made = people
        .change(people.store().create_credential(&credential, None))
        .await;
    made.map_err(store_problem)?.ok_or_else(unavailable)?;
    let signed_in = SignedIn {
        user: account.person,
        token: token.clone(),
        expires_at,
    };
    let mut response = (StatusCode::CREATED, Json(signed_in)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cookie) = set_cookie(Some((&token, lasts)), visitor.https) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The hash of a new password from the body.
pub(super) async fn new_password(visitor: &Visitor, name: &str, password: &str) -> Result<String, Problem> {
    let password = Password::new(password).map_err(|rule| field(name, rule))?;
    let hashed = visitor.serving.authenticator.passwords().hash(password).await;
    hashed.map_err(hash_problem)
}

/// Begins an attempt on the account whose name has this key, unless it comes too soon.
pub(super) fn begin_attempt(visitor: &Visitor, key: &str) -> Result<(), Problem> {
    let throttle = visitor.serving.authenticator.throttle();
    let begun = throttle.begin(key, visitor.address, Instant::now());
    let (Ok(allowance) | Err(allowance)) = begun;
    visitor.left.set(Some(allowance));
    begun.map(drop).map_err(|slowed| {
        let detail = "too many attempts with this name or from your address; wait";
        Problem::new(ErrorCode::RateLimited, detail).retry_after(slowed.reset)
    })
}

pub(super) fn hash_problem(error: HashError) -> Problem {
    match error {
        HashError::Busy => unavailable(),
        HashError::Failed => {
            tracing::error!("a password could not be hashed or compared");
            internal()
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "an argument of map_err")]
pub(super) fn no_randomness(error: getrandom::Error) -> Problem {
    tracing::error!(%error, "no randomness");
    internal()
}

fn beginning(agent: &str) -> String {
    let printable = agent.chars().filter(|c| !c.is_control());
    printable.take(MAX_DEVICE_BYTES).collect()
}
