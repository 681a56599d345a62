//! Rooms: each active room of a node is one actor, a cache of the room's log that serves the local members.

mod actor;
mod acts;
mod commands;
mod directory;
mod feed;
mod log;
mod lost;
mod members;
mod memos;
mod opening;
mod presence;
mod ring;
mod who;

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use protocol::{
    NodeMessage, RoomName,
    client::Page,
    server::{Done, Refused},
};
use ractor::ActorRef;

pub(crate) use actor::{Begin, Join, Joined, RoomMsg, SubscriberId, Write};
pub use directory::Rooms;
pub(crate) use lost::LostGuard;

use crate::{answer::Answer, context::User, persistence::Committed, ports::Change};

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

    /// Writes to the room's log as `user`, without a connection. The same rules and answers as for the commands of a
    /// connection; what is so already is done without a `seq`. Cancel safe: it may be committed all the same, and is
    /// safe to repeat with the same `cid`.
    ///
    /// # Errors
    /// The refusal that a connection would be told; `conflict` for what would leave members without an owner.
    pub async fn act(
        &self,
        user: &Arc<User>,
        cid: Option<Arc<str>>,
        change: Change,
    ) -> Result<Done, Refused> {
        let (answer, receiver) = Answer::to_caller();
        self.write(
            Write {
                user: Arc::clone(user),
                cid,
                change,
                by_link: false,
            },
            answer,
        );
        answered(receiver).await
    }

    /// Makes `user` a member, who has a valid invite link. Otherwise as [`Self::act`].
    ///
    /// # Errors
    /// The refusal that a connection would be told.
    pub async fn join_by_link(&self, user: &Arc<User>) -> Result<Done, Refused> {
        let (answer, receiver) = Answer::to_caller();
        let change = Change::Member {
            change: protocol::MemberChange::Joined,
            who: user.person.clone(),
            role: None,
            until: None,
            reason: None,
        };
        self.write(
            Write {
                user: Arc::clone(user),
                cid: None,
                change,
                by_link: true,
            },
            answer,
        );
        answered(receiver).await
    }

    /// Reads a page of the room's history. Cancel safe.
    ///
    /// # Errors
    /// The refusal that a connection would be told.
    pub async fn history(&self, user: &Arc<User>, page: Page) -> Result<Done, Refused> {
        let (answer, receiver) = Answer::to_caller();
        self.read_history(Arc::clone(user), page, answer);
        answered(receiver).await
    }

    /// Who is in the room, over the whole cluster. Cancel safe.
    ///
    /// # Errors
    /// The refusal that a connection would be told.
    pub async fn people(&self, user: &Arc<User>) -> Result<Done, Refused> {
        let (answer, receiver) = Answer::to_caller();
        self.presence(Arc::clone(user), answer);
        answered(receiver).await
    }

    pub(crate) fn read_history(&self, user: Arc<User>, page: Page, answer: Answer) {
        self.cast(RoomMsg::History(user, page, answer));
    }

    pub(crate) fn write(&self, write: Write, answer: Answer) {
        self.cast(RoomMsg::Write(Box::new((write, answer))));
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

    pub(crate) fn presence(&self, user: Arc<User>, answer: Answer) {
        self.cast(RoomMsg::Presence(user, answer));
    }

    pub(crate) fn mark_read(&self, user: Arc<User>, seq: u64, answer: Answer) {
        self.cast(RoomMsg::MarkRead { user, seq, answer });
    }

    pub(crate) fn typing(&self, user: Arc<User>, answer: Answer) {
        self.cast(RoomMsg::Typing(user, answer));
    }

    pub(crate) fn committed(&self, committed: Vec<Committed>) {
        self.cast(RoomMsg::Committed(committed));
    }

    pub(crate) fn fresh_head(&self, generation: u64, head: Option<u64>) {
        self.cast(RoomMsg::FreshHead { generation, head });
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
