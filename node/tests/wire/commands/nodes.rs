//! What is about people holds over all nodes.

use std::time::{Duration, Instant};

use actors::memory::{LocalHub, MemoryStore};
use protocol::Codec;
use serde_json::{Value, json};

use crate::support::{Node, eventually, within};

/// Two nodes of one cluster.
async fn two() -> (Node, Node) {
    let store = MemoryStore::new();
    let hub = LocalHub::new();
    let one = Node::on(store.another_node(), hub.connect(), &[]).await;
    let two = Node::on(store.another_node(), hub.connect(), &[]).await;
    (one, two)
}

/// A guest's token, which is good on both.
async fn token(node: &Node) -> Value {
    let mut raw = node.open(Codec::Json).await;
    raw.hello(json!({ "guest": "Ada" })).await["token"].clone()
}

#[tokio::test]
async fn one_person_who_types_on_two_nodes_is_passed_on_once() {
    let (one, two) = two().await;
    let token = token(&one).await;
    let mut adas = Vec::new();
    for node in [&one, &two] {
        let mut ada = node.open(Codec::Msgpack).await;
        ada.hello(json!({ "token": token })).await;
        ada.ok(json!({ "op": "join", "room": "lobby" })).await;
        adas.push(ada);
    }
    let mut bob = one.joined(Codec::Json, "Bob", "lobby").await;
    let mut times = Vec::new();
    let began = Instant::now();
    while times.len() < 2 {
        let asked = began.elapsed();
        for ada in &mut adas {
            ada.ok(json!({ "op": "typing", "room": "lobby" })).await;
        }
        for frame in bob.until_pong().await {
            if frame["op"] == "typing" {
                times.push((asked, began.elapsed()));
            }
        }
        assert!(began.elapsed() < Duration::from_secs(20), "only {times:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // From before the first can have been passed on to after the second was.
    let pause = times[1].1 - times[0].0;
    assert!(pause >= Duration::from_secs(2), "passed on again after {pause:?}");
    // Nobody is told of oneself, from wherever.
    for ada in &mut adas {
        let frames = ada.until_pong().await;
        assert!(frames.iter().all(|frame| frame["op"] != "typing"), "{frames:?}");
    }
}

#[tokio::test]
async fn people_are_counted_over_all_nodes() {
    let (one, two) = two().await;
    let token = token(&one).await;
    let mut adas = Vec::new();
    for node in [&one, &two] {
        let mut ada = node.open(Codec::Msgpack).await;
        ada.hello(json!({ "token": token })).await;
        ada.ok(json!({ "op": "join", "room": "lobby" })).await;
        adas.push(ada);
    }
    let mut bob = two.joined(Codec::Json, "Bob", "lobby").await;
    let mut seen = [0, 0];
    within("both nodes to know of both people", async {
        while seen != [2, 2] {
            for (raw, seen) in [&mut adas[0], &mut bob].into_iter().zip(&mut seen) {
                let answer = raw.ok(json!({ "op": "presence", "room": "lobby" })).await;
                *seen = answer["users"].as_array().unwrap().len();
                assert_eq!(answer["count"], *seen, "{answer}");
                assert!(*seen <= 2, "Ada is one person on two nodes: {answer}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Who only asks need not have joined, nor anybody else on that node.
#[tokio::test]
async fn presence_is_known_where_nobody_has_joined() {
    let (one, two) = two().await;
    let _ada = one.joined(Codec::Json, "Ada", "lobby").await;
    eventually("the other node to know", || async {
        let mut bob = two.guest(Codec::Msgpack, "Bob").await;
        let answer = bob.ok(json!({ "op": "presence", "room": "lobby" })).await;
        (answer["count"] == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn read_markers_are_shown_on_all_nodes() {
    let (one, two) = two().await;
    let mut ada = one.joined(Codec::Json, "Ada", "lobby").await;
    let mut bob = two.joined(Codec::Msgpack, "Bob", "lobby").await;
    ada.send("lobby", "1", "x").await;
    bob.events("lobby", 1).await;
    bob.ok(json!({ "op": "read", "room": "lobby", "seq": 1 })).await;
    for raw in [&mut ada, &mut bob] {
        let read = raw.next_op("read").await;
        assert_eq!(
            (&read["user"]["name"], &read["seq"]),
            (&json!("Bob"), &json!(1)),
            "{read}"
        );
    }
}
