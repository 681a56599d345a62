//! Coming back.

use serde_json::{Map, Value, json};

use super::assert_welcome;
use crate::support::{Node, with_both};

/// A room with so many events; returns the `epoch` and a guest's token.
async fn room_with(node: &Node, codec: protocol::Codec, room: &str, events: usize) -> (Value, Value) {
    let mut raw = node.open(codec).await;
    let welcome = raw.hello(json!({ "guest": "Writer" })).await;
    raw.ok(json!({ "op": "join", "room": room })).await;
    raw.fill(room, events).await;
    (welcome["epoch"].clone(), welcome["token"].clone())
}

const FAST: &[&str] = &[
    "limits.sends_per_second_per_user=0",
    "limits.commands_per_second=0",
];

#[tokio::test]
async fn every_room_is_in_exactly_one_of_rooms_and_refused() {
    let node = &Node::with(FAST).await;
    with_both(|codec| async move {
        let name = |start: &str| format!("{start}-{}", &codec.subprotocol()[10..]);
        let (here, ahead, there) = (name("here"), name("ahead"), name("there"));
        let (epoch, token) = room_with(node, codec, &here, 3).await;
        room_with(node, codec, &there, 3).await;
        room_with(node, codec, &ahead, 60).await;
        let mut raw = node.open(codec).await;
        let mut resume = Map::new();
        for (room, seq) in [
            (&*here, 1),
            (&there, 3),
            (&ahead, 61),
            ("nowhere", 0),
            ("Bad Name", 0),
            ("", 0),
            (&"x".repeat(65), 7),
        ] {
            resume.insert(room.to_owned(), seq.into());
        }
        raw.say(&json!({ "op": "hello", "token": token, "epoch": epoch, "resume": resume, "id": 1 }))
            .await;
        let welcome = raw.next().await;
        assert_welcome(&welcome);
        assert_eq!(
            welcome["rooms"],
            json!({
                &here: { "head": 3, "role": "guest" },
                &there: { "head": 3, "role": "guest" },
                &ahead: { "head": 60, "role": "guest", "reset": true },
            }),
            "{welcome}"
        );
        assert_eq!(
            welcome["refused"],
            json!({ "nowhere": "not_found", "Bad Name": "bad_request", "": "bad_request", "x".repeat(65): "bad_request" }),
            "{welcome}"
        );
        let events = raw.events(&here, 2).await;
        assert_eq!(events[0]["seq"], 2);
        let newest = raw.events(&ahead, 50).await;
        assert_eq!(newest[0]["seq"], 11);
        // All of them are open now, and what comes next continues.
        for (room, seq) in [(&here, 4), (&there, 4), (&ahead, 61)] {
            assert_eq!(raw.send(room, "next", "next").await, seq);
            assert_eq!(raw.events(room, 1).await[0]["seq"], seq);
        }
        raw.refused(json!({ "op": "send", "room": "nowhere", "cid": "1", "text": "x" }), "not_joined")
            .await;
    })
    .await;
}

#[tokio::test]
async fn another_epoch_resets() {
    let node = &Node::with(FAST).await;
    with_both(|codec| async move {
        let room = codec.subprotocol().replace('.', "-");
        let (_, token) = room_with(node, codec, &room, 55).await;
        for position in [0, 54, 55] {
            let mut raw = node.open(codec).await;
            let hello = json!({ "token": token, "epoch": "another", "resume": { &room: position } });
            let welcome = raw.hello(hello).await;
            assert_eq!(
                welcome["rooms"][&room],
                json!({ "head": 55, "role": "guest", "reset": true })
            );
            let newest = raw.events(&room, 50).await;
            assert_eq!(newest[0]["seq"], 6);
        }
        // Without an epoch the position alone counts.
        let mut raw = node.open(codec).await;
        let welcome = raw
            .hello(json!({ "token": token, "resume": { &room: 54 } }))
            .await;
        assert_eq!(welcome["rooms"][&room], json!({ "head": 55, "role": "guest" }));
        assert_eq!(raw.events(&room, 1).await[0]["seq"], 55);
    })
    .await;
}

#[tokio::test]
async fn what_is_more_than_a_thousand_behind_is_a_gap() {
    let node = &Node::with(FAST).await;
    with_both(|codec| async move {
        let room = codec.subprotocol().replace('.', "-");
        let (epoch, token) = room_with(node, codec, &room, 1_103).await;
        let mut raw = node.open(codec).await;
        raw.hello(json!({ "token": token, "epoch": epoch, "resume": { &room: 100 } }))
            .await;
        let gap = raw.next().await;
        assert_eq!(gap, json!({ "op": "gap", "room": room, "from": 101, "to": 103 }));
        let events = raw.events(&room, 1_000).await;
        assert_eq!(
            (&events[0]["seq"], &events[999]["seq"]),
            (&json!(104), &json!(1_103))
        );
        // A thousand are replayed whole.
        let mut raw = node.open(codec).await;
        raw.hello(json!({ "token": token, "epoch": epoch, "resume": { &room: 103 } }))
            .await;
        assert_eq!(raw.next().await["op"], "events");
    })
    .await;
}

#[tokio::test]
async fn two_hundred_rooms_may_be_resumed() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let rooms = |count: usize| -> Map<String, Value> {
            (0..count).map(|n| (format!("room-{n}"), json!(0))).collect()
        };
        let mut raw = node.open(codec).await;
        let message = raw
            .refused(
                json!({ "op": "hello", "guest": "Ada", "resume": rooms(201) }),
                "bad_request",
            )
            .await;
        assert!(
            message.contains("`resume`") && message.contains("200"),
            "{message}"
        );
        let welcome = raw.hello(json!({ "guest": "Ada", "resume": rooms(200) })).await;
        assert_eq!(welcome["refused"].as_object().unwrap().len(), 200);
        assert_eq!(welcome["rooms"], json!({}));
        // None was made.
        let mut raw = node.open(codec).await;
        let welcome = raw
            .hello(json!({ "guest": "Ada", "resume": { "room-0": 0 } }))
            .await;
        assert_eq!(welcome["refused"], json!({ "room-0": "not_found" }));
        // Nothing to resume is all right.
        let mut raw = node.open(codec).await;
        let welcome = raw.hello(json!({ "guest": "Ada", "resume": {} })).await;
        assert_eq!(welcome.get("refused").cloned().unwrap_or(json!({})), json!({}));
    })
    .await;
}

/// Frames of a room come after the `welcome` also while others write into it.
#[tokio::test]
async fn welcome_comes_before_any_frame_of_a_room() {
    let node = &Node::with(FAST).await;
    with_both(|codec| async move {
        let room = codec.subprotocol().replace('.', "-");
        let (epoch, token) = room_with(node, codec, &room, 5).await;
        let mut writer = node.joined(codec, "Writer", &room).await;
        for round in 0..20 {
            let mut raw = node.open(codec).await;
            let hello = json!({ "op": "hello", "token": token, "epoch": epoch, "resume": { &room: 3 } });
            tokio::join!(writer.fill(&room, 20), raw.say(&hello));
            let welcome = raw.next().await;
            assert_eq!(welcome["op"], "welcome", "round {round}: {welcome}");
            let head = welcome["rooms"][&room]["head"].as_u64().unwrap();
            let mut last = 3;
            while last < 5 + 20 * (round + 1) {
                let frame = raw.first(|frame| frame["op"] == "events").await;
                for event in frame["events"].as_array().unwrap() {
                    assert_eq!(event["seq"], last + 1, "round {round}");
                    last += 1;
                }
            }
            assert!(head <= last);
        }
    })
    .await;
}
