//! The same promises over Postgres and Redis, with the nodes in this process.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use load_tests::lab::{Postgres, PostgresOptions, Redis, redis_for_tests};
use protocol::{Codec, NodeFrame, NodeMessage};

use crate::support::*;

/// Everybody has everything this long after the last ack, on a machine that is busy with other tests.
const CONVERGED: Duration = Duration::from_secs(8);

async fn nodes(count: usize, settings: &Settings) -> Vec<Node> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(Node::start(settings).await);
    }
    nodes
}

fn urls(nodes: &[Node]) -> Vec<String> {
    nodes.iter().map(Node::url).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_over_postgres_and_redis() {
    let servers = Servers::shared().await;
    let nodes = nodes(3, &servers.settings()).await;
    let talk = Arc::new(Talk::new(urls(&nodes), "real", 18, 10));
    let (log, lag) = verify(&talk, &talk.run().await);
    assert!(
        lag < CONVERGED,
        "the last one had everything {lag:?} after the last ack"
    );
    servers.holds(&talk.room, &log).await;
}

#[tokio::test]
async fn the_bus_carries_messagepack_of_what_is_committed() {
    let servers = Servers::shared().await;
    let nodes = nodes(1, &servers.settings()).await;
    let room = room("listened");
    let client = redis::Client::open(servers.redis_url()).unwrap();
    let mut subscriber = client.get_async_pubsub().await.unwrap();
    subscriber.subscribe(servers.channel(&room)).await.unwrap();
    let mut heard = subscriber.into_on_message();

    let mut ann = member(&nodes[0].url(), Codec::Json, "Ann", &room).await;
    let sent = ann.say(&room, "hello").await.unwrap();
    let events = loop {
        let message = tokio::time::timeout(PATIENCE, heard.next())
            .await
            .expect("a frame")
            .unwrap();
        let payload = message.get_payload_bytes();
        assert!(
            serde_json::from_slice::<serde_json::Value>(payload).is_err(),
            "no JSON"
        );
        let frame = NodeFrame::decode(payload).unwrap();
        assert_eq!(frame.node, ann.welcome().unwrap().node);
        if let NodeMessage::Events { room: of, events } = frame.message {
            assert_eq!(of, room);
            break events;
        }
    };
    assert_eq!((events[0].seq, events[0].at), (sent.seq, sent.at));
    servers.holds(&room, &events).await;
    assert_eq!(ann.take_events(&room, 1).await.unwrap(), events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_and_comes_back_empty_changes_nothing() {
    let mut redis = Redis::start().unwrap();
    let servers = Servers::with_redis(&redis.url()).await;
    let nodes = nodes(3, &servers.settings()).await;
    let talk = Arc::new(Talk::new(urls(&nodes), "restarted", 15, 14));
    let (seen, ()) = tokio::join!(talk.run(), async {
        talk.acked(0.2).await;
        redis.stop().unwrap();
        talk.acked(0.6).await;
        redis.restart().unwrap();
    });
    let (log, lag) = verify(&talk, &seen);
    assert!(lag < CONVERGED, "after the restart: {lag:?}");
    assert!(seen.iter().all(|seen| seen.reconnects == 0), "no client notices");
    servers.holds(&talk.room, &log).await;

    redis.stop().unwrap();
    let talk = Arc::new(Talk::new(urls(&nodes), "without", 15, 6));
    let (log, lag) = verify(&talk, &talk.run().await);
    assert!(lag < CONVERGED, "without Redis: {lag:?}");
    servers.holds(&talk.room, &log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_freezes_and_crashes_loses_nothing_that_was_acked() {
    // The machine does not crash: what the server has written is there.
    let options = PostgresOptions {
        fsync: false,
        ..PostgresOptions::default()
    };
    let mut postgres = Postgres::start_with(options).await.unwrap();
    let redis = redis_for_tests().unwrap();
    let servers = Servers::at(&postgres.create_database().await.unwrap(), redis.url()).await;
    let nodes = nodes(2, &servers.settings()).await;
    let store_is = async |up: f64| {
        for node in &nodes {
            until("the node notices", async || {
                node.metric("hubbub_store_up").await == up
            })
            .await;
        }
    };
    let talk = Arc::new(Talk::new(urls(&nodes), "crashed", 12, 14));
    let (seen, ()) = tokio::join!(talk.run(), async {
        talk.acked(0.2).await;
        postgres.pause().unwrap();
        store_is(0.0).await;
        postgres.resume().unwrap();
        store_is(1.0).await;
        talk.acked(0.5).await;
        postgres.restart().await.unwrap();
    });
    let (log, lag) = verify(&talk, &seen);
    assert!(
        lag < CONVERGED,
        "the last one had everything {lag:?} after the last ack"
    );
    assert!(
        seen.iter().all(|seen| seen.reconnects == 0),
        "clients wait, they are not sent away"
    );
    servers.holds(&talk.room, &log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_start_and_serve_without_redis_and_use_it_when_it_is_there() {
    let mut redis = Redis::start().unwrap();
    redis.stop().unwrap();
    let servers = Servers::with_redis(&redis.url()).await;
    let nodes = nodes(2, &servers.settings()).await;
    let talk = Arc::new(Talk::new(urls(&nodes), "before", 8, 6));
    let (log, lag) = verify(&talk, &talk.run().await);
    assert!(lag < CONVERGED, "before Redis is there: {lag:?}");
    servers.holds(&talk.room, &log).await;
    assert_eq!(nodes[0].metric("hubbub_bus_up").await, 0.0);

    redis.restart().unwrap();
    for node in &nodes {
        until("the bus is up", async || {
            node.metric("hubbub_bus_up").await == 1.0
        })
        .await;
    }
    let before = nodes[0].metric("hubbub_gap_fills_total").await;
    let talk = Arc::new(Talk::new(urls(&nodes), "after", 8, 6));
    let (log, _) = verify(&talk, &talk.run().await);
    servers.holds(&talk.room, &log).await;
    let fills = nodes[0].metric("hubbub_gap_fills_total").await - before;
    assert!(
        fills < talk.total() as f64 / 2.0,
        "most comes over the bus: {fills} reads"
    );
}
