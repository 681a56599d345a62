//! Every bus that a node can have: what the suite of all buses asks for, and what each must survive.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what is missing fails it"
)]

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actors::{
    conformance,
    ports::{Bus, BusEvent, Topic},
};
use bytes::Bytes;
use load_tests::lab::{Redis, RedisCluster, RedisOptions, redis_for_tests};
use node::bus::{self, BusConfig};
use protocol::RoomName;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, Value, aio::MultiplexedConnection, cmd};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Limits short enough for tests.
fn config(url: &str) -> BusConfig {
    BusConfig {
        prefix: format!("test-{:016x}", fastrand::u64(..)),
        connect_timeout: Duration::from_secs(2),
        response_timeout: Duration::from_millis(800),
        ping_interval: Duration::from_millis(300),
        ..BusConfig::new(url)
    }
}

/// A node's end of the bus.
struct Node {
    bus: Arc<dyn Bus>,
    events: mpsc::Receiver<BusEvent>,
}

impl Node {
    fn open(config: &BusConfig) -> Self {
        let bus = bus::open(config.clone()).unwrap();
        let events = bus.events().unwrap();
        Self { bus, events }
    }

    /// One that is up and listens to `topics`.
    async fn listening(config: &BusConfig, topics: &[Topic]) -> Self {
        let mut node = Self::open(config);
        node.wait_for(&BusEvent::Up).await;
        for topic in topics {
            node.bus.subscribe(topic.clone());
            node.wait_for(&BusEvent::Subscribed(topic.clone())).await;
        }
        node
    }

    async fn next(&mut self) -> BusEvent {
        timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap()
    }

    /// Skips everything before `event`.
    async fn wait_for(&mut self, event: &BusEvent) {
        while self.next().await != *event {}
    }

    fn say(&self, topic: &Topic, text: &str, head: Option<u64>) {
        self.bus
            .publish(topic, Bytes::copy_from_slice(text.as_bytes()), head);
    }

    /// Says `text` until this node hears it, for buses that have only just come back.
    async fn hears(&mut self, topic: &Topic, text: &str) {
        let frame = BusEvent::Frame {
            topic: topic.clone(),
            payload: Bytes::copy_from_slice(text.as_bytes()),
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.say(topic, text, None);
            if timeout(Duration::from_millis(300), self.wait_for(&frame))
                .await
                .is_ok()
            {
                return;
            }
            assert!(Instant::now() < deadline, "{topic:?} does not hear {text}");
        }
    }

    async fn head_becomes(&self, room: &RoomName, head: u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let heads = self.bus.heads(std::slice::from_ref(room)).await;
            if heads.as_ref().is_ok_and(|heads| heads == &[Some(head)]) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the head of {room} is {heads:?} instead of {head}"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the bus says while it is down, once it says something with `part`.
    async fn complains_of(&self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.bus.heads(&[]).await;
            match answer {
                Err(error) if error.to_string().contains(part) => return error.to_string(),
                other => assert!(Instant::now() < deadline, "expected `{part}`, got {other:?}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn room(name: &str) -> RoomName {
    RoomName::new(name).unwrap()
}

fn topic(name: &str) -> Topic {
    Topic::Room(room(name))
}

async fn suite(config: BusConfig) {
    conformance::bus::run(async || bus::open(config.clone()).unwrap()).await;
}

/// A client that is no bus, and what it is pushed.
async fn raw_client(url: &str) -> (MultiplexedConnection, mpsc::UnboundedReceiver<PushInfo>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let client = Client::open(format!("{url}/?protocol=resp3")).unwrap();
    let config = AsyncConnectionConfig::new().set_push_sender(sender);
    (
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .unwrap(),
        receiver,
    )
}

async fn pushed(receiver: &mut mpsc::UnboundedReceiver<PushInfo>, kind: PushKind) -> Vec<u8> {
    loop {
        let push = timeout(PATIENCE, receiver.recv()).await.unwrap().unwrap();
        if push.kind == kind {
            let Some(Value::BulkString(payload)) = push.data.into_iter().nth(1) else {
                panic!("no payload")
            };
            return payload;
        }
    }
}

#[tokio::test]
async fn redis_passes_the_suite() {
    let redis = redis_for_tests().unwrap();
    suite(config(redis.url())).await;
}

#[tokio::test]
async fn redis_with_tls_and_password_passes_the_suite() {
    let redis = Redis::start_with(RedisOptions {
        tls: true,
        auth: Some(("hubbub".into(), "s3cret".into())),
        ..RedisOptions::default()
    })
    .unwrap();
    let config = BusConfig {
        tls_ca_file: redis.ca_file().map(Into::into),
        ..config(&redis.url())
    };
    suite(config.clone()).await;

    // Without the authority's certificate nobody is trusted.
    let node = Node::open(&BusConfig {
        tls_ca_file: None,
        ..config
    });
    let said = node.complains_of("certificate is not trusted").await;
    assert!(said.contains(&format!("127.0.0.1:{}", redis.port())), "{said}");
}

#[tokio::test]
async fn a_redis_cluster_passes_the_suite() {
    let cluster = RedisCluster::start().unwrap();
    suite(config(&cluster.url())).await;
}

#[tokio::test]
async fn the_url_chooses_the_bus() {
    let mut node = Node::listening(&config("local://"), &[Topic::Cluster]).await;
    node.hears(&Topic::Cluster, "itself").await;
    assert!(bus::open(config("nats://host")).is_err());
    assert!(bus::open(config("redis://")).is_err());
    assert!(
        bus::open(BusConfig {
            prefix: "{}".into(),
            ..config("redis://host")
        })
        .is_err()
    );
    let no_file = BusConfig {
        tls_ca_file: Some("no-such-file".into()),
        ..config("rediss://host")
    };
    let Err(error) = bus::open(no_file) else {
        panic!("a file that is missing is an error")
    };
    assert!(error.to_string().contains("no-such-file"), "{error}");
}

#[tokio::test]
async fn others_see_exactly_the_bytes_that_were_published() {
    let redis = redis_for_tests().unwrap();
    let config = config(redis.url());
    let node = Node::listening(&config, &[]).await;
    let (mut raw, mut pushes) = raw_client(redis.url()).await;
    raw.subscribe(&[
        format!("{}:{{a}}:events", config.prefix),
        format!("{}:cluster", config.prefix),
    ])
    .await
    .unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    node.bus.publish(&topic("a"), Bytes::from(bytes.clone()), Some(4));
    assert_eq!(pushed(&mut pushes, PushKind::Message).await, bytes);
    let head: u64 = cmd("GET")
        .arg(format!("{}:{{a}}:head", config.prefix))
        .query_async(&mut raw)
        .await
        .unwrap();
    assert_eq!(head, 4);
    let expiry: i64 = cmd("TTL")
        .arg(format!("{}:{{a}}:head", config.prefix))
        .query_async(&mut raw)
        .await
        .unwrap();
    assert!((86_000..=86_400).contains(&expiry), "{expiry}");
    node.bus
        .publish(&Topic::Cluster, Bytes::from(bytes.clone()), None);
    assert_eq!(pushed(&mut pushes, PushKind::Message).await, bytes);
}

#[tokio::test]
async fn a_cluster_is_told_in_its_shards_only() {
    let cluster = RedisCluster::start().unwrap();
    let config = config(&cluster.url());
    let node = Node::listening(&config, &[]).await;
    // Rooms with each of the three servers.
    for name in ["a", "b", "c", "d", "e", "f"] {
        let channel = format!("{}:{{{name}}}:events", config.prefix);
        let slot = cluster.nodes()[0]
            .command(&["CLUSTER", "KEYSLOT", &channel])
            .unwrap()
            .parse::<usize>()
            .unwrap();
        let owner = &cluster.nodes()[slot * 3 / 16_384];
        let (mut raw, mut pushes) = raw_client(&owner.url()).await;
        let (mut plain, mut plain_pushes) = raw_client(&owner.url()).await;
        plain.subscribe(&channel).await.unwrap();
        cmd("SSUBSCRIBE")
            .arg(&channel)
            .exec_async(&mut raw)
            .await
            .unwrap();
        node.bus
            .publish(&topic(name), Bytes::from_static(b"sharded"), Some(1));
        node.bus
            .publish(&topic(name), Bytes::from_static(b"no head"), None);
        for expected in [b"sharded", b"no head"] {
            assert_eq!(pushed(&mut pushes, PushKind::SMessage).await, expected);
        }
        cmd("PUBLISH")
            .arg(&channel)
            .arg("fence")
            .exec_async(&mut raw)
            .await
            .unwrap();
        assert_eq!(
            pushed(&mut plain_pushes, PushKind::Message).await,
            b"fence",
            "nothing is told to all servers"
        );
    }
}

#[tokio::test]
async fn a_restarted_redis_is_found_again() {
    let mut redis = Redis::start().unwrap();
    let topics = [topic("a"), topic("b"), Topic::Cluster];
    let mut node = Node::listening(&config(&redis.url()), &topics).await;
    node.say(&topics[0], "before", Some(7));
    node.head_becomes(&room("a"), 7).await;

    redis.stop().unwrap();
    node.wait_for(&BusEvent::Down).await;
    let said = node.complains_of("127.0.0.1").await;
    assert!(said.contains(&redis.port().to_string()), "{said}");
    node.bus.subscribe(topic("new"));
    node.bus.unsubscribe(&topics[1]);
    node.say(&topics[0], "lost", Some(8));

    redis.restart().unwrap();
    assert_eq!(
        node.next().await,
        BusEvent::Subscribed(topic("new")),
        "only what was not reported before"
    );
    assert_eq!(node.next().await, BusEvent::Up);
    node.head_becomes(&room("a"), 8).await;
    for topic in [&topics[0], &topics[2], &topic("new")] {
        node.hears(topic, "after").await;
    }
    assert_eq!(redis.command(&["PUBSUB", "CHANNELS", "*{b}*"]).unwrap(), "");
}

#[tokio::test]
async fn a_frozen_redis_is_noticed_and_publishing_goes_on_at_once() {
    let redis = Redis::start().unwrap();
    let config = config(&redis.url());
    let mut node = Node::listening(&config, &[topic("a")]).await;
    redis.pause().unwrap();
    let frozen = Instant::now();
    let payload = Bytes::from(vec![1; 100_000]);
    for head in 1..=500 {
        node.bus.publish(&topic("a"), payload.clone(), Some(head));
    }
    assert!(
        frozen.elapsed() < Duration::from_millis(500),
        "publishing took {:?}",
        frozen.elapsed()
    );
    assert!(node.bus.heads(&[room("a")]).await.is_err());
    node.wait_for(&BusEvent::Down).await;
    let limit = config.ping_interval + config.response_timeout + Duration::from_secs(2);
    assert!(frozen.elapsed() < limit, "noticed after {:?}", frozen.elapsed());

    redis.resume().unwrap();
    node.wait_for(&BusEvent::Up).await;
    node.head_becomes(&room("a"), 500).await;
    node.hears(&topic("a"), "after").await;
}

#[tokio::test]
async fn an_idle_connection_to_a_frozen_redis_is_noticed() {
    let redis = Redis::start().unwrap();
    let mut node = Node::listening(&config(&redis.url()), &[topic("a")]).await;
    redis.pause().unwrap();
    node.wait_for(&BusEvent::Down).await;
    redis.resume().unwrap();
    node.wait_for(&BusEvent::Up).await;
}

#[tokio::test]
async fn each_connection_may_be_killed() {
    let redis = Redis::start().unwrap();
    let mut node = Node::listening(&config(&redis.url()), &[topic("a"), topic("b")]).await;
    for kind in ["normal", "pubsub", "normal", "pubsub"] {
        let killed = redis.command(&["CLIENT", "KILL", "TYPE", kind]).unwrap();
        assert_ne!(killed, "0", "there is a {kind} connection to kill");
        node.wait_for(&BusEvent::Down).await;
        node.wait_for(&BusEvent::Up).await;
        for topic in [topic("a"), topic("b")] {
            node.hears(&topic, kind).await;
        }
    }
}

#[tokio::test]
async fn a_replica_is_no_bus() {
    let primary = Redis::start().unwrap();
    let replica = Redis::start_with(RedisOptions {
        replica_of: Some(primary.port()),
        ..RedisOptions::default()
    })
    .unwrap();
    let mut node = Node::open(&config(&replica.url()));
    let said = node.complains_of("read-only replica").await;
    assert!(said.contains(&replica.port().to_string()), "{said}");
    replica.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    assert_eq!(node.next().await, BusEvent::Up, "it was never up before");

    // A primary that is demoted while it is used keeps its connections.
    node.bus.subscribe(topic("a"));
    node.wait_for(&BusEvent::Subscribed(topic("a"))).await;
    replica
        .command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()])
        .unwrap();
    node.say(&topic("a"), "to nobody", Some(3));
    node.wait_for(&BusEvent::Down).await;
    node.complains_of("read-only replica").await;
    replica.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    node.wait_for(&BusEvent::Up).await;
    node.head_becomes(&room("a"), 3).await;
}

#[tokio::test]
async fn the_rights_that_the_documentation_names_are_enough() {
    let redis = Redis::start().unwrap();
    let config = config(&redis.url().replace("redis://", "redis://few:rights@"));
    let prefix = &config.prefix;
    let rights = "+get +set +mget +evalsha +script|load +publish +subscribe +unsubscribe +ping +hello +info";
    let (keys, channels) = (format!("~{prefix}:*"), format!("&{prefix}:*"));
    let mut arguments = vec!["ACL", "SETUSER", "few", "on", ">rights", &keys, &channels];
    arguments.extend(rights.split(' '));
    redis.command(&arguments).unwrap();
    suite(config.clone()).await;

    redis.command(&["ACL", "SETUSER", "few", "-publish"]).unwrap();
    Node::open(&config).complains_of("can't run this command").await;
}

#[tokio::test]
async fn a_redis_that_is_full_is_down_until_it_is_not() {
    let redis = Redis::start().unwrap();
    let mut node = Node::listening(&config(&redis.url()), &[topic("a")]).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    node.wait_for(&BusEvent::Down).await;
    node.complains_of("out of memory").await;
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    node.wait_for(&BusEvent::Up).await;
    node.hears(&topic("a"), "after").await;
}

#[tokio::test]
async fn forgotten_scripts_are_loaded_again() {
    let redis = Redis::start().unwrap();
    let node = Node::listening(&config(&redis.url()), &[]).await;
    for head in 1..=3 {
        redis.command(&["SCRIPT", "FLUSH"]).unwrap();
        node.say(&topic("a"), "x", Some(head));
        node.head_becomes(&room("a"), head).await;
    }
}

#[tokio::test]
async fn slots_may_move_while_the_bus_is_up() {
    let cluster = RedisCluster::start().unwrap();
    let config = config(&cluster.url());
    let rooms = ["a", "b", "c", "d", "e"];
    let topics: Vec<Topic> = rooms.iter().map(|name| topic(name)).collect();
    let mut node = Node::listening(&config, &topics).await;
    for (n, name) in rooms.iter().enumerate() {
        let slot: u16 = cluster.nodes()[0]
            .command(&["CLUSTER", "KEYSLOT", name])
            .unwrap()
            .parse()
            .unwrap();
        let owner = usize::from(slot) * 3 / 16_384;
        cluster.move_slot(slot, (owner + 1) % 3).unwrap();
        // Who listens is told, since it may have missed something.
        loop {
            match node.next().await {
                BusEvent::Subscribed(again) if again == topics[n] => break,
                BusEvent::Down => panic!("a slot that moves is no reason to go down"),
                _ => {}
            }
        }
        node.hears(&topics[n], "after").await;
        node.say(&topics[n], "head", Some(5));
        node.head_becomes(&room(name), 5).await;
    }
}

#[tokio::test]
async fn frames_of_a_slot_on_its_way_may_be_lost_but_not_their_heads() {
    let cluster = RedisCluster::start().unwrap();
    let mut node = Node::listening(&config(&cluster.url()), &[topic("a")]).await;
    let slot = cluster.nodes()[0].command(&["CLUSTER", "KEYSLOT", "a"]).unwrap();
    let from = slot.parse::<usize>().unwrap() * 3 / 16_384;
    let to = (from + 1) % 3;
    let [from_id, to_id] = [from, to].map(|n| cluster.nodes()[n].command(&["CLUSTER", "MYID"]).unwrap());
    cluster.nodes()[to]
        .command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id])
        .unwrap();
    cluster.nodes()[from]
        .command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id])
        .unwrap();
    for head in 1..=20 {
        node.say(&topic("a"), "on its way", Some(head));
        sleep(Duration::from_millis(10)).await;
    }
    assert!(
        node.bus.heads(&[room("a")]).await.is_err(),
        "neither server knows the head for sure"
    );
    cluster.move_slot(slot.parse().unwrap(), to).unwrap();
    node.head_becomes(&room("a"), 20).await;
    node.hears(&topic("a"), "after").await;
}

#[tokio::test]
async fn a_cluster_without_one_of_its_servers_is_down() {
    let cluster = RedisCluster::start().unwrap();
    let mut node = Node::listening(&config(&cluster.url()), &[topic("a"), topic("b"), topic("c")]).await;
    cluster.nodes()[2].pause().unwrap();
    node.wait_for(&BusEvent::Down).await;
    node.complains_of("").await;
    cluster.nodes()[2].resume().unwrap();
    node.wait_for(&BusEvent::Up).await;
    for name in ["a", "b", "c"] {
        node.hears(&topic(name), "after").await;
    }
}

/// Everything that is logged on this thread.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let captured = Self::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        (captured, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn a_wrong_password_is_named_and_never_shown() {
    let (log, _guard) = Captured::begin();
    let redis = Redis::start_with(RedisOptions {
        auth: Some(("hubbub".into(), "s3cret".into())),
        ..RedisOptions::default()
    })
    .unwrap();
    for user in ["hubbub:hunter2@", ":hunter2@", ""] {
        let config = config(&format!("redis://{user}127.0.0.1:{}", redis.port()));
        let node = Node::open(&config);
        let said = node.complains_of("user name or password").await;
        assert!(said.contains(&redis.port().to_string()), "{said}");
        assert!(!format!("{said}{config:?}").contains("hunter2"));
        node.bus.close().await;
    }
    let log = log.text();
    assert!(
        log.contains("refuses the user name or password in bus.url"),
        "{log}"
    );
    assert!(!log.contains("hunter2"), "{log}");
}

#[tokio::test]
async fn a_redis_that_is_not_there_yet_is_waited_for_and_logged_once() {
    let (log, _guard) = Captured::begin();
    let mut redis = Redis::start().unwrap();
    redis.stop().unwrap();
    let mut node = Node::open(&config(&redis.url()));
    node.bus.subscribe(topic("a"));
    node.say(&topic("a"), "lost", Some(2));
    node.complains_of("refused").await;
    // Several attempts later it is still one line.
    sleep(Duration::from_millis(600)).await;
    redis.restart().unwrap();
    assert_eq!(node.next().await, BusEvent::Subscribed(topic("a")));
    assert_eq!(node.next().await, BusEvent::Up);
    node.head_becomes(&room("a"), 2).await;
    node.hears(&topic("a"), "after").await;
    let log = log.text();
    assert_eq!(log.matches("the bus is down").count(), 1, "{log}");
    assert_eq!(log.matches("the bus is up").count(), 1, "{log}");
}

#[tokio::test]
async fn a_listener_that_does_not_listen_loses_frames_and_nothing_else() {
    let redis = redis_for_tests().unwrap();
    let config = BusConfig {
        events_capacity: 10,
        ..config(redis.url())
    };
    let publisher = Node::listening(&config, &[]).await;
    let mut listener = Node::listening(&config, &[topic("a")]).await;
    for head in 1..=200 {
        publisher.say(&topic("a"), "many", Some(head));
    }
    publisher.head_becomes(&room("a"), 200).await;
    listener.bus.subscribe(topic("b"));
    let mut frames = 0;
    loop {
        match listener.next().await {
            BusEvent::Frame { .. } => frames += 1,
            BusEvent::Subscribed(b) if b == topic("b") => break,
            other => panic!("{other:?}"),
        }
    }
    assert!((10..200).contains(&frames), "{frames}");
    listener.hears(&topic("b"), "after").await;
}

#[tokio::test]
async fn dropping_the_bus_ends_its_connections() {
    let redis = Redis::start().unwrap();
    let node = Node::listening(&config(&redis.url()), &[topic("a")]).await;
    drop(node);
    let deadline = Instant::now() + PATIENCE;
    while redis.command(&["CLIENT", "LIST"]).unwrap().lines().count() > 1 {
        assert!(Instant::now() < deadline, "connections stay open");
        sleep(Duration::from_millis(20)).await;
    }
}
