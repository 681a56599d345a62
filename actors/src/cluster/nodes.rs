//! The nodes of the cluster: this one's lease, and what the others' leases say. Only a hint, as everything on the bus:
//! who is where, and how much it carries.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::NodeLease;
use tokio::{sync::Notify, time::Instant};

use super::{load::LoadMeter, registry::Registry};
use crate::{connection::Connections, context::Context, room::Rooms, settings::Settings};

/// A lease is renewed so many times while it lasts: two renewals in a row may fail.
const RENEWALS: u32 = 4;
/// The bus keeps a lease for so much of its length. The rest is for those who find out, and tell their clients.
const KEPT_SHARE: f64 = 0.8;
/// Pause after a renewal that failed.
const RETRY: Duration = Duration::from_millis(500);
/// Shortest pause between two renewals.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// Giving up the lease may take so long; if it fails, the lease runs out by itself.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// The nodes of the cluster, as this one knows them. Cheap to clone.
#[derive(Clone)]
pub struct Nodes(Arc<Inner>);

struct Inner {
    context: Arc<Context>,
    connections: Connections,
    since: u64,
    started: Instant,
    draining: AtomicBool,
    registry: Mutex<Registry>,
    load: Mutex<LoadMeter>,
    /// Wakes the keeper of the lease.
    changed: Notify,
    /// Whether this node has left; held while the lease is renewed.
    left: tokio::sync::Mutex<bool>,
}

/// What a node knows of the cluster at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterView {
    /// This node, as it is now.
    pub this: NodeLease,
    /// The others, by name, as they said when they last renewed their leases. None while the bus is down.
    pub others: Vec<NodeLease>,
}

impl ClusterView {
    /// Mean of the connections of the nodes that are not leaving; 0 if all are.
    #[allow(clippy::cast_precision_loss, reason = "a number of connections")]
    pub fn mean_connections(&self) -> f64 {
        let staying = self.staying().count();
        let connections: u64 = self.staying().map(|lease| lease.connections).sum();
        connections as f64 / staying.max(1) as f64
    }

    /// The nodes that are not leaving.
    pub(super) fn staying(&self) -> impl Iterator<Item = &NodeLease> {
        let all = std::iter::once(&self.this).chain(&self.others);
        all.filter(|lease| !lease.draining)
    }
}

impl Nodes {
    pub(crate) fn new(context: Arc<Context>, connections: Connections) -> Self {
        let settings = &context.settings;
        let kept = settings.lease.mul_f64(KEPT_SHARE);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let registry = Registry::new(Arc::clone(&settings.node), kept);
        Self(Arc::new(Inner {
            since: context.clock.now_ms(),
            started: Instant::now(),
            context,
            connections,
            draining: AtomicBool::new(false),
            registry: Mutex::new(registry),
            load: Mutex::new(LoadMeter::new(cores)),
            changed: Notify::new(),
            left: tokio::sync::Mutex::new(false),
        }))
    }

    /// What this node knows of the cluster.
    pub fn view(&self) -> ClusterView {
        let now = Instant::now().into_std();
        ClusterView {
            this: self.own(),
            others: self.0.registry.lock().others(now).cloned().collect(),
        }
    }

    /// This node is leaving: the others are told at once.
    pub fn begin_drain(&self) {
        self.0.draining.store(true, Relaxed);
        self.0.changed.notify_one();
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.context.settings
    }

    pub(super) fn is_draining(&self) -> bool {
        self.0.draining.load(Relaxed)
    }

    /// Gives up the lease, for good.
    pub(crate) async fn leave(&self) {
        let leave = async {
            *self.0.left.lock().await = true;
            let settings = &self.0.context.settings;
            self.0.context.bus.end_lease(&settings.node).await
        };
        match tokio::time::timeout(LEAVE_TIMEOUT, leave).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the lease of this node runs out by itself"),
            Err(_) => tracing::debug!("the lease of this node runs out by itself"),
        }
    }

    /// The bus is up (again): the lease is renewed at once.
    pub(super) fn bus_is_up(&self) {
        self.0.changed.notify_one();
    }

    /// Keeps this node's lease, and finds out about the others, for ever.
    pub(super) async fn keep(self, rooms: Rooms) {
        loop {
            let pause = self.renew(&rooms).await;
            self.report();
            // Woken or not, it is time to renew.
            let _ = tokio::time::timeout(pause, self.0.changed.notified()).await;
        }
    }

    /// Renews the lease and reads the others'. Returns when to do so again.
    async fn renew(&self, rooms: &Rooms) -> Duration {
        let Inner { context, left, .. } = &*self.0;
        let left = left.lock().await;
        let settings = &context.settings;
        let pause = settings.lease / RENEWALS;
        if *left {
            return pause;
        }
        let text = match self.own().encode() {
            Ok(text) => Bytes::from(text),
            Err(error) => {
                tracing::error!(%error, "the lease of this node could not be encoded");
                return pause;
            }
        };
        let lasts = settings.lease.mul_f64(KEPT_SHARE);
        let held = match context.bus.renew_lease(&settings.node, text, lasts).await {
            Ok(held) => held,
            Err(error) => {
                // That the bus is down is in the log already.
                tracing::debug!(%error, "the lease of this node was not renewed");
                // A node that has just started is not connected yet.
                if self.0.started.elapsed() >= settings.lease {
                    context.metrics.lease_renewals_failed().increment(1);
                }
                return pause.min(RETRY);
            }
        };
        let leases = held.into_iter().filter_map(|held| {
            let lease = NodeLease::decode(&held.text);
            lease
                .inspect_err(|error| tracing::warn!(%error, "another node's lease was not understood"))
                .ok()
                .map(|lease| (lease, held.left))
        });
        let now = Instant::now().into_std();
        let mut registry = self.0.registry.lock();
        let lapsed = registry.own_lapsed(now);
        let gone = registry.read(leases, now);
        let next_end = registry
            .next_end()
            .map_or(pause, |end| end.saturating_duration_since(now));
        drop(registry);
        if lapsed {
            // The others have let this node's people go.
            rooms.tell_pictures();
        }
        if !gone.is_empty() {
            tracing::info!(nodes = ?gone, "nodes have left the cluster");
            rooms.nodes_gone(&gone.into());
        }
        // A moment later, so that a lease which ends has ended.
        pause.min(next_end + SHORTEST_PAUSE).max(SHORTEST_PAUSE)
    }

    #[allow(clippy::cast_precision_loss, reason = "numbers of nodes and connections")]
    fn report(&self) {
        let view = self.view();
        let metrics = &self.0.context.metrics;
        metrics.cluster_nodes().set((view.others.len() + 1) as f64);
        metrics.cluster_mean_connections().set(view.mean_connections());
        metrics.node_load().set(view.this.load);
    }

    fn own(&self) -> NodeLease {
        let settings = &self.0.context.settings;
        let cpu = (settings.cpu_time)();
        NodeLease {
            node: Arc::clone(&settings.node),
            address: Arc::clone(&settings.address),
            version: Arc::clone(&settings.version),
            since: self.0.since,
            connections: self.0.connections.welcomed() as u64,
            load: self.0.load.lock().look(cpu, Instant::now().into_std()),
            draining: self.is_draining(),
        }
    }
}
