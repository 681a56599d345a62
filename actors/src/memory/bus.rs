//! The bus inside one process.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use protocol::RoomName;
use tokio::{sync::mpsc, time::Instant};

use super::bus_reports::{BusReports, REPORTS_CAPACITY};
use crate::ports::{Bus, BusError, BusEvent, HeldLease, Topic};

/// What connects the nodes of one process, as a Redis would: frames reach every subscriber, the sender included. A
/// node on its own is simply the only one connected. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LocalHub(Arc<Mutex<Hub>>);

/// One node's connection to a [`LocalHub`]; ends when it is dropped.
#[derive(Debug)]
pub struct LocalBus {
    id: u64,
    hub: LocalHub,
    reports: BusReports,
}

/// How badly a hub treats frames: probabilities between 0 and 1, rolled for each frame and each of its receivers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Faults {
    /// The frame is lost.
    pub drop: f64,
    /// The frame arrives twice.
    pub duplicate: f64,
    /// The frame arrives after the next one; if none follows, it is lost.
    pub reorder: f64,
}

#[derive(Debug, Default)]
struct Hub {
    connections: BTreeMap<u64, Connection>,
    heads: HashMap<RoomName, u64>,
    /// By node, with their ends.
    leases: HashMap<String, (Bytes, Instant)>,
    next_id: u64,
    down: bool,
    faults: Faults,
    rng: Option<fastrand::Rng>,
}

#[derive(Debug)]
struct Connection {
    reports: BusReports,
    topics: HashSet<Topic>,
    /// False while this one connection is cut off from a hub that is up.
    reachable: bool,
    /// Topics whose `Subscribed` could not be reported yet.
    unconfirmed: Vec<Topic>,
    /// Heads of frames that were dropped while the connection was down, written once it is back.
    owed_heads: HashMap<RoomName, u64>,
    /// A frame that is waiting to be overtaken.
    held_back: Option<BusEvent>,
}

impl LocalHub {
    /// A hub that is up and loses nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node. [`BusEvent::Up`] is the first report, unless the hub is down.
    pub fn connect(&self) -> LocalBus {
        let reports = BusReports::new(REPORTS_CAPACITY);
        let mut hub = self.0.lock();
        let id = hub.next_id;
        hub.next_id += 1;
        if !hub.down {
            reports.send(BusEvent::Up);
        }
        hub.connections.insert(
            id,
            Connection {
                reports: reports.clone(),
                topics: HashSet::new(),
                reachable: true,
                unconfirmed: Vec::new(),
                owed_heads: HashMap::new(),
                held_back: None,
            },
        );
        drop(hub);
        LocalBus {
            id,
            hub: self.clone(),
            reports,
        }
    }

    /// From now on frames suffer `faults`, rolled from `seed`.
    pub fn set_faults(&self, seed: u64, faults: Faults) {
        let mut hub = self.0.lock();
        hub.rng = Some(fastrand::Rng::with_seed(seed));
        hub.faults = faults;
    }

    /// Goes down or comes back, for everybody.
    pub fn set_up(&self, up: bool) {
        let mut hub = self.0.lock();
        if hub.down != up {
            return;
        }
        hub.down = !up;
        let ids: Vec<u64> = hub
            .connections
            .iter()
            .filter(|(_, c)| c.reachable)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            hub.turn(id, up);
        }
    }

    /// Forgets every head and every lease, as a server does that was restarted empty.
    pub fn forget_heads(&self) {
        let mut hub = self.0.lock();
        hub.heads.clear();
        hub.leases.clear();
    }
}

impl LocalBus {
    /// Cuts this node off from the others, or lets it come back, while the hub stays as it is.
    pub fn set_reachable(&self, reachable: bool) {
        let mut hub = self.hub.0.lock();
        let Some(connection) = hub.connections.get_mut(&self.id) else {
            return;
        };
        if connection.reachable == reachable {
            return;
        }
        connection.reachable = reachable;
        if !hub.down {
            hub.turn(self.id, reachable);
        }
    }
}

impl Hub {
    fn is_up(&self, id: u64) -> bool {
        !self.down && self.connections.get(&id).is_some_and(|c| c.reachable)
    }

    fn check_up(&self, id: u64) -> Result<(), BusError> {
        if self.is_up(id) {
            Ok(())
        } else {
            Err(BusError("the in-process bus is down".into()))
        }
    }

    fn turn(&mut self, id: u64, up: bool) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !up {
            connection.held_back = None;
            connection.reports.send(BusEvent::Down);
            return;
        }
        for (room, head) in connection.owed_heads.drain() {
            remember(&mut self.heads, room, head);
        }
        for topic in connection.unconfirmed.drain(..) {
            connection.reports.send(BusEvent::Subscribed(topic));
        }
        connection.reports.send(BusEvent::Up);
    }

    fn deliver(&mut self, topic: &Topic, payload: &Bytes) {
        let faults = self.faults;
        let down = self.down;
        for connection in self.connections.values_mut() {
            if down || !connection.reachable || !connection.topics.contains(topic) {
                continue;
            }
            let frame = BusEvent::Frame {
                topic: topic.clone(),
                payload: payload.clone(),
            };
            match &mut self.rng {
                None => connection.reports.send(frame),
                Some(rng) => connection.mistreat(frame, faults, rng),
            }
        }
    }
}

impl Connection {
    fn mistreat(&mut self, frame: BusEvent, faults: Faults, rng: &mut fastrand::Rng) {
        let (drop, duplicate, reorder) = (rng.f64(), rng.f64(), rng.f64());
        if drop < faults.drop {
            return;
        }
        if reorder < faults.reorder && self.held_back.is_none() {
            self.held_back = Some(frame);
            return;
        }
        if duplicate < faults.duplicate {
            self.reports.send(frame.clone());
        }
        self.reports.send(frame);
        if let Some(late) = self.held_back.take() {
            self.reports.send(late);
        }
    }
}

fn remember(heads: &mut HashMap<RoomName, u64>, room: RoomName, head: u64) {
    let known = heads.entry(room).or_insert(head);
    *known = head.max(*known);
}

#[async_trait]
impl Bus for LocalBus {
    fn publish(&self, topic: &Topic, payload: Bytes, head: Option<u64>) {
        let mut hub = self.hub.0.lock();
        let up = hub.is_up(self.id);
        if let (Topic::Room(room), Some(head)) = (topic, head) {
            if up {
                remember(&mut hub.heads, room.clone(), head);
            } else if let Some(connection) = hub.connections.get_mut(&self.id) {
                remember(&mut connection.owed_heads, room.clone(), head);
            }
        }
        if up {
            hub.deliver(topic, &payload);
        }
    }

    fn subscribe(&self, topic: Topic) {
        let mut hub = self.hub.0.lock();
        let up = hub.is_up(self.id);
        let Some(connection) = hub.connections.get_mut(&self.id) else {
            return;
        };
        connection.topics.insert(topic.clone());
        if up {
            connection.reports.send(BusEvent::Subscribed(topic));
        } else if !connection.unconfirmed.contains(&topic) {
            connection.unconfirmed.push(topic);
        }
    }

    fn unsubscribe(&self, topic: &Topic) {
        if let Some(connection) = self.hub.0.lock().connections.get_mut(&self.id) {
            connection.topics.remove(topic);
            connection.unconfirmed.retain(|other| other != topic);
        }
    }

    fn reaches_others(&self) -> bool {
        self.hub.0.lock().connections.len() > 1
    }

    async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<Option<u64>>, BusError> {
        let hub = self.hub.0.lock();
        hub.check_up(self.id)?;
        Ok(rooms.iter().map(|room| hub.heads.get(room).copied()).collect())
    }

    async fn renew_lease(
        &self,
        node: &str,
        text: Bytes,
        lasts: Duration,
    ) -> Result<Vec<HeldLease>, BusError> {
        let mut hub = self.hub.0.lock();
        hub.check_up(self.id)?;
        let now = Instant::now();
        hub.leases.insert(node.to_owned(), (text, now + lasts));
        hub.leases.retain(|_, (_, end)| *end > now);
        let held = hub.leases.values().map(|(text, end)| HeldLease {
            text: text.clone(),
            left: *end - now,
        });
        Ok(held.collect())
    }

    async fn end_lease(&self, node: &str) -> Result<(), BusError> {
        let mut hub = self.hub.0.lock();
        hub.check_up(self.id)?;
        hub.leases.remove(node);
        Ok(())
    }

    fn events(&self) -> Option<mpsc::Receiver<BusEvent>> {
        self.reports.take_receiver()
    }

    async fn close(&self) {
        self.hub.0.lock().connections.remove(&self.id);
    }
}

impl Drop for LocalBus {
    fn drop(&mut self) {
        self.hub.0.lock().connections.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payloads(receiver: &mut mpsc::Receiver<BusEvent>) -> Vec<u8> {
        let mut seen = Vec::new();
        while let Ok(event) = receiver.try_recv() {
            if let BusEvent::Frame { payload, .. } = event {
                seen.push(payload[0]);
            }
        }
        seen
    }

    fn publish_all(bus: &LocalBus) {
        for n in 0..200 {
            bus.publish(&Topic::Cluster, Bytes::copy_from_slice(&[n]), None);
        }
    }

    #[tokio::test]
    async fn it_passes_the_suite_of_every_bus() {
        let hub = LocalHub::new();
        crate::conformance::bus::run(async || Arc::new(hub.connect()) as Arc<dyn Bus>).await;
    }

    #[tokio::test]
    async fn faults_come_from_the_seed() {
        let run = |faults| {
            let hub = LocalHub::new();
            let bus = hub.connect();
            let mut events = bus.events().unwrap();
            bus.subscribe(Topic::Cluster);
            hub.set_faults(7, faults);
            publish_all(&bus);
            payloads(&mut events)
        };
        let straight: Vec<u8> = (0..200).collect();
        assert_eq!(run(Faults::default()), straight);

        let dropped = run(Faults {
            drop: 0.5,
            ..Faults::default()
        });
        assert!(dropped.len() < 150 && dropped.is_sorted(), "{dropped:?}");
        assert_eq!(
            dropped,
            run(Faults {
                drop: 0.5,
                ..Faults::default()
            })
        );

        let duplicated = run(Faults {
            duplicate: 0.5,
            ..Faults::default()
        });
        assert!(duplicated.len() > 250 && duplicated.is_sorted(), "{duplicated:?}");

        let mut reordered = run(Faults {
            reorder: 0.5,
            ..Faults::default()
        });
        assert!(!reordered.is_sorted(), "{reordered:?}");
        reordered.sort_unstable();
        assert!(reordered.len() >= 199 && straight.starts_with(&reordered));
    }

    #[tokio::test]
    async fn a_node_that_is_cut_off_writes_its_heads_when_it_is_back() {
        let hub = LocalHub::new();
        let (cut, other) = (hub.connect(), hub.connect());
        let mut events = cut.events().unwrap();
        let room = RoomName::new("a").unwrap();
        let topic = Topic::Room(room.clone());

        cut.set_reachable(false);
        cut.publish(&topic, Bytes::from_static(b"lost"), Some(9));
        cut.subscribe(topic.clone());
        assert!(cut.heads(std::slice::from_ref(&room)).await.is_err());
        assert_eq!(other.heads(std::slice::from_ref(&room)).await.unwrap(), [None]);

        cut.set_reachable(true);
        assert_eq!(other.heads(std::slice::from_ref(&room)).await.unwrap(), [Some(9)]);
        let reports: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
        assert_eq!(
            reports,
            [
                BusEvent::Up,
                BusEvent::Down,
                BusEvent::Subscribed(topic),
                BusEvent::Up
            ]
        );
    }

    #[tokio::test]
    async fn the_hub_goes_down_for_everybody_and_may_forget() {
        let hub = LocalHub::new();
        let bus = hub.connect();
        let room = RoomName::new("a").unwrap();
        bus.publish(&Topic::Room(room.clone()), Bytes::new(), Some(3));
        hub.set_up(false);
        assert!(bus.heads(std::slice::from_ref(&room)).await.is_err());
        hub.forget_heads();
        hub.set_up(true);
        assert_eq!(bus.heads(&[room]).await.unwrap(), [None]);
        let mut events = bus.events().unwrap();
        let reports: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
        assert_eq!(reports, [BusEvent::Up, BusEvent::Down, BusEvent::Up]);
    }
}
