//! The bus between nodes: fast, and only a hint. Whatever it loses, repeats or reorders is repaired from the store.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use protocol::RoomName;
use tokio::sync::mpsc;

/// What a node can listen to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// What concerns one room; nodes listen while they have members there.
    Room(RoomName),
    /// What concerns every node.
    Cluster,
}

/// What the bus reports to the node that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusEvent {
    /// Somebody published this, possibly this node itself.
    Frame {
        /// Where.
        topic: Topic,
        /// As it was published.
        payload: Bytes,
    },
    /// A subscription is in force: what is published from now on arrives while the bus stays up.
    Subscribed(Topic),
    /// Connected (again), and every wanted subscription is in force. Frames may have been missed before.
    Up,
    /// The connection is lost; the bus tries to get it back by itself.
    Down,
}

/// The bus could not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the bus cannot be reached: {0}")]
pub struct BusError(pub String);

/// A node's lease, as the bus keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    /// As it was written.
    pub text: Bytes,
    /// What is left of it.
    pub left: Duration,
}

/// A connection to the other nodes. All methods may be called concurrently.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Hands a frame over and returns at once, whether the bus is up or not. `head` is the room's last `seq` in it: the
    /// bus remembers the highest one of each room in the same step as it publishes. When more than the adapter's limit
    /// in bytes is waiting, or the bus is down, the frame is dropped; other nodes then find out from the heads.
    ///
    /// Frames of one topic that are not dropped are published in the order in which they were handed over.
    fn publish(&self, topic: &Topic, payload: Bytes, head: Option<u64>);

    /// Begins to listen. Returns at once; [`BusEvent::Subscribed`] follows when it is in force, and again after each
    /// repeated call. Survives reconnects.
    fn subscribe(&self, topic: Topic);

    /// Ends listening. Returns at once. A frame that is under way may still arrive.
    fn unsubscribe(&self, topic: &Topic);

    /// The remembered heads, in the order asked for; `None` where none is remembered.
    ///
    /// # Errors
    /// When the bus is down or does not answer in time.
    async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<Option<u64>>, BusError>;

    /// Writes the lease of `node`, over the one before: `text` is kept for `lasts` and then forgotten. Answers with all
    /// leases that are kept, this one among them, in any order. Names of nodes are of letters, digits, `-`, `_`, `.`.
    ///
    /// # Errors
    /// When the bus is down or does not answer in time; the lease may be written all the same.
    async fn renew_lease(&self, node: &str, text: Bytes, lasts: Duration)
    -> Result<Vec<HeldLease>, BusError>;

    /// Forgets the lease of `node` at once. One that is not kept does no harm.
    ///
    /// # Errors
    /// When the bus is down or does not answer in time; the lease then runs out by itself.
    async fn end_lease(&self, node: &str) -> Result<(), BusError>;

    /// The stream of reports; `None` from the second call on. The channel is bounded: frames that find it full are
    /// dropped and counted by the adapter's log, other reports never.
    fn events(&self) -> Option<mpsc::Receiver<BusEvent>>;

    /// Whether there can be other nodes on this bus at the moment.
    fn reaches_others(&self) -> bool;

    /// Ends the connection once what was handed over has been published, or the bus's own time limit has passed.
    async fn close(&self);
}
