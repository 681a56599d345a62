//! Reads rooms from the store, many in one go: when all nodes have restarted, every room is asked for on each of them.

use std::sync::Arc;

use protocol::client::PageBound;

use crate::{
    gather::Gather,
    ports::{LoadedRoom, PageRequest, RoomToLoad, Store, StoreError},
    settings::Settings,
};

/// Most rooms in one go: with the ring's bytes of each, 16 MiB of events, and [`Settings::room_members`] of each.
const AT_ONCE: usize = 64;

/// A node's one reader of rooms. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Loader(Gather<RoomToLoad, Option<Box<LoadedRoom>>>);

impl Loader {
    pub(crate) fn new(settings: &Settings, store: Arc<dyn Store>) -> Self {
        let recent = PageRequest {
            bound: PageBound::Newest,
            limit: settings.ring_events as u64,
            max_bytes: settings.ring_bytes,
        };
        Self(Gather::new(AT_ONCE, move |rooms: Vec<RoomToLoad>| {
            let store = Arc::clone(&store);
            async move {
                let found = store.load_rooms(&rooms, recent).await?;
                Ok(found.into_iter().map(|room| room.map(Box::new)).collect())
            }
        }))
    }

    /// The room as it is in the store, if there is one. Cancel safe.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn load(&self, room: &RoomToLoad) -> Result<Option<Box<LoadedRoom>>, StoreError> {
        self.0.ask(room.clone()).await
    }
}
