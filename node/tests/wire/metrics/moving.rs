//! Metrics move with what they count.

use actors::{
    memory::{Call, Fault, Faults, LocalHub, MemoryStore},
    ports::StoreError,
};
use protocol::Codec;
use serde_json::json;

use crate::support::{Node, with_both};

#[tokio::test]
async fn connections_rooms_and_events() {
    with_both(|codec| async move {
        let node = Node::start().await;
        for up in ["hubbub_store_up", "hubbub_bus_up"] {
            node.metric_becomes(up, 1.0).await;
        }
        let silent = node.open(codec).await;
        node.metric_becomes("hubbub_connections", 1.0).await;
        let mut ada = node.joined(codec, "Ada", "lobby").await;
        let mut bob = node.joined(codec, "Bob", "lobby").await;
        node.metric_becomes("hubbub_connections", 3.0).await;
        node.metric_becomes("hubbub_rooms", 1.0).await;
        for n in 0..5 {
            ada.send("lobby", &format!("{n}"), "x").await;
        }
        // A repeat is no event.
        ada.send("lobby", "0", "x").await;
        ada.events("lobby", 5).await;
        bob.events("lobby", 5).await;
        node.metric_becomes("hubbub_events_committed_total", 5.0).await;
        node.metric_becomes("hubbub_deliveries_total", 10.0).await;
        node.metric_becomes("hubbub_commit_seconds_count", 6.0).await;
        node.metric_becomes("hubbub_commit_batch_events_sum", 6.0).await;
        assert!(node.metric("hubbub_commit_seconds_sum").await > 0.0);
        assert!(node.metric("hubbub_bus_frames_total{direction=\"out\"}").await >= 5.0);

        ada.refused(json!({ "op": "join", "room": "!" }), "bad_request")
            .await;
        ada.refused(json!({ "op": "dance" }), "unknown_op").await;
        ada.refused(json!({ "op": "typing", "room": "x" }), "not_joined")
            .await;
        ada.payload(b"\x00").await;
        ada.error("bad_frame").await;
        ada.closed(4102).await;
        for (series, value) in [
            ("hubbub_frames_total{op=\"hello\"}", 2.0),
            ("hubbub_frames_total{op=\"join\"}", 3.0),
            ("hubbub_frames_total{op=\"send\"}", 6.0),
            ("hubbub_frames_total{op=\"typing\"}", 1.0),
            ("hubbub_frames_total{op=\"invalid\"}", 2.0),
            ("hubbub_errors_total{code=\"bad_request\"}", 1.0),
            ("hubbub_errors_total{code=\"unknown_op\"}", 1.0),
            ("hubbub_errors_total{code=\"not_joined\"}", 1.0),
            ("hubbub_errors_total{code=\"bad_frame\"}", 1.0),
            ("hubbub_errors_total{code=\"internal\"}", 0.0),
        ] {
            node.metric_becomes(series, value).await;
        }
        drop((ada, bob, silent));
        node.metric_becomes("hubbub_connections", 0.0).await;
    })
    .await;
}

#[tokio::test]
async fn what_two_nodes_tell_each_other() {
    let store = MemoryStore::new();
    let hub = LocalHub::new();
    let one = Node::on(store.another_node(), hub.connect(), &[]).await;
    let two = Node::on(store.another_node(), hub.connect(), &[]).await;
    let mut ada = one.joined(Codec::Json, "Ada", "lobby").await;
    let mut bob = two.joined(Codec::Msgpack, "Bob", "lobby").await;
    ada.send("lobby", "1", "over the bus").await;
    bob.events("lobby", 1).await;
    assert!(one.metric("hubbub_bus_frames_total{direction=\"out\"}").await >= 1.0);
    assert!(two.metric("hubbub_bus_frames_total{direction=\"in\"}").await >= 1.0);
    assert_eq!(two.metric("hubbub_events_committed_total").await, 0.0);
    let filled = two.metric("hubbub_gap_fills_total").await;
    hub.set_faults(
        1,
        Faults {
            drop: 1.0,
            ..Faults::default()
        },
    );
    ada.send("lobby", "2", "lost on the bus").await;
    bob.events("lobby", 1).await;
    assert!(two.metric("hubbub_gap_fills_total").await > filled);
    hub.set_up(false);
    for node in [&one, &two] {
        node.metric_becomes("hubbub_bus_up", 0.0).await;
        node.metric_becomes("hubbub_store_up", 1.0).await;
    }
    hub.set_up(true);
    one.metric_becomes("hubbub_bus_up", 1.0).await;
}

#[tokio::test]
async fn a_store_that_goes_and_comes_back() {
    let store = MemoryStore::new();
    let node = Node::on(store.clone(), LocalHub::new().connect(), &[]).await;
    let mut ada = node.joined(Codec::Json, "Ada", "lobby").await;
    store.fail_all(None, Fault::Refuse(StoreError::Down("gone".to_owned())));
    node.metric_becomes("hubbub_store_up", 0.0).await;
    assert_eq!(
        crate::support::http::get(node.public(), "/readyz").await.status,
        503
    );
    let answer = ada
        .ask(json!({ "op": "send", "room": "lobby", "cid": "1", "text": "x" }))
        .await;
    assert_eq!(answer["code"], "overloaded", "{answer}");
    assert!(answer["retry_after_ms"].is_u64(), "{answer}");
    store.heal();
    node.metric_becomes("hubbub_store_up", 1.0).await;
    assert_eq!(
        crate::support::http::get(node.public(), "/readyz").await.status,
        200
    );
    assert_eq!(ada.send("lobby", "1", "x").await, 1);
}

/// A client that reads nothing costs itself, and is caught up.
#[tokio::test]
async fn an_outbox_that_is_full() {
    let settings = ["limits.outbox_bytes=4096", "limits.sends_per_second_per_user=0"];
    let node = Node::with(&settings).await;
    let mut slow = node.joined(Codec::Json, "Slow", "lobby").await;
    let mut fast = node.joined(Codec::Msgpack, "Fast", "lobby").await;
    let text = "x".repeat(16 * 1024);
    let mut sent = 0;
    crate::support::within("an overflow", async {
        while node.metric("hubbub_outbox_overflows_total").await == 0.0 {
            for _ in 0..50 {
                sent += 1;
                fast.send("lobby", &format!("{sent}"), &text).await;
            }
            fast.events("lobby", 50).await;
        }
    })
    .await;
    slow.events("lobby", sent).await;
    node.metric_becomes("hubbub_deliveries_total", 2.0 * sent as f64)
        .await;
}

/// Reads that are refused count like any other refusal, over HTTP too.
#[tokio::test]
async fn refusals_over_http() {
    let store = MemoryStore::new();
    let node = Node::on(store.clone(), LocalHub::new().connect(), &[]).await;
    crate::support::http::get(node.public(), "/api/v1/rooms").await;
    node.metric_becomes("hubbub_errors_total{code=\"unauthenticated\"}", 1.0)
        .await;
    crate::support::http::get(node.public(), "/api/v1/nothing").await;
    node.metric_becomes("hubbub_errors_total{code=\"not_found\"}", 1.0)
        .await;
    assert_eq!(store.calls(Call::Append), 0);
}
