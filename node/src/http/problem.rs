//! Errors over HTTP: problem details (RFC 9457) with the wire's error code.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::{ErrorCode, client::Invalid, server::Refused};
use serde::Serialize;

use crate::auth;

/// After this many milliseconds a request that could not be served may be repeated.
pub(super) const RETRY_MS: u64 = 1_000;

/// An error as an HTTP answer.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: ErrorCode,
    detail: String,
    retry_after_ms: Option<u64>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    code: ErrorCode,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl Problem {
    /// An error with the status that belongs to its code. `detail` is for people and tells no causes.
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            status,
            code,
            detail: detail.into(),
            retry_after_ms: None,
        }
    }

    /// What it is, for programs.
    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    /// For every address that there is not.
    pub(crate) fn no_such_address() -> Self {
        Self::new(ErrorCode::NotFound, "there is nothing at this address")
    }

    /// For every method that an address does not take.
    pub(crate) fn no_such_method() -> Self {
        Self::new(ErrorCode::BadRequest, "this address does not take this method")
            .with_status(StatusCode::METHOD_NOT_ALLOWED)
    }

    /// The same with another status.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same with a time after which it may be tried again.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.retry_after_ms(ms.max(1))
    }

    /// The same with a time after which it may be tried again, in milliseconds.
    pub(crate) fn retry_after_ms(self, retry_after_ms: u64) -> Self {
        Self {
            retry_after_ms: Some(retry_after_ms),
            ..self
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self {
            retry_after_ms: refused.retry_after_ms,
            ..Self::new(refused.code, refused.message)
        }
    }
}

impl From<auth::Refused> for Problem {
    fn from(refused: auth::Refused) -> Self {
        let code = match refused {
            auth::Refused::Unauthenticated => ErrorCode::Unauthenticated,
            auth::Refused::Banned => ErrorCode::Banned,
            auth::Refused::GuestName => ErrorCode::BadRequest,
            auth::Refused::Unavailable => {
                return Self::new(ErrorCode::Overloaded, refused.to_string()).retry_after_ms(RETRY_MS);
            }
        };
        Self::new(code, refused.to_string())
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::new(invalid.code, invalid.message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = Body {
            r#type: "about:blank",
            title,
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            retry_after_ms: self.retry_after_ms,
        };
        let mut response = (self.status, Json(body)).into_response();
        // For the counting of errors.
        response.extensions_mut().insert(self.code);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(ms) = self.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
