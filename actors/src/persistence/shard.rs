//! One persistence shard: commits the appends of its rooms in groups.

use std::{collections::BTreeMap, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{runtime::Handle, sync::oneshot, time::Instant};

use super::{batch::Collector, budget::Reserved};
use crate::{
    answer::Answer,
    metrics::Metrics,
    planted::{self, Bug},
    ports::{Append, Outcome, Store, StoreError},
    room::Room,
};

/// An append on its way to the store, with all that is owed for it.
pub(crate) struct Pending {
    pub(crate) append: Append,
    pub(crate) ticket: Ticket,
}

/// What is owed for an append. Dropping it refuses the command and gives the reserved bytes back.
pub(crate) struct Ticket {
    pub(crate) room: Room,
    pub(crate) answer: Answer,
    pub(crate) since: Instant,
    /// The store's history, as far as the room knew.
    pub(crate) epoch: Arc<str>,
    pub(crate) reserved: [Reserved; 2],
}

/// An append that the store has dealt with.
pub(crate) struct Committed {
    pub(crate) append: Append,
    pub(crate) answer: Answer,
    pub(crate) outcome: Outcome,
    /// The store's history when it was handed over.
    pub(crate) epoch: Arc<str>,
    /// Kept until the room has taken it over: as long as bytes are reserved, the room knows that it is behind.
    pub(crate) reserved: [Reserved; 2],
}

/// Called once what was handed over before is committed or refused.
pub(super) type Then = Box<dyn FnOnce() + Send>;

/// What waits in a shard, in order.
pub(super) enum Entry {
    Append(Box<Pending>),
    Then(Then),
}

pub(super) enum ShardMsg {
    Entry(Entry),
    Finished,
    /// Answered when nothing waits and nothing is under way.
    Flush(oneshot::Sender<()>),
    #[cfg(test)]
    Fail,
}

pub(super) struct Shard {
    pub(super) io: Handle,
    pub(super) store: Arc<dyn Store>,
    pub(super) metrics: Metrics,
}

pub(super) struct ShardState {
    collector: Collector<Entry>,
    flushing: Vec<oneshot::Sender<()>>,
}

impl Actor for Shard {
    type Msg = ShardMsg;
    type State = ShardState;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<ShardMsg>, (): ()) -> Result<ShardState, ActorProcessingErr> {
        Ok(ShardState {
            collector: Collector::new(),
            flushing: Vec::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ShardMsg>,
        message: ShardMsg,
        state: &mut ShardState,
    ) -> Result<(), ActorProcessingErr> {
        let batch = match message {
            ShardMsg::Entry(entry) => state.collector.push(entry.cost_bytes(), entry),
            ShardMsg::Finished => state.collector.finished(),
            ShardMsg::Flush(done) => {
                state.flushing.push(done);
                None
            }
            #[cfg(test)]
            ShardMsg::Fail => return Err("ordered by a test".into()),
        };
        if let Some(batch) = batch {
            self.start_commit(myself, batch);
        }
        if state.collector.is_idle() {
            for done in state.flushing.drain(..) {
                let _ = done.send(());
            }
        }
        Ok(())
    }
}

impl Shard {
    /// The commit runs beside the actor, which collects the next batch meanwhile. Should the actor fail, the commit
    /// still ends and its commands are answered.
    fn start_commit(&self, myself: ActorRef<ShardMsg>, batch: Vec<Entry>) {
        let store = Arc::clone(&self.store);
        let metrics = self.metrics.clone();
        self.io.spawn(async move {
            let _finished = Finished(myself);
            let mut appends = Vec::with_capacity(batch.len());
            let mut calls = Vec::new();
            for entry in batch {
                match entry {
                    Entry::Append(pending) => appends.push(*pending),
                    Entry::Then(then) => calls.push(then),
                }
            }
            if !appends.is_empty() {
                commit(&*store, &metrics, appends).await;
            }
            for then in calls {
                then();
            }
        });
    }
}

impl Entry {
    fn cost_bytes(&self) -> usize {
        match self {
            Self::Append(pending) => pending.append.cost_bytes(),
            Self::Then(_) => 0,
        }
    }
}

/// A batch under way. Dropped when it has ended, also by a panic in the store, it lets the next one begin.
struct Finished(ActorRef<ShardMsg>);

impl Drop for Finished {
    fn drop(&mut self) {
        // A shard that is gone has nothing more to commit.
        let _ = self.0.cast(ShardMsg::Finished);
    }
}

#[allow(clippy::cast_precision_loss, reason = "a batch has few entries")]
async fn commit(store: &dyn Store, metrics: &Metrics, batch: Vec<Pending>) {
    let (appends, tickets): (Vec<_>, Vec<_>) = batch.into_iter().map(|p| (p.append, p.ticket)).unzip();
    let begun = Instant::now();
    match store.append(&appends).await {
        Ok(outcomes) if outcomes.len() == appends.len() => {
            metrics.commit_seconds().record(begun.elapsed());
            metrics.commit_batch_events().record(appends.len() as f64);
            hand_over(metrics, appends, tickets, outcomes);
        }
        Ok(outcomes) => {
            let error = format!("{} outcomes for {} appends", outcomes.len(), appends.len());
            refuse(metrics, tickets, &StoreError::Internal(error));
        }
        Err(error) => refuse(metrics, tickets, &error),
    }
}

fn hand_over(metrics: &Metrics, appends: Vec<Append>, tickets: Vec<Ticket>, outcomes: Vec<Outcome>) {
    let mut by_room: BTreeMap<protocol::RoomName, (Room, Vec<Committed>)> = BTreeMap::new();
    for ((append, ticket), outcome) in appends.into_iter().zip(tickets).zip(outcomes) {
        match outcome {
            Outcome::Written { .. } => metrics.events_committed().increment(1),
            Outcome::Known { .. } => metrics.appends_known().increment(1),
            Outcome::Refused(_) => {}
        }
        metrics.append_wait_seconds().record(ticket.since.elapsed());
        let Ticket {
            room,
            answer,
            since: _,
            epoch,
            reserved,
        } = ticket;
        let (_, committed) = by_room
            .entry(append.room.clone())
            .or_insert_with(|| (room, Vec::new()));
        committed.push(Committed {
            append,
            answer,
            outcome,
            epoch,
            reserved,
        });
    }
    for (room, committed) in by_room.into_values() {
        room.committed(committed);
    }
}

fn refuse(metrics: &Metrics, tickets: Vec<Ticket>, error: &StoreError) {
    metrics.commits_failed().increment(1);
    tracing::warn!(%error, appends = tickets.len(), "a batch was not committed; its senders are told to try again");
    for ticket in tickets {
        if planted::has(Bug::RefusalsAreSwallowed) {
            std::mem::forget(ticket.answer);
            continue;
        }
        ticket.answer.refuse_by_store(error);
    }
}
