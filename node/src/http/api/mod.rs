//! `/api/v1`: the same as over a connection, for programs that do not hold one, and what only is done here.

mod administration;
mod allowance;
mod bans;
mod caller;
mod cluster;
mod directs;
mod document;
mod invites;
mod keys;
mod members;
mod messages;
mod rooms;
mod schema;
mod sessions;
mod sign_in;
mod users;
mod visitor;

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::header,
    middleware,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use protocol::limits::MAX_TEXT_BYTES;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{gate::Gate, problem::Problem};

/// A text of the largest size, every byte of it escaped, and its envelope.
const MAX_BODY_BYTES: usize = MAX_TEXT_BYTES * 6 + 4 * 1024;
/// After this many milliseconds a request that the store could not serve may be repeated.
const RETRY_MS: u64 = 1_000;

/// The document, as it is served.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
    let document = document::finish(operations().into_openapi());
    // Nothing in a document is unwritable; a test reads it.
    document.to_json().unwrap_or_default().into()
});

/// The routes below `/api/v1`.
pub(super) fn routes() -> Router<Arc<Gate>> {
    let (router, _) = operations().split_for_parts();
    router
        .fallback(|| async { Problem::no_such_address() })
        .method_not_allowed_fallback(|| async { Problem::no_such_method() })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(allowance::tell))
}

/// Every operation, with what the document says of it: what is no operation here is no route.
fn operations() -> OpenApiRouter<Arc<Gate>> {
    OpenApiRouter::new()
        .routes(routes!(openapi))
        .routes(routes!(rooms::list, rooms::make))
        .routes(routes!(rooms::get, rooms::alter))
        .routes(routes!(messages::events))
        .routes(routes!(messages::send))
        .routes(routes!(messages::edit, messages::delete))
        .routes(routes!(messages::react))
        .routes(routes!(members::people))
        .routes(routes!(members::list, members::invite))
        .routes(routes!(members::put, members::remove))
        .routes(routes!(members::ban, members::unban))
        .routes(routes!(members::mute, members::unmute))
        .routes(routes!(invites::list, invites::make))
        .routes(routes!(invites::remove))
        .routes(routes!(invites::accept))
        .routes(routes!(directs::make))
        .routes(routes!(users::list, users::sign_up))
        .routes(routes!(users::me, users::change))
        .routes(routes!(sessions::list, sessions::sign_in, sessions::end_others))
        .routes(routes!(sessions::sign_out))
        .routes(routes!(sessions::end))
        .routes(routes!(keys::list, keys::make))
        .routes(routes!(keys::revoke))
        .routes(routes!(bans::list))
        .routes(routes!(bans::ban, bans::unban))
        .routes(routes!(administration::give, administration::take))
        .routes(routes!(administration::audit))
        .routes(routes!(cluster::read))
}

#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "readDocument",
    summary = "This document",
    responses((status = 200, description = "The document", body = Object)),
    security(()),
)]
async fn openapi() -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, DOCUMENT.clone()).into_response()
}
