//! A store that always answers: whatever the adapter does, a call ends in time, with a result.

use std::{
    any::Any, future::Future, panic::AssertUnwindSafe, pin::pin, sync::Arc, task::Poll, time::Duration,
};

use async_trait::async_trait;
use protocol::{Person, RoomName};
use tokio::runtime::Handle;

use crate::{
    ports::{
        Append, EventPage, InviteLink, LoadedRoom, NewRoom, Outcome, PageRequest, ReadMark, RoomQuery,
        RoomRecord, RoomToLoad, Store, StoreError, StoreStatus,
    },
    rights::Membership,
};

/// An append that the store has not answered by then is given up: its commands are refused and may be repeated.
const APPEND_TIMEOUT: Duration = Duration::from_secs(20);
/// The same for every other call. The adapters' own limits are shorter; this one holds when an adapter hangs.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// Makes [`StoreError`]s of calls that hang (a connection into nowhere) or panic, so that who waits for a result can
/// rely on getting one.
pub(crate) struct Guarded {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) io: Handle,
}

/// Whatever the call opens or spawns belongs to `io`: a connection to the store is opened by the call that finds none free,
/// and outlives it.
pub(crate) async fn guard<T>(
    io: &Handle,
    timeout: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let mut call = pin!(call);
    let caught = std::future::poll_fn(|cx| {
        let _on_io = io.enter();
        // A call that panicked is not polled again.
        match std::panic::catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Err(StoreError::Down(format!(
                "it panicked: {}",
                text_of(&*panic)
            )))),
        }
    });
    match tokio::time::timeout(timeout, caught).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Timeout(format!("no answer within {timeout:?}"))),
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}

#[async_trait]
impl Store for Guarded {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Outcome>, StoreError> {
        guard(&self.io, APPEND_TIMEOUT, self.store.append(batch)).await
    }

    async fn records(&self, names: &[RoomName]) -> Result<Vec<Option<RoomRecord>>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.records(names)).await
    }

    async fn create_rooms(&self, rooms: &[NewRoom]) -> Result<Vec<(RoomRecord, bool)>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.create_rooms(rooms)).await
    }

    async fn rooms(&self, query: &RoomQuery) -> Result<Vec<RoomRecord>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.rooms(query)).await
    }

    async fn members(&self, room: &RoomName) -> Result<Vec<Membership>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.members(room)).await
    }

    async fn add_invite(&self, link: &InviteLink) -> Result<(), StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.add_invite(link)).await
    }

    async fn invites(&self, room: &RoomName) -> Result<Vec<InviteLink>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.invites(room)).await
    }

    async fn invite(&self, secret_hash: &[u8; 32], now_ms: u64) -> Result<Option<InviteLink>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.invite(secret_hash, now_ms)).await
    }

    async fn use_invite(&self, id: &str, now_ms: u64) -> Result<bool, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.use_invite(id, now_ms)).await
    }

    async fn return_invite(&self, id: &str) -> Result<(), StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.return_invite(id)).await
    }

    async fn author(&self, room: &RoomName, id: &str) -> Result<Option<Person>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.author(room, id)).await
    }

    async fn remove_invite(&self, room: &RoomName, id: &str) -> Result<bool, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.remove_invite(room, id)).await
    }

    async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<u64>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.heads(rooms)).await
    }

    async fn page(&self, room: &RoomName, request: PageRequest) -> Result<EventPage, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.page(room, request)).await
    }

    async fn load_rooms(
        &self,
        rooms: &[RoomToLoad],
        recent: PageRequest,
    ) -> Result<Vec<Option<LoadedRoom>>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.load_rooms(rooms, recent)).await
    }

    async fn mark_read(&self, marks: &[ReadMark]) -> Result<(), StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.mark_read(marks)).await
    }

    async fn read_mark(&self, room: &RoomName, user: &str) -> Result<Option<u64>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.read_mark(room, user)).await
    }

    async fn shared_key(&self, name: &str) -> Result<[u8; 32], StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.shared_key(name)).await
    }

    async fn status(&self) -> Result<StoreStatus, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.status()).await
    }

    async fn new_epoch(&self) -> Result<Arc<str>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.new_epoch()).await
    }

    async fn close(&self) {
        let closed = async {
            self.store.close().await;
            Ok(())
        };
        if let Err(error) = guard(&self.io, CALL_TIMEOUT, closed).await {
            tracing::warn!(%error, "the store was not closed in good order");
        }
    }
}
