//! `read`, `typing`, `presence` and `ping`: what is about people and not in the log.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{FAST, room_for};
use crate::support::{Node, Raw, with_both};

/// A guest's connection that has joined, and who it is.
async fn joined(node: &Node, codec: protocol::Codec, hello: Value, room: &str) -> (Raw, Value) {
    let mut raw = node.open(codec).await;
    let welcome = raw.hello(hello).await;
    raw.ok(json!({ "op": "join", "room": room, "limit": 0 })).await;
    (raw, welcome)
}

#[tokio::test]
async fn a_read_marker_never_goes_back() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let (mut ada, welcome) = joined(node, codec, json!({ "guest": "Ada" }), &room).await;
        let mut bob = node.joined(codec, "Bob", &room).await;
        ada.refused(json!({ "op": "read", "room": room, "seq": 1 }), "bad_request")
            .await;
        for n in 1..=5 {
            ada.send(&room, &format!("{n}"), "x").await;
        }
        ada.events(&room, 5).await;
        bob.events(&room, 5).await;
        let message = ada
            .refused(json!({ "op": "read", "room": room, "seq": 6 }), "bad_request")
            .await;
        assert!(message.contains("`seq`"), "{message}");
        let read = |seq: u64| json!({ "op": "read", "room": room, "seq": seq });
        let shown = |seq: u64| json!({ "op": "read", "room": room, "user": welcome["user"], "seq": seq });
        let answer = ada.ok(read(3)).await;
        assert_eq!(answer.as_object().unwrap().len(), 2, "an ok and its id: {answer}");
        for raw in [&mut ada, &mut bob] {
            assert_eq!(raw.next_op("read").await, shown(3));
        }
        // Further back, and the same again, is all right and shown to nobody.
        ada.ok(read(1)).await;
        ada.ok(read(3)).await;
        // Also on another connection, when nobody was in the room meanwhile.
        ada.ok(json!({ "op": "leave", "room": room })).await;
        bob.ok(json!({ "op": "leave", "room": room })).await;
        let (mut again, _) = joined(node, codec, json!({ "token": welcome["token"] }), &room).await;
        bob.ok(json!({ "op": "join", "room": room, "limit": 0 })).await;
        again.ok(read(2)).await;
        again.ok(read(4)).await;
        for raw in [&mut again, &mut bob] {
            assert_eq!(raw.next_op("read").await, shown(4));
        }
    })
    .await;
}

#[tokio::test]
async fn read_and_people_are_not_shown_in_large_rooms() {
    let node = &Node::with(&["limits.presence_people=2"]).await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.joined(codec, "Ada", &room).await;
        ada.send(&room, "1", "x").await;
        let mut others = Vec::new();
        for n in 0..2 {
            others.push(node.joined(codec, &format!("Other {n}"), &room).await);
        }
        let told = ada
            .first(|frame| frame["op"] == "presence" && frame["count"] == 3)
            .await;
        assert_eq!(
            told,
            json!({ "op": "presence", "room": room, "count": 3 }),
            "only the count"
        );
        ada.ok(json!({ "op": "read", "room": room, "seq": 1 })).await;
        ada.send(&room, "2", "y").await;
        for other in &mut others {
            let event = other
                .first(|frame| frame["op"] == "events" && frame["events"][0]["seq"] == 2)
                .await;
            assert_eq!(event["op"], "events");
            let shown = other.until_pong().await;
            assert!(shown.iter().all(|frame| frame["op"] != "read"), "{shown:?}");
        }
        let answer = ada.ok(json!({ "op": "presence", "room": room })).await;
        assert_eq!(answer["count"], 3, "{answer}");
    })
    .await;
}

#[tokio::test]
async fn typing_is_passed_on_at_most_every_two_seconds_and_not_to_oneself() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let (mut ada, welcome) = joined(node, codec, json!({ "guest": "Ada" }), &room).await;
        let (mut ada_too, _) = joined(node, codec, json!({ "token": welcome["token"] }), &room).await;
        let mut bob = node.joined(codec, "Bob", &room).await;
        let typing = json!({ "op": "typing", "room": room, "user": welcome["user"] });
        let mut times = Vec::new();
        let began = Instant::now();
        while times.len() < 2 {
            let asked = began.elapsed();
            // From both connections; they are one person.
            ada.ok(json!({ "op": "typing", "room": room })).await;
            ada_too.ok(json!({ "op": "typing", "room": room })).await;
            for frame in bob.until_pong().await {
                if frame["op"] == "typing" {
                    assert_eq!(frame, typing);
                    times.push((asked, began.elapsed()));
                }
            }
            assert!(began.elapsed() < Duration::from_secs(20), "only {times:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // From before the first can have been passed on to after the second was.
        let pause = times[1].1 - times[0].0;
        assert!(pause >= Duration::from_secs(2), "passed on again after {pause:?}");
        // Another person is not held up by that.
        bob.ok(json!({ "op": "typing", "room": room })).await;
        for raw in [&mut ada, &mut ada_too] {
            let typed = raw.next_op("typing").await;
            assert_eq!(typed["user"]["name"], "Bob", "one is not told of oneself");
        }
    })
    .await;
}

#[tokio::test]
async fn presence_counts_people_and_not_connections() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let (mut bob, bob_welcome) = joined(node, codec, json!({ "guest": "Bob" }), &room).await;
        let (ada, welcome) = joined(node, codec, json!({ "guest": "Ada" }), &room).await;
        let (ada_too, _) = joined(node, codec, json!({ "token": welcome["token"] }), &room).await;
        let mut answer = bob.ok(json!({ "op": "presence", "room": room })).await;
        let users = answer["users"].as_array_mut().unwrap();
        users.sort_by_key(|user| user["name"].to_string());
        assert_eq!(users, &[welcome["user"].clone(), bob_welcome["user"].clone()]);
        assert_eq!(answer["count"], 2, "{answer}");
        // Who is told of Ada once, is told once that she has gone: with her last connection.
        let mut people = Vec::new();
        while people.len() < 2 {
            let frame = bob.next_op("presence").await;
            assert_eq!(frame["room"], room);
            people.extend(frame["joined"].as_array().unwrap().iter().cloned());
            assert_eq!(frame["left"], json!([]));
        }
        people.sort_by_key(|user| user["name"].to_string());
        assert_eq!(people, [welcome["user"].clone(), bob_welcome["user"].clone()]);
        drop(ada);
        drop(ada_too);
        let gone = bob.next_op("presence").await;
        assert_eq!(
            (&gone["count"], &gone["left"]),
            (&json!(1), &json!([welcome["user"]])),
            "{gone}"
        );
    })
    .await;
}

#[tokio::test]
async fn presence_is_told_at_most_once_a_second() {
    let node = &Node::with(FAST).await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut bob = node.joined(codec, "Bob", &room).await;
        let began = Instant::now();
        let mut told = 0;
        while began.elapsed() < Duration::from_millis(3_500) {
            drop(node.joined(codec, "Ada", &room).await);
            let frames = bob.until_pong().await;
            told += frames.iter().filter(|frame| frame["op"] == "presence").count() as u64;
        }
        // Counted over the whole time: a single frame may be read late.
        let most = began.elapsed().as_secs() + 1;
        assert!((1..=most).contains(&told), "{told} in {:?}", began.elapsed());
    })
    .await;
}

#[tokio::test]
async fn ping_tells_the_time() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let mut ada = node.guest(codec, "Ada").await;
        let pong = ada.ask(json!({ "op": "ping" })).await;
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis();
        let time = u128::from(pong["time"].as_u64().unwrap());
        assert!(now.abs_diff(time) < 60_000, "{pong} and it is {now}");
        assert_eq!(pong.as_object().unwrap().len(), 3, "{pong}");
    })
    .await;
}
