//! The log: durable, and the one place where a room's order is decided.

use std::sync::Arc;

use async_trait::async_trait;
use protocol::{Person, RoomName};

use super::{
    Append, EventPage, InviteLink, LoadedRoom, NewRoom, Outcome, PageRequest, ReadMark, RoomQuery,
    RoomRecord, RoomToLoad,
};
use crate::rights::Membership;

/// The log of all rooms.
///
/// Every method may be called concurrently. Dropping a returned future (cancelling it) leaves the store consistent; an
/// append that is cancelled may or may not have been committed, and is safe to repeat with the same `cid`s.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Commits a batch in one transaction and one round trip, and returns one [`Outcome`] for each entry, in order.
    ///
    /// Rooms are locked in the order of their names; within a room the batch's order decides. `seq` continues at the
    /// room's head without a hole, whatever other nodes append at the same time. A (`room`, `author`, `cid`) that is
    /// stored already, or stands earlier in the batch, is [`Outcome::Known`], whatever else the entry says.
    ///
    /// # Errors
    /// Then nothing of the batch was committed, or (on [`StoreError::Down`] and [`StoreError::Timeout`]) all of it may
    /// have been.
    async fn append(&self, batch: &[Append]) -> Result<Vec<Outcome>, StoreError>;

    /// The rooms of these names, in the order asked for, in one query; `None` where there is no room.
    async fn records(&self, names: &[RoomName]) -> Result<Vec<Option<RoomRecord>>, StoreError>;

    /// [`Self::records`] for one.
    async fn room(&self, name: &RoomName) -> Result<Option<RoomRecord>, StoreError> {
        Ok(self.records(std::slice::from_ref(name)).await?.pop().flatten())
    }

    /// Makes those rooms that are not there, all or none, each with its first entries. Returns all of them in the
    /// order asked for, those that were there already unchanged, and whether each was made. No two may have one name.
    /// Safe when several nodes do it at once.
    async fn create_rooms(&self, rooms: &[NewRoom]) -> Result<Vec<(RoomRecord, bool)>, StoreError>;

    /// [`Self::create_rooms`] for one.
    async fn create_room(&self, room: &NewRoom) -> Result<(RoomRecord, bool), StoreError> {
        let made = self.create_rooms(std::slice::from_ref(room)).await?.pop();
        made.ok_or_else(|| StoreError::Internal(format!("room {} was asked for and not returned", room.name)))
    }

    /// Rooms in the order of their names.
    async fn rooms(&self, query: &RoomQuery) -> Result<Vec<RoomRecord>, StoreError>;

    /// Everybody of whom something is known in the room, in the order of their ids.
    async fn members(&self, room: &RoomName) -> Result<Vec<Membership>, StoreError>;

    /// Keeps an invite link. Its room must exist.
    async fn add_invite(&self, link: &InviteLink) -> Result<(), StoreError>;

    /// A room's invite links, the newest first, those that ended included.
    async fn invites(&self, room: &RoomName) -> Result<Vec<InviteLink>, StoreError>;

    /// The link with that secret if it can be used at `now_ms`.
    async fn invite(&self, secret_hash: &[u8; 32], now_ms: u64) -> Result<Option<InviteLink>, StoreError>;

    /// Counts one use of a link, in one step with the check that it can be used at `now_ms`. Returns whether it could.
    async fn use_invite(&self, id: &str, now_ms: u64) -> Result<bool, StoreError>;

    /// Takes back one [`Self::use_invite`] that let nobody in. Does nothing where the link is gone.
    async fn return_invite(&self, id: &str) -> Result<(), StoreError>;

    /// Ends an invite link of the room. Returns whether there was one.
    async fn remove_invite(&self, room: &RoomName, id: &str) -> Result<bool, StoreError>;

    /// The heads of many rooms in one query, in the order asked for; 0 where there is no event or no room.
    async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<u64>, StoreError>;

    /// A page of a room's events; empty where the room does not exist.
    async fn page(&self, room: &RoomName, request: PageRequest) -> Result<EventPage, StoreError>;

    /// Many rooms with their members and newest events, in the order asked for, in as many statements as it takes for one;
    /// `None` where there is no room. `recent` is what to read of each room's events; its bound is
    /// [`PageBound::Newest`](protocol::client::PageBound::Newest). What is held meanwhile is about what is returned, for
    /// which the caller bounds the rooms.
    async fn load_rooms(
        &self,
        rooms: &[RoomToLoad],
        recent: PageRequest,
    ) -> Result<Vec<Option<LoadedRoom>>, StoreError>;

    /// Who wrote in the room with a `cid` under that id, with the name of their last such event.
    async fn author(&self, room: &RoomName, id: &str) -> Result<Option<Person>, StoreError>;

    /// Moves read markers forward; one that is further already stays. Rooms that do not exist are skipped.
    async fn mark_read(&self, marks: &[ReadMark]) -> Result<(), StoreError>;

    /// The read marker of a person in a room.
    async fn read_mark(&self, room: &RoomName, user: &str) -> Result<Option<u64>, StoreError>;

    /// A 32-byte key of that name that all nodes on this store share; made at random when first asked for.
    async fn shared_key(&self, name: &str) -> Result<[u8; 32], StoreError>;

    /// A sign of life; the cheapest query there is.
    async fn status(&self) -> Result<StoreStatus, StoreError>;

    /// Begins a new history: gives the store another `epoch` and returns it. For an operator who restored a backup.
    async fn new_epoch(&self) -> Result<Arc<str>, StoreError>;

    /// Ends the use of the store, once the calls under way have ended: what lies beside its files is put into them. Later
    /// calls fail.
    async fn close(&self);
}

/// A sign of life from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStatus {
    /// Its clock, in Unix milliseconds.
    pub now_ms: u64,
    /// This history of the store: changes when an operator restores a backup. At most 64 bytes.
    pub epoch: Arc<str>,
}

/// The store could not do what was asked. The text is for the log; clients never see it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Not reachable, shutting down, or it refuses our credentials. An append may or may not have been committed.
    #[error("the store cannot be reached: {0}")]
    Down(String),
    /// No answer in time. An append may or may not have been committed.
    #[error("the store did not answer in time: {0}")]
    Timeout(String),
    /// The disk is full, or the store is read-only. Nothing was written.
    #[error("the store cannot write: {0}")]
    Full(String),
    /// A constraint of the schema was violated: a fault of this program.
    #[error("the store refused the data: {0}")]
    Constraint(String),
    /// Anything else.
    #[error("the store failed: {0}")]
    Internal(String),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing the program.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Down(_) | Self::Timeout(_) | Self::Full(_))
    }
}
