//! Persistence: from rooms to the store, in groups, without a timer.

mod batch;
mod budget;
mod shard;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use parking_lot::RwLock;
use protocol::RoomName;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::{runtime::Handle, sync::oneshot};

pub(crate) use budget::Budget;
pub(crate) use shard::{Committed, Pending, Ticket};
use shard::{Entry, Shard, ShardMsg};

use crate::{metrics::Metrics, ports::Store, settings::Settings};

/// Pause before a shard that failed is started anew.
const RESTART_AFTER: Duration = Duration::from_millis(200);

/// A handle to all shards of a node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Persistence {
    shards: Arc<[RwLock<Option<ActorRef<ShardMsg>>>]>,
    budget: Arc<Budget>,
}

impl Persistence {
    /// Starts the shards under a supervisor below `parent`; they commit on `io`.
    pub(crate) async fn start(
        parent: ActorCell,
        settings: &Settings,
        store: Arc<dyn Store>,
        metrics: Metrics,
        io: Handle,
    ) -> Result<Self, SpawnErr> {
        let budget = Budget::new(
            settings.pending_node_bytes,
            Some(metrics.pending_append_bytes().clone()),
        );
        let shards = (0..settings.shards.max(1)).map(|_| RwLock::new(None)).collect();
        let persistence = Self { shards, budget };
        let supervisor = PersistenceSupervisor {
            persistence: persistence.clone(),
            io,
            store,
            metrics,
        };
        Actor::spawn_linked(None, supervisor, (), parent).await?;
        Ok(persistence)
    }

    /// The bound on what may wait for the store, over all rooms.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Hands an append to its room's shard. Appends of one room keep their order. When the shard is just being
    /// restarted the append is dropped, which refuses it.
    pub(crate) fn append(&self, pending: Pending) {
        let shard = self.shard_of(&pending.append.room);
        self.hand_over(shard, Entry::Append(Box::new(pending)));
    }

    /// Calls `then` once every append of `room` that was handed over before is committed, and the room was told, or
    /// refused. Dropped uncalled when the shard fails.
    pub(crate) fn after_appends(&self, room: &RoomName, then: impl FnOnce() + Send + 'static) {
        self.hand_over(self.shard_of(room), Entry::Then(Box::new(then)));
    }

    fn hand_over(&self, shard: usize, entry: Entry) {
        if let Some(shard) = &*self.shards[shard].read() {
            let _ = shard.cast(ShardMsg::Entry(entry));
        }
    }

    /// Waits until everything that was handed over is committed or refused. Cancel safe.
    pub(crate) async fn flush(&self) {
        for shard in &*self.shards {
            let (done, flushed) = oneshot::channel();
            let sent = shard
                .read()
                .as_ref()
                .is_some_and(|shard| shard.cast(ShardMsg::Flush(done)).is_ok());
            if sent {
                // An error means that the shard has failed, and with it all that it held.
                drop(flushed.await);
            }
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "a hash; any of its bits do")]
    fn shard_of(&self, room: &RoomName) -> usize {
        let mut hasher = DefaultHasher::new();
        room.hash(&mut hasher);
        hasher.finish() as usize % self.shards.len()
    }
}

/// Keeps the shards running.
struct PersistenceSupervisor {
    persistence: Persistence,
    io: Handle,
    store: Arc<dyn Store>,
    metrics: Metrics,
}

struct StartShard(usize);

impl Actor for PersistenceSupervisor {
    type Msg = StartShard;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<StartShard>, (): ()) -> Result<(), ActorProcessingErr> {
        for index in 0..self.persistence.shards.len() {
            self.start_shard(&myself, index).await?;
        }
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<StartShard>,
        StartShard(index): StartShard,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        self.start_shard(&myself, index).await
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<StartShard>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(child, error) = event {
            tracing::error!(%error, "a persistence shard failed and is started anew");
            let ended = |slot: &RwLock<Option<ActorRef<ShardMsg>>>| {
                slot.read()
                    .as_ref()
                    .is_some_and(|shard| shard.get_id() == child.get_id())
            };
            if let Some(index) = self.persistence.shards.iter().position(ended) {
                *self.persistence.shards[index].write() = None;
                myself.send_after(RESTART_AFTER, move || StartShard(index));
            }
        }
        Ok(())
    }
}

impl PersistenceSupervisor {
    async fn start_shard(
        &self,
        myself: &ActorRef<StartShard>,
        index: usize,
    ) -> Result<(), ActorProcessingErr> {
        let shard = Shard {
            io: self.io.clone(),
            store: Arc::clone(&self.store),
            metrics: self.metrics.clone(),
        };
        let (shard, _) = Actor::spawn_linked(None, shard, (), myself.get_cell()).await?;
        *self.persistence.shards[index].write() = Some(shard);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
