//! The answer to `hello`: who is it, and may they come in.

use std::sync::Arc;

use actors::connection::{Connection, OpenError, Opening};
use protocol::{CloseCode, ErrorCode, Hello};

use super::pump::Start;

/// After this many milliseconds a client whose `hello` could not be served may try again.
const RETRY_MS: u64 = 1_000;

/// Opens the session that a `hello` asks for; its `welcome` is in the outbox then.
///
/// # Errors
/// With the code to close with; the `error` is in the outbox.
pub(super) async fn welcome(start: &Start, id: Option<u32>, hello: Hello) -> Result<Connection, CloseCode> {
    let Ok(authenticated) = start.authenticator.hello(&hello, start.upgrade_user.as_ref()) else {
        let message = "hello needs a valid token, or a guest name where guests are let in";
        start.outbox.refuse(id, ErrorCode::Unauthenticated, message, None);
        return Err(CloseCode::Unauthenticated);
    };
    let opening = Opening {
        user: Arc::new(authenticated.user),
        outbox: Arc::clone(&start.outbox),
        id,
        token: authenticated.new_token,
        resume: hello.resume,
        epoch: hello.epoch,
    };
    start.registered.open(opening).await.map_err(|error| {
        let message = match error {
            OpenError::TooMany => "you have too many connections to this node; close one first",
            OpenError::Ended => "the node is ending; connect anew",
        };
        start
            .outbox
            .refuse(id, ErrorCode::Overloaded, message, Some(RETRY_MS));
        CloseCode::Overloaded
    })
}
