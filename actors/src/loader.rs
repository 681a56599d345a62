//! Reads rooms from the store and makes those that are not there, many in one go: when all nodes have restarted, every room is
//! asked for on each of them, and a crowd that comes for the first time opens rooms that nobody has made.

use std::sync::Arc;

use protocol::{RoomName, client::PageBound};
use tokio::runtime::Handle;

use crate::{
    gather::Gather,
    ports::{LoadedRoom, NewRoom, PageRequest, RoomRecord, RoomToLoad, Store, StoreError},
    settings::Settings,
};

/// Most rooms read in one go: with the ring's bytes of each, 16 MiB of events, and [`Settings::room_members`] of each.
const READ_AT_ONCE: usize = 64;
/// Most rooms looked up in one go, or made in one transaction.
const LOOKED_UP_AT_ONCE: usize = 500;

/// A node's one reader of rooms, and maker of those that begin with somebody who joins them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Loader {
    rooms: Gather<RoomToLoad, Option<Box<LoadedRoom>>>,
    records: Gather<RoomName, Option<RoomRecord>>,
    /// Apart from the records, which a store that cannot write still has.
    created: Gather<RoomName, RoomRecord>,
}

impl Loader {
    pub(crate) fn new(settings: &Settings, store: Arc<dyn Store>, io: &Handle) -> Self {
        let recent = PageRequest {
            bound: PageBound::Newest,
            limit: settings.ring_events as u64,
            max_bytes: settings.ring_bytes,
        };
        Self {
            rooms: {
                let store = Arc::clone(&store);
                Gather::new(io, READ_AT_ONCE, move |rooms: Vec<RoomToLoad>| {
                    let store = Arc::clone(&store);
                    async move {
                        let found = store.load_rooms(&rooms, recent).await?;
                        Ok(found.into_iter().map(|room| room.map(Box::new)).collect())
                    }
                })
            },
            records: {
                let store = Arc::clone(&store);
                Gather::new(io, LOOKED_UP_AT_ONCE, move |names: Vec<RoomName>| {
                    let store = Arc::clone(&store);
                    async move { store.records(&names).await }
                })
            },
            created: Gather::new(io, LOOKED_UP_AT_ONCE, move |names: Vec<RoomName>| {
                let store = Arc::clone(&store);
                async move {
                    let rooms: Vec<NewRoom> = names.into_iter().map(NewRoom::public).collect();
                    let created = store.create_rooms(&rooms).await?;
                    Ok(created.into_iter().map(|(record, _)| record).collect())
                }
            }),
        }
    }

    /// The room as it is in the store, if there is one; with `create` it is made, open to all, where there is none.
    /// Cancelled, it may have been made or not.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn load(
        &self,
        room: &RoomToLoad,
        create: bool,
    ) -> Result<Option<Box<LoadedRoom>>, StoreError> {
        // In a crowd, rooms in which nothing is would keep those waiting in which something is.
        let is_crowd = self.rooms.waiting() >= READ_AT_ONCE;
        let found = if is_crowd {
            self.records.ask(room.name.clone()).await?
        } else {
            let found = self.rooms.ask(room.clone()).await?;
            if found.is_some() {
                return Ok(found);
            }
            None
        };
        let record = match found {
            Some(record) => record,
            None if create => self.created.ask(room.name.clone()).await?,
            None => return Ok(None),
        };
        // Whatever is known of a room is in its log, its members too.
        if record.head == 0 {
            return Ok(Some(Box::new(LoadedRoom::new(record))));
        }
        self.rooms.ask(room.clone()).await
    }
}
