//! Events: what a room's log consists of.

mod wire;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Who did something: an opaque id that never changes and the name of then.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// At most 64 bytes, opaque.
    pub id: Arc<str>,
    /// At most 64 bytes.
    pub name: Arc<str>,
}

/// One entry of a room's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Place in the room's order, from 1, without a hole.
    pub seq: u64,
    /// Who did it.
    pub user: Person,
    /// Unix milliseconds by the store's clock; never goes back along `seq`.
    pub at: u64,
    /// As the command carried it; `None` on what no command asked for.
    pub cid: Option<Arc<str>>,
    /// What happened.
    pub body: EventBody,
}

/// What happened, in its present state (see [`EventBody::Message`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventBody {
    /// Somebody said something. An edited message has its newest text, a deleted one none.
    Message {
        /// `""` once deleted.
        text: Arc<str>,
        /// `seq` of the message that this one answers.
        reply_to: Option<u64>,
        /// When the text was last changed, in Unix milliseconds.
        edited_at: Option<u64>,
        /// The text is gone for good.
        deleted: bool,
    },
    /// The text of `target` was replaced.
    Edit {
        /// `seq` of the message.
        target: u64,
        /// `None` once it is no longer the message's present text.
        text: Option<Arc<str>>,
    },
    /// `target` was deleted.
    Delete {
        /// `seq` of the message.
        target: u64,
    },
    /// A reaction was given or withdrawn.
    React {
        /// `seq` of the message.
        target: u64,
        /// 1–32 bytes.
        emoji: Arc<str>,
        /// Given (`true`) or withdrawn.
        on: bool,
    },
    /// Somebody's membership changed.
    Member {
        /// In which way.
        change: MemberChange,
        /// Whose.
        who: Person,
        /// The role that `who` has from now on.
        role: Option<Arc<str>>,
        /// When the ban or mute ends, in Unix milliseconds.
        until: Option<u64>,
        /// Why, in the words of who did it.
        reason: Option<Arc<str>>,
    },
    /// The room itself changed.
    Room {
        /// Which property.
        change: RoomChange,
        /// Its value from now on.
        value: RoomValue,
    },
    /// A `kind`, or a `change` of one, that this build does not know. Clients keep its `seq` and ignore the rest; a node
    /// never has one.
    Unknown,
}

/// How a membership changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the wire's own words")]
pub enum MemberChange {
    Invited,
    Joined,
    Left,
    Removed,
    Role,
    Banned,
    Unbanned,
    Muted,
    Unmuted,
}

/// Which property of a room changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the wire's own words")]
pub enum RoomChange {
    Title,
    Topic,
    Visibility,
    Archived,
    SlowMode,
}

/// The value of a room's property: a text, a switch or a number of seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RoomValue {
    /// `archived`.
    Switch(bool),
    /// `slow_mode`, in seconds.
    Number(u64),
    /// `title`, `topic`, `visibility`.
    Text(Arc<str>),
}

impl Event {
    /// Bytes that the event holds in memory beyond its fixed size, about.
    pub fn payload_bytes(&self) -> usize {
        let body = match &self.body {
            EventBody::Message { text, .. } => text.len(),
            EventBody::Edit { text, .. } => text.as_ref().map_or(0, |t| t.len()),
            EventBody::React { emoji, .. } => emoji.len(),
            EventBody::Delete { .. } | EventBody::Unknown => 0,
            EventBody::Member { who, reason, .. } => {
                who.id.len() + who.name.len() + reason.as_ref().map_or(0, |r| r.len())
            }
            EventBody::Room {
                value: RoomValue::Text(text),
                ..
            } => text.len(),
            EventBody::Room { .. } => 8,
        };
        body + self.user.id.len() + self.user.name.len() + self.cid.as_ref().map_or(0, |c| c.len())
    }
}

impl EventBody {
    /// The `kind` on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Message { .. } => "message",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::React { .. } => "react",
            Self::Member { .. } => "member",
            Self::Room { .. } => "room",
            Self::Unknown => "unknown",
        }
    }
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $type {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The value that `word` names.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words!(MemberChange {
    Invited = "invited",
    Joined = "joined",
    Left = "left",
    Removed = "removed",
    Role = "role",
    Banned = "banned",
    Unbanned = "unbanned",
    Muted = "muted",
    Unmuted = "unmuted",
});

words!(RoomChange {
    Title = "title",
    Topic = "topic",
    Visibility = "visibility",
    Archived = "archived",
    SlowMode = "slow_mode",
});
