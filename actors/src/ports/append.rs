//! What is written to a room's log, and what becomes of it.

use std::sync::Arc;

use protocol::{Event, EventBody, MemberChange, Person, RoomChange, RoomName, event::RoomValue};

use super::NewAudit;

/// Something to be written to a room's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The room; it must exist.
    pub room: RoomName,
    /// Who writes.
    pub author: Person,
    /// Makes a repetition safe: unique per room and author. `None` for what no command asked for.
    pub cid: Option<Arc<str>>,
    /// What is written.
    pub change: Change,
}

/// The content of an [`Append`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of protocol::EventBody")]
pub enum Change {
    /// `reply_to` must be a message of the room, deleted or not, else [`Refusal::NotFound`].
    Message { text: Arc<str>, reply_to: Option<u64> },
    /// `target` must be a message of the room that is not deleted, else [`Refusal::NotFound`], and its author must be
    /// the one who writes, else [`Refusal::Forbidden`]. Replaces the message's text; earlier `edit` events of the same
    /// target lose theirs.
    Edit { target: u64, text: Arc<str> },
    /// `target` must be a message of the room, else [`Refusal::NotFound`]. One that is deleted already is
    /// [`Outcome::Known`] with the `seq` of the first `delete`. Unless `any_author`, only the author may. The text
    /// leaves the store, of the message and of its `edit` events.
    Delete { target: u64, any_author: bool },
    /// `target` must be a message of the room that is not deleted, else [`Refusal::NotFound`]. What is so already is
    /// [`Outcome::Known`] with the `seq` that made it so, and the `cid` is not kept; withdrawing what never was is
    /// [`Refusal::NotFound`].
    React { target: u64, emoji: Arc<str>, on: bool },
    /// Recorded as it is; what the store keeps of `who` in the room follows, as [`Roster::apply`](crate::rights::Roster)
    /// says. Also goes into the audit. [`Refusal::Conflict`] where the room's only owner would be none any more while
    /// others have a role.
    Member {
        change: MemberChange,
        who: Person,
        role: Option<Arc<str>>,
        until: Option<u64>,
        reason: Option<Arc<str>>,
    },
    /// Recorded as it is; the [`RoomRecord`](super::RoomRecord) follows. Also goes into the audit.
    Room { change: RoomChange, value: RoomValue },
}

/// What became of one [`Append`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Committed as a new event.
    Written {
        /// Its place in the room.
        seq: u64,
        /// Unix milliseconds by the store's clock, not below the room's last.
        at: u64,
    },
    /// It was there already: `seq` and `at` of the first one; nothing was written.
    Known {
        /// Place of the first one.
        seq: u64,
        /// Time of the first one.
        at: u64,
    },
    /// Nothing was written.
    Refused(Refusal),
}

/// Why nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The target is no message of this room, or is deleted; there is no such reaction; or the room does not exist.
    NotFound,
    /// The target is somebody else's.
    Forbidden,
    /// A room with other members would lose its last owner.
    Conflict,
}

impl Append {
    /// The event that this became.
    pub fn to_event(&self, seq: u64, at: u64) -> Event {
        let body = match &self.change {
            Change::Message { text, reply_to } => EventBody::Message {
                text: Arc::clone(text),
                reply_to: *reply_to,
                edited_at: None,
                deleted: false,
            },
            Change::Edit { target, text } => EventBody::Edit {
                target: *target,
                text: Some(Arc::clone(text)),
            },
            Change::Delete { target, .. } => EventBody::Delete { target: *target },
            Change::React { target, emoji, on } => EventBody::React {
                target: *target,
                emoji: Arc::clone(emoji),
                on: *on,
            },
            Change::Member {
                change,
                who,
                role,
                until,
                reason,
            } => EventBody::Member {
                change: *change,
                who: who.clone(),
                role: role.clone(),
                until: *until,
                reason: reason.clone(),
            },
            Change::Room { change, value } => EventBody::Room {
                change: *change,
                value: value.clone(),
            },
        };
        Event {
            seq,
            user: self.author.clone(),
            at,
            cid: self.cid.clone(),
            body,
        }
    }

    /// What the record of changes of rights says of this; `None` for what changes none.
    pub fn audit(&self) -> Option<NewAudit> {
        let (action, target, details) = match &self.change {
            Change::Member {
                change,
                who,
                role,
                until,
                reason,
            } => {
                let details = serde_json::json!({
                    "name": &*who.name, "role": role.as_deref(), "until": until, "reason": reason.as_deref(),
                });
                (member_action(*change), Arc::clone(&who.id), details)
            }
            Change::Room { change, value } => {
                let room = self.room.as_str().into();
                (room_action(*change), room, serde_json::json!({ "value": value }))
            }
            _ => return None,
        };
        Some(NewAudit {
            actor: self.author.clone(),
            action,
            target,
            room: Some(self.room.as_str().into()),
            details: details.to_string(),
        })
    }

    /// Bytes that the entry holds in memory and on the way to the store, about.
    pub fn cost_bytes(&self) -> usize {
        let body = match &self.change {
            Change::Message { text, .. } | Change::Edit { text, .. } => text.len(),
            Change::React { emoji, .. } => emoji.len(),
            Change::Member { reason, .. } => reason.as_ref().map_or(0, |r| r.len()),
            Change::Delete { .. } | Change::Room { .. } => 0,
        };
        std::mem::size_of::<Self>() + body + self.author.name.len() + self.cid.as_ref().map_or(0, |c| c.len())
    }
}

fn member_action(change: MemberChange) -> &'static str {
    match change {
        MemberChange::Invited => "member.invited",
        MemberChange::Joined => "member.joined",
        MemberChange::Left => "member.left",
        MemberChange::Removed => "member.removed",
        MemberChange::Role => "member.role",
        MemberChange::Banned => "member.banned",
        MemberChange::Unbanned => "member.unbanned",
        MemberChange::Muted => "member.muted",
        MemberChange::Unmuted => "member.unmuted",
    }
}

fn room_action(change: RoomChange) -> &'static str {
    match change {
        RoomChange::Title => "room.title",
        RoomChange::Topic => "room.topic",
        RoomChange::Visibility => "room.visibility",
        RoomChange::Archived => "room.archived",
        RoomChange::SlowMode => "room.slow_mode",
    }
}
