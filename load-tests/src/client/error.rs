//! What can go wrong for a client.

use protocol::{CloseCode, server::Refused};
use tokio_tungstenite::tungstenite;

use super::order::Violation;

/// Why a client could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server did not upgrade the connection.
    #[error(transparent)]
    Upgrade(#[from] UpgradeRefused),
    /// The server refused a command; the connection lives, unless [`Error::Closed`] follows.
    #[error("the server refused the command with `{}`: {}", .0.code, .0.message)]
    Refused(Refused),
    /// The connection has ended.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The server broke its promise of order.
    #[error(transparent)]
    Order(#[from] Violation),
    /// Nothing came in the time that [`super::Options::timeout`] allows.
    #[error("timed out after {seconds} s waiting for {what}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// The server sent what no client can read, or an answer of another kind than the command's.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// The transport failed.
    #[error("the connection failed: {0}")]
    Transport(Box<dyn std::error::Error + Send + Sync>),
}

/// The answer to the upgrade was no `101`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server answered the upgrade with status {status}: {body}")]
pub struct UpgradeRefused {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`, in seconds.
    pub retry_after_seconds: Option<u64>,
    /// What came of the body together with the head; may be cut short.
    pub body: String,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the connection was closed: {}", self.describe())]
pub struct Closed {
    /// The close code; `None` if the connection ended without a close frame that has one.
    pub code: Option<u16>,
    /// The reason in the close frame.
    pub reason: String,
}

impl Closed {
    /// The code, where it is one of the wire's.
    pub fn known_code(&self) -> Option<CloseCode> {
        self.code.and_then(CloseCode::from_u16)
    }

    fn describe(&self) -> String {
        match self.code {
            Some(code) => format!("{code} {}", self.reason),
            None => "without a close code".to_owned(),
        }
    }
}

impl Error {
    /// Any other failure, as one of the transport.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Transport(error.into())
    }

    /// The refusal, where the server refused a command.
    pub fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            _ => None,
        }
    }

    /// The close, where the connection has ended.
    pub fn closed(&self) -> Option<&Closed> {
        match self {
            Self::Closed(closed) => Some(closed),
            _ => None,
        }
    }
}

impl From<tungstenite::Error> for Error {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Http(response) => Self::Upgrade(UpgradeRefused {
                status: response.status().as_u16(),
                retry_after_seconds: response
                    .headers()
                    .get("retry-after")
                    .and_then(|value| value.to_str().ok()?.parse().ok()),
                body: String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned(),
            }),
            other => Self::other(other),
        }
    }
}
