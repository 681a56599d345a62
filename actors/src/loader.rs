//! Reads rooms from the store, many in one go: when all nodes have restarted, every room is asked for on each of them.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use protocol::client::PageBound;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use crate::{
    pace::Pace,
    ports::{LoadedRoom, PageRequest, RoomToLoad, Store, StoreError},
    settings::Settings,
};

/// Most rooms in one go: with the ring's bytes of each, 16 MiB of events, and [`Settings::room_members`] of each.
const AT_ONCE: usize = 64;
/// A reading that takes longer holds up nobody else: the next begins beside it. The store answers each in time, so that
/// there are never more than a few.
const PATIENCE: Duration = Duration::from_secs(1);

type Found = Result<Option<Box<LoadedRoom>>, StoreError>;

/// A node's one reader of rooms. Every request is answered by a reading that began after it was made, so that the answer
/// includes all that was committed before. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Loader {
    store: Arc<dyn Store>,
    recent: PageRequest,
    waiting: Arc<Mutex<Waiting>>,
}

/// Bounded by the rooms of the node, each of which asks once at a time.
#[derive(Default)]
struct Waiting {
    rooms: VecDeque<(RoomToLoad, oneshot::Sender<Found>)>,
    running: bool,
}

impl Loader {
    pub(crate) fn new(settings: &Settings, store: Arc<dyn Store>) -> Self {
        Self {
            store,
            recent: PageRequest {
                bound: PageBound::Newest,
                limit: settings.ring_events as u64,
                max_bytes: settings.ring_bytes,
            },
            waiting: Arc::default(),
        }
    }

    /// The room as it is in the store, if there is one. Cancel safe.
    pub(crate) async fn load(&self, room: &RoomToLoad) -> Found {
        let (sender, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock();
            waiting.rooms.push_back((room.clone(), sender));
            if !waiting.running {
                waiting.running = true;
                tokio::spawn(self.clone().run());
            }
        }
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Down("the reading was broken off".to_owned())))
    }

    async fn run(self) {
        let mut pace = Pace::new();
        while let Some(batch) = self.take() {
            let next = Instant::now() + pace.next(batch.len());
            let reading = tokio::spawn(self.clone().read(batch));
            let _ = timeout(PATIENCE, reading).await;
            tokio::time::sleep_until(next).await;
        }
    }

    fn take(&self) -> Option<Vec<(RoomToLoad, oneshot::Sender<Found>)>> {
        let mut waiting = self.waiting.lock();
        // Who asked may have gone.
        waiting.rooms.retain(|(_, asker)| !asker.is_closed());
        let count = waiting.rooms.len().min(AT_ONCE);
        waiting.running = count > 0;
        (count > 0).then(|| waiting.rooms.drain(..count).collect())
    }

    async fn read(self, batch: Vec<(RoomToLoad, oneshot::Sender<Found>)>) {
        let (rooms, askers): (Vec<RoomToLoad>, Vec<_>) = batch.into_iter().unzip();
        let found: Vec<Found> = match self.store.load_rooms(&rooms, self.recent).await {
            Ok(found) => found.into_iter().map(|room| Ok(room.map(Box::new))).collect(),
            Err(error) => vec![Err(error); rooms.len()],
        };
        for (asker, found) in askers.into_iter().zip(found) {
            let _ = asker.send(found);
        }
    }
}
