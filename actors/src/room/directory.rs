//! Which rooms are active on this node.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use protocol::RoomName;
use ractor::{ActorCell, ActorId, ActorRuntime, SpawnErr};

use super::{Room, Shared, actor::RoomActor};
use crate::{context::Context, supervisor::Supervisor};

/// The active rooms of a node; makes them active on demand. Cheap to clone.
#[derive(Clone)]
pub struct Rooms(Arc<Inner>);

struct Inner {
    context: Arc<Context>,
    active: Mutex<HashMap<RoomName, Room>>,
    supervisors: OnceLock<Vec<ActorCell>>,
    next: AtomicUsize,
}

/// What a room needs of the directory that holds it.
#[derive(Clone)]
pub(super) struct WeakRooms(Weak<Inner>);

/// A room's place in the directory; given up on drop, however the room ends.
pub(super) struct Listed {
    rooms: WeakRooms,
    name: RoomName,
    id: ActorId,
}

impl Rooms {
    /// Starts the room supervisors below `parent`.
    pub(crate) async fn start(parent: ActorCell, context: Arc<Context>) -> Result<Self, SpawnErr> {
        let inner = Inner {
            context,
            active: Mutex::default(),
            supervisors: OnceLock::new(),
            next: AtomicUsize::new(0),
        };
        let rooms = Self(Arc::new(inner));
        let count = rooms.0.context.settings.supervisors.max(1);
        let mut supervisors = Vec::with_capacity(count);
        for _ in 0..count {
            let weak = Arc::downgrade(&rooms.0);
            let on_end = Box::new(move |_: &ActorCell, error: Option<&ractor::ActorProcessingErr>| {
                if let (Some(rooms), Some(error)) = (weak.upgrade(), error) {
                    tracing::error!(%error, "a room failed; it is rebuilt from the store");
                    rooms.context.metrics.rooms_restarted().increment(1);
                }
            });
            supervisors.push(Supervisor::start(parent.clone(), on_end).await?);
        }
        // Nobody else can have set it.
        drop(rooms.0.supervisors.set(supervisors));
        Ok(rooms)
    }

    /// The room of that name, made active if it is not. Whether it exists is found out by the room itself.
    ///
    /// # Errors
    /// When the node is ending.
    pub fn get(&self, name: &RoomName) -> Result<Room, SpawnErr> {
        let mut active = self.0.active.lock();
        if let Some(room) = active.get(name) {
            return Ok(room.clone());
        }
        let room = self.spawn(name)?;
        active.insert(name.clone(), room.clone());
        self.0.report(active.len());
        Ok(room)
    }

    /// The room of that name, if it is active.
    pub(crate) fn active(&self, name: &RoomName) -> Option<Room> {
        self.0.active.lock().get(name).cloned()
    }

    /// All active rooms with members on this node, in the order of their names.
    pub(crate) fn with_members(&self) -> Vec<Room> {
        let mut rooms: Vec<Room> = self
            .0
            .active
            .lock()
            .values()
            .filter(|room| room.has_members())
            .cloned()
            .collect();
        rooms.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        rooms
    }

    /// These nodes are gone, and the people on them.
    pub(crate) fn nodes_gone(&self, nodes: &Arc<[Arc<str>]>) {
        for room in self.with_members() {
            room.cast(super::RoomMsg::NodesGone(Arc::clone(nodes)));
        }
    }

    /// The other nodes may have forgotten who is here.
    pub(crate) fn tell_pictures(&self) {
        for room in self.with_members() {
            room.cast(super::RoomMsg::TellPicture);
        }
    }

    /// The store has another history: all that is known of rooms is void.
    pub(crate) fn forget_all(&self) {
        for room in self.0.active.lock().values() {
            room.cast(super::RoomMsg::Forget);
        }
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.0.context
    }

    fn spawn(&self, name: &RoomName) -> Result<Room, SpawnErr> {
        let supervisors = self.0.supervisors.get().map(Vec::as_slice).unwrap_or_default();
        let Some(supervisor) = supervisors.get(self.0.next.fetch_add(1, Relaxed) % supervisors.len().max(1))
        else {
            return Err(SpawnErr::StartupFailed("no room supervisor".into()));
        };
        let shared = Arc::new(Shared {
            name: name.clone(),
            applied: AtomicU64::new(0),
            members: AtomicUsize::new(0),
            backlog_bytes: AtomicUsize::new(0),
        });
        let room = RoomActor {
            context: Arc::clone(&self.0.context),
            rooms: WeakRooms(Arc::downgrade(&self.0)),
            shared: Arc::clone(&shared),
        };
        let (actor, _) = ActorRuntime::spawn_linked_instant(None, room, (), supervisor.clone())?;
        Ok(Room { actor, shared })
    }
}

impl WeakRooms {
    /// The place of the room's actor `id`.
    pub(super) fn listed(&self, name: &RoomName, id: ActorId) -> Listed {
        Listed {
            rooms: self.clone(),
            name: name.clone(),
            id,
        }
    }

    /// Takes a room out of the directory, unless somebody holds a handle to it. Handles are given out under the same
    /// lock, so a room that was taken out gets no further message.
    pub(super) fn retire(&self, name: &RoomName, id: ActorId) -> bool {
        let Some(rooms) = self.0.upgrade() else {
            return true;
        };
        let mut active = rooms.active.lock();
        match active.get(name) {
            Some(room) if room.actor.get_id() == id => {
                // One reference is the directory's, one the actor's own.
                if Arc::strong_count(&room.shared) > 2 {
                    return false;
                }
                active.remove(name);
                rooms.report(active.len());
                true
            }
            _ => true,
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let Some(rooms) = self.rooms.0.upgrade() else {
            return;
        };
        let mut active = rooms.active.lock();
        if active
            .get(&self.name)
            .is_some_and(|room| room.actor.get_id() == self.id)
        {
            active.remove(&self.name);
            rooms.report(active.len());
        }
    }
}

impl Inner {
    #[allow(clippy::cast_precision_loss, reason = "a number of rooms")]
    fn report(&self, active: usize) {
        self.context.metrics.rooms().set(active as f64);
    }
}
