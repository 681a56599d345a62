//! A Redis that fails, in each of its ways.

use std::time::{Duration, Instant};

use actors::ports::{BusEvent, Topic};
use bytes::Bytes;
use load_tests::lab::{Redis, RedisOptions};

use crate::support::*;

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
