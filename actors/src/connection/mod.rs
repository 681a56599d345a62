//! Connections: one actor for the session of each client that has said who it is. The socket belongs to the pump in
//! the `node` crate, which holds a [`Connection`] and the [`Outbox`].

mod actor;
mod book;
mod registry;
mod resume;
mod session;

use std::sync::Arc;

use protocol::{Command, ErrorCode};
use ractor::ActorRef;
use tokio::sync::oneshot;

pub(crate) use actor::ConnectionMsg;
pub use registry::{Connections, Registered};

use crate::{context::User, outbox::Outbox, ports::StoreError, rights::refusal_text};

/// What a client's `hello` asked for, once it is known who the client is.
pub struct Opening {
    /// Who it is.
    pub user: Arc<User>,
    /// Where everything for the client goes.
    pub outbox: Arc<Outbox>,
    /// The `id` of the `hello`.
    pub id: Option<u32>,
    /// A new guest's token, for the `welcome`.
    pub token: Option<String>,
    /// Rooms to resume, as sent.
    pub resume: Option<Vec<(String, u64)>>,
    /// The history that the positions belong to.
    pub epoch: Option<String>,
}

/// Why a connection was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The person has as many connections to this node as allowed.
    #[error("too many connections of one person")]
    TooMany,
    /// The node is ending, or the connection's actor failed.
    #[error("the node is ending")]
    Ended,
}

/// A client's session, held by its pump. Dropping it ends the session: the rooms are left.
pub struct Connection {
    actor: ActorRef<ConnectionMsg>,
}

/// The session's actor is gone; the connection is to be closed with 1011.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session has failed")]
pub struct SessionFailed;

impl Connection {
    /// Hands a command over and returns when the session has taken it up; its answer comes through the outbox, now or
    /// later. Not cancel safe: the command may be done all the same.
    ///
    /// # Errors
    /// When the session's actor is gone.
    pub async fn command(&self, id: Option<u32>, command: Command) -> Result<(), SessionFailed> {
        let (taken, taken_up) = oneshot::channel();
        self.actor
            .cast(ConnectionMsg::Command { id, command, taken })
            .map_err(|_| SessionFailed)?;
        taken_up.await.map_err(|_| SessionFailed)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.actor.stop(None);
    }
}

/// Why a room could not be opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenRefusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: &'static str,
    pub(crate) retry_after_ms: Option<u64>,
}

impl OpenRefusal {
    /// The room could not be read (`None`: it does not exist).
    pub(crate) fn from_store(error: Option<&StoreError>) -> Self {
        match error {
            None => Self {
                code: ErrorCode::NotFound,
                message: refusal_text(ErrorCode::NotFound),
                retry_after_ms: None,
            },
            Some(error) if error.is_transient() => Self::overloaded(),
            Some(_) => Self {
                code: ErrorCode::Internal,
                message: "the server failed; its log says why",
                retry_after_ms: None,
            },
        }
    }

    /// The user may not open the room.
    pub(crate) fn denied(code: ErrorCode) -> Self {
        Self {
            code,
            message: refusal_text(code),
            retry_after_ms: None,
        }
    }

    pub(crate) fn overloaded() -> Self {
        Self {
            code: ErrorCode::Overloaded,
            message: "the room cannot be opened at the moment",
            retry_after_ms: Some(1_000),
        }
    }
}
