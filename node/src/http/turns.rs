//! One after the other: what somebody asks for twice at the same time.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};

/// How many people can be served at the same time.
const TURNS: usize = 64;

/// Lets each person do one thing at a time on this node; two people may share a turn.
pub(super) struct Turns {
    turns: [Mutex<()>; TURNS],
    hash: RandomState,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            turns: std::array::from_fn(|_| Mutex::new(())),
            hash: RandomState::new(),
        }
    }

    /// Waits for the turn of the person of that id. Cancel safe.
    pub(super) async fn of(&self, id: &str) -> MutexGuard<'_, ()> {
        let place = usize::try_from(self.hash.hash_one(id) % TURNS as u64).unwrap_or_default();
        self.turns[place].lock().await
    }
}
