//! Who asks, about which room, with which parameters.

use std::sync::Arc;

use actors::{User, ports::StoreError};
use axum::{extract::FromRequestParts, http::request::Parts};
use protocol::ErrorCode;

use super::{
    super::{
        credentials::presented,
        gate::{Gate, Serving},
        problem::{Problem, RETRY_MS},
    },
    visitor::{check_site, internal},
};
use crate::auth::Via;

/// Somebody who may ask.
pub(super) struct Caller {
    pub(super) serving: Arc<Serving>,
    pub(super) user: Arc<User>,
}

impl FromRequestParts<Arc<Gate>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gate: &Arc<Gate>) -> Result<Self, Problem> {
        let serving = Arc::clone(gate.answering().ok_or_else(unavailable)?);
        let presented = presented(&parts.headers)?;
        let (user, via) = serving
            .authenticator
            .presented(&presented)
            .await?
            .ok_or_else(|| {
                Problem::new(
                    ErrorCode::Unauthenticated,
                    "send a token as `Authorization: Bearer TOKEN`, or sign in",
                )
            })?;
        if via == Via::Cookie {
            check_site(&parts.method, &parts.headers, gate)?;
        }
        Ok(Self {
            serving,
            user: Arc::new(user),
        })
    }
}

/// The parameters of a URL. Those that are not asked for are ignored.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        serde_urlencoded::from_str(query.unwrap_or_default())
            .map(Self)
            .map_err(|error| {
                Problem::new(
                    ErrorCode::BadRequest,
                    format!("the query is not understood: {error}"),
                )
            })
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.text(name)
            .map(|text| {
                let detail = || format!("`{name}`: must be an integer from 0");
                text.parse()
                    .map_err(|_| Problem::new(ErrorCode::BadRequest, detail()))
            })
            .transpose()
    }

    /// How many to answer with.
    pub(super) fn limit(&self, default: u64, max: u64) -> Result<u64, Problem> {
        let limit = self.number("limit")?.unwrap_or(default);
        if (1..=max).contains(&limit) {
            return Ok(limit);
        }
        let detail = format!("`limit`: must be an integer from 1 to {max}");
        Err(Problem::new(ErrorCode::BadRequest, detail))
    }
}

#[allow(clippy::needless_pass_by_value, reason = "an argument of map_err")]
pub(super) fn store_problem(error: StoreError) -> Problem {
    if error.is_transient() {
        return unavailable();
    }
    tracing::error!(%error, "a request could not be served");
    internal()
}

pub(super) fn unavailable() -> Problem {
    Problem::new(ErrorCode::Overloaded, "this cannot be served at the moment").retry_after_ms(RETRY_MS)
}
