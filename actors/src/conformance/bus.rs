//! What every [`Bus`] must do.
//!
//! Each check gets connections of its own and room names of its own, so that an implementation may be tested against a
//! server that is not empty. The checks run one after another.
#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "a suite of tests: a broken promise panics"
)]

mod leases;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use protocol::RoomName;
use tokio::{sync::mpsc, time::timeout};

use crate::ports::{Bus, BusEvent, Topic};

/// The longest time that one report may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection and its reports.
struct Peer {
    bus: Arc<dyn Bus>,
    events: mpsc::Receiver<BusEvent>,
}

/// Runs every check. `connect` adds a node to the one bus under test.
///
/// # Panics
/// When the bus breaks a promise.
pub async fn run(connect: impl AsyncFn() -> Arc<dyn Bus>) {
    let peer = async || Peer::new(connect().await).await;
    frames_reach_subscribers_only(peer().await, peer().await, peer().await).await;
    order_is_kept_per_topic(peer().await, peer().await).await;
    nothing_arrives_after_unsubscribe(peer().await, peer().await).await;
    a_repeated_subscribe_is_reported_again(peer().await).await;
    changes_of_mind_end_as_asked(peer().await, peer().await).await;
    the_cluster_topic_reaches_every_listener(peer().await, peer().await, peer().await).await;
    the_highest_head_wins(peer().await, peer().await).await;
    many_heads_are_answered_in_order(peer().await, peer().await).await;
    payloads_are_carried_unchanged(peer().await, peer().await).await;
    publishing_never_waits(peer().await, peer().await).await;
    many_rooms_at_once(peer().await, peer().await).await;
    leases::everybody_sees_all_leases(peer().await, peer().await, peer().await).await;
    leases::a_lease_that_is_not_renewed_runs_out(peer().await, peer().await).await;
    close_publishes_what_was_handed_over(peer().await, peer().await).await;
}

impl Peer {
    async fn new(bus: Arc<dyn Bus>) -> Self {
        let events = bus
            .events()
            .expect("the first call of events() yields the stream");
        assert!(bus.events().is_none(), "events() yields the stream only once");
        let mut peer = Self { bus, events };
        assert_eq!(
            peer.next().await,
            BusEvent::Up,
            "the first report of a bus that works"
        );
        peer
    }

    async fn next(&mut self) -> BusEvent {
        timeout(PATIENCE, self.events.recv())
            .await
            .unwrap_or_else(|_| panic!("no report within {PATIENCE:?}"))
            .expect("the stream of reports ended")
    }

    async fn listen(&mut self, topic: &Topic) {
        self.bus.subscribe(topic.clone());
        loop {
            if self.next().await == BusEvent::Subscribed(topic.clone()) {
                return;
            }
        }
    }

    async fn frame(&mut self) -> (Topic, Bytes) {
        loop {
            if let BusEvent::Frame { topic, payload } = self.next().await {
                return (topic, payload);
            }
        }
    }

    fn say(&self, topic: &Topic, text: &str) {
        self.bus
            .publish(topic, Bytes::copy_from_slice(text.as_bytes()), None);
    }

    /// Everything that arrives up to the frame that says `last`, without that frame.
    async fn frames_before(&mut self, last: &str) -> Vec<(Topic, Bytes)> {
        let mut seen = Vec::new();
        loop {
            let (topic, payload) = self.frame().await;
            if payload == last.as_bytes() {
                return seen;
            }
            seen.push((topic, payload));
        }
    }
}

fn room() -> RoomName {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!(
        "c{:x}-{}",
        fastrand::u64(..),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    RoomName::new(&name).expect("a valid name")
}

fn topic() -> Topic {
    Topic::Room(room())
}

fn texts(frames: &[(Topic, Bytes)]) -> Vec<String> {
    frames
        .iter()
        .map(|(_, payload)| String::from_utf8_lossy(payload).into_owned())
        .collect()
}

async fn frames_reach_subscribers_only(publisher: Peer, mut a: Peer, mut b: Peer) {
    let (one, two) = (topic(), topic());
    a.listen(&one).await;
    b.listen(&two).await;
    publisher.say(&one, "for a");
    publisher.say(&two, "for b");
    publisher.say(&topic(), "for nobody");
    publisher.say(&one, "end");
    publisher.say(&two, "end");
    assert_eq!(
        a.frames_before("end").await,
        [(one.clone(), Bytes::from_static(b"for a"))]
    );
    assert_eq!(
        b.frames_before("end").await,
        [(two, Bytes::from_static(b"for b"))]
    );
    a.say(&one, "own");
    assert_eq!(
        texts(&[a.frame().await]),
        ["own"],
        "a sender is a subscriber like any other"
    );
}

async fn order_is_kept_per_topic(publisher: Peer, mut listener: Peer) {
    const FRAMES: u64 = 500;
    let topics = [topic(), topic(), Topic::Cluster];
    for topic in &topics {
        listener.listen(topic).await;
    }
    for n in 1..=FRAMES {
        for topic in &topics {
            // Frames with a head and frames without one keep their order among each other.
            let head = matches!(topic, Topic::Room(_)).then_some(n).filter(|n| n % 3 > 0);
            publisher.bus.publish(topic, Bytes::from(n.to_string()), head);
        }
    }
    let mut seen = [0; 3];
    for _ in 0..FRAMES * 3 {
        let (topic, payload) = listener.frame().await;
        let which = topics
            .iter()
            .position(|t| *t == topic)
            .expect("a topic that was asked for");
        seen[which] += 1;
        assert_eq!(
            payload,
            seen[which].to_string(),
            "frames of {topic:?} arrive in order"
        );
    }
}

async fn nothing_arrives_after_unsubscribe(publisher: Peer, mut listener: Peer) {
    let (left, kept) = (topic(), topic());
    listener.listen(&left).await;
    listener.listen(&kept).await;
    listener.bus.unsubscribe(&left);
    listener.bus.unsubscribe(&topic());
    // Frames that are under way may still arrive; in a cluster, several servers may each have some.
    let deadline = Instant::now() + PATIENCE;
    let mut quiet_rounds = 0;
    while quiet_rounds < 50 {
        publisher.say(&left, "unheard");
        publisher.say(&kept, "end");
        let before = listener.frames_before("end").await;
        quiet_rounds = if before.is_empty() { quiet_rounds + 1 } else { 0 };
        assert!(
            Instant::now() < deadline,
            "frames still arrive after unsubscribe: {:?}",
            texts(&before)
        );
    }
    listener.listen(&left).await;
    publisher.say(&left, "heard");
    assert_eq!(listener.frame().await, (left, Bytes::from_static(b"heard")));
}

async fn a_repeated_subscribe_is_reported_again(mut peer: Peer) {
    let topic = topic();
    for _ in 0..3 {
        peer.listen(&topic).await;
    }
    peer.say(&topic, "once");
    peer.say(&topic, "end");
    assert_eq!(
        texts(&peer.frames_before("end").await),
        ["once"],
        "a repeated subscribe does not repeat frames"
    );
}

async fn changes_of_mind_end_as_asked(publisher: Peer, mut listener: Peer) {
    let (wanted, unwanted, fence) = (topic(), topic(), topic());
    for _ in 0..20 {
        listener.bus.subscribe(wanted.clone());
        listener.bus.unsubscribe(&wanted);
        listener.bus.unsubscribe(&unwanted);
        listener.bus.subscribe(unwanted.clone());
    }
    listener.bus.unsubscribe(&unwanted);
    listener.listen(&wanted).await;
    listener.listen(&fence).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        publisher.say(&unwanted, "unwanted");
        publisher.say(&wanted, "wanted");
        publisher.say(&fence, "end");
        let mut seen = texts(&listener.frames_before("end").await);
        seen.dedup();
        if seen == ["wanted"] {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "expected only what is wanted, got {seen:?}"
        );
    }
}

async fn the_cluster_topic_reaches_every_listener(mut a: Peer, mut b: Peer, mut c: Peer) {
    let room = topic();
    a.listen(&Topic::Cluster).await;
    b.listen(&Topic::Cluster).await;
    c.listen(&room).await;
    a.say(&Topic::Cluster, "to all");
    for peer in [&mut a, &mut b] {
        assert_eq!(
            peer.frame().await,
            (Topic::Cluster, Bytes::from_static(b"to all"))
        );
    }
    a.say(&room, "end");
    assert_eq!(
        texts(&c.frames_before("end").await),
        [""; 0],
        "who does not listen gets nothing"
    );
}

async fn the_highest_head_wins(publisher: Peer, mut other: Peer) {
    let room = room();
    let topic = Topic::Room(room.clone());
    other.listen(&topic).await;
    let ask = async || {
        other
            .bus
            .heads(std::slice::from_ref(&room))
            .await
            .expect("the bus is up")[0]
    };
    assert_eq!(ask().await, None, "nothing is remembered of a new room");
    let highest = (1 << 53) - 1;
    for (head, expected) in [
        (5, 5),
        (3, 5),
        (9, 9),
        (10, 10),
        (9, 10),
        (highest, highest),
        (7, highest),
    ] {
        publisher
            .bus
            .publish(&topic, Bytes::from(format!("{head}")), Some(head));
        publisher
            .bus
            .publish(&topic, Bytes::from_static(b"no head"), None);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = ask().await;
            if seen == Some(expected) {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "after {head}: {seen:?} instead of {expected}"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    // The head is written in the same step: who sees the frame sees its head.
    for head in [1, 2] {
        let room = super::bus::room();
        let topic = Topic::Room(room.clone());
        other.listen(&topic).await;
        publisher
            .bus
            .publish(&topic, Bytes::from_static(b"seen"), Some(head));
        while other.frame().await.0 != topic {}
        let heads = other.bus.heads(&[room]).await.expect("the bus is up");
        assert_eq!(heads, [Some(head)]);
    }
}

async fn many_heads_are_answered_in_order(publisher: Peer, mut other: Peer) {
    let rooms: Vec<RoomName> = (0..2_500).map(|_| room()).collect();
    let last = Topic::Room(rooms[rooms.len() - 2].clone());
    other.listen(&last).await;
    let expected: Vec<Option<u64>> = (1..)
        .zip(&rooms)
        .map(|(n, _)| (n % 2 == 1).then_some(n))
        .collect();
    for (room, head) in rooms.iter().zip(&expected) {
        if let Some(head) = head {
            publisher
                .bus
                .publish(&Topic::Room(room.clone()), Bytes::from_static(b"x"), Some(*head));
        }
    }
    assert_eq!(other.bus.heads(&[]).await.expect("the bus is up"), []);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let heads = other.bus.heads(&rooms).await.expect("the bus is up");
        assert_eq!(heads.len(), rooms.len());
        if heads == expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "heads are missing, or not where they belong"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn payloads_are_carried_unchanged(publisher: Peer, mut listener: Peer) {
    let topic = topic();
    listener.listen(&topic).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let big: Vec<u8> = (0..1024 * 1024).map(|_| fastrand::u8(..)).collect();
    for head in [None, Some(1)] {
        for payload in [
            b"".as_slice(),
            b"\0",
            b"\r\n$5\r\n",
            b"\xff\xfe",
            &every_byte,
            &big,
        ] {
            publisher
                .bus
                .publish(&topic, Bytes::copy_from_slice(payload), head);
            let (_, seen) = listener.frame().await;
            assert!(
                seen == payload,
                "{} bytes came as {} other bytes",
                payload.len(),
                seen.len()
            );
        }
    }
}

async fn publishing_never_waits(publisher: Peer, mut listener: Peer) {
    let topic = topic();
    listener.listen(&topic).await;
    let payload = Bytes::from(vec![7; 64 * 1024]);
    let begun = Instant::now();
    // Far above any sensible limit in bytes: what does not fit is dropped.
    for n in 1..=2_000 {
        publisher.bus.publish(&topic, payload.clone(), Some(n));
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "publishing took {took:?}");
    assert_eq!(listener.frame().await.1, payload);

    // Dropped or not, the others find out.
    let Topic::Room(room) = &topic else {
        panic!("a room's topic")
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(heads) = listener.bus.heads(std::slice::from_ref(room)).await
            && heads == [Some(2_000)]
        {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "the head of a dropped frame is not remembered"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn many_rooms_at_once(publisher: Peer, mut listener: Peer) {
    const ROOMS: usize = 1_500;
    let topics: Vec<Topic> = (0..ROOMS).map(|_| topic()).collect();
    for topic in &topics {
        listener.bus.subscribe(topic.clone());
    }
    let mut reported = std::collections::HashSet::new();
    while reported.len() < ROOMS {
        if let BusEvent::Subscribed(topic) = listener.next().await {
            assert!(topics.contains(&topic), "{topic:?} was never asked for");
            reported.insert(topic);
        }
    }
    for topic in &topics {
        publisher.say(topic, "hello");
    }
    let mut heard = std::collections::HashSet::new();
    for _ in 0..ROOMS {
        heard.insert(listener.frame().await.0);
    }
    assert_eq!(heard.len(), ROOMS, "each room is heard once");
}

async fn close_publishes_what_was_handed_over(publisher: Peer, mut listener: Peer) {
    const FRAMES: u64 = 300;
    let topic = topic();
    listener.listen(&topic).await;
    for n in 0..FRAMES {
        publisher
            .bus
            .publish(&topic, Bytes::from(n.to_string()), Some(n + 1));
    }
    timeout(PATIENCE, publisher.bus.close())
        .await
        .expect("close() ends");
    for n in 0..FRAMES {
        assert_eq!(listener.frame().await.1, n.to_string());
    }
    publisher.say(&topic, "after the end");
    listener.say(&topic, "end");
    assert_eq!(
        texts(&listener.frames_before("end").await),
        [""; 0],
        "a closed bus publishes nothing"
    );
    timeout(PATIENCE, publisher.bus.close())
        .await
        .expect("a second close() does no harm");
}
