//! The bus over Redis or a Redis Cluster.
//!
//! One task, the keeper, opens all connections, subscribes, tries them out, and begins anew when one of them is lost;
//! another, the writer, publishes. Reports come straight from the connections. In a cluster the bus is up while all of
//! its servers are: a part that is missing is noticed by everybody, and everybody then asks the store.

mod connect;
mod errors;
mod inbox;
mod interest;
mod keeper;
mod leases;
mod names;
mod queue;
mod script;
mod session;
mod topology;
mod writer;

use std::{sync::Arc, time::Duration};

use actors::{
    memory::BusReports,
    ports::{Bus, BusError, BusEvent, HeldLease, Topic},
};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use protocol::RoomName;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use self::{
    connect::{Connector, Link},
    interest::{Interest, LinkId},
    names::Names,
    queue::Queue,
    session::Session,
};
use super::{BusConfig, BusConfigError};

/// A node's connections to Redis. They end when it is closed or dropped.
#[derive(Debug)]
pub(super) struct RedisBus {
    shared: Arc<Shared>,
    tasks: tokio::sync::Mutex<Option<(JoinHandle<()>, JoinHandle<()>)>>,
}

/// What the tasks and the connections share.
#[derive(Debug)]
struct Shared {
    config: BusConfig,
    connector: Connector,
    names: Names,
    reports: BusReports,
    queue: Queue,
    interest: Mutex<Interest>,
    state: Mutex<State>,
    /// Wakes the keeper.
    changed: Notify,
    end: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    /// While the bus is up.
    session: Option<Arc<Session>>,
    /// Links that are lost, and why, until the keeper has seen it.
    lost: Vec<(LinkId, String)>,
    slots_moved: bool,
    /// Why the bus is down.
    down_because: String,
}

impl RedisBus {
    pub(super) fn open(config: BusConfig) -> Result<Self, BusConfigError> {
        config.check_prefix()?;
        let shared = Arc::new(Shared {
            connector: Connector::new(&config)?,
            names: Names::new(config.prefix.clone()),
            reports: BusReports::new(config.events_capacity),
            queue: Queue::new(config.queue_bytes),
            interest: Mutex::default(),
            state: Mutex::default(),
            changed: Notify::new(),
            end: CancellationToken::new(),
            config,
        });
        let keeper = tokio::spawn(keeper::keep(Arc::clone(&shared)));
        let writer = tokio::spawn(writer::write(Arc::clone(&shared)));
        Ok(Self {
            shared,
            tasks: tokio::sync::Mutex::new(Some((keeper, writer))),
        })
    }
}

impl Shared {
    /// The connections, while the bus is up.
    fn session(&self) -> Option<Arc<Session>> {
        self.state.lock().session.clone()
    }

    fn session_that_is_up(&self) -> Result<Arc<Session>, BusError> {
        let state = self.state.lock();
        let session = state.session.clone();
        session.ok_or_else(|| BusError(state.down_because.clone()))
    }

    /// A connection of `link` is of no use any more.
    fn lost(&self, link: &Link, why: &str) {
        self.lost_at(link.id, format!("Redis at {}: {why}", link.address));
    }

    fn lost_at(&self, link: LinkId, why: String) {
        let mut state = self.state.lock();
        if !state.lost.iter().any(|(other, _)| *other == link) {
            state.lost.push((link, why));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Some slot has another server.
    fn slots_moved(&self) {
        self.state.lock().slots_moved = true;
        self.changed.notify_one();
    }
}

#[async_trait]
impl Bus for RedisBus {
    fn publish(&self, topic: &Topic, payload: Bytes, head: Option<u64>) {
        self.shared.queue.push(topic, payload, head);
    }

    fn subscribe(&self, topic: Topic) {
        self.shared.interest.lock().want(topic);
        self.shared.changed.notify_one();
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.shared.interest.lock().unwant(topic);
        self.shared.changed.notify_one();
    }

    fn reaches_others(&self) -> bool {
        true
    }

    async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<Option<u64>>, BusError> {
        let session = self.shared.session_that_is_up()?;
        session.heads(rooms).await.map_err(BusError)
    }

    async fn renew_lease(
        &self,
        node: &str,
        text: Bytes,
        lasts: Duration,
    ) -> Result<Vec<HeldLease>, BusError> {
        let session = self.shared.session_that_is_up()?;
        session.renew_lease(node, &text, lasts).await.map_err(BusError)
    }

    async fn end_lease(&self, node: &str) -> Result<(), BusError> {
        let session = self.shared.session_that_is_up()?;
        session.end_lease(node).await.map_err(BusError)
    }

    fn events(&self) -> Option<mpsc::Receiver<BusEvent>> {
        self.shared.reports.take_receiver()
    }

    async fn close(&self) {
        let Some((keeper, writer)) = self.tasks.lock().await.take() else {
            return;
        };
        let deadline = Instant::now() + self.shared.config.close_timeout;
        self.shared.queue.close();
        if timeout_at(deadline, writer).await.is_err() {
            tracing::warn!("the bus was closed before all frames were published: Redis does not keep up");
        }
        self.shared.end.cancel();
        // It holds no work of its own, and ends with the runtime if not before.
        let _ = timeout_at(deadline + self.shared.config.response_timeout, keeper).await;
    }
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        self.shared.queue.close();
        self.shared.end.cancel();
    }
}
