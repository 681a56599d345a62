//! The bodies of requests: one JSON object, whose unknown fields are ignored.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::StatusCode,
};
use protocol::ErrorCode;
use serde_json::{Map, Value};

use super::{super::problem::Problem, MAX_BODY_BYTES};

/// Largest time, and largest integer of all: what a JavaScript number holds exactly.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The body, if it could be read and is not too large.
pub(super) fn received(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            ErrorCode::TooLarge,
            format!("a body may have {MAX_BODY_BYTES} bytes"),
        ),
        _ => Problem::new(ErrorCode::BadRequest, "the body could not be read"),
    })
}

/// A body that is one JSON object; an empty one is an object without fields.
pub(super) struct Body(Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = received(Bytes::from_request(request, state).await)?;
        if bytes.is_empty() {
            return Ok(Self(Map::new()));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Problem::new(
                ErrorCode::BadRequest,
                format!("the body is no JSON object: {error}"),
            )
        })
    }
}

impl Body {
    /// A text that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, Problem> {
        self.text(name)?.ok_or_else(|| field(name, "is missing"))
    }

    /// A text that may be there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(field(name, "must be text")),
        }
    }

    /// A short text that may be there: at most `max` bytes, no control characters.
    pub(super) fn short_text(&self, name: &str, max: usize) -> Result<Option<&str>, Problem> {
        match self.text(name)? {
            Some(text) if text.len() > max || text.chars().any(char::is_control) => {
                let rule = format!("must be at most {max} bytes without control characters");
                Err(field(name, &rule))
            }
            text => Ok(text),
        }
    }

    /// An integer that may be there.
    pub(super) fn integer(&self, name: &str) -> Result<Option<u64>, Problem> {
        let rule = format!("must be an integer from 0 to {MAX_INTEGER}");
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .filter(|number| *number <= MAX_INTEGER)
                .map(Some)
                .ok_or_else(|| field(name, &rule)),
        }
    }

    /// A list of texts that must be there.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<&str>, Problem> {
        let Some(Value::Array(items)) = self.0.get(name) else {
            return Err(field(name, "must be a list of texts"));
        };
        let texts = items.iter().map(Value::as_str).collect::<Option<_>>();
        texts.ok_or_else(|| field(name, "must be a list of texts"))
    }
}

/// What is wrong with a field.
pub(super) fn field(name: &str, rule: &str) -> Problem {
    Problem::new(ErrorCode::BadRequest, format!("`{name}`: {rule}"))
}
