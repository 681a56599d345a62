//! How a client is, for whoever drives it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
};

use protocol::RoomName;

/// How a client is at this moment.
#[derive(Debug, Default)]
pub struct Status {
    unanswered: AtomicUsize,
    connections: AtomicU32,
    acked: AtomicU64,
    delivered: AtomicU64,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    node: Option<Arc<str>>,
    token: Option<Arc<str>>,
    trouble: Option<Arc<str>>,
    positions: HashMap<RoomName, u64>,
}

impl Status {
    /// The node that serves it; `None` while it is not connected.
    pub fn node(&self) -> Option<Arc<str>> {
        self.now().node.clone()
    }

    /// Its credential, once it has one: as good over HTTP.
    pub fn token(&self) -> Option<Arc<str>> {
        self.now().token.clone()
    }

    /// Why it could not get in the last time: a connection, or a room.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.now().trouble.clone()
    }

    /// The last event that it has of a room; `None` if the room was not opened yet.
    pub fn position(&self, room: &RoomName) -> Option<u64> {
        self.now().positions.get(room).copied()
    }

    /// Things that are to be written and have no final answer yet.
    pub fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Connections that were welcomed so far.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Things that were written and answered with `ok`.
    pub fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// Events that were shown for the first time.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    pub(super) fn add_unanswered(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, acked: bool) {
        self.unanswered.fetch_sub(1, Ordering::Relaxed);
        self.acked.fetch_add(u64::from(acked), Ordering::Relaxed);
    }

    pub(super) fn connected(&self, node: Option<Arc<str>>) {
        self.connections
            .fetch_add(u32::from(node.is_some()), Ordering::Relaxed);
        self.now().node = node;
    }

    pub(super) fn signed_in(&self, token: Option<&str>) {
        let mut now = self.now();
        if now.token.as_deref() != token {
            now.token = token.map(Arc::from);
        }
    }

    pub(super) fn kept_out(&self, why: &str) {
        self.now().trouble = Some(why.into());
    }

    pub(super) fn opened(&self, room: &RoomName, position: u64) {
        self.now().positions.insert(room.clone(), position);
    }

    pub(super) fn moved(&self, room: &RoomName, position: u64, events: u64) {
        self.delivered.fetch_add(events, Ordering::Relaxed);
        if let Some(known) = self.now().positions.get_mut(room) {
            *known = position;
        }
    }

    pub(super) fn left(&self, room: &RoomName) {
        self.now().positions.remove(room);
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
