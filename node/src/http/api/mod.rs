//! `/api/v1`: for programs that do not hold a connection, and for what is rare.

mod administration;
mod bans;
mod body;
mod caller;
mod keys;
mod rooms;
mod sessions;
mod sign_in;
mod users;
mod visitor;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, http::StatusCode};
use protocol::{ErrorCode, limits::MAX_TEXT_BYTES};

use super::{gate::Gate, problem::Problem};

/// A text of the largest size, every byte of it escaped, and its envelope.
const MAX_BODY_BYTES: usize = MAX_TEXT_BYTES * 6 + 4 * 1024;

/// The routes below `/api/v1`.
pub(super) fn routes() -> Router<Arc<Gate>> {
    Router::new()
        .merge(rooms::routes())
        .merge(users::routes())
        .merge(sessions::routes())
        .merge(keys::routes())
        .merge(bans::routes())
        .merge(administration::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

async fn not_found() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is nothing at this address")
}

async fn method_not_allowed() -> Problem {
    Problem::new(ErrorCode::BadRequest, "this address does not take this method")
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
}
