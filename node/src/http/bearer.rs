//! `Authorization: Bearer …` (RFC 6750 §2.1).

use axum::http::{HeaderMap, header};
use protocol::{ErrorCode, limits::MAX_TOKEN_BYTES};

use super::problem::Problem;

/// The token of the request, if it carries one.
///
/// # Errors
/// With 401 when there is an `Authorization` that is no bearer token of at most [`MAX_TOKEN_BYTES`].
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()));
    match token {
        Some(token) if !token.is_empty() && token.len() <= MAX_TOKEN_BYTES => Ok(Some(token)),
        _ => {
            let detail = format!("Authorization must be `Bearer TOKEN` with at most {MAX_TOKEN_BYTES} bytes");
            Err(Problem::new(ErrorCode::Unauthenticated, detail))
        }
    }
}
