//! The answer to `hello`: who is it, and may they come in.

use std::sync::Arc;

use actors::connection::{Connection, OpenError, Opening};
use protocol::{CloseCode, ErrorCode, Hello};

use super::pump::Start;
use crate::auth::{Authenticated, Refused};

/// After this many milliseconds a client whose `hello` could not be served may try again.
const RETRY_MS: u64 = 1_000;

/// Changes during a `hello` after which it is given up.
const ATTEMPTS: u32 = 5;

/// A session that is open, and when its credential runs out, in Unix milliseconds by the store's clock.
pub(super) struct Welcomed {
    pub(super) connection: Connection,
    pub(super) expires_at: Option<u64>,
}

/// Opens the session that a `hello` asks for; its `welcome` is in the outbox then. `None`: it may be said again, why is
/// in the outbox.
///
/// # Errors
/// With the code to close with; the `error` is in the outbox.
pub(super) async fn welcome(
    start: &Start,
    id: Option<u32>,
    hello: Hello,
) -> Result<Option<Welcomed>, CloseCode> {
    let Authenticated { user, new_token } = match identify(start, &hello).await {
        Ok(authenticated) => authenticated,
        Err(refused) => return refuse(start, id, refused),
    };
    let expires_at = user.credential.expires_at;
    let opening = Opening {
        user: Arc::new(user),
        outbox: Arc::clone(&start.outbox),
        id,
        token: new_token,
        resume: hello.resume,
        epoch: hello.epoch,
    };
    match start.registered.open(opening).await {
        Ok(connection) => Ok(Some(Welcomed {
            connection,
            expires_at,
        })),
        Err(error) => {
            let message = match error {
                OpenError::TooMany => "you have too many connections to this node; close one first",
                OpenError::Ended => "the node is ending; connect anew",
            };
            start
                .outbox
                .refuse(id, ErrorCode::Overloaded, message, Some(RETRY_MS));
            Err(CloseCode::Overloaded)
        }
    }
}

/// Who it is. From here on the connection ends when that is taken back; what was taken back between the check and now is
/// checked again.
async fn identify(start: &Start, hello: &Hello) -> Result<Authenticated, Refused> {
    let people = start.system.people();
    for _ in 0..ATTEMPTS {
        let losses = people.losses();
        let authenticated = start.authenticator.hello(hello, &start.presented).await?;
        start.registered.identify(&authenticated.user);
        if people.losses() == losses {
            return Ok(authenticated);
        }
    }
    Err(Refused::Unavailable)
}

fn refuse(start: &Start, id: Option<u32>, refused: Refused) -> Result<Option<Welcomed>, CloseCode> {
    let refuse = |code, message: &str, retry| start.outbox.refuse(id, code, message, retry);
    match refused {
        Refused::Unauthenticated => {
            let message = "hello needs a valid token, or a guest name where guests are let in";
            refuse(ErrorCode::Unauthenticated, message, None);
            Err(CloseCode::Unauthenticated)
        }
        Refused::Banned => {
            refuse(ErrorCode::Banned, &refused.to_string(), None);
            Err(CloseCode::Banned)
        }
        Refused::GuestName => {
            refuse(ErrorCode::BadRequest, &refused.to_string(), None);
            Ok(None)
        }
        Refused::Unavailable => {
            refuse(ErrorCode::Overloaded, &refused.to_string(), Some(RETRY_MS));
            Err(CloseCode::Overloaded)
        }
    }
}
