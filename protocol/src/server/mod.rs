//! What the server says.

mod decode;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{ErrorCode, Event, Person, RoomName};

/// One frame from the server. Field names and order of the variants follow `docs/protocol.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The answer to `hello`.
    Welcome(Welcome),
    /// A command was done.
    Ok(Done),
    /// A command or a frame was refused.
    Error(Refused),
    /// The answer to `ping`.
    Pong {
        /// As the command carried it.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u32>,
        /// The store's clock, in Unix milliseconds.
        time: u64,
    },
    /// Events of a room, continuing where the last frame of the room ended.
    Events {
        /// The room.
        room: RoomName,
        /// At least one, `seq` without a hole.
        events: Vec<Event>,
    },
    /// `from` to `to` are not replayed; events continue at `to + 1`.
    Gap {
        /// The room.
        room: RoomName,
        /// First `seq` that is left out.
        from: u64,
        /// Last `seq` that is left out.
        to: u64,
    },
    /// Who came and went, gathered over at least a second.
    Presence {
        /// The room.
        room: RoomName,
        /// People in the room over the whole cluster.
        count: u64,
        /// Absent in rooms above `limits.presence_people`.
        #[serde(skip_serializing_if = "Option::is_none")]
        joined: Option<Vec<Person>>,
        /// Absent in rooms above `limits.presence_people`.
        #[serde(skip_serializing_if = "Option::is_none")]
        left: Option<Vec<Person>>,
    },
    /// Somebody types.
    Typing {
        /// The room.
        room: RoomName,
        /// Who.
        user: Person,
    },
    /// Somebody has read up to `seq`.
    Read {
        /// The room.
        room: RoomName,
        /// Who.
        user: Person,
        /// The last `seq` read.
        seq: u64,
    },
    /// Connect anew, to any node, and resume.
    Goaway {
        /// Wait this long before doing so, in milliseconds.
        after_ms: u64,
        /// Why.
        reason: GoawayReason,
    },
    /// An `op` that this build does not know; clients ignore it. A node never sends one.
    Unknown,
}

/// The content of `welcome`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// As `hello` carried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// Which node serves.
    pub node: Arc<str>,
    /// This connection.
    pub session: Arc<str>,
    /// Who the client is.
    pub user: Person,
    /// A new guest's credential, for coming back as the same person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// This history of the store.
    pub epoch: Arc<str>,
    /// Pause between two pings of the server, in milliseconds.
    pub heartbeat_ms: u64,
    /// Largest frame that the server reads, in bytes.
    pub max_frame: u64,
    /// The store's clock, in Unix milliseconds.
    pub time: u64,
    /// Rooms that were resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rooms: Option<BTreeMap<String, Resumed>>,
    /// Rooms that could not be resumed, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<BTreeMap<String, ErrorCode>>,
}

/// A resumed room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// The last committed `seq`; 0: none.
    pub head: u64,
    /// The client's role in the room.
    pub role: Arc<str>,
    /// Forget what you have of the room; the newest events follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<bool>,
}

/// The content of `ok`: which fields are there depends on the command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "each constructor below says which fields belong together"
)]
pub struct Done {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<Event>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<Person>>,
}

/// The content of `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// As the command carried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// For programs.
    pub code: ErrorCode,
    /// For people; tells no causes.
    pub message: String,
    /// With `rate_limited` and `overloaded`: try again after this, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// Why a client is asked to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoawayReason {
    /// The node is about to end.
    Drain,
    /// The node carries more than its share.
    Rebalance,
}

impl Done {
    /// Plain success: `leave`, `read`, `typing`.
    pub fn plain(id: Option<u32>) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// What was written: `send`, `edit`, `delete`, `react`.
    pub fn committed(id: Option<u32>, seq: u64, at: u64) -> Self {
        Self {
            id,
            seq: Some(seq),
            at: Some(at),
            ..Self::default()
        }
    }

    /// A page of `history`.
    pub fn page(id: Option<u32>, events: Vec<Event>, more: bool) -> Self {
        Self {
            id,
            events: Some(events),
            more: Some(more),
            ..Self::default()
        }
    }

    /// The answer to `presence`.
    pub fn presence(id: Option<u32>, count: u64, users: Vec<Person>) -> Self {
        Self {
            id,
            count: Some(count),
            users: Some(users),
            ..Self::default()
        }
    }
}
