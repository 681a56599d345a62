//! The numbers that a node's actors work with.

use std::{sync::Arc, time::Duration};

/// Settings of one node. Sizes are bytes unless a name says otherwise.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node's id, at most 64 bytes; unique in the cluster.
    pub node: Arc<str>,
    /// Where this node serves clients, for people to read.
    pub address: Arc<str>,
    /// What this node runs.
    pub version: Arc<str>,
    /// How long a node that gives no sign of life still counts, and the people on it.
    pub lease: Duration,
    /// When connections are asked to move to other nodes.
    pub rebalance: Rebalance,
    /// The runtime of tasks that wait for the store or the bus, so that those are served while the actors have more to do
    /// than they can. `None`: the one that starts the system.
    pub io: Option<tokio::runtime::Handle>,
    /// The CPU time that this process has used since it began.
    pub cpu_time: fn() -> Duration,
    /// Bound of a connection's outbox.
    pub outbox_bytes: usize,
    /// Appends of one room that may wait for the store.
    pub pending_room_bytes: usize,
    /// Appends of all rooms that may wait for the store.
    pub pending_node_bytes: usize,
    /// Recent events that a room keeps, in number.
    pub ring_events: usize,
    /// Recent events that a room keeps, in bytes.
    pub ring_bytes: usize,
    /// Supervisors of rooms, and as many of connections.
    pub supervisors: usize,
    /// Persistence shards, each of which commits one batch at a time.
    pub shards: usize,
    /// Whether joining a room that does not exist makes it.
    pub create_on_join: bool,
    /// Events that one person may write, a second, over all connections to this node; bursts of ten seconds' worth.
    /// 0: no limit.
    pub sends_per_second_per_user: u32,
    /// Connections of one person to this node. 0: no limit.
    pub connections_per_user: u32,
    /// Rooms with more people than this show counts instead of names.
    pub presence_people: u64,
    /// People whom a room keeps, as [`crate::rights::Roster::has_place`] counts them.
    pub room_members: usize,
    /// How long a room without members stays active.
    pub room_idle: Duration,
    /// Pause between two reconciliations of heads. Below a second by what it takes to read a hole: that is how long
    /// clients may take to converge.
    pub reconcile_every: Duration,
    /// How long an early event is held before the hole is read from the store.
    pub hole_patience: Duration,
}

/// When a node that carries more than the others asks connections to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebalance {
    /// How far some node's connections are off the cluster's mean before it begins, in percent. 0: never.
    pub percent: u32,
    /// Connections that one node asks, a second.
    pub per_second: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node: "node".into(),
            address: "".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            lease: Duration::from_secs(5),
            rebalance: Rebalance {
                percent: 10,
                per_second: 30,
            },
            io: None,
            cpu_time: || Duration::ZERO,
            outbox_bytes: 256 * 1024,
            pending_room_bytes: 4 * 1024 * 1024,
            pending_node_bytes: 64 * 1024 * 1024,
            ring_events: 256,
            ring_bytes: 256 * 1024,
            supervisors: std::thread::available_parallelism().map_or(1, usize::from),
            shards: 4,
            create_on_join: true,
            sends_per_second_per_user: 50,
            connections_per_user: 100,
            presence_people: 200,
            room_members: 10_000,
            room_idle: Duration::from_secs(30),
            reconcile_every: Duration::from_millis(900),
            hole_patience: Duration::from_millis(30),
        }
    }
}
