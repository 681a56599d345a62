//! Signs of life, and clients that take nothing. In real time: these deadlines are no settings.

use std::time::{Duration, Instant};

use protocol::Codec;
use serde_json::json;

use crate::support::{
    Incoming, Node, eventually,
    raw::{PING, PONG},
};

/// Three clients, side by side: one says nothing, one answers pings, one says something now and then.
#[tokio::test]
async fn a_client_without_a_sign_of_life_is_closed_after_a_minute() {
    let node = &Node::start().await;
    let [json, msgpack] = Codec::ALL;
    let mut silent = node.guest(json, "Silent").await;
    let mut answers = node.guest(msgpack, "Answers").await;
    let mut speaks = node.guest(json, "Speaks").await;
    let since = Instant::now();

    let silent = async {
        let mut pings = Vec::new();
        loop {
            match silent.read_any().await {
                Incoming::Ping(_) => pings.push(since.elapsed()),
                Incoming::Close { code, .. } => break assert_eq!(code, Some(4001)),
                other => panic!("a ping or the close is due, and there was {other:?}"),
            }
        }
        let closed = since.elapsed();
        assert!((58..90).contains(&closed.as_secs()), "closed after {closed:?}");
        assert_eq!(pings.len(), 2, "every 25 s: {pings:?}");
        assert!((23..40).contains(&pings[0].as_secs()), "{pings:?}");
    };
    let answers = async {
        while since.elapsed() < Duration::from_secs(66) {
            match tokio::time::timeout(Duration::from_secs(1), answers.read_any()).await {
                Ok(Incoming::Ping(payload)) => answers.frame(true, PONG, &payload).await,
                Ok(other) => panic!("a ping is due, and there was {other:?}"),
                Err(_) => {}
            }
        }
        answers.ok(json!({ "op": "leave", "room": "lobby" })).await;
    };
    let speaks = async {
        // A ping is a frame, too; none of the server's is answered.
        while since.elapsed() < Duration::from_secs(66) {
            speaks.frame(true, PING, b"").await;
            assert_eq!(speaks.read().await, Incoming::Pong(Vec::new()));
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        speaks.ok(json!({ "op": "leave", "room": "lobby" })).await;
    };
    tokio::join!(silent, answers, speaks);
}

/// A client that reads nothing is cut off after 15 s; one that only reads slowly is caught up.
#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off_and_others_are_not() {
    let node = &Node::with(&["limits.sends_per_second_per_user=0", "limits.outbox_bytes=65536"]).await;
    let stuck = node.joined(Codec::Json, "Stuck", "lobby").await;
    let mut slow = node.joined(Codec::Json, "Slow", "lobby").await;
    let mut writer = node.joined(Codec::Msgpack, "Writer", "lobby").await;
    let text = "x".repeat(16 * 1024);
    // More than the kernel's buffers hold.
    let mut sent = 0;
    crate::support::within("the outbox to be full", async {
        while node.metric("hubbub_outbox_overflows_total").await < 2.0 {
            for _ in 0..20 {
                sent += 1;
                writer.send("lobby", &format!("{sent}"), &text).await;
            }
            writer.events("lobby", 20).await;
        }
    })
    .await;
    let full = Instant::now();
    let mut seen = 0;
    // Something now and then is enough.
    while seen < sent && full.elapsed() < Duration::from_secs(18) {
        let frame = slow.next_op("events").await;
        seen += frame["events"].as_array().unwrap().len();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eventually("the stuck client to be cut off", || async {
        (node.metric("hubbub_slow_consumers_total").await > 0.0).then_some(())
    })
    .await;
    assert!(full.elapsed() > Duration::from_secs(10), "{:?}", full.elapsed());
    node.metric_becomes("hubbub_connections", 2.0).await;
    slow.events("lobby", sent - seen).await;
    assert!(node.metric("hubbub_slow_consumers_total").await == 1.0);
    drop(stuck);
}
