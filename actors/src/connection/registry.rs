//! All connections of a node: opens sessions, and reaches every client when the node leaves.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use protocol::{CloseCode, ServerFrame, server::GoawayReason};
use ractor::{ActorCell, ActorRuntime, SpawnErr};
use tokio::sync::oneshot;

use super::{
    Connection, OpenError, Opening,
    actor::{Arguments, ConnectionActor},
    book::Book,
    resume::{Pending, Resume, welcome},
    session::Session,
};
use crate::{context::User, outbox::Outbox, room::Rooms, supervisor::Supervisor, users::Users};

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
    /// Starts the connection supervisors, one a core, below `parent`.
    pub(crate) async fn start(parent: ActorCell, rooms: Rooms, users: Users) -> Result<Self, SpawnErr> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut supervisors = Vec::with_capacity(cores);
        for _ in 0..cores {
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

    /// Asks up to `count` clients that were not asked before to move, the longest-lived first, each after its own pause
    /// of up to `spread_ms` milliseconds. Returns how many there were.
    pub fn goaway(&self, count: usize, spread_ms: u64, reason: GoawayReason) -> usize {
        let mut all = self.0.known.lock();
        let mut asked = 0;
        for outbox in all.ask_to_move(count) {
            outbox.answer(&ServerFrame::Goaway {
                after_ms: fastrand::u64(0..=spread_ms),
                reason,
            });
            asked += 1;
        }
        asked
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
            open: HashMap::new(),
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
