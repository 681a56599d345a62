//! The store as one node sees it: the one in memory, behind a link that fails as ordered.

use std::{
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

use actors::{
    memory::MemoryStore,
    ports::{
        Append, EventPage, InviteLink, LoadedRoom, NewRoom, Outcome, PageRequest, ReadMark, RoomQuery,
        RoomRecord, RoomToLoad, Store, StoreError, StoreStatus,
    },
    rights::Membership,
};
use async_trait::async_trait;
use protocol::{Person, RoomName};
use tokio::sync::oneshot;

use crate::{
    faults::{Fate, Outcome as Happens},
    node::Node,
    world::World,
};

/// What ordered panics say, so that others stand out.
pub(crate) const ORDERED: &str = "ordered by the simulation";

#[derive(Clone)]
pub(crate) struct SimStore {
    world: Arc<World>,
    node: Arc<Node>,
    inner: MemoryStore,
}

/// A call that was disturbed and is not over.
struct Disturbed(SimStore);

impl SimStore {
    pub(crate) fn new(world: Arc<World>, node: Arc<Node>) -> Self {
        let inner = world.store.another_node();
        Self { world, node, inner }
    }

    fn fate(&self, call: &str) -> (Fate, Option<Disturbed>) {
        let fate = self.node.link.lock().draw(self.world.now_ms());
        let disturbed = fate.disturbed.then(|| {
            self.node.link.lock().disturbance_begins();
            self.world.count(|counts| counts.store_faults += 1);
            self.world
                .note(format_args!("{} {call}: {:?}", self.node.name, fate.outcome));
            Disturbed(self.clone())
        });
        (fate, disturbed)
    }

    async fn reach(&self, fate: &Fate) {
        sleep(fate.there_ms).await;
        if fate.paused_until_ms > self.world.now_ms() {
            self.world.sleep_until(fate.paused_until_ms).await;
        }
    }

    /// Does what needs no care for half-done work.
    async fn call<T>(
        &self,
        call: &str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.node.lives().await;
        let (fate, _disturbed) = self.fate(call);
        self.reach(&fate).await;
        self.node.lives().await;
        self.world.set_store_clock();
        let result = match fate.outcome {
            Happens::Refused | Happens::Late(_) => Err(StoreError::Down(ORDERED.into())),
            Happens::NeverAnswered { done: false } => pending().await,
            Happens::Panics { done: false } => panic!("{ORDERED}: {call}"),
            Happens::Answered => work.await,
            Happens::AnswerLost => work.await.and(Err(StoreError::Timeout(ORDERED.into()))),
            Happens::NeverAnswered { done: true } => {
                drop(work.await);
                pending().await
            }
            Happens::Panics { done: true } => {
                drop(work.await);
                panic!("{ORDERED}: {call}, done")
            }
        };
        sleep(fate.back_ms).await;
        self.node.lives().await;
        result
    }

    /// The server's side of an append: goes on whatever becomes of the node and of its wish to know.
    async fn serve(
        self,
        batch: Vec<Append>,
        fate: Fate,
        _disturbed: Option<Disturbed>,
        answer: oneshot::Sender<Result<Vec<Outcome>, StoreError>>,
    ) {
        let _under_way = self.world.begin_work();
        self.reach(&fate).await;
        if self.node.is_dead() && !fate.outlives_node {
            return;
        }
        match fate.outcome {
            Happens::Refused | Happens::NeverAnswered { done: false } | Happens::Panics { done: false } => {
                if fate.outcome == Happens::Refused {
                    let _ = answer.send(Err(StoreError::Down(ORDERED.into())));
                }
            }
            Happens::Late(ms) => {
                let _ = answer.send(Err(StoreError::Down(ORDERED.into())));
                sleep(ms).await;
                self.commit(&batch).await;
            }
            Happens::Answered => {
                let outcomes = self.commit(&batch).await;
                sleep(fate.back_ms).await;
                let _ = answer.send(Ok(outcomes));
            }
            Happens::AnswerLost | Happens::Panics { done: true } | Happens::NeverAnswered { done: true } => {
                self.commit(&batch).await;
                sleep(fate.back_ms).await;
                if fate.outcome == Happens::AnswerLost {
                    let _ = answer.send(Err(StoreError::Timeout(ORDERED.into())));
                }
            }
        }
    }

    async fn commit(&self, batch: &[Append]) -> Vec<Outcome> {
        let world = &self.world;
        world.set_store_clock();
        let outcomes = self.inner.append(batch).await.unwrap();
        let mut events = 0;
        for (append, outcome) in batch.iter().zip(&outcomes) {
            let cid = append.cid.as_deref().unwrap_or("-");
            world.note(format_args!(
                "store: {} {} {cid} for {}: {outcome:?}",
                append.room, append.author.id, self.node.name
            ));
            match outcome {
                Outcome::Written { .. } => events += 1,
                Outcome::Known { .. } => world.count(|counts| counts.known_again += 1),
                Outcome::Refused(_) => {}
            }
        }
        world.count(|counts| counts.events += events);
        let recorded = world.truth.lock().record(batch, &outcomes, world.now_ms());
        if let Err(error) = recorded {
            world.violate(&error);
        }
        outcomes
    }
}

impl Drop for Disturbed {
    fn drop(&mut self) {
        let Self(store) = self;
        store.node.link.lock().disturbance_ends(store.world.now_ms());
    }
}

async fn sleep(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

#[async_trait]
impl Store for SimStore {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Outcome>, StoreError> {
        self.node.lives().await;
        let (fate, disturbed) = self.fate("append");
        // The caller's side is disturbed for as long as it waits, the server's for as long as it works.
        let _waiting = disturbed.as_ref().map(|_| {
            self.node.link.lock().disturbance_begins();
            Disturbed(self.clone())
        });
        let (answer, answered) = oneshot::channel();
        tokio::spawn(self.clone().serve(batch.to_vec(), fate, disturbed, answer));
        if let Happens::Panics { .. } = fate.outcome {
            sleep(fate.there_ms + fate.back_ms + 1).await;
            self.node.lives().await;
            panic!("{ORDERED}: append");
        }
        let result = match answered.await {
            Ok(result) => result,
            // Whoever waits for it waits.
            Err(_) => pending().await,
        };
        self.node.lives().await;
        result
    }

    async fn records(&self, names: &[RoomName]) -> Result<Vec<Option<RoomRecord>>, StoreError> {
        self.call("records", self.inner.records(names)).await
    }

    async fn create_rooms(&self, rooms: &[NewRoom]) -> Result<Vec<(RoomRecord, bool)>, StoreError> {
        self.call("create_rooms", self.inner.create_rooms(rooms)).await
    }

    async fn rooms(&self, query: &RoomQuery) -> Result<Vec<RoomRecord>, StoreError> {
        self.call("rooms", self.inner.rooms(query)).await
    }

    async fn members(&self, room: &RoomName) -> Result<Vec<Membership>, StoreError> {
        self.call("members", self.inner.members(room)).await
    }

    async fn add_invite(&self, link: &InviteLink) -> Result<(), StoreError> {
        self.inner.add_invite(link).await
    }

    async fn invites(&self, room: &RoomName) -> Result<Vec<InviteLink>, StoreError> {
        self.inner.invites(room).await
    }

    async fn invite(&self, secret_hash: &[u8; 32], now_ms: u64) -> Result<Option<InviteLink>, StoreError> {
        self.inner.invite(secret_hash, now_ms).await
    }

    async fn use_invite(&self, id: &str, now_ms: u64) -> Result<bool, StoreError> {
        self.inner.use_invite(id, now_ms).await
    }

    async fn return_invite(&self, id: &str) -> Result<(), StoreError> {
        self.inner.return_invite(id).await
    }

    async fn author(&self, room: &RoomName, id: &str) -> Result<Option<Person>, StoreError> {
        self.call("author", self.inner.author(room, id)).await
    }

    async fn remove_invite(&self, room: &RoomName, id: &str) -> Result<bool, StoreError> {
        self.inner.remove_invite(room, id).await
    }

    async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<u64>, StoreError> {
        self.call("heads", self.inner.heads(rooms)).await
    }

    async fn page(&self, room: &RoomName, request: PageRequest) -> Result<EventPage, StoreError> {
        self.call("page", self.inner.page(room, request)).await
    }

    async fn load_rooms(
        &self,
        rooms: &[RoomToLoad],
        recent: PageRequest,
    ) -> Result<Vec<Option<LoadedRoom>>, StoreError> {
        self.call("load_rooms", self.inner.load_rooms(rooms, recent))
            .await
    }

    async fn mark_read(&self, marks: &[ReadMark]) -> Result<(), StoreError> {
        self.call("mark_read", self.inner.mark_read(marks)).await
    }

    async fn read_mark(&self, room: &RoomName, user: &str) -> Result<Option<u64>, StoreError> {
        self.call("read_mark", self.inner.read_mark(room, user)).await
    }

    async fn shared_key(&self, name: &str) -> Result<[u8; 32], StoreError> {
        self.call("shared_key", self.inner.shared_key(name)).await
    }

    async fn status(&self) -> Result<StoreStatus, StoreError> {
        self.call("status", self.inner.status()).await
    }

    async fn new_epoch(&self) -> Result<Arc<str>, StoreError> {
        self.inner.new_epoch().await
    }

    async fn close(&self) {}
}
