//! All connections of a node: opens sessions, and reaches every client when the node leaves.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use protocol::{CloseCode, ServerFrame, server::GoawayReason};
use ractor::{ActorCell, ActorRuntime, SpawnErr};
use tokio::{sync::oneshot, time::Instant};

use super::{
    Connection, OpenError, Opening,
    actor::{Arguments, ConnectionActor},
    book::Book,
    resume::{Pending, Resume, welcome},
    session::Session,
};
use crate::{context::User, outbox::Outbox, room::Rooms, supervisor::Supervisor, users::Users};

/// Clients that are asked to move to other nodes are spread over this, in milliseconds.
const SHED_SPREAD_MS: u64 = 1_000;
/// After that, those that stay are closed. The protocol's description says so.
const SHED_PATIENCE: Duration = Duration::from_secs(15);

/// Pause between two looks at what is waited for when the node ends.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A node's connections. Cheap to clone.
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    rooms: Rooms,
    users: Users,
    supervisors: Vec<ActorCell>,
    next: AtomicUsize,
    known: Mutex<Book>,
}

/// A connection's place in the books of its node, from the upgrade on; given up on drop.
pub struct Registered {
    connections: Connections,
    key: usize,
}

impl Connections {
    /// Starts the connection supervisors below `parent`.
    pub(crate) async fn start(parent: ActorCell, rooms: Rooms, users: Users) -> Result<Self, SpawnErr> {
        let count = rooms.context().settings.supervisors.max(1);
        let mut supervisors = Vec::with_capacity(count);
        for _ in 0..count {
            let on_end = |_: &ActorCell, error: Option<&ractor::ActorProcessingErr>| {
                if let Some(error) = error {
                    tracing::error!(%error, "a connection failed; its client is told to come back");
                }
            };
            supervisors.push(Supervisor::start(parent.clone(), Box::new(on_end)).await?);
        }
        let known = Mutex::default();
        Ok(Self(Arc::new(Inner {
            rooms,
            users,
            supervisors,
            next: AtomicUsize::new(0),
            known,
        })))
    }

    /// Enters a connection into the books, before it is known who the client is.
    #[allow(clippy::cast_precision_loss, reason = "a number of connections")]
    pub fn register(&self, outbox: &Arc<Outbox>) -> Registered {
        let key = self.0.next.fetch_add(1, Relaxed);
        let mut all = self.0.known.lock();
        all.enter(key, Arc::clone(outbox));
        self.0.rooms.context().metrics.connections().set(all.len() as f64);
        Registered {
            connections: self.clone(),
            key,
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.known.lock().len()
    }

    /// How many were welcomed.
    pub fn welcomed(&self) -> usize {
        self.0.known.lock().welcomed()
    }

    /// Asks up to `count` clients that were not asked before to move, the longest-lived first, each after its own pause
    /// of up to `spread_ms` milliseconds. Returns how many there were.
    pub fn goaway(&self, count: usize, spread_ms: u64, reason: GoawayReason) -> usize {
        self.ask_to_move(count, spread_ms, reason, None)
    }

    /// How many were welcomed and not yet asked to move.
    pub fn not_asked(&self) -> usize {
        let (welcomed, asked) = self.welcomed_and_asked();
        welcomed - asked
    }

    /// How many were welcomed, and how many of those were asked to move.
    pub(crate) fn welcomed_and_asked(&self) -> (usize, usize) {
        let all = self.0.known.lock();
        (all.welcomed(), all.asked())
    }

    /// Asks up to `count` clients to move to other nodes, the longest-lived first. Returns how many there were; those
    /// that stay are closed by [`Self::close_overdue`].
    pub(crate) fn shed(&self, count: usize) -> usize {
        let due = Instant::now() + Duration::from_millis(SHED_SPREAD_MS) + SHED_PATIENCE;
        let asked = self.ask_to_move(count, SHED_SPREAD_MS, GoawayReason::Rebalance, Some(due));
        let metrics = &self.0.rooms.context().metrics;
        metrics.connections_shed().increment(asked as u64);
        asked
    }

    /// Closes connections that were asked to move to other nodes and have stayed for too long, at most so many.
    pub(crate) fn close_overdue(&self, limit: usize) {
        let overdue = self.0.known.lock().overdue(Instant::now(), limit);
        let metrics = &self.0.rooms.context().metrics;
        for outbox in overdue {
            metrics.connections_shed_closed().increment(1);
            outbox.close(CloseCode::Moved);
        }
    }

    fn ask_to_move(&self, count: usize, spread_ms: u64, reason: GoawayReason, due: Option<Instant>) -> usize {
        let mut all = self.0.known.lock();
        let mut asked = 0;
        for outbox in all.ask_to_move(count, due) {
            outbox.answer(&ServerFrame::Goaway {
                after_ms: fastrand::u64(0..=spread_ms),
                reason,
            });
            asked += 1;
        }
        asked
    }

    /// Reads no more commands from any client, and waits until those that were read are answered, at most `patience`
    /// long.
    pub(crate) async fn answer_all(&self, patience: Duration) {
        self.0.known.lock().outboxes().for_each(Outbox::stop_commands);
        let answered = || self.0.known.lock().outboxes().all(Outbox::is_answered);
        // A command that was read just now may not be counted yet.
        tokio::time::sleep(LOOK_EVERY).await;
        self.wait(patience, answered).await;
    }

    /// Waits until all connections have ended, at most `patience` long.
    pub(crate) async fn gone(&self, patience: Duration) {
        self.wait(patience, || self.count() == 0).await;
    }

    async fn wait(&self, patience: Duration, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + patience;
        while !condition() && Instant::now() < deadline {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Closes every connection with `code`.
    pub fn close_all(&self, code: CloseCode) {
        self.0
            .known
            .lock()
            .outboxes()
            .for_each(|outbox| outbox.close(code));
    }

    /// Closes the connections of a person with `code`.
    pub(crate) fn close_user(&self, id: &str, code: CloseCode) {
        self.0
            .known
            .lock()
            .of_user(id)
            .for_each(|outbox| outbox.close(code));
    }

    /// Closes the connections that were opened with a credential with `code`.
    pub(crate) fn close_credential(&self, id: &str, code: CloseCode) {
        self.0
            .known
            .lock()
            .of_credential(id)
            .for_each(|outbox| outbox.close(code));
    }

    /// Everybody who is connected.
    pub(crate) fn users(&self) -> Vec<Arc<str>> {
        self.0.known.lock().users()
    }

    /// All credentials that connections were opened with.
    pub(crate) fn credentials(&self) -> Vec<Arc<str>> {
        self.0.known.lock().credentials()
    }
}

impl Registered {
    /// Enters into the books who the client is: from now on the connection ends when that is taken back.
    pub fn identify(&self, user: &User) {
        self.connections.0.known.lock().identify(self.key, user);
    }

    /// Opens a session and returns once its `welcome` is in the outbox. Cancel safe: a session that is not returned
    /// ends.
    ///
    /// # Errors
    /// When the person has too many connections, or the node is ending.
    pub async fn open(&self, opening: Opening) -> Result<Connection, OpenError> {
        let inner = &self.connections.0;
        let Some(share) = inner.users.connect(&opening.user.person.id) else {
            return Err(OpenError::TooMany);
        };
        let welcome = welcome(&inner.rooms, &opening);
        let Opening {
            user,
            outbox,
            resume,
            epoch,
            ..
        } = opening;
        let session = Session {
            rooms: inner.rooms.clone(),
            users: inner.users.clone(),
            user,
            outbox,
            _share: share,
            open: BTreeMap::new(),
            names: HashMap::new(),
            welcome: Some(Pending {
                frame: welcome,
                welcomed: None,
            }),
        };
        let resume = resume.map(|rooms| Resume { rooms, epoch });
        let (welcomed, is_welcomed) = oneshot::channel();
        let arguments = Box::new(Arguments {
            session,
            resume,
            welcomed,
        });
        let supervisor = &inner.supervisors[self.key % inner.supervisors.len()];
        let (actor, _) =
            ActorRuntime::spawn_linked_instant(None, ConnectionActor, arguments, supervisor.clone())
                .map_err(|_| OpenError::Ended)?;
        let connection = Connection { actor };
        is_welcomed.await.map_err(|_| OpenError::Ended)?;
        inner.known.lock().welcome(self.key);
        Ok(connection)
    }
}

impl Drop for Registered {
    #[allow(clippy::cast_precision_loss, reason = "a number of connections")]
    fn drop(&mut self) {
        let inner = &self.connections.0;
        let mut all = inner.known.lock();
        all.strike(self.key);
        inner.rooms.context().metrics.connections().set(all.len() as f64);
    }
}
