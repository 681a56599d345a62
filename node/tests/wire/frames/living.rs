//! What is wrong with a frame and costs the connection nothing; answers and their `id`.

use protocol::{Codec, limits::MAX_TEXT_BYTES};
use serde_json::{Value, json};

use crate::support::{Node, with_both};

#[tokio::test]
async fn an_op_that_is_none() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let mut raw = node.guest(codec, "Ada").await;
        for (frame, code) in [
            (json!({}), "bad_request"),
            (json!({ "room": "lobby" }), "bad_request"),
            (json!({ "op": null }), "bad_request"),
            (json!({ "op": 7 }), "bad_request"),
            (json!({ "op": ["ping"] }), "bad_request"),
            (json!({ "op": { "ping": 1 } }), "bad_request"),
            (json!({ "op": "dance" }), "unknown_op"),
            (json!({ "op": "" }), "unknown_op"),
            (json!({ "op": "PING" }), "unknown_op"),
            (json!({ "op": "ok" }), "unknown_op"),
            (json!({ "op": "welcome" }), "unknown_op"),
        ] {
            let message = raw.refused(frame.clone(), code).await;
            if code == "bad_request" {
                assert!(message.contains("op"), "{message}");
            }
            // Without an `id` the refusal is told all the same, and without one.
            raw.say(&frame).await;
            let error = raw.error(code).await;
            assert_eq!(error.get("id"), None, "{error}");
        }
        let refused = raw
            .refused(json!({ "op": "x".repeat(60_000) }), "unknown_op")
            .await;
        assert!(refused.len() < 1_000, "what is wrong is not sent back whole");
        assert_eq!(raw.until_pong().await, Vec::<Value>::new());
    })
    .await;
}

#[tokio::test]
async fn an_id_that_is_none_does_nothing() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let mut raw = node.joined(codec, "Ada", "ids").await;
        let cid = codec.subprotocol();
        for id in [
            json!(-1),
            json!(4_294_967_296_u64),
            json!(u64::MAX),
            json!(1.5),
            json!("1"),
            json!(true),
            json!([1]),
            json!({ "1": 1 }),
        ] {
            for command in [
                json!({ "op": "send", "room": "ids", "cid": cid, "text": "no", "id": id }),
                json!({ "op": "ping", "id": id }),
                json!({ "op": "leave", "room": "ids", "id": id }),
                json!({ "op": "dance", "id": id }),
            ] {
                raw.say(&command).await;
                let error = raw.error("bad_request").await;
                assert_eq!(error.get("id"), None, "{error}");
                assert!(error["message"].as_str().unwrap().contains("`id`"), "{error}");
            }
        }
        // The room is still open, and nothing was written.
        let first = raw.send("ids", &format!("{cid} yes"), "yes").await;
        assert_eq!(raw.events("ids", 1).await[0]["seq"], first);
        let history = raw.ok(json!({ "op": "history", "room": "ids" })).await;
        let texts: Vec<_> = history["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| &e["text"])
            .collect();
        assert!(texts.iter().all(|text| **text == "yes"), "{texts:?}");
    })
    .await;
}

#[tokio::test]
async fn ids_come_back_and_need_not_be_unique() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let mut raw = node.guest(codec, "Ada").await;
        for id in [0_u32, 1, u32::MAX] {
            for _ in 0..2 {
                raw.say(&json!({ "op": "ping", "id": id })).await;
                raw.say(&json!({ "op": "leave", "room": "nowhere", "id": id }))
                    .await;
                raw.say(&json!({ "op": "dance", "id": id })).await;
                for op in ["pong", "ok", "error"] {
                    let answer = raw.first(|frame| frame["op"] == op).await;
                    assert_eq!(answer["id"], id, "{answer}");
                }
            }
        }
        // Null is as absent.
        raw.say(&json!({ "op": "ping", "id": null })).await;
        let pong = raw.next().await;
        assert_eq!(pong.get("id"), None, "{pong}");
    })
    .await;
}

#[tokio::test]
async fn without_an_id_success_is_silent() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let mut raw = node.guest(codec, "Ada").await;
        let room = match codec {
            Codec::Json => "silent-j",
            Codec::Msgpack => "silent-m",
        };
        raw.say(&json!({ "op": "join", "room": room, "limit": 0 })).await;
        raw.say(&json!({ "op": "send", "room": room, "cid": "1", "text": "one" }))
            .await;
        raw.say(&json!({ "op": "edit", "room": room, "cid": "2", "seq": 1, "text": "two" }))
            .await;
        raw.say(&json!({ "op": "react", "room": room, "cid": "3", "seq": 1, "emoji": "+", "on": true }))
            .await;
        raw.say(&json!({ "op": "read", "room": room, "seq": 1 })).await;
        raw.say(&json!({ "op": "typing", "room": room })).await;
        raw.say(&json!({ "op": "history", "room": room })).await;
        raw.say(&json!({ "op": "presence", "room": room })).await;
        raw.say(&json!({ "op": "delete", "room": room, "cid": "4", "seq": 1 }))
            .await;
        raw.events(room, 4).await;
        raw.ok(json!({ "op": "presence", "room": room })).await;
        raw.say(&json!({ "op": "leave", "room": room })).await;
        for frame in raw.until_pong().await {
            let op = frame["op"].as_str().unwrap();
            assert!(["presence", "read"].contains(&op), "{frame}");
        }
        // A refusal is told.
        raw.say(&json!({ "op": "send", "room": room, "cid": "5", "text": "late" }))
            .await;
        let error = raw.error("not_joined").await;
        assert_eq!(error.get("id"), None, "{error}");
        // A ping is answered.
        raw.say(&json!({ "op": "ping" })).await;
        let pong = raw.next().await;
        assert_eq!((&pong["op"], pong.get("id")), (&json!("pong"), None), "{pong}");
        assert!(pong["time"].is_u64(), "{pong}");
    })
    .await;
}

#[tokio::test]
async fn unknown_fields_are_ignored_and_null_is_absent() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let mut raw = node.open(codec).await;
        raw.hello(json!({
            "guest": "Ada", "token": null, "resume": null, "epoch": null, "x": { "y": [1, null, -2.5] }, "": true,
        }))
        .await;
        let room = codec.subprotocol().replace('.', "-");
        raw.ok(json!({ "op": "join", "room": room, "after": null, "limit": null, "seq": "x" }))
            .await;
        raw.ok(json!({ "op": "send", "room": room, "cid": "1", "text": "hi", "reply_to": null, "emoji": 7 }))
            .await;
        assert_eq!(raw.events(&room, 1).await[0].get("reply_to"), None);
        raw.ok(json!({ "op": "history", "room": room, "before": null, "after": 0, "limit": null }))
            .await;
        let message = raw
            .refused(json!({ "op": "send", "room": room, "cid": "1", "text": null }), "bad_request")
            .await;
        assert!(message.contains("`text`"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn a_text_has_at_most_16_kib() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = codec.subprotocol().replace('.', "-");
        let mut raw = node.joined(codec, "Ada", &room).await;
        // Bytes count, not characters.
        let most = "ü".repeat(MAX_TEXT_BYTES / 2);
        let seq = raw.send(&room, "1", &most).await;
        assert_eq!(raw.events(&room, 1).await[0]["text"], most);
        for above in [
            "x".repeat(MAX_TEXT_BYTES + 1),
            format!("{most}x"),
            " ".repeat(MAX_TEXT_BYTES + 1),
        ] {
            raw.refused(
                json!({ "op": "send", "room": room, "cid": "2", "text": above }),
                "too_large",
            )
            .await;
            raw.refused(
                json!({ "op": "edit", "room": room, "cid": "2", "seq": seq, "text": above }),
                "too_large",
            )
            .await;
        }
        raw.ok(
            json!({ "op": "edit", "room": room, "cid": "2", "seq": seq, "text": "x".repeat(MAX_TEXT_BYTES) }),
        )
        .await;
    })
    .await;
}
