//! `/api/v1`: the same as over a connection, for programs that do not hold one, and what only is done here.

mod administration;
mod bans;
mod caller;
mod directs;
mod invites;
mod keys;
mod members;
mod messages;
mod rooms;
mod sessions;
mod sign_in;
mod users;
mod visitor;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{delete, get, post, put},
};
use protocol::limits::MAX_TEXT_BYTES;

use super::{gate::Gate, problem::Problem};

/// A text of the largest size, every byte of it escaped, and its envelope.
const MAX_BODY_BYTES: usize = MAX_TEXT_BYTES * 6 + 4 * 1024;
/// After this many milliseconds a request that the store could not serve may be repeated.
const RETRY_MS: u64 = 1_000;

/// The routes below `/api/v1`.
pub(super) fn routes() -> Router<Arc<Gate>> {
    Router::new()
        .route("/rooms", get(rooms::list).post(rooms::make))
        .route("/rooms/{room}", get(rooms::get).patch(rooms::alter))
        .route("/rooms/{room}/events", get(messages::events))
        .route("/rooms/{room}/messages", post(messages::send))
        .route(
            "/rooms/{room}/messages/{seq}",
            put(messages::edit).delete(messages::delete),
        )
        .route("/rooms/{room}/messages/{seq}/reactions", post(messages::react))
        .route("/rooms/{room}/people", get(members::people))
        .route("/rooms/{room}/members", get(members::list).post(members::invite))
        .route(
            "/rooms/{room}/members/{user}",
            put(members::put).delete(members::remove),
        )
        .route(
            "/rooms/{room}/bans/{user}",
            put(members::ban).delete(members::unban),
        )
        .route(
            "/rooms/{room}/mutes/{user}",
            put(members::mute).delete(members::unmute),
        )
        .route("/rooms/{room}/invites", get(invites::list).post(invites::make))
        .route("/rooms/{room}/invites/{invite}", delete(invites::remove))
        .route("/invites/accept", post(invites::accept))
        .route("/directs", post(directs::make))
        .route("/users", get(users::list).post(users::sign_up))
        .route("/users/me", get(users::me).patch(users::change))
        .route(
            "/sessions",
            get(sessions::list)
                .post(sessions::sign_in)
                .delete(sessions::end_others),
        )
        .route("/sessions/current", delete(sessions::sign_out))
        .route("/sessions/{id}", delete(sessions::end))
        .route("/keys", get(keys::list).post(keys::make))
        .route("/keys/{id}", delete(keys::revoke))
        .route("/bans", get(bans::list))
        .route("/bans/{user}", put(bans::ban).delete(bans::unban))
        .route(
            "/administrators/{user}",
            put(administration::give).delete(administration::take),
        )
        .route("/audit", get(administration::audit))
        .fallback(|| async { Problem::no_such_address() })
        .method_not_allowed_fallback(|| async { Problem::no_such_method() })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}
