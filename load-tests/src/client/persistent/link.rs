//! A connection that was welcomed.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use protocol::RoomName;
use tokio::time::Instant;

use crate::client::Client;

/// A connection, and what was asked on it.
pub(super) struct Link {
    pub(super) client: Client,
    /// From 1, over the client's life.
    pub(super) number: u32,
    pub(super) target: Arc<str>,
    /// Who serves it.
    pub(super) node: Arc<str>,
    pub(super) asked: HashMap<u32, Asked>,
    pub(super) open: HashSet<RoomName>,
    /// When the last frame came.
    pub(super) heard: Instant,
    /// Since when a sign of life is asked for that has not come.
    pub(super) pinged: Option<Instant>,
    /// By then it is dropped, when it was replaced or the client ends.
    pub(super) until: Option<Instant>,
}

/// What was asked.
pub(super) enum Asked {
    /// From there, and when it was due.
    Join(RoomName, protocol::JoinFrom, Instant),
    Leave(RoomName),
    Write(RoomName, Arc<str>),
    /// Typing, or a read marker: nobody waits for the answer.
    Note,
    Ping,
}

impl Link {
    pub(super) fn new(client: Client, number: u32, target: Arc<str>, node: Arc<str>) -> Self {
        Self {
            client,
            number,
            target,
            node,
            asked: HashMap::new(),
            open: HashSet::new(),
            heard: Instant::now(),
            pinged: None,
            until: None,
        }
    }

    /// Ends the connection as a network does that fails.
    pub(super) fn reset(mut self) {
        let _ = socket2::SockRef::from(&*self.client.socket()).set_linger(Some(std::time::Duration::ZERO));
    }
}
