//! A room that fails is rebuilt in place: its members miss nothing, and nobody waits for ever.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use actors::{
    Settings, System,
    memory::{LocalBus, LocalHub, MemoryStore},
    metrics::Metrics,
    ports::{Bus, BusError, BusEvent, HeldLease, Topic},
};
use async_trait::async_trait;
use bytes::Bytes;
use protocol::{ErrorCode, RoomName};
use tokio::{sync::mpsc, time::timeout};

use crate::client::{Client, PATIENCE};

/// A bus that panics when it is to publish events, once each time it is armed. The room that publishes fails with it,
/// between the commit and the showing.
struct FragileBus {
    inner: LocalBus,
    armed: AtomicBool,
    panics: AtomicUsize,
}

#[async_trait]
impl Bus for FragileBus {
    fn publish(&self, topic: &Topic, payload: Bytes, head: Option<u64>) {
        if head.is_some() && self.armed.swap(false, SeqCst) {
            self.panics.fetch_add(1, SeqCst);
            panic!("the room fails, as ordered");
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
        self.inner.heads(rooms).await
    }

    async fn renew_lease(
        &self,
        node: &str,
        text: Bytes,
        lasts: Duration,
    ) -> Result<Vec<HeldLease>, BusError> {
        self.inner.renew_lease(node, text, lasts).await
    }

    async fn end_lease(&self, node: &str) -> Result<(), BusError> {
        self.inner.end_lease(node).await
    }

    fn events(&self) -> Option<mpsc::Receiver<BusEvent>> {
        self.inner.events()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

async fn node() -> (System, Arc<FragileBus>) {
    let bus = Arc::new(FragileBus {
        inner: LocalHub::new().connect(),
        armed: AtomicBool::new(false),
        panics: AtomicUsize::new(0),
    });
    let store = Arc::new(MemoryStore::new());
    let settings = Settings {
        sends_per_second_per_user: 0,
        ..Settings::default()
    };
    let shared: Arc<dyn Bus> = Arc::<FragileBus>::clone(&bus);
    let system = System::start(settings, store.clone(), store, shared, Metrics::noop())
        .await
        .unwrap();
    (system, bus)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn members_of_a_room_that_fails_miss_nothing() {
    let (system, bus) = node().await;
    let mut members = Vec::new();
    for name in ["ann", "ben", "cem", "dee"] {
        let mut member = Client::connect(&system, name).await;
        member.join(0).await.unwrap();
        members.push(member);
    }
    let mut head = 0;
    for round in 0..100_usize {
        bus.armed.store(true, SeqCst);
        // The first is committed, and the room fails before anybody is shown it.
        let count = members.len();
        let sender = &mut members[round % count];
        assert_eq!(sender.send(&format!("a{round}")).await, head + 1, "round {round}");
        assert_eq!(sender.send(&format!("b{round}")).await, head + 2, "round {round}");
        head += 2;
        for member in &mut members {
            member.shown(head).await;
        }
        assert_eq!(bus.panics.load(SeqCst), round + 1, "the room did fail");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_meets_a_room_that_fails_is_answered() {
    let (system, bus) = node().await;
    let mut ann = Client::connect(&system, "ann").await;
    ann.join(0).await.unwrap();
    for round in 0..100 {
        bus.armed.store(true, SeqCst);
        let mut joining = Vec::new();
        for n in 0..4 {
            joining.push(Client::connect(&system, &format!("j{round}-{n}")).await);
        }
        let sent = ann.post_send(&format!("a{round}")).await;
        let after = ann.shown;
        let joined = joining.into_iter().map(|mut client| {
            tokio::spawn(async move {
                client.shown = after;
                while let Err(code) = client.join(after).await {
                    assert_eq!(code, ErrorCode::Overloaded);
                }
                client.shown(after + 1).await;
            })
        });
        let joined: Vec<_> = joined.collect();
        // A room that fails over the answers themselves has them tried again.
        if let Err(code) = ann.answer(sent).await {
            assert_eq!(code, ErrorCode::Overloaded);
            ann.send(&format!("a{round}")).await;
        }
        for client in joined {
            timeout(PATIENCE, client)
                .await
                .unwrap_or_else(|_| panic!("round {round}"))
                .unwrap();
        }
        ann.shown(after + 1).await;
    }
    assert_eq!(bus.panics.load(SeqCst), 100);
}
