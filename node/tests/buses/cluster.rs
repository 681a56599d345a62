//! A Redis Cluster whose slots move and whose servers fail.

use std::time::{Duration, Instant};

use actors::ports::{BusEvent, Topic};
use bytes::Bytes;
use load_tests::lab::RedisCluster;
use redis::{PushKind, cmd};
use tokio::time::sleep;

use crate::support::*;

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
        cluster.begin_move(slot, owner, (owner + 1) % 3).unwrap();
        cluster.end_move(slot, owner, (owner + 1) % 3).unwrap();
        // Who listens is told, since it may have missed something.
        loop {
            match node.next().await {
                BusEvent::Subscribed(again) if again == topics[n] => break,
                BusEvent::Down => {
                    panic!(
                        "a slot that moves is no reason to go down: {:?}",
                        node.bus.heads(&[]).await
                    )
                }
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
    let slot: u16 = cluster.nodes()[0]
        .command(&["CLUSTER", "KEYSLOT", "a"])
        .unwrap()
        .parse()
        .unwrap();
    let from = usize::from(slot) * 3 / 16_384;
    let to = (from + 1) % 3;
    cluster.begin_move(slot, from, to).unwrap();
    for head in 1..=20 {
        node.say(&topic("a"), "on its way", Some(head));
        sleep(Duration::from_millis(10)).await;
    }
    assert!(
        node.bus.heads(&[room("a")]).await.is_err(),
        "neither server knows the head for sure"
    );
    cluster.end_move(slot, from, to).unwrap();
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

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Frames and heads of rooms with every server arrive.
async fn works(node: &mut Node) {
    for name in NAMES {
        node.hears(&topic(name), "after").await;
        node.say(&topic(name), "head", Some(9));
        node.head_becomes(&room(name), 9).await;
    }
}

#[tokio::test]
async fn a_replica_may_take_over_on_request() {
    let mut cluster = RedisCluster::start().unwrap();
    cluster.add_replica(0).unwrap();
    let mut node = Node::listening(&config(&cluster.url()), &NAMES.map(topic)).await;
    cluster.nodes()[3].command(&["CLUSTER", "FAILOVER"]).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !cluster.nodes()[3]
        .command(&["ROLE"])
        .unwrap()
        .starts_with("master")
    {
        assert!(Instant::now() < deadline, "no failover");
        sleep(Duration::from_millis(50)).await;
    }
    works(&mut node).await;
}

#[tokio::test]
async fn a_replica_takes_over_even_from_the_server_that_is_configured() {
    let mut cluster = RedisCluster::start().unwrap();
    cluster.add_replica(0).unwrap();
    let mut node = Node::listening(&config(&cluster.url()), &NAMES.map(topic)).await;
    cluster.nodes_mut()[0].stop().unwrap();
    node.wait_for(&BusEvent::Down).await;
    node.wait_for(&BusEvent::Up).await;
    works(&mut node).await;
}
