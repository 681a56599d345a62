//! What all actors of one node share.

use std::{collections::BTreeMap, sync::Arc};

use protocol::{Person, RoomName};
use tokio::runtime::Handle;

use crate::{
    clock::StoreClock,
    heads::HeadReader,
    lag::Lag,
    loader::Loader,
    metrics::Metrics,
    persistence::Persistence,
    ports::{Bus, Store},
    rights::Role,
    settings::Settings,
};

/// What all actors of one node share.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    /// Where tasks run that wait for the store or the bus.
    pub(crate) io: Handle,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) metrics: Metrics,
    pub(crate) persistence: Persistence,
    pub(crate) heads: HeadReader,
    pub(crate) loader: Loader,
    pub(crate) lag: Lag,
    pub(crate) clock: Arc<StoreClock>,
}

/// Somebody who has said who they are, and what their credential lets them do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Id and name.
    pub person: Person,
    /// What they are to the whole server; what they are in a room is another matter.
    pub standing: Standing,
    /// What their credential is good for.
    pub scopes: Scopes,
    /// Which credential it is: ending it ends the connections that were opened with it.
    pub credential: Credential,
    /// Roles in rooms that the credential itself gives, where the store gives none or a lower one.
    pub roles: Arc<BTreeMap<RoomName, Role>>,
}

/// What somebody is to the whole server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not signed up: comes back with a guest's token only.
    Guest,
    /// Has an account, here or in the application that vouches for them, or is a bot.
    Registered,
    /// Runs the server.
    Administrator,
}

/// What a credential is good for, within what its holder may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scopes {
    /// Reading rooms, their history and who is there.
    pub read: bool,
    /// Writing messages, edits, deletions of one's own, reactions, read markers.
    pub write: bool,
    /// Changing rooms, memberships and other people's messages.
    pub moderate: bool,
    /// What only administrators may, and one's own account.
    pub manage: bool,
}

impl Scopes {
    /// All of them: what a person's own credential has.
    pub const ALL: Self = Self {
        read: true,
        write: true,
        moderate: true,
        manage: true,
    };

    /// None of them.
    pub const NONE: Self = Self {
        read: false,
        write: false,
        moderate: false,
        manage: false,
    };

    /// The scope of that name, alone.
    pub fn parse(name: &str) -> Option<Self> {
        let mut scopes = Self::NONE;
        *match name {
            "read" => &mut scopes.read,
            "write" => &mut scopes.write,
            "moderate" => &mut scopes.moderate,
            "manage" => &mut scopes.manage,
            _ => return None,
        } = true;
        Some(scopes)
    }

    /// What either of them is good for.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            read: self.read || other.read,
            write: self.write || other.write,
            moderate: self.moderate || other.moderate,
            manage: self.manage || other.manage,
        }
    }

    /// Their names.
    pub fn names(self) -> Vec<&'static str> {
        let named = [
            ("read", self.read),
            ("write", self.write),
            ("moderate", self.moderate),
            ("manage", self.manage),
        ];
        named
            .into_iter()
            .filter(|(_, has)| *has)
            .map(|(name, _)| name)
            .collect()
    }
}

/// A credential, as far as it can be taken back or runs out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credential {
    /// The id of the session or API key; none for tokens that are not kept in the store.
    pub id: Option<Arc<str>>,
    /// When it ends by itself, in Unix milliseconds by the store's clock.
    pub expires_at: Option<u64>,
}

impl User {
    /// A guest.
    pub fn guest(person: Person) -> Self {
        Self {
            person,
            standing: Standing::Guest,
            scopes: Scopes::ALL,
            credential: Credential::default(),
            roles: Arc::default(),
        }
    }

    /// Whether this is a guest.
    pub fn is_guest(&self) -> bool {
        self.standing == Standing::Guest
    }
}
