//! Rooms: each active room of a node is one actor, a cache of the room's log that serves the local members.

mod actor;
mod commands;
mod directory;
mod feed;
mod log;
mod lost;
mod members;
mod presence;
mod ring;

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use protocol::{
    NodeMessage, Person, RoomName,
    client::Page,
    server::{Done, Refused},
};
use ractor::ActorRef;

pub(crate) use actor::{Begin, Join, Joined, RoomMsg, SubscriberId};
pub use directory::Rooms;
pub(crate) use lost::LostGuard;

use crate::{
    answer::Answer,
    context::User,
    persistence::Committed,
    ports::{Append, Change},
};

/// Bytes of bus frames that may wait in one room's mailbox; what is beyond is dropped and read from the store.
const MAX_BACKLOG_BYTES: usize = 4 * 1024 * 1024;

/// A handle to a room on this node. While one is held the room stays active. Cheap to clone.
#[derive(Clone)]
pub struct Room {
    actor: ActorRef<RoomMsg>,
    shared: Arc<Shared>,
}

/// What is known of a room outside its actor.
struct Shared {
    name: RoomName,
    applied: AtomicU64,
    members: AtomicUsize,
    backlog_bytes: AtomicUsize,
}

impl Room {
    /// The room's name.
    pub fn name(&self) -> &RoomName {
        &self.shared.name
    }

    /// Writes a message as `user`, without a connection. The same rules and answers as for `send`. Cancel safe: the
    /// message may be committed all the same, and is safe to repeat with the same `cid`.
    ///
    /// # Errors
    /// The refusal that a connection would be told.
    pub async fn send(
        &self,
        user: &User,
        cid: Arc<str>,
        text: Arc<str>,
        reply_to: Option<u64>,
    ) -> Result<Done, Refused> {
        let (answer, receiver) = Answer::to_caller();
        let change = Change::Message { text, reply_to };
        let append = Append {
            room: self.name().clone(),
            author: user.person.clone(),
            cid: Some(cid),
            change,
        };
        self.cast(RoomMsg::Write(Box::new((append, answer))));
        answered(receiver).await
    }

    /// Reads a page of the room's history. Cancel safe.
    ///
    /// # Errors
    /// The refusal that a connection would be told.
    pub async fn history(&self, page: Page) -> Result<Done, Refused> {
        let (answer, receiver) = Answer::to_caller();
        self.read_history(page, answer);
        answered(receiver).await
    }

    pub(crate) fn read_history(&self, page: Page, answer: Answer) {
        self.cast(RoomMsg::History(page, answer));
    }

    pub(crate) fn write(&self, append: Append, answer: Answer) {
        self.cast(RoomMsg::Write(Box::new((append, answer))));
    }

    pub(crate) fn join(&self, join: Join) {
        self.cast(RoomMsg::Join(Box::new(join)));
    }

    pub(crate) fn start(&self, subscriber: SubscriberId) {
        self.cast(RoomMsg::Start(subscriber));
    }

    pub(crate) fn leave(&self, subscriber: SubscriberId, answer: Option<Answer>) {
        self.cast(RoomMsg::Leave(subscriber, answer));
    }

    pub(crate) fn presence(&self, answer: Answer) {
        self.cast(RoomMsg::Presence(answer));
    }

    pub(crate) fn mark_read(&self, user: Person, seq: u64, answer: Answer) {
        self.cast(RoomMsg::MarkRead { user, seq, answer });
    }

    pub(crate) fn typing(&self, user: Person, answer: Answer) {
        self.cast(RoomMsg::Typing(user, answer));
    }

    pub(crate) fn committed(&self, committed: Vec<Committed>) {
        self.cast(RoomMsg::Committed(committed));
    }

    pub(crate) fn fresh_head(&self, head: Option<u64>) {
        self.cast(RoomMsg::FreshHead(head));
    }

    /// Somebody says that `head` is committed; costs nothing when the room has it.
    pub(crate) fn hint_head(&self, head: u64) {
        if head > self.shared.applied.load(Relaxed) {
            self.cast(RoomMsg::Hint(head));
        }
    }

    /// Passes a frame from the bus on, unless too many wait already. Returns whether it did.
    pub(crate) fn offer_bus(&self, node: Arc<str>, message: NodeMessage, bytes: usize) -> bool {
        if self.shared.backlog_bytes.fetch_add(bytes, Relaxed) > MAX_BACKLOG_BYTES {
            self.shared.backlog_bytes.fetch_sub(bytes, Relaxed);
            return false;
        }
        self.cast(RoomMsg::Bus { node, message, bytes });
        true
    }

    /// Whether somebody on this node is in the room.
    pub(crate) fn has_members(&self) -> bool {
        self.shared.members.load(Relaxed) > 0
    }

    pub(crate) fn refresh(&self) {
        self.cast(RoomMsg::Refresh);
    }

    /// A message to a room that failed is dropped, and with it its answer, which then asks the client to try again.
    fn cast(&self, message: RoomMsg) {
        let _ = self.actor.cast(message);
    }
}

async fn answered(receiver: tokio::sync::oneshot::Receiver<Result<Done, Refused>>) -> Result<Done, Refused> {
    receiver.await.unwrap_or_else(|_| {
        Err(Refused {
            id: None,
            code: protocol::ErrorCode::Internal,
            message: "the server failed; its log says why".to_owned(),
            retry_after_ms: None,
        })
    })
}
