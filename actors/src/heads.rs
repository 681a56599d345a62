//! Reads the heads of rooms from the store, many rooms in one query.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use protocol::RoomName;
use tokio::{runtime::Handle, time::Instant};

use crate::{
    pace::Pace,
    ports::{Store, StoreError},
    room::Room,
};

/// Most rooms in one query.
const MAX_ROOMS: usize = 1_000;
/// After this long a query is given up.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A node's one reader of heads. Every request is answered by a query that began after it was made, so that the answer
/// includes all that was committed before. Requests need no bound of their own: a room makes one at a time.
#[derive(Clone)]
pub(crate) struct HeadReader {
    io: Handle,
    store: Arc<dyn Store>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    /// Each with what its answer is told by.
    rooms: Vec<(Room, u64)>,
    reading: bool,
}

impl HeadReader {
    pub(crate) fn new(store: Arc<dyn Store>, io: Handle) -> Self {
        Self {
            io,
            store,
            waiting: Arc::default(),
        }
    }

    /// Asks for the head of `room`, which is told by [`Room::fresh_head`], with the same `generation`.
    pub(crate) fn request(&self, room: Room, generation: u64) {
        let mut waiting = self.waiting.lock();
        waiting.rooms.push((room, generation));
        if !waiting.reading {
            waiting.reading = true;
            self.io.spawn(self.clone().read_all());
        }
    }

    async fn read_all(self) {
        let mut pace = Pace::new();
        loop {
            let batch = {
                let mut waiting = self.waiting.lock();
                let count = waiting.rooms.len().min(MAX_ROOMS);
                if count == 0 {
                    waiting.reading = false;
                    return;
                }
                waiting.rooms.drain(..count).collect::<Vec<_>>()
            };
            let next = Instant::now() + pace.next(batch.len());
            self.read(batch).await;
            tokio::time::sleep_until(next).await;
        }
    }

    async fn read(&self, rooms: Vec<(Room, u64)>) {
        let names: Vec<RoomName> = rooms.iter().map(|(room, _)| room.name().clone()).collect();
        let heads = match tokio::time::timeout(TIMEOUT, self.store.heads(&names)).await {
            Ok(Ok(heads)) => Ok(heads),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StoreError::Timeout(format!(
                "no answer to a read of heads within {TIMEOUT:?}"
            ))),
        };
        match heads {
            Ok(heads) => {
                for ((room, generation), head) in rooms.iter().zip(heads) {
                    room.fresh_head(*generation, Some(head));
                }
            }
            Err(error) => {
                tracing::debug!(%error, "heads could not be read; rooms go on with what they know");
                for (room, generation) in &rooms {
                    room.fresh_head(*generation, None);
                }
            }
        }
    }
}
