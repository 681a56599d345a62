//! A node of the simulated cluster: a real [`System`] behind ports that fail as ordered.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use actors::{
    Settings, System,
    metrics::Metrics,
    ports::{Accounts, Bus, Store},
};
use parking_lot::Mutex;

use crate::{bus::SimBus, faults::Link, store::SimStore, world::World};

/// Pause before a node that did not start tries again.
const START_AGAIN_MS: u64 = 100;

/// One life of a node.
pub(crate) struct Node {
    pub(crate) name: Arc<str>,
    dead: AtomicBool,
    /// The next publication of an event panics.
    pub(crate) room_fails: AtomicBool,
    pub(crate) link: Mutex<Link>,
    system: OnceLock<System>,
    bus: OnceLock<Arc<SimBus>>,
}

impl Node {
    /// Starts the node at `index` for the `life`th time, and puts it into the world when it is up.
    pub(crate) async fn start(world: Arc<World>, index: usize, life: usize) {
        let seed = world.seed ^ ((index as u64 + 1) << 40) ^ ((life as u64 + 1) << 48);
        let node = Arc::new(Self {
            name: format!("n{index}.{life}").into(),
            dead: AtomicBool::new(false),
            room_fails: AtomicBool::new(false),
            link: Mutex::new(Link::new(seed, world.now_ms())),
            system: OnceLock::new(),
            bus: OnceLock::new(),
        });
        let bus = Arc::new(SimBus::new(Arc::clone(&world), Arc::clone(&node), seed));
        assert!(node.bus.set(Arc::clone(&bus)).is_ok());
        let settings = Settings {
            node: Arc::clone(&node.name),
            outbox_bytes: world.shape.outbox_bytes,
            ring_events: world.shape.ring_events,
            room_idle: Duration::from_millis(world.shape.room_idle_ms),
            shards: world.shape.shards,
            supervisors: 1,
            sends_per_second_per_user: 0,
            ..Settings::default()
        };
        let system = loop {
            let store = Arc::new(SimStore::new(Arc::clone(&world), Arc::clone(&node)));
            let accounts: Arc<dyn Accounts> = Arc::new(world.store.another_node());
            let store: Arc<dyn Store> = store;
            let bus: Arc<dyn Bus> = Arc::<SimBus>::clone(&bus);
            match System::start(settings.clone(), store, accounts, bus, Metrics::noop()).await {
                Ok(system) => break system,
                Err(_) => tokio::time::sleep(Duration::from_millis(START_AGAIN_MS)).await,
            }
        };
        assert!(node.system.set(system).is_ok());
        world.note(format_args!("{} is up", node.name));
        world.nodes.lock()[index] = Some(node);
    }

    pub(crate) fn system(&self) -> &System {
        self.system.get().unwrap()
    }

    pub(crate) fn bus(&self) -> &SimBus {
        self.bus.get().unwrap()
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Relaxed)
    }

    /// Returns while the node lives, and never after it was killed.
    pub(crate) async fn lives(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends it as a power cut does. From this moment nothing that it does reaches the store, the bus or a client; what
    /// it sent to the store before may still arrive there. The actors that are left are only swept up.
    pub(crate) fn kill(self: &Arc<Self>) {
        self.dead.store(true, Relaxed);
        let node = Arc::clone(self);
        tokio::spawn(async move {
            node.bus().disconnect().await;
            node.system().stop(Duration::ZERO).await;
        });
    }
}
