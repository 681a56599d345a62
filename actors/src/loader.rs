//! Reads rooms from the store and makes those that are not there, many in one go: when all nodes have restarted, every room is
//! asked for on each of them, and a crowd that comes for the first time opens rooms that nobody has made.

use std::sync::Arc;

use protocol::{RoomName, client::PageBound};

use crate::{
    gather::Gather,
    ports::{LoadedRoom, NewRoom, PageRequest, RoomRecord, RoomToLoad, Store, StoreError},
    settings::Settings,
};

/// Most rooms read in one go: with the ring's bytes of each, 16 MiB of events, and [`Settings::room_members`] of each.
const READ_AT_ONCE: usize = 64;
/// Most rooms looked up in one go, or made in one transaction, for which other nodes that make the same ones wait.
const LOOKED_UP_AT_ONCE: usize = 500;

/// A node's one reader of rooms, and maker of public ones. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Loader {
    rooms: Gather<RoomToLoad, Option<Box<LoadedRoom>>>,
    /// Rooms alone, and whether to make each if it is not there.
    records: Gather<(RoomName, bool), Option<RoomRecord>>,
}

impl Loader {
    pub(crate) fn new(settings: &Settings, store: Arc<dyn Store>) -> Self {
        let recent = PageRequest {
            bound: PageBound::Newest,
            limit: settings.ring_events as u64,
            max_bytes: settings.ring_bytes,
        };
        let reading = Arc::clone(&store);
        Self {
            rooms: Gather::new(READ_AT_ONCE, move |rooms: Vec<RoomToLoad>| {
                let store = Arc::clone(&reading);
                async move {
                    let found = store.load_rooms(&rooms, recent).await?;
                    Ok(found.into_iter().map(|room| room.map(Box::new)).collect())
                }
            }),
            records: Gather::new(LOOKED_UP_AT_ONCE, move |wanted| {
                look_up(Arc::clone(&store), wanted)
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
        if !is_crowd {
            let found = self.rooms.ask(room.clone()).await?;
            if found.is_some() || !create {
                return Ok(found);
            }
        }
        match self.records.ask((room.name.clone(), create)).await? {
            // Whatever is known of a room is in its log, its members too.
            Some(record) if record.head == 0 => Ok(Some(Box::new(LoadedRoom::new(record)))),
            Some(_) => self.rooms.ask(room.clone()).await,
            None => Ok(None),
        }
    }
}

/// The rooms' records; of those that are not there some are made.
async fn look_up(
    store: Arc<dyn Store>,
    wanted: Vec<(RoomName, bool)>,
) -> Result<Vec<Option<RoomRecord>>, StoreError> {
    let names: Vec<RoomName> = wanted.iter().map(|(name, _)| name.clone()).collect();
    let mut records = store.records(&names).await?;
    let mut places = Vec::new();
    let mut rooms = Vec::new();
    for (place, (name, create)) in wanted.into_iter().enumerate() {
        if create && records[place].is_none() {
            places.push(place);
            rooms.push(NewRoom::public(name));
        }
    }
    if !rooms.is_empty() {
        let made = store.create_rooms(&rooms).await?;
        for (place, (record, _)) in places.into_iter().zip(made) {
            records[place] = Some(record);
        }
    }
    Ok(records)
}
