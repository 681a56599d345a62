//! One of the people.

use std::sync::{Mutex, PoisonError};

use protocol::RoomName;
use tokio::time::{Duration, Instant};

use crate::client::persistent::{Order, Persistent};

/// A client and where it is.
#[derive(Debug)]
pub(super) struct Member {
    /// Over all players, from 1.
    pub(super) number: u32,
    pub(super) client: Persistent,
    pub(super) rooms: Box<[RoomName]>,
    asleep_until: Mutex<Option<Instant>>,
}

impl Member {
    pub(super) fn new(number: u32, client: Persistent, rooms: Box<[RoomName]>) -> Self {
        Self {
            number,
            client,
            rooms,
            asleep_until: Mutex::default(),
        }
    }

    /// Cuts it off and lets it stay away.
    pub(super) fn sleep(&self, asleep: Duration) {
        *self.asleep_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + asleep);
        self.client.order(Order::Sleep(asleep));
    }

    /// Whether its owner can be expected to write.
    pub(super) fn is_awake(&self) -> bool {
        let until = *self.asleep_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_none_or(|until| until <= Instant::now())
    }
}
