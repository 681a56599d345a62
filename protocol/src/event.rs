//! Events: what a room's log consists of.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
}

/// How a membership changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
            EventBody::Delete { .. } => 0,
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

/// An event as it lies on the wire: one flat map. Serde's own `flatten` would buffer every value on the hot path.
#[derive(Serialize, Deserialize)]
struct FlatEvent<'a> {
    seq: u64,
    kind: Cow<'a, str>,
    user: Cow<'a, Person>,
    at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cid: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<Cow<'a, Person>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<RoomValue>,
}

impl<'a> FlatEvent<'a> {
    fn new(event: &'a Event) -> Self {
        let mut flat = Self {
            seq: event.seq,
            kind: Cow::Borrowed(event.body.kind()),
            user: Cow::Borrowed(&event.user),
            at: event.at,
            cid: event.cid.clone(),
            target: None,
            text: None,
            reply_to: None,
            edited_at: None,
            deleted: None,
            emoji: None,
            on: None,
            change: None,
            who: None,
            role: None,
            until: None,
            reason: None,
            value: None,
        };
        match &event.body {
            EventBody::Message {
                text,
                reply_to,
                edited_at,
                deleted,
            } => {
                flat.text = Some(Arc::clone(text));
                flat.reply_to = *reply_to;
                flat.edited_at = *edited_at;
                flat.deleted = deleted.then_some(true);
            }
            EventBody::Edit { target, text } => {
                flat.target = Some(*target);
                flat.text.clone_from(text);
            }
            EventBody::Delete { target } => flat.target = Some(*target),
            EventBody::React { target, emoji, on } => {
                flat.target = Some(*target);
                flat.emoji = Some(Arc::clone(emoji));
                flat.on = Some(*on);
            }
            EventBody::Member {
                change,
                who,
                role,
                until,
                reason,
            } => {
                flat.change = Some(Cow::Borrowed(change.as_str()));
                flat.who = Some(Cow::Borrowed(who));
                flat.role.clone_from(role);
                flat.until = *until;
                flat.reason.clone_from(reason);
            }
            EventBody::Room { change, value } => {
                flat.change = Some(Cow::Borrowed(change.as_str()));
                flat.value = Some(value.clone());
            }
        }
        flat
    }

    fn into_event(self) -> Result<Event, String> {
        fn need<T>(value: Option<T>, name: &str) -> Result<T, String> {
            value.ok_or_else(|| format!("an event lacks `{name}`"))
        }
        let body = match self.kind.as_ref() {
            "message" => EventBody::Message {
                text: need(self.text, "text")?,
                reply_to: self.reply_to,
                edited_at: self.edited_at,
                deleted: self.deleted.unwrap_or(false),
            },
            "edit" => EventBody::Edit {
                target: need(self.target, "target")?,
                text: self.text,
            },
            "delete" => EventBody::Delete {
                target: need(self.target, "target")?,
            },
            "react" => EventBody::React {
                target: need(self.target, "target")?,
                emoji: need(self.emoji, "emoji")?,
                on: need(self.on, "on")?,
            },
            "member" => EventBody::Member {
                change: need(self.change.as_deref().and_then(MemberChange::parse), "change")?,
                who: need(self.who, "who")?.into_owned(),
                role: self.role,
                until: self.until,
                reason: self.reason,
            },
            "room" => EventBody::Room {
                change: need(self.change.as_deref().and_then(RoomChange::parse), "change")?,
                value: need(self.value, "value")?,
            },
            other => return Err(format!("unknown event kind `{other}`")),
        };
        Ok(Event {
            seq: self.seq,
            user: self.user.into_owned(),
            at: self.at,
            cid: self.cid,
            body,
        })
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        FlatEvent::new(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        FlatEvent::deserialize(deserializer)?
            .into_event()
            .map_err(serde::de::Error::custom)
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
