//! Rows of both databases, and what they mean.

use std::sync::Arc;

use actors::{
    ports::{Append, Change, EventPage, InviteLink, PageRequest, RoomRecord, StoreError, search_text},
    rights::{Membership, Role, RoomRights, Visibility},
};
use protocol::{
    Event, EventBody, MemberChange, Person, RoomChange, RoomName, client::PageBound, event::RoomValue,
};
use serde::{Deserialize, Serialize};

/// A row of `events`.
#[derive(sqlx::FromRow)]
pub(super) struct EventRow {
    seq: i64,
    author: String,
    author_name: String,
    cid: Option<String>,
    at: i64,
    kind: String,
    text: Option<String>,
    reply_to: Option<i64>,
    edited_at: Option<i64>,
    deleted_by: Option<i64>,
    target: Option<i64>,
    emoji: Option<String>,
    given: Option<bool>,
    details: Option<String>,
}

/// A row of `rooms`.
#[derive(sqlx::FromRow)]
pub(super) struct RoomRow {
    name: String,
    title: String,
    topic: String,
    visibility: String,
    archived: bool,
    slow_mode: i64,
    head: i64,
    created_at: i64,
}

/// A row of `members`.
#[derive(sqlx::FromRow)]
pub(super) struct MemberRow {
    user_id: String,
    name: String,
    role: Option<String>,
    invited: bool,
    banned_until: Option<i64>,
    muted_until: Option<i64>,
}

/// A row of `invites`.
#[derive(sqlx::FromRow)]
pub(super) struct InviteRow {
    id: String,
    room: String,
    secret_hash: Vec<u8>,
    author: String,
    author_name: String,
    created_at: i64,
    expires_at: Option<i64>,
    uses_left: Option<i64>,
}

/// The fields of `member` and `room` events.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Details {
    Member {
        change: String,
        who: Person,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<Arc<str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Arc<str>>,
    },
    Room {
        change: String,
        value: RoomValue,
        /// Of a new title: what the room is found by from then on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        search: Option<String>,
    },
}

/// The columns of an entry that is to be written.
#[derive(Default)]
pub(super) struct NewEvent {
    pub(super) kind: &'static str,
    pub(super) text: Option<String>,
    /// Of a message what it replies to.
    pub(super) target: Option<i64>,
    pub(super) emoji: Option<String>,
    /// React: given; delete: any author's.
    pub(super) flag: Option<bool>,
    pub(super) details: Option<String>,
}

impl NewEvent {
    /// # Errors
    /// When details cannot be written as JSON, which no type of the protocol brings about.
    pub(super) fn new(append: &Append) -> Result<Self, StoreError> {
        Ok(match &append.change {
            Change::Message { text, reply_to } => Self {
                kind: "message",
                text: Some(text.to_string()),
                target: reply_to.map(signed),
                ..Self::default()
            },
            Change::Edit { target, text } => Self {
                kind: "edit",
                text: Some(text.to_string()),
                target: Some(signed(*target)),
                ..Self::default()
            },
            Change::Delete { target, any_author } => Self {
                kind: "delete",
                target: Some(signed(*target)),
                flag: Some(*any_author),
                ..Self::default()
            },
            Change::React { target, emoji, on } => Self {
                kind: "react",
                target: Some(signed(*target)),
                emoji: Some(emoji.to_string()),
                flag: Some(*on),
                ..Self::default()
            },
            Change::Member {
                change,
                who,
                role,
                until,
                reason,
            } => {
                let details = Details::Member {
                    change: change.as_str().to_owned(),
                    who: who.clone(),
                    role: role.clone(),
                    until: *until,
                    reason: reason.clone(),
                };
                Self {
                    kind: "member",
                    details: Some(json(&details)?),
                    ..Self::default()
                }
            }
            Change::Room { change, value } => {
                let search = match (change, value) {
                    (RoomChange::Title, RoomValue::Text(title)) => Some(search_text(&append.room, title)),
                    _ => None,
                };
                let details = Details::Room {
                    change: change.as_str().to_owned(),
                    value: value.clone(),
                    search,
                };
                Self {
                    kind: "room",
                    details: Some(json(&details)?),
                    ..Self::default()
                }
            }
        })
    }
}

impl TryFrom<EventRow> for Event {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let seq = unsigned(row.seq);
        let incomplete = |column: &str| StoreError::Internal(format!("event {seq} lacks `{column}`"));
        let target = || row.target.map(unsigned).ok_or_else(|| incomplete("target"));
        let body = match row.kind.as_str() {
            "message" => EventBody::Message {
                text: row.text.unwrap_or_default().into(),
                reply_to: row.reply_to.map(unsigned),
                edited_at: row.edited_at.map(unsigned),
                deleted: row.deleted_by.is_some(),
            },
            "edit" => EventBody::Edit {
                target: target()?,
                text: row.text.map(Into::into),
            },
            "delete" => EventBody::Delete { target: target()? },
            "react" => EventBody::React {
                target: target()?,
                emoji: row.emoji.ok_or_else(|| incomplete("emoji"))?.into(),
                on: row.given.ok_or_else(|| incomplete("given"))?,
            },
            _ => {
                let details = row.details.as_deref().ok_or_else(|| incomplete("details"))?;
                let details = serde_json::from_str(details)
                    .map_err(|error| StoreError::Internal(format!("event {seq}: details: {error}")))?;
                match details {
                    Details::Member {
                        change,
                        who,
                        role,
                        until,
                        reason,
                    } => {
                        let change = MemberChange::parse(&change).ok_or_else(|| incomplete("change"))?;
                        EventBody::Member {
                            change,
                            who,
                            role,
                            until,
                            reason,
                        }
                    }
                    Details::Room { change, value, .. } => {
                        let change = RoomChange::parse(&change).ok_or_else(|| incomplete("change"))?;
                        EventBody::Room { change, value }
                    }
                }
            }
        };
        let user = Person {
            id: row.author.into(),
            name: row.author_name.into(),
        };
        Ok(Self {
            seq,
            user,
            at: unsigned(row.at),
            cid: row.cid.map(Into::into),
            body,
        })
    }
}

impl RoomRow {
    /// What rights depend on. A word that this build does not know hides the room.
    pub(super) fn rights(&self) -> RoomRights {
        RoomRights {
            visibility: Visibility::parse(&self.visibility).unwrap_or(Visibility::Direct),
            archived: self.archived,
            slow_mode_seconds: unsigned(self.slow_mode),
        }
    }
}

impl From<MemberRow> for Membership {
    fn from(row: MemberRow) -> Self {
        let person = Person {
            id: row.user_id.into(),
            name: row.name.into(),
        };
        Self {
            person,
            role: row.role.as_deref().and_then(Role::parse),
            invited: row.invited,
            banned_until: row.banned_until.map(unsigned),
            muted_until: row.muted_until.map(unsigned),
        }
    }
}

impl TryFrom<InviteRow> for InviteLink {
    type Error = StoreError;

    fn try_from(row: InviteRow) -> Result<Self, StoreError> {
        let incomplete = |what: &str| StoreError::Internal(format!("invite {}: {what}", row.id));
        Ok(Self {
            room: RoomName::new(&row.room).map_err(|error| incomplete(&error.to_string()))?,
            secret_hash: row
                .secret_hash
                .as_slice()
                .try_into()
                .map_err(|_| incomplete("the hash has not 32 bytes"))?,
            id: row.id.into(),
            by: Person {
                id: row.author.into(),
                name: row.author_name.into(),
            },
            created_at: unsigned(row.created_at),
            expires_at: row.expires_at.map(unsigned),
            uses_left: row.uses_left.map(unsigned),
        })
    }
}

impl TryFrom<RoomRow> for RoomRecord {
    type Error = StoreError;

    fn try_from(row: RoomRow) -> Result<Self, StoreError> {
        let name = RoomName::new(&row.name).map_err(|error| StoreError::Internal(error.to_string()))?;
        let rights = row.rights();
        Ok(Self {
            name,
            rights,
            title: row.title.into(),
            topic: row.topic.into(),
            head: unsigned(row.head),
            created_at: unsigned(row.created_at),
        })
    }
}

/// How many rows to read for a page: one more tells whether there is more.
pub(super) fn rows_to_read(request: &PageRequest) -> i64 {
    signed(request.limit.saturating_add(1))
}

/// Makes a page of rows in the order of reading.
pub(super) fn page(rows: Vec<EventRow>, request: &PageRequest) -> Result<EventPage, StoreError> {
    let found = rows.len();
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let mut events = Vec::with_capacity(found.min(limit));
    let mut bytes = 0;
    for row in rows.into_iter().take(limit) {
        let event = Event::try_from(row)?;
        bytes += event.payload_bytes();
        if !events.is_empty() && bytes > request.max_bytes {
            break;
        }
        events.push(event);
    }
    let more = events.len() < found;
    if !matches!(request.bound, PageBound::After(_)) {
        events.reverse();
    }
    Ok(EventPage { events, more })
}

fn json(details: &Details) -> Result<String, StoreError> {
    serde_json::to_string(details).map_err(|error| StoreError::Internal(error.to_string()))
}

/// `seq` and times are at most 2⁵³−1, so both databases' integers hold them.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
