//! What a client says: commands, how they are read from frames and how a client writes them.

mod check;
mod decode;
mod encode;

use std::sync::Arc;

use crate::{ErrorCode, RoomName};

pub use check::{check_label, check_page, check_text};
pub use decode::{Message, frame_id, frame_op, message};
pub use encode::ClientFrame;

/// A command, checked for form. Whether it is allowed is decided by who handles it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of docs/protocol.md")]
pub enum Command {
    Hello(Hello),
    Join {
        room: RoomName,
        from: JoinFrom,
    },
    Leave {
        room: RoomName,
    },
    Send {
        room: RoomName,
        cid: Arc<str>,
        text: Arc<str>,
        reply_to: Option<u64>,
    },
    Edit {
        room: RoomName,
        cid: Arc<str>,
        seq: u64,
        text: Arc<str>,
    },
    Delete {
        room: RoomName,
        cid: Arc<str>,
        seq: u64,
    },
    React {
        room: RoomName,
        cid: Arc<str>,
        seq: u64,
        emoji: Arc<str>,
        on: bool,
    },
    History {
        room: RoomName,
        page: Page,
    },
    Read {
        room: RoomName,
        seq: u64,
    },
    Typing {
        room: RoomName,
    },
    Presence {
        room: RoomName,
    },
    Ping,
}

/// The content of `hello`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hello {
    /// A session token, an API key, a JWT or a guest's token.
    pub token: Option<String>,
    /// A name, for a new guest.
    pub guest: Option<Arc<str>>,
    /// Rooms and the last `seq` that the client has of each. The names are as sent, valid or not.
    pub resume: Option<Vec<(String, u64)>>,
    /// The history that the positions belong to.
    pub epoch: Option<String>,
}

/// Where the events that follow a `join` begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinFrom {
    /// Behind this `seq`.
    After(u64),
    /// With the newest so many.
    Newest(u64),
}

/// Which events `history` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Bound and direction.
    pub bound: PageBound,
    /// At most so many events.
    pub limit: u64,
}

/// Bound and direction of a page; bounds are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageBound {
    /// The newest there are.
    Newest,
    /// The newest below this `seq`.
    Before(u64),
    /// The oldest above this `seq`.
    After(u64),
}

/// A frame was decodable but is no valid command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Invalid {
    /// `bad_request`, `unknown_op` or `too_large`.
    pub code: ErrorCode,
    /// Names the field and the rule.
    pub message: String,
}

impl Invalid {
    pub(crate) fn field(name: &str, rule: impl std::fmt::Display) -> Self {
        Self {
            code: ErrorCode::BadRequest,
            message: format!("`{name}`: {rule}"),
        }
    }
}

/// Every `op` that a client may send.
pub const CLIENT_OPS: [&str; 12] = [
    "hello", "join", "leave", "send", "edit", "delete", "react", "history", "read", "typing", "presence",
    "ping",
];

impl Command {
    /// The room that the command is about.
    pub fn room(&self) -> Option<&RoomName> {
        match self {
            Self::Hello(_) | Self::Ping => None,
            Self::Join { room, .. }
            | Self::Leave { room }
            | Self::Send { room, .. }
            | Self::Edit { room, .. }
            | Self::Delete { room, .. }
            | Self::React { room, .. }
            | Self::History { room, .. }
            | Self::Read { room, .. }
            | Self::Typing { room }
            | Self::Presence { room } => Some(room),
        }
    }

    /// What makes the command safe to repeat, on those that write an event.
    pub fn cid(&self) -> Option<&str> {
        match self {
            Self::Send { cid, .. }
            | Self::Edit { cid, .. }
            | Self::Delete { cid, .. }
            | Self::React { cid, .. } => Some(cid),
            _ => None,
        }
    }

    /// The `op` on the wire.
    pub fn op(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Join { .. } => "join",
            Self::Leave { .. } => "leave",
            Self::Send { .. } => "send",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::React { .. } => "react",
            Self::History { .. } => "history",
            Self::Read { .. } => "read",
            Self::Typing { .. } => "typing",
            Self::Presence { .. } => "presence",
            Self::Ping => "ping",
        }
    }
}
