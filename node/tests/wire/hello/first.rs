//! The first frame, and what comes right behind it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::assert_welcome;
use crate::support::{
    Node, Raw,
    raw::{PING, frames},
    with_both,
};

#[tokio::test]
async fn anything_else_before_welcome_closes() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        for (frame, id) in [
            (json!({ "op": "ping" }), None),
            (json!({ "op": "ping", "id": 3 }), Some(3)),
            (json!({ "op": "join", "room": "lobby", "id": 4 }), Some(4)),
            (json!({ "op": "send", "id": 0 }), Some(0)),
            (json!({ "op": "dance", "id": 5 }), Some(5)),
            (json!({ "op": 7, "id": 6 }), Some(6)),
            (json!({ "op": null }), None),
            (json!({}), None),
            (json!({ "guest": "Ada", "id": 7 }), Some(7)),
            (json!({ "op": "Hello" }), None),
            (json!({ "op": "ping", "id": "x" }), None),
        ] {
            let mut raw = node.open(codec).await;
            raw.say(&frame).await;
            let error = raw.error("hello_expected").await;
            assert_eq!(error.get("id").and_then(Value::as_u64), id, "{frame}: {error}");
            raw.closed(4104).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_hello_with_a_wrong_field_may_be_said_again() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let mut raw = node.open(codec).await;
        for (hello, id) in [
            (json!({ "op": "hello", "guest": 7 }), None),
            (json!({ "op": "hello", "guest": "", "id": 8 }), Some(8)),
            (json!({ "op": "hello", "guest": "Ada", "id": -8 }), None),
            (
                json!({ "op": "hello", "guest": "Ada", "resume": [], "id": 9 }),
                Some(9),
            ),
        ] {
            raw.say(&hello).await;
            let error = raw.error("bad_request").await;
            assert_eq!(error.get("id").and_then(Value::as_u64), id, "{hello}: {error}");
        }
        let welcome = raw.hello(json!({ "guest": "Ada", "id": 10 })).await;
        assert_welcome(&welcome);
        assert_eq!(welcome["id"], 10);
        // Once welcomed, no more.
        let message = raw
            .refused(json!({ "op": "hello", "guest": "Eve" }), "bad_request")
            .await;
        assert!(message.contains("hello"), "{message}");
        raw.say(&json!({ "op": "hello", "guest": 7 })).await;
        raw.error("bad_request").await;
        assert_eq!(raw.until_pong().await, Vec::<Value>::new());
    })
    .await;
}

#[tokio::test]
async fn without_an_id_welcome_has_none() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let mut raw = node.open(codec).await;
        let welcome = raw.hello(json!({ "guest": "Ada" })).await;
        assert_welcome(&welcome);
        for absent in ["id", "rooms", "refused"] {
            assert_eq!(welcome.get(absent), None, "{welcome}");
        }
    })
    .await;
}

/// Not even the upgrade's answer is waited for.
#[tokio::test]
async fn frames_behind_hello_are_done_in_order_after_welcome() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = codec.subprotocol().replace('.', "-");
        let mut all = vec![
            json!({ "op": "hello", "guest": "Ada" }),
            json!({ "op": "join", "room": room, "id": 1 }),
        ];
        for n in 1..=100 {
            all.push(json!({ "op": "send", "room": room, "cid": format!("{n}"), "text": format!("{n}"), "id": n + 1 }));
        }
        all.push(json!({ "op": "read", "room": room, "seq": 100, "id": 102 }));
        all.push(json!({ "op": "history", "room": room, "limit": 200, "id": 103 }));
        all.push(json!({ "op": "leave", "room": room, "id": 104 }));
        all.push(json!({ "op": "send", "room": room, "cid": "101", "text": "late", "id": 105 }));
        let offer = [("sec-websocket-protocol", codec.subprotocol())];
        let mut raw = Raw::try_open(node.public(), "/ws", codec, &offer, &frames(codec, &all)).await;
        assert_welcome(&raw.next().await);
        let joined = raw.next().await;
        assert_eq!((&joined["op"], &joined["id"]), (&json!("ok"), &json!(1)), "{joined}");
        for n in 1..=100 {
            let answer = raw.first(|frame| frame["id"] == n + 1).await;
            assert_eq!((&answer["op"], &answer["seq"]), (&json!("ok"), &json!(n)), "{answer}");
        }
        let read = raw.first(|frame| frame["id"] == 102).await;
        assert_eq!(read["op"], "ok", "{read}");
        let history = raw.first(|frame| frame["id"] == 103).await;
        let seqs: Vec<_> = history["events"].as_array().unwrap().iter().map(|e| e["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, (1..=100).collect::<Vec<_>>(), "what was sent before is in the history");
        let late = raw.first(|frame| frame["id"] == 105).await;
        assert_eq!(late["code"], "not_joined", "{late}");
    })
    .await;
}

#[tokio::test]
async fn without_a_welcome_in_ten_seconds_it_is_closed() {
    let node = &Node::start().await;
    let silent = |codec, talks: bool| async move {
        let opened = Instant::now();
        let mut raw = node.open(codec).await;
        if talks {
            // Signs of life and a wrong hello do not help.
            raw.say(&json!({ "op": "hello", "guest": 7 })).await;
            raw.error("bad_request").await;
            raw.frame(true, PING, b"").await;
            raw.read().await;
        }
        raw.closed(4002).await;
        let waited = opened.elapsed();
        let due = Duration::from_secs(9)..Duration::from_secs(20);
        assert!(due.contains(&waited), "closed after {waited:?}");
    };
    let [json, msgpack] = protocol::Codec::ALL;
    // Who was welcomed is not closed then.
    let mut welcomed = node.guest(json, "Ada").await;
    tokio::join!(silent(json, false), silent(msgpack, false), silent(json, true));
    assert_eq!(welcomed.until_pong().await, Vec::<Value>::new());
}
