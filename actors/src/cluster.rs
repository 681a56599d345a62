//! The cluster actor: brings what the bus reports to the rooms, reconciles heads so that nothing that the bus lost
//! stays lost, watches over the store, keeps this node's lease, and gives away connections
//! where it has more than its share.

mod balance;
mod load;
mod nodes;
mod rebalance;
mod registry;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::{NodeFrame, NodeMessage, RoomName};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{sync::mpsc, task::JoinHandle};

pub use self::nodes::{ClusterView, Nodes};
use self::{balance::Balancer, rebalance::rebalance};
use crate::{
    connection::Connections,
    people::People,
    planted::{self, Bug},
    ports::{BusEvent, Topic},
    room::{Room, Rooms},
};

/// Pause between two looks at how the connections are spread over the nodes.
const BALANCE_EVERY: Duration = Duration::from_secs(1);
/// Pause between two looks at the store.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// A store that has not answered by then is down.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);
/// Rooms whose heads are asked for at once.
const HEADS_AT_ONCE: usize = 1_000;
/// Rooms whose heads are asked of the store in one round while the bus is up; the others of that round are asked of
/// the bus. Bounds what a node with very many rooms costs the store.
const STORE_HEADS_A_ROUND: usize = 2 * HEADS_AT_ONCE;

pub(crate) struct Cluster {
    pub(crate) rooms: Rooms,
    pub(crate) connections: Connections,
    pub(crate) people: People,
    pub(crate) nodes: Nodes,
}

pub(crate) enum ClusterMsg {
    Reconcile,
    WatchStore,
    Rebalance,
    BusIsUp(bool),
}

pub(crate) struct State {
    bus_up: bool,
    balancer: Balancer,
    /// The last room that was asked of the store in its turn.
    turn: Arc<Mutex<Option<RoomName>>>,
    /// Reconciliations and looks at the store run beside the actor, one of each at a time.
    reconciling: Option<JoinHandle<()>>,
    watching: Option<JoinHandle<()>>,
    reader: Option<JoinHandle<()>>,
    follower: Option<JoinHandle<()>>,
    keeper: Option<JoinHandle<()>>,
    measurer: Option<JoinHandle<()>>,
}

impl Drop for State {
    fn drop(&mut self) {
        let tasks = [
            &self.reconciling,
            &self.watching,
            &self.reader,
            &self.follower,
            &self.keeper,
            &self.measurer,
        ];
        for task in tasks.into_iter().flatten() {
            task.abort();
        }
    }
}

impl Actor for Cluster {
    type Msg = ClusterMsg;
    type State = State;
    type Arguments = Option<mpsc::Receiver<BusEvent>>;

    async fn pre_start(
        &self,
        myself: ActorRef<ClusterMsg>,
        events: Option<mpsc::Receiver<BusEvent>>,
    ) -> Result<State, ActorProcessingErr> {
        self.rooms.context().metrics.store_up().set(1.0);
        let reader = events.map(|events| {
            tokio::spawn(read_bus(
                events,
                self.rooms.clone(),
                self.people.clone(),
                myself.clone(),
            ))
        });
        myself.send_interval(self.rooms.context().settings.reconcile_every, || {
            ClusterMsg::Reconcile
        });
        myself.send_interval(WATCH_EVERY, || ClusterMsg::WatchStore);
        myself.send_interval(BALANCE_EVERY, || ClusterMsg::Rebalance);
        let context = self.rooms.context();
        let settings = &context.settings;
        Ok(State {
            bus_up: false,
            balancer: Balancer::new(settings.rebalance, settings.lease),
            measurer: Some(tokio::spawn(
                context.lag.clone().keep_measuring(context.metrics.clone()),
            )),
            turn: Arc::default(),
            reconciling: None,
            watching: None,
            reader,
            follower: Some(context.io.spawn(self.people.clone().keep_following())),
            keeper: Some(context.io.spawn(self.nodes.clone().keep(self.rooms.clone()))),
        })
    }

    async fn handle(
        &self,
        _: ActorRef<ClusterMsg>,
        message: ClusterMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ClusterMsg::Reconcile => {
                if is_free(state.reconciling.as_ref()) && !planted::has(Bug::HeadsAreNotReconciled) {
                    let turn = state.bus_up.then(|| Arc::clone(&state.turn));
                    state.reconciling =
                        Some(self.rooms.context().io.spawn(reconcile(self.rooms.clone(), turn)));
                }
            }
            ClusterMsg::WatchStore => {
                if is_free(state.watching.as_ref()) {
                    let watch = watch_store(self.rooms.clone(), self.connections.clone());
                    state.watching = Some(self.rooms.context().io.spawn(watch));
                }
            }
            ClusterMsg::Rebalance => rebalance(&mut state.balancer, &self.nodes, &self.connections),
            ClusterMsg::BusIsUp(up) => {
                state.bus_up = up;
                self.rooms
                    .context()
                    .metrics
                    .bus_up()
                    .set(if up { 1.0 } else { 0.0 });
                if up {
                    self.nodes.bus_is_up();
                    // Whatever was published meanwhile is missed: ask the store, for all rooms at once.
                    self.rooms.context().io.spawn(reconcile(self.rooms.clone(), None));
                }
            }
        }
        Ok(())
    }
}

fn is_free(task: Option<&JoinHandle<()>>) -> bool {
    task.is_none_or(JoinHandle::is_finished)
}

async fn read_bus(
    mut events: mpsc::Receiver<BusEvent>,
    rooms: Rooms,
    people: People,
    cluster: ActorRef<ClusterMsg>,
) {
    while let Some(event) = events.recv().await {
        match event {
            BusEvent::Frame { payload, .. } => pass_on(&rooms, &people, &payload),
            BusEvent::Subscribed(Topic::Room(room)) => {
                if let Some(room) = rooms.active(&room) {
                    room.refresh();
                }
            }
            BusEvent::Subscribed(Topic::Cluster) => {}
            BusEvent::Up => drop(cluster.cast(ClusterMsg::BusIsUp(true))),
            BusEvent::Down => drop(cluster.cast(ClusterMsg::BusIsUp(false))),
        }
    }
}

fn pass_on(rooms: &Rooms, people: &People, payload: &Bytes) {
    let context = rooms.context();
    context.metrics.bus_frames_in().increment(1);
    let frame = match NodeFrame::decode(payload) {
        Ok(frame) => frame,
        Err(error) => {
            tracing::warn!(%error, "a frame from the bus was not understood; its events are read from the store");
            return;
        }
    };
    if frame.node == context.settings.node {
        return;
    }
    let name = match &frame.message {
        NodeMessage::Accounts { version } => return people.hint(*version),
        NodeMessage::Events { room, .. }
        | NodeMessage::Typing { room, .. }
        | NodeMessage::Read { room, .. }
        | NodeMessage::Presence { room, .. }
        | NodeMessage::PresenceChange { room, .. }
        | NodeMessage::PresenceAsk { room, .. } => room,
    };
    if let Some(room) = rooms.active(name)
        && !room.offer_bus(Arc::clone(&frame.node), frame.message, payload.len())
    {
        context.metrics.bus_backlog_dropped().increment(1);
    }
}

/// Tells every room with members what its head is. The store is asked although the bus remembers heads too: what a
/// node committed that was cut off from the bus, or killed before it could tell, only the store knows. With `turn` the
/// bus is up, and the store is asked for so many rooms a round, in turn.
async fn reconcile(rooms: Rooms, turn: Option<Arc<Mutex<Option<RoomName>>>>) {
    let mut of_store = rooms.with_members();
    let of_bus = match turn {
        Some(turn) if of_store.len() > STORE_HEADS_A_ROUND => {
            let mut last = turn.lock();
            let begun = last
                .as_ref()
                .map_or(0, |last| of_store.partition_point(|room| room.name() <= last));
            of_store.rotate_left(begun);
            let others = of_store.split_off(STORE_HEADS_A_ROUND);
            *last = of_store.last().map(|room| room.name().clone());
            others
        }
        _ => Vec::new(),
    };
    let context = rooms.context();
    for rooms in of_bus.chunks(HEADS_AT_ONCE) {
        // A bus that does not answer is down, and then the store is asked for all.
        if let Ok(heads) = context.bus.heads(&names(rooms)).await {
            hint(rooms, heads);
        }
    }
    for rooms in of_store.chunks(HEADS_AT_ONCE) {
        match tokio::time::timeout(STATUS_TIMEOUT, context.store.heads(&names(rooms))).await {
            Ok(Ok(heads)) => hint(rooms, heads.into_iter().map(Some)),
            // The next reconciliation is at most a second away.
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

fn names(rooms: &[Room]) -> Vec<RoomName> {
    rooms.iter().map(|room| room.name().clone()).collect()
}

fn hint(rooms: &[Room], heads: impl IntoIterator<Item = Option<u64>>) {
    for (room, head) in rooms.iter().zip(heads) {
        if let Some(head) = head {
            room.hint_head(head);
        }
    }
}

async fn watch_store(rooms: Rooms, connections: Connections) {
    let context = rooms.context();
    let was_up = context.clock.is_up();
    let failed = match tokio::time::timeout(STATUS_TIMEOUT, context.store.status()).await {
        Ok(Ok(status)) => {
            if context.clock.set(&status) {
                tracing::warn!(epoch = %status.epoch, "the store has another history; clients are told to come back");
                connections.close_all(protocol::CloseCode::Restarting);
                rooms.forget_all();
            }
            context.metrics.store_up().set(1.0);
            if !was_up {
                tracing::info!("the store answers again");
            }
            return;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {STATUS_TIMEOUT:?}"),
    };
    context.clock.set_down();
    context.metrics.store_up().set(0.0);
    if was_up {
        tracing::error!(
            error = failed,
            "the store does not answer; writing is refused until it does"
        );
    }
}
