//! A node's supervision tree, from start to end.

use std::{sync::Arc, time::Duration};

use protocol::{CloseCode, RoomName};
use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::{runtime::Handle, time::Instant};

use crate::{
    bucket::Allowance,
    clock::StoreClock,
    cluster::{Cluster, Nodes},
    connection::Connections,
    context::{Context, User},
    guarded::Guarded,
    guarded_accounts::GuardedAccounts,
    heads::HeadReader,
    lag::Lag,
    loader::Loader,
    metrics::Metrics,
    people::{People, Sources},
    persistence::Persistence,
    ports::{Accounts, Bus, RoomRecord, Store, StoreError},
    rights::Roster,
    room::Rooms,
    settings::Settings,
    users::Users,
};

/// What was accepted is to be answered by then when the node ends; the clients are closed anyway.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the last frames and the closes may take to reach the clients.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(4);

/// A running node, as the outside sees it. Cheap to clone.
#[derive(Clone)]
pub struct System {
    root: ActorRef<()>,
    context: Arc<Context>,
    rooms: Rooms,
    connections: Connections,
    people: People,
    users: Users,
    nodes: Nodes,
}

/// A node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An actor did not start.
    #[error("an actor could not be started: {0}")]
    Actor(#[from] SpawnErr),
}

impl System {
    /// Starts all actors of a node.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn start(
        settings: Settings,
        store: Arc<dyn Store>,
        accounts: Arc<dyn Accounts>,
        bus: Arc<dyn Bus>,
        metrics: Metrics,
    ) -> Result<Self, StartError> {
        let io = settings.io.clone().unwrap_or_else(Handle::current);
        let store: Arc<dyn Store> = Arc::new(Guarded {
            store,
            io: io.clone(),
        });
        let accounts: Arc<dyn Accounts> = Arc::new(GuardedAccounts {
            store: accounts,
            io: io.clone(),
        });
        let clock = Arc::new(StoreClock::new(&store.status().await?));
        let (root, _) = Actor::spawn(None, Root, ()).await?;
        let cell = root.get_cell();
        let persistence = Persistence::start(
            cell.clone(),
            &settings,
            Arc::clone(&store),
            metrics.clone(),
            io.clone(),
        )
        .await?;
        let events = bus.events();
        let users = Users::new(&settings);
        let heads = HeadReader::new(Arc::clone(&store), io.clone());
        let loader = Loader::new(&settings, Arc::clone(&store), &io);
        let context = Arc::new(Context {
            settings,
            io: io.clone(),
            store,
            bus,
            metrics,
            persistence,
            heads,
            loader,
            lag: Lag::default(),
            clock,
        });
        let rooms = Rooms::start(cell.clone(), Arc::clone(&context)).await?;
        let connections = Connections::start(cell.clone(), rooms.clone(), users.clone()).await?;
        let people = People::start(Sources {
            store: accounts,
            bus: Arc::clone(&context.bus),
            node: Arc::clone(&context.settings.node),
            clock: Arc::clone(&context.clock),
            connections: connections.clone(),
            io,
        })
        .await?;
        let nodes = Nodes::new(Arc::clone(&context), connections.clone());
        let cluster = Cluster {
            nodes: nodes.clone(),
            rooms: rooms.clone(),
            connections: connections.clone(),
            people: people.clone(),
        };
        Actor::spawn_linked(None, cluster, events, cell).await?;
        Ok(Self {
            root,
            context,
            rooms,
            connections,
            people,
            users,
            nodes,
        })
    }

    /// The rooms.
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// The connections.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Who there is.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// The nodes of the cluster.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// The store's clock and health.
    pub fn clock(&self) -> &StoreClock {
        &self.context.clock
    }

    /// The settings that the node was started with.
    pub fn settings(&self) -> &Settings {
        &self.context.settings
    }

    /// The node's books.
    pub fn metrics(&self) -> &Metrics {
        &self.context.metrics
    }

    /// Takes one of the person's writes, for a write that comes without a connection.
    ///
    /// # Errors
    /// With the milliseconds until the next one is allowed.
    pub fn take_send(&self, user: &User) -> Result<(), u64> {
        self.users.take_send(&user.person.id)
    }

    /// What is left of the person's writes on this node; `None` where they are not limited.
    pub fn sends_left(&self, user: &User) -> Option<Allowance> {
        self.users.sends_left(&user.person.id)
    }

    /// The store, for what is read from it without a room's or a connection's actor.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.context.store
    }

    /// The room of that name and who is what in it, as they are in the store now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn room(&self, name: &RoomName) -> Result<Option<(RoomRecord, Roster)>, StoreError> {
        let Some(record) = self.context.store.room(name).await? else {
            return Ok(None);
        };
        let members = self.context.store.members(name).await?;
        let roster = Roster::new(record.rights, members).of(name.clone());
        Ok(Some((record, roster)))
    }

    /// Ends the node: no further command is read, what was accepted is committed and answered, connections that are left
    /// are closed with 1012, the lease is given up, the bus is told the rest, all actors stop. Gives up waiting for the
    /// store after `patience`; returns whether all was committed.
    pub async fn stop(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        self.connections.answer_all(ANSWER_TIMEOUT.min(patience)).await;
        self.connections.close_all(CloseCode::Restarting);
        let flushed = tokio::time::timeout_at(deadline, self.context.persistence.flush())
            .await
            .is_ok();
        self.connections.gone(CLOSE_TIMEOUT).await;
        self.nodes.leave().await;
        self.context.bus.close().await;
        // Errors mean that it has ended already.
        let _ = self.root.stop_and_wait(None, Some(patience)).await;
        flushed
    }
}

struct Root;

impl Actor for Root {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(_, error) = event {
            // Supervisors hold no logic that could fail; should one fail all the same, a clean start is the cure.
            tracing::error!(%error, "a supervisor failed; the node ends");
            myself.stop(Some("a supervisor failed".to_owned()));
        }
        Ok(())
    }
}
