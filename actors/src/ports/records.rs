//! What the store keeps of rooms, and how it is asked for.

use std::sync::Arc;

use protocol::{Event, MemberChange, Person, RoomName, client::PageBound};

use super::{Append, Change};
use crate::rights::{Membership, Role, RoomRights, Visibility};

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

/// A room to be read with what a node needs to serve it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoomToLoad {
    /// Which.
    pub name: RoomName,
    /// Its newest events, too. A room in slow mode comes with them in any case: they say who has to wait.
    pub recent: bool,
}

impl RoomToLoad {
    /// Whether the room comes with its newest events.
    pub fn wants_events(&self, record: &RoomRecord) -> bool {
        record.head > 0 && (self.recent || record.rights.slow_mode_seconds > 0)
    }
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

impl LoadedRoom {
    /// A room without events and members.
    pub fn new(record: RoomRecord) -> Self {
        Self {
            record,
            recent: EventPage::default(),
            members: Vec::new(),
        }
    }
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

impl InviteLink {
    /// Whether somebody may become a member by it.
    pub fn is_usable(&self, now_ms: u64) -> bool {
        self.expires_at.is_none_or(|end| now_ms < end) && self.uses_left != Some(0)
    }
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
