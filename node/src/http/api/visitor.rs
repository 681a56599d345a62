//! Where a request comes from, and what a caller may do with accounts.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use actors::{Standing, people::People, ports::NewAudit};
use axum::{
    extract::{ConnectInfo, FromRequestParts, Path},
    http::{HeaderMap, Method, header, request::Parts},
};
use protocol::{
    ErrorCode,
    limits::{MAX_ID_BYTES, MAX_SEQ},
};
use serde_json::Value;

use super::{
    super::{
        admission::group,
        client_address::client_address,
        credentials::is_https,
        gate::{Gate, Serving},
        problem::Problem,
        ws::handshake::check_origin,
    },
    allowance::Left,
    caller::{Caller, Query, unavailable},
};

/// Entries on a page, unless asked otherwise.
pub(super) const DEFAULT_ENTRIES: u64 = 50;
/// Most entries on a page.
pub(super) const MAX_ENTRIES: u64 = 200;

/// Where a request comes from, whoever asks.
pub(super) struct Visitor {
    pub(super) serving: Arc<Serving>,
    /// What counts as one address.
    pub(super) address: IpAddr,
    /// The connection is encrypted, as far as the client sees.
    pub(super) https: bool,
    /// What the client says of itself.
    pub(super) agent: String,
    /// What is left of the limit that this request counts against.
    pub(super) left: Left,
}

impl Caller {
    pub(super) fn people(&self) -> &People {
        self.serving.system.people()
    }

    /// Refuses who has no account that could be looked at.
    pub(super) fn not_guest(&self) -> Result<(), Problem> {
        if self.user.is_guest() {
            return Err(forbidden("guests may not do this; sign up first"));
        }
        Ok(())
    }

    /// Refuses a credential that is not good for one's own account.
    pub(super) fn owns_account(&self) -> Result<(), Problem> {
        self.not_guest()?;
        if self.user.scopes.manage {
            Ok(())
        } else {
            Err(forbidden("this API key is not good for `manage`"))
        }
    }

    /// Refuses who does not run the server.
    pub(super) fn administrator(&self) -> Result<(), Problem> {
        if self.user.standing != Standing::Administrator {
            return Err(forbidden("only administrators may do this"));
        }
        self.owns_account()
    }

    /// An entry for the record of what this caller did.
    pub(super) fn audit(&self, action: &'static str, target: &str, details: &Value) -> NewAudit {
        NewAudit {
            actor: self.user.person.clone(),
            action,
            target: target.into(),
            room: None,
            details: details.to_string(),
        }
    }
}

impl FromRequestParts<Arc<Gate>> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gate: &Arc<Gate>) -> Result<Self, Problem> {
        let serving = Arc::clone(gate.answering().ok_or_else(unavailable)?);
        // A page of another site must not sign its visitors in here. Programs send no Origin.
        check_origin(&parts.headers, &gate.allowed_origins)?;
        let ConnectInfo(peer) = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .ok_or_else(unavailable)?;
        let agent = parts.headers.get(header::USER_AGENT);
        Ok(Self {
            serving,
            address: group(client_address(*peer, &parts.headers, &gate.trusted_proxies)),
            https: is_https(peer.ip(), &parts.headers, &gate.trusted_proxies),
            agent: agent
                .and_then(|agent| agent.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            left: Left::of(&parts.extensions),
        })
    }
}

/// A browser sends the cookie also with what a page of another site asks for. What changes something must say which
/// page it comes from.
pub(super) fn check_site(method: &Method, headers: &HeaderMap, gate: &Gate) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    if !headers.contains_key(header::ORIGIN) {
        return Err(forbidden(
            "with the cookie a request needs an Origin; programs use Authorization",
        ));
    }
    check_origin(headers, &gate.allowed_origins)
}

pub(super) fn forbidden(detail: &str) -> Problem {
    Problem::new(ErrorCode::Forbidden, detail)
}

pub(super) fn internal() -> Problem {
    Problem::new(ErrorCode::Internal, "the server failed; its log says why")
}

/// Cuts a list that was read with one entry more than `limit`. Returns whether there is a next page.
pub(super) fn cut<T>(found: &mut Vec<T>, limit: u64) -> bool {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > wanted;
    found.truncate(wanted);
    more
}

/// The id in an address.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // What is no text is no id, either.
        let id = Path::<String>::from_request_parts(parts, state).await;
        let id = id.map_or_else(|_| String::new(), |Path(id)| id);
        check_id("id", &id)?;
        Ok(Self(id))
    }
}

/// Checks what may be an id of anything.
pub(super) fn check_id(name: &str, id: &str) -> Result<(), Problem> {
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control) {
        let rule = format!("must be 1 to {MAX_ID_BYTES} bytes without control characters");
        return Err(field(name, &rule));
    }
    Ok(())
}

/// Checks a time at which something is to end.
pub(super) fn check_end(name: &str, end: Option<u64>, now_ms: u64) -> Result<(), Problem> {
    match end {
        Some(end) if end <= now_ms => Err(field(name, "must be in the future")),
        Some(end) if end > MAX_SEQ => Err(field(name, "must be in Unix milliseconds")),
        _ => Ok(()),
    }
}

/// The id behind which a page begins.
pub(super) fn page_after(query: &Query) -> Result<Option<&str>, Problem> {
    let after = query.text("after")?;
    if let Some(id) = after {
        check_id("after", id)?;
    }
    Ok(after)
}

/// What is wrong with a field.
pub(super) fn field(name: &str, rule: &str) -> Problem {
    Problem::new(ErrorCode::BadRequest, format!("`{name}`: {rule}"))
}

/// Checks a short text: at most `max` bytes, no control characters.
pub(super) fn check_short(name: &str, text: &str, max: usize) -> Result<(), Problem> {
    if text.len() > max || text.chars().any(char::is_control) {
        let rule = format!("must be at most {max} bytes without control characters");
        return Err(field(name, &rule));
    }
    Ok(())
}
