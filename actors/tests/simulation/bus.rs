//! The bus as one node sees it: the one in memory, whose frames are lost, repeated and late as ordered.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actors::{
    memory::LocalBus,
    ports::{Bus, BusError, BusEvent, HeldLease, Topic},
};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use protocol::RoomName;
use tokio::sync::mpsc;

use crate::{node::Node, store::ORDERED, world::World};

/// Reports that may wait for the node.
const REPORTS: usize = 4_096;

pub(crate) struct SimBus {
    world: Arc<World>,
    node: Arc<Node>,
    inner: LocalBus,
    rng: Arc<Mutex<fastrand::Rng>>,
}

impl SimBus {
    pub(crate) fn new(world: Arc<World>, node: Arc<Node>, seed: u64) -> Self {
        let inner = world.hub.connect();
        Self {
            world,
            node,
            inner,
            rng: Arc::new(Mutex::new(fastrand::Rng::with_seed(!seed))),
        }
    }

    pub(crate) fn set_reachable(&self, reachable: bool) {
        self.inner.set_reachable(reachable);
    }

    /// The node is gone.
    pub(crate) async fn disconnect(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl Bus for SimBus {
    fn publish(&self, topic: &Topic, payload: Bytes, head: Option<u64>) {
        if self.node.is_dead() {
            return;
        }
        if head.is_some() && self.node.room_fails.swap(false, Relaxed) {
            self.world.note(format_args!("{}: a room fails", self.node.name));
            self.world.count(|counts| counts.room_failures += 1);
            self.node.link.lock().shake(self.world.now_ms());
            panic!("{ORDERED}: a room");
        }
        self.inner.publish(topic, payload, head);
    }

    fn subscribe(&self, topic: Topic) {
        self.inner.subscribe(topic);
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.inner.unsubscribe(topic);
    }

    fn reaches_others(&self) -> bool {
        self.inner.reaches_others()
    }

    async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<Option<u64>>, BusError> {
        self.node.lives().await;
        let way = Duration::from_millis(self.rng.lock().u64(1..4));
        tokio::time::sleep(way).await;
        self.inner.heads(rooms).await
    }

    async fn renew_lease(
        &self,
        node: &str,
        text: Bytes,
        lasts: Duration,
    ) -> Result<Vec<HeldLease>, BusError> {
        self.node.lives().await;
        let held = self.inner.renew_lease(node, text, lasts).await;
        self.node.lives().await;
        held
    }

    async fn end_lease(&self, node: &str) -> Result<(), BusError> {
        self.node.lives().await;
        self.inner.end_lease(node).await
    }

    fn events(&self) -> Option<mpsc::Receiver<BusEvent>> {
        let mut inner = self.inner.events()?;
        let (reports, receiver) = mpsc::channel(REPORTS);
        let (world, node, rng) = (
            Arc::clone(&self.world),
            Arc::clone(&self.node),
            Arc::clone(&self.rng),
        );
        tokio::spawn(async move {
            while let Some(report) = inner.recv().await {
                if node.is_dead() {
                    return;
                }
                match report {
                    BusEvent::Frame { .. } => deliver(&world, &mut rng.lock(), &reports, &report),
                    report => drop(reports.send(report).await),
                }
            }
        });
        Some(receiver)
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

fn deliver(world: &World, rng: &mut fastrand::Rng, reports: &mpsc::Sender<BusEvent>, frame: &BusEvent) {
    let weather = world.weather();
    if rng.f64() < weather.drop {
        world.count(|counts| counts.frames_lost += 1);
        return;
    }
    let copies = if rng.f64() < weather.duplicate { 2 } else { 1 };
    for _ in 0..copies {
        let (reports, frame) = (reports.clone(), frame.clone());
        let way = Duration::from_millis(rng.u64(0..=weather.delay_ms));
        tokio::spawn(async move {
            tokio::time::sleep(way).await;
            // What finds no room is lost, as on any bus.
            let _ = reports.try_send(frame);
        });
    }
}
