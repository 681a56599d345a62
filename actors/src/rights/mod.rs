//! Who may do what in a room. Pure: what is known of the room, who asks, and the time are arguments.
//!
//! `docs/rights.md` says the same as a table, and the tests hold the two together.

mod roster;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use protocol::Person;

pub use roster::Roster;
pub use rules::{Operation, decide, refusal_text};

/// Until further notice: the end of a ban or mute that has none.
pub const NO_END: u64 = protocol::limits::MAX_SEQ;

/// Who can see a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Visibility {
    /// Everybody who is let in by the server.
    #[default]
    Public,
    /// Its members.
    Private,
    /// The two or more people whom it was made for.
    Direct,
}

/// What a member of a room is there. Later ones may do what earlier ones may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Takes part.
    Member,
    /// Keeps order.
    Moderator,
    /// Decides about the room.
    Owner,
}

/// What the store knows of somebody in a room. Who is in a public room without a role has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Who, with the name of when this was last changed.
    pub person: Person,
    /// The role, of members.
    pub role: Option<Role>,
    /// Was invited, and has not answered.
    pub invited: bool,
    /// Banned from the room up to then, in Unix milliseconds by the store's clock; [`NO_END`]: until further notice.
    pub banned_until: Option<u64>,
    /// Muted in the room up to then, in the same way.
    pub muted_until: Option<u64>,
}

/// What a room is like, as far as rights depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomRights {
    /// Who can see it.
    pub visibility: Visibility,
    /// Nothing is written any more.
    pub archived: bool,
    /// Shortest pause between two messages of one person, in seconds; 0: none.
    pub slow_mode_seconds: u64,
}

impl Visibility {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Public, Self::Private, Self::Direct];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Direct => "direct",
        }
    }

    /// The value that `word` names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == word)
    }
}

impl Role {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Member, Self::Moderator, Self::Owner];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Owner => "owner",
        }
    }

    /// The value that `word` names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == word)
    }
}

impl Membership {
    /// Somebody of whom nothing is known yet.
    pub fn new(person: Person) -> Self {
        Self {
            person,
            role: None,
            invited: false,
            banned_until: None,
            muted_until: None,
        }
    }

    /// Whether there is nothing to know.
    pub fn is_empty(&self) -> bool {
        self.role.is_none() && !self.invited && self.banned_until.is_none() && self.muted_until.is_none()
    }

    /// Whether a ban is in force.
    pub fn is_banned(&self, now_ms: u64) -> bool {
        self.banned_until.is_some_and(|until| now_ms < until)
    }

    /// Whether a mute is in force.
    pub fn is_muted(&self, now_ms: u64) -> bool {
        self.muted_until.is_some_and(|until| now_ms < until)
    }

    /// The id of the person.
    pub fn id(&self) -> &Arc<str> {
        &self.person.id
    }
}
