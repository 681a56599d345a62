//! Who asks, about which room, with which parameters.

use std::sync::Arc;

use actors::{
    User,
    ports::{RoomRecord, StoreError},
    rights::{self, Operation, Roster},
};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request, rejection::BytesRejection},
    http::{StatusCode, request::Parts},
};
use protocol::{ErrorCode, RoomName, limits::MAX_SEQ, name::ROOM_NAME_RULE};
use serde::de::DeserializeOwned;

use super::{MAX_BODY_BYTES, RETRY_MS, allowance::Left, visitor::check_site};
use crate::{
    auth::Via,
    http::{
        credentials::presented,
        gate::{Gate, Serving},
        problem::Problem,
    },
};

/// Somebody who may ask.
pub(super) struct Caller {
    pub(super) serving: Arc<Serving>,
    pub(super) user: Arc<User>,
    /// What is left of the limit that this request counts against.
    left: Left,
}

impl Caller {
    /// The room that the caller wants to do something with, as it is in the store now.
    pub(super) async fn room(
        &self,
        name: &RoomName,
        operation: Operation<'_>,
    ) -> Result<(RoomRecord, Roster), Problem> {
        let system = &self.serving.system;
        let found = system.room(name).await.map_err(store_problem)?;
        let (record, roster) = found.ok_or_else(|| denied(ErrorCode::NotFound))?;
        rights::decide(operation, &self.user, &roster, system.clock().now_ms()).map_err(denied)?;
        Ok((record, roster))
    }

    /// Counts one write of the caller.
    pub(super) fn take_send(&self) -> Result<(), Problem> {
        let system = &self.serving.system;
        let taken = system.take_send(&self.user);
        self.left.set(system.sends_left(&self.user));
        taken.map_err(|retry_after_ms| {
            let detail = "you write too fast; try again with the same cid";
            Problem::new(ErrorCode::RateLimited, detail).retry_after_ms(retry_after_ms)
        })
    }

    pub(super) fn room_actor(&self, name: &RoomName) -> Result<actors::room::Room, Problem> {
        self.serving.system.rooms().get(name).map_err(|_| unavailable())
    }
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
            left: Left::of(&parts.extensions),
        })
    }
}

/// The room that the address names.
pub(super) struct Named(pub(super) RoomName);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // What is no text is no name, either.
        let name = Path::<String>::from_request_parts(parts, state).await;
        room_name("room", name.as_deref().map_or("", String::as_str)).map(Self)
    }
}

/// The parameters of a URL. Those that are not asked for are ignored.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// How many to answer with.
    pub(super) fn limit(&self, default: u64, max: u64) -> Result<u64, Problem> {
        let limit = self.number("limit")?.unwrap_or(default);
        if (1..=max).contains(&limit) {
            return Ok(limit);
        }
        let detail = format!("`limit`: must be an integer from 1 to {max}");
        Err(Problem::new(ErrorCode::BadRequest, detail))
    }

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

    /// The parameter of that name. No parameter has control characters in it, of those that the wire forbids; no store must
    /// see them.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        let found = self.0.iter().find(|(key, _)| key == name);
        match found.map(|(_, value)| value.as_str()) {
            Some(value) if value.chars().any(|c| c < ' ') => {
                let detail = format!("`{name}`: must not contain control characters");
                Err(Problem::new(ErrorCode::BadRequest, detail))
            }
            value => Ok(value),
        }
    }

    /// As [`Self::text`], without any control characters at all.
    pub(super) fn printable(&self, name: &str) -> Result<Option<&str>, Problem> {
        let found = self.text(name)?;
        if found.is_some_and(|text| text.chars().any(char::is_control)) {
            let detail = format!("`{name}`: must not contain control characters");
            return Err(Problem::new(ErrorCode::BadRequest, detail));
        }
        Ok(found)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.text(name)?
            .map(|text| {
                let number = text.parse().ok().filter(|number| *number <= MAX_SEQ);
                number.ok_or_else(|| {
                    let detail = format!("`{name}`: must be an integer from 0 to {MAX_SEQ}");
                    Problem::new(ErrorCode::BadRequest, detail)
                })
            })
            .transpose()
    }
}

pub(super) fn room_name(field: &str, name: &str) -> Result<RoomName, Problem> {
    RoomName::new(name).map_err(|_| {
        Problem::new(
            ErrorCode::BadRequest,
            format!("`{field}`: must be {ROOM_NAME_RULE}"),
        )
    })
}

/// The refusal of something that somebody may not do in a room.
pub(super) fn denied(code: ErrorCode) -> Problem {
    Problem::new(code, rights::refusal_text(code))
}

/// A request's body, as JSON. Unknown fields are ignored, and `null` is as absent.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = read(Bytes::from_request(request, state).await)?;
        // A body may be left out where no field is needed.
        let json = if bytes.is_empty() { &b"{}"[..] } else { &bytes };
        // A list would be taken for the fields in their order.
        if json.trim_ascii_start().first() == Some(&b'[') {
            return Err(no_object());
        }
        let mut json = serde_json::Deserializer::from_slice(json);
        let body = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let detail = match error.path().to_string().as_str() {
                "." => format!("the body is not as it should be: {}", error.inner()),
                field => format!("`{field}`: {}", error.inner()),
            };
            Problem::new(ErrorCode::BadRequest, detail)
        })?;
        json.end().map_err(|_| no_object())?;
        Ok(Self(body))
    }
}

fn no_object() -> Problem {
    Problem::new(ErrorCode::BadRequest, "the body is not one JSON object")
}

/// The bytes of a body.
pub(super) fn read(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            ErrorCode::TooLarge,
            format!("a body may have {MAX_BODY_BYTES} bytes"),
        ),
        _ => Problem::new(ErrorCode::BadRequest, "the body could not be read"),
    })
}

#[allow(clippy::needless_pass_by_value, reason = "an argument of map_err")]
pub(super) fn store_problem(error: StoreError) -> Problem {
    if error.is_transient() {
        return unavailable();
    }
    tracing::error!(%error, "a request could not be served");
    Problem::new(ErrorCode::Internal, "the server failed; its log says why")
}

pub(super) fn unavailable() -> Problem {
    Problem::new(ErrorCode::Overloaded, "this cannot be served at the moment").retry_after_ms(RETRY_MS)
}
