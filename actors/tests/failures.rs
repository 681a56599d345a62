//! A room that fails is rebuilt in place: its members miss nothing, and nobody waits for ever.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail"
)]

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use actors::{
    Settings, System, User,
    connection::{Connection, Opening, Registered},
    memory::{LocalBus, LocalHub, MemoryStore},
    metrics::Metrics,
    outbox::Outbox,
    ports::{Bus, BusError, BusEvent, HeldLease, Topic},
};
use async_trait::async_trait;
use bytes::Bytes;
use protocol::{Codec, Command, ErrorCode, JoinFrom, Person, RoomName, ServerFrame};
use tokio::{sync::mpsc, time::timeout};

const PATIENCE: Duration = Duration::from_secs(20);

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

fn room() -> RoomName {
    RoomName::new("room").unwrap()
}

/// A connection without a socket: the test is its pump.
struct Client {
    outbox: Arc<Outbox>,
    connection: Connection,
    _registered: Registered,
    next_id: u32,
    inbox: VecDeque<ServerFrame>,
    /// The last `seq` that was shown; checked to have no hole and no repeat.
    shown: u64,
}

impl Client {
    async fn connect(system: &System, name: &str) -> Self {
        let outbox = Arc::new(Outbox::new(Codec::Json, 256 * 1024, Metrics::noop()));
        let registered = system.connections().register(&outbox);
        let person = Person {
            id: name.into(),
            name: name.into(),
        };
        let opening = Opening {
            user: std::sync::Arc::new(User::guest(person)),
            outbox: Arc::clone(&outbox),
            id: None,
            token: None,
            resume: None,
            epoch: None,
        };
        let connection = registered.open(opening).await.unwrap();
        Self {
            outbox,
            connection,
            _registered: registered,
            next_id: 0,
            inbox: VecDeque::new(),
            shown: 0,
        }
    }

    async fn post(&mut self, command: Command) -> u32 {
        self.next_id += 1;
        self.connection
            .command(Some(self.next_id), command)
            .await
            .unwrap();
        self.next_id
    }

    async fn next(&mut self) -> ServerFrame {
        while self.inbox.is_empty() {
            let taking = poll_fn(|cx| self.outbox.poll_take(cx));
            let taken = timeout(PATIENCE, taking).await.expect("a frame comes");
            assert_eq!(taken.close, None, "the connection is not closed over a room");
            for payload in taken.frames {
                self.outbox.wrote(payload.len());
                self.inbox.push_back(Codec::Json.decode(&payload).unwrap());
            }
        }
        let frame = self.inbox.pop_front().unwrap();
        if let ServerFrame::Events { events, .. } = &frame {
            for event in events {
                assert_eq!(event.seq, self.shown + 1, "one order, without a hole");
                self.shown = event.seq;
            }
        }
        assert!(!matches!(frame, ServerFrame::Gap { .. }));
        frame
    }

    async fn shown(&mut self, seq: u64) {
        while self.shown < seq {
            self.next().await;
        }
    }

    async fn answer(&mut self, id: u32) -> Result<u64, ErrorCode> {
        loop {
            match self.next().await {
                ServerFrame::Ok(done) if done.id == Some(id) => {
                    return Ok(done.seq.or(done.head).unwrap_or(0));
                }
                ServerFrame::Error(refused) if refused.id == Some(id) => return Err(refused.code),
                _ => {}
            }
        }
    }

    async fn join(&mut self, after: u64) -> Result<u64, ErrorCode> {
        let from = JoinFrom::After(after);
        let id = self.post(Command::Join { room: room(), from }).await;
        self.answer(id).await
    }

    async fn post_send(&mut self, cid: &str) -> u32 {
        self.post(Command::Send {
            room: room(),
            cid: cid.into(),
            text: "text".into(),
            reply_to: None,
        })
        .await
    }

    /// Sends until it is stored, as a client does that is asked to try again.
    async fn send(&mut self, cid: &str) -> u64 {
        loop {
            let id = self.post_send(cid).await;
            match self.answer(id).await {
                Ok(seq) => return seq,
                Err(code) => assert_eq!(code, ErrorCode::Overloaded),
            }
        }
    }
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
