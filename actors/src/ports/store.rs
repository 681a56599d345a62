//! The log: durable, and the one place where a room's order is decided.

use std::sync::Arc;

use async_trait::async_trait;
use protocol::{
    Event, EventBody, MemberChange, Person, RoomChange, RoomName, client::PageBound, event::RoomValue,
};

use super::NewAudit;
use crate::rights::{Membership, Role, RoomRights, Visibility};

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
    /// Recorded as it is; the [`RoomRecord`] follows. Also goes into the audit.
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

/// A room as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRecord {
    /// Its name, which never changes.
    pub name: RoomName,
    /// For people.
    pub title: Arc<str>,
    /// What it is about; may be empty.
    pub topic: Arc<str>,
    /// Who can see it, and more that rights depend on.
    pub rights: RoomRights,
    /// The last committed `seq`; 0: none.
    pub head: u64,
    /// When it was made, in Unix milliseconds by the store's clock.
    pub created_at: u64,
}

/// A room to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRoom {
    /// Its name.
    pub name: RoomName,
    /// For people.
    pub title: Arc<str>,
    /// Who can see it.
    pub visibility: Visibility,
    /// Who has a role in it from the start: the room's first events say that each `joined`, by the first of them.
    pub members: Vec<(Person, Role)>,
}

/// Which rooms to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomQuery {
    /// Public rooms, and those that this person has a role in or is invited to. `None`: all but direct ones.
    pub seen_by: Option<Arc<str>>,
    /// Only rooms whose [`search_text`] contains this, both in lower case.
    pub search: Option<Arc<str>>,
    /// Only rooms behind this name.
    pub after: Option<RoomName>,
    /// At most so many.
    pub limit: u64,
}

/// What a room is found by: its name and its title, in lower case as Unicode has it. Databases differ in which letters
/// they know, so stores keep this text instead of asking theirs.
pub fn search_text(name: &RoomName, title: &str) -> String {
    format!("{name}\n{title}").to_lowercase()
}

/// A link by which people become members of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteLink {
    /// Names the link, and lets nobody in.
    pub id: Arc<str>,
    /// The room.
    pub room: RoomName,
    /// SHA-256 of the secret in the link.
    pub secret_hash: [u8; 32],
    /// Who made it.
    pub by: Person,
    /// When it was made, in Unix milliseconds.
    pub created_at: u64,
    /// When it ends, in Unix milliseconds.
    pub expires_at: Option<u64>,
    /// How many may still use it.
    pub uses_left: Option<u64>,
}

/// Which events to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Bound (exclusive) and direction.
    pub bound: PageBound,
    /// At most so many events; at least 1.
    pub limit: u64,
    /// The page ends before the event whose [`Event::payload_bytes`] would exceed this sum; the first event is always
    /// in it. Counted from the bound: a page that reads backwards keeps the newest.
    pub max_bytes: usize,
}

/// Events in ascending order of `seq`, without a hole, in their present state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// There are further events in the direction of reading (for [`PageBound::Newest`]: backwards).
    pub more: bool,
}

/// A room to be read with what a node needs to serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomToLoad {
    /// Which.
    pub name: RoomName,
    /// Its newest events, too. A room in slow mode comes with them in any case: they say who has to wait.
    pub recent: bool,
}

/// A room with what a node needs to serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedRoom {
    /// Read first.
    pub record: RoomRecord,
    /// The newest events, if they were asked for. Read after the record: what was committed meanwhile may be in it.
    pub recent: EventPage,
    /// Everybody of whom something is known in the room, in the order of their ids. Read last.
    pub members: Vec<Membership>,
}

/// How far somebody has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadMark {
    /// Where.
    pub room: RoomName,
    /// Who: a person's id.
    pub user: Arc<str>,
    /// The last `seq` read.
    pub seq: u64,
}

/// A sign of life from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStatus {
    /// Its clock, in Unix milliseconds.
    pub now_ms: u64,
    /// This history of the store: changes when an operator restores a backup. At most 64 bytes.
    pub epoch: Arc<str>,
}

/// The store could not do what was asked. The text is for the log; clients never see it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Not reachable, shutting down, or it refuses our credentials. An append may or may not have been committed.
    #[error("the store cannot be reached: {0}")]
    Down(String),
    /// No answer in time. An append may or may not have been committed.
    #[error("the store did not answer in time: {0}")]
    Timeout(String),
    /// The disk is full, or the store is read-only. Nothing was written.
    #[error("the store cannot write: {0}")]
    Full(String),
    /// A constraint of the schema was violated: a fault of this program.
    #[error("the store refused the data: {0}")]
    Constraint(String),
    /// Anything else.
    #[error("the store failed: {0}")]
    Internal(String),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing the program.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Down(_) | Self::Timeout(_) | Self::Full(_))
    }
}

/// The log of all rooms.
///
/// Every method may be called concurrently. Dropping a returned future (cancelling it) leaves the store consistent; an
/// append that is cancelled may or may not have been committed, and is safe to repeat with the same `cid`s.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Commits a batch in one transaction and one round trip, and returns one [`Outcome`] for each entry, in order.
    ///
    /// Rooms are locked in the order of their names; within a room the batch's order decides. `seq` continues at the
    /// room's head without a hole, whatever other nodes append at the same time. A (`room`, `author`, `cid`) that is
    /// stored already, or stands earlier in the batch, is [`Outcome::Known`], whatever else the entry says.
    ///
    /// # Errors
    /// Then nothing of the batch was committed, or (on [`StoreError::Down`] and [`StoreError::Timeout`]) all of it may
    /// have been.
    async fn append(&self, batch: &[Append]) -> Result<Vec<Outcome>, StoreError>;

    /// The room of that name.
    async fn room(&self, name: &RoomName) -> Result<Option<RoomRecord>, StoreError>;

    /// Makes the room, or returns the one that is there already, unchanged; and whether it was made. Safe when several
    /// nodes do it at once.
    async fn create_room(&self, room: &NewRoom) -> Result<(RoomRecord, bool), StoreError>;

    /// Rooms in the order of their names.
    async fn rooms(&self, query: &RoomQuery) -> Result<Vec<RoomRecord>, StoreError>;

    /// Everybody of whom something is known in the room, in the order of their ids.
    async fn members(&self, room: &RoomName) -> Result<Vec<Membership>, StoreError>;

    /// Keeps an invite link. Its room must exist.
    async fn add_invite(&self, link: &InviteLink) -> Result<(), StoreError>;

    /// A room's invite links, the newest first, those that ended included.
    async fn invites(&self, room: &RoomName) -> Result<Vec<InviteLink>, StoreError>;

    /// The link with that secret if it can be used at `now_ms`.
    async fn invite(&self, secret_hash: &[u8; 32], now_ms: u64) -> Result<Option<InviteLink>, StoreError>;

    /// Counts one use of a link, in one step with the check that it can be used at `now_ms`. Returns whether it could.
    async fn use_invite(&self, id: &str, now_ms: u64) -> Result<bool, StoreError>;

    /// Takes back one [`Self::use_invite`] that let nobody in. Does nothing where the link is gone.
    async fn return_invite(&self, id: &str) -> Result<(), StoreError>;

    /// Ends an invite link of the room. Returns whether there was one.
    async fn remove_invite(&self, room: &RoomName, id: &str) -> Result<bool, StoreError>;

    /// The heads of many rooms in one query, in the order asked for; 0 where there is no event or no room.
    async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<u64>, StoreError>;

    /// A page of a room's events; empty where the room does not exist.
    async fn page(&self, room: &RoomName, request: PageRequest) -> Result<EventPage, StoreError>;

    /// Many rooms with their members and newest events, in the order asked for, in as many statements as it takes for one;
    /// `None` where there is no room. `recent` is what to read of each room's events; its bound is
    /// [`PageBound::Newest`]. What is held meanwhile is about what is returned, for which the caller bounds the rooms.
    async fn load_rooms(
        &self,
        rooms: &[RoomToLoad],
        recent: PageRequest,
    ) -> Result<Vec<Option<LoadedRoom>>, StoreError>;

    /// Who wrote in the room with a `cid` under that id, with the name of their last such event.
    async fn author(&self, room: &RoomName, id: &str) -> Result<Option<Person>, StoreError>;

    /// Moves read markers forward; one that is further already stays. Rooms that do not exist are skipped.
    async fn mark_read(&self, marks: &[ReadMark]) -> Result<(), StoreError>;

    /// The read marker of a person in a room.
    async fn read_mark(&self, room: &RoomName, user: &str) -> Result<Option<u64>, StoreError>;

    /// A 32-byte key of that name that all nodes on this store share; made at random when first asked for.
    async fn shared_key(&self, name: &str) -> Result<[u8; 32], StoreError>;

    /// A sign of life; the cheapest query there is.
    async fn status(&self) -> Result<StoreStatus, StoreError>;

    /// Begins a new history: gives the store another `epoch` and returns it. For an operator who restored a backup.
    async fn new_epoch(&self) -> Result<Arc<str>, StoreError>;

    /// Ends the use of the store, once the calls under way have ended: what lies beside its files is put into them. Later
    /// calls fail.
    async fn close(&self);
}

impl RoomToLoad {
    /// Whether the room comes with its newest events.
    pub fn wants_events(&self, record: &RoomRecord) -> bool {
        record.head > 0 && (self.recent || record.rights.slow_mode_seconds > 0)
    }
}

impl EventPage {
    /// Cuts the page that `request` asks for out of `found`: the room's events from the bound on in the direction of
    /// reading, not fewer than one more than the page has, where there are so many.
    pub fn cut(found: impl IntoIterator<Item = Event>, request: PageRequest) -> Self {
        let mut page = Self::default();
        let mut bytes = 0_usize;
        for event in found {
            bytes = bytes.saturating_add(event.payload_bytes());
            let full = page.events.len() as u64 >= request.limit || bytes > request.max_bytes;
            if full && !page.events.is_empty() {
                page.more = true;
                break;
            }
            page.events.push(event);
        }
        if !matches!(request.bound, PageBound::After(_)) {
            page.events.reverse();
        }
        page
    }
}

impl NewRoom {
    /// A public room titled with its name, without members.
    pub fn public(name: RoomName) -> Self {
        Self {
            title: name.as_str().into(),
            name,
            visibility: Visibility::Public,
            members: Vec::new(),
        }
    }

    /// What the room's log begins with.
    pub fn first_entries(&self) -> Vec<Append> {
        let by = self.members.first().map(|(person, _)| person);
        let joined = |author: &Person, (who, role): &(Person, Role)| Append {
            room: self.name.clone(),
            author: author.clone(),
            cid: None,
            change: Change::Member {
                change: MemberChange::Joined,
                who: who.clone(),
                role: Some(role.as_str().into()),
                until: None,
                reason: None,
            },
        };
        by.map(|by| self.members.iter().map(|member| joined(by, member)).collect())
            .unwrap_or_default()
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

impl InviteLink {
    /// Whether somebody may become a member by it.
    pub fn is_usable(&self, now_ms: u64) -> bool {
        self.expires_at.is_none_or(|end| now_ms < end) && self.uses_left != Some(0)
    }
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
