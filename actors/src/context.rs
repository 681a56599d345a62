//! What all actors of one node share.

use std::sync::Arc;

use protocol::Person;

use crate::{
    clock::StoreClock,
    heads::HeadReader,
    metrics::Metrics,
    persistence::Persistence,
    ports::{Bus, Store},
    settings::Settings,
};

/// What all actors of one node share.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) metrics: Metrics,
    pub(crate) persistence: Persistence,
    pub(crate) heads: HeadReader,
    pub(crate) clock: Arc<StoreClock>,
}

/// Somebody who has said who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Id and name.
    pub person: Person,
    /// Not signed up: comes back with a guest's token only.
    pub guest: bool,
}

impl User {
    /// The role that the user has in a public room.
    pub(crate) fn role(&self) -> &'static str {
        if self.guest { "guest" } else { "member" }
    }
}
