//! `send`: what an event is, and who may send where.

use serde_json::json;

use super::{FAST, room_for};
use crate::support::{Node, with_both};

#[tokio::test]
async fn everybody_is_shown_the_committed_event() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.open(codec).await;
        let user = ada.hello(json!({ "guest": "Ada" })).await["user"].clone();
        ada.ok(json!({ "op": "join", "room": room })).await;
        let mut bob = node.joined(codec, "Bob", &room).await;
        let answer = ada
            .ok(json!({ "op": "send", "room": room, "cid": "c-1", "text": "hello \u{1f469}" }))
            .await;
        assert_eq!(answer["seq"], 1, "{answer}");
        let at = &answer["at"];
        assert!(at.as_u64().unwrap() > 1_600_000_000_000, "{answer}");
        let mut keys: Vec<_> = answer.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["at", "id", "op", "seq"]);
        let event = json!({
            "seq": 1, "kind": "message", "user": user, "at": at, "cid": "c-1", "text": "hello \u{1f469}"
        });
        for raw in [&mut ada, &mut bob] {
            assert_eq!(raw.events(&room, 1).await, std::slice::from_ref(&event));
        }
        let reply = json!({ "op": "send", "room": room, "cid": "c-2", "text": "hi", "reply_to": 1 });
        bob.ok(reply).await;
        for raw in [&mut ada, &mut bob] {
            assert_eq!(raw.events(&room, 1).await[0]["reply_to"], 1);
        }
    })
    .await;
}

#[tokio::test]
async fn what_needs_the_room_to_be_open() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.joined(codec, "Ada", &room).await;
        ada.send(&room, "1", "x").await;
        let mut bob = node.guest(codec, "Bob").await;
        for command in [
            json!({ "op": "send", "room": room, "cid": "1", "text": "x" }),
            json!({ "op": "edit", "room": room, "cid": "1", "seq": 1, "text": "x" }),
            json!({ "op": "delete", "room": room, "cid": "1", "seq": 1 }),
            json!({ "op": "react", "room": room, "cid": "1", "seq": 1, "emoji": "+", "on": true }),
            json!({ "op": "read", "room": room, "seq": 1 }),
            json!({ "op": "typing", "room": room }),
            json!({ "op": "send", "room": "nowhere", "cid": "1", "text": "x" }),
        ] {
            bob.refused(command, "not_joined").await;
        }
        let history = bob.ok(json!({ "op": "history", "room": room })).await;
        assert_eq!(history["events"].as_array().unwrap().len(), 1);
        let presence = bob.ok(json!({ "op": "presence", "room": room })).await;
        assert_eq!(presence["count"], 1, "{presence}");
        ada.events(&room, 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_reply_is_to_a_message_of_this_room() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let other = format!("{room}-other");
        let mut ada = node.joined(codec, "Ada", &room).await;
        ada.ok(json!({ "op": "join", "room": other })).await;
        let message = ada.send(&room, "1", "x").await;
        let edit = ada.ok(json!({ "op": "edit", "room": room, "cid": "2", "seq": message, "text": "y" })).await;
        let reply = |to: u64, cid: &str| json!({ "op": "send", "room": room, "cid": cid, "text": "r", "reply_to": to });
        ada.refused(reply(99, "3"), "not_found").await;
        ada.refused(reply(edit["seq"].as_u64().unwrap(), "3"), "not_found").await;
        let elsewhere = json!({ "op": "send", "room": other, "cid": "3", "text": "r", "reply_to": message });
        ada.refused(elsewhere, "not_found").await;
        ada.ok(reply(message, "3")).await;
        ada.ok(json!({ "op": "delete", "room": room, "cid": "4", "seq": message })).await;
        let kept = ada.ok(reply(message, "5")).await;
        assert_eq!(kept["seq"], 5, "what was refused took no number");
    })
    .await;
}

#[tokio::test]
async fn who_writes_too_fast_is_told_when_to_try_again() {
    let node = &Node::with(&["limits.sends_per_second_per_user=1"]).await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.joined(codec, "Ada", &room).await;
        let send = |n: usize| json!({ "op": "send", "room": room, "cid": format!("{n}"), "text": "x" });
        let mut refused = None;
        for n in 0..40 {
            let answer = ada.ask(send(n)).await;
            if answer["op"] == "error" {
                refused = Some((n, answer));
                break;
            }
        }
        let (n, answer) = refused.expect("forty at once are above one a second with a burst of ten");
        assert!(n >= 10, "a burst of ten seconds passes, and this was the {n}th");
        assert_eq!(answer["code"], "rate_limited", "{answer}");
        let wait = answer["retry_after_ms"].as_u64().unwrap();
        assert!((1..=2_000).contains(&wait), "{answer}");
        // What writes nothing is not counted, another person neither.
        ada.ok(json!({ "op": "read", "room": room, "seq": 1 })).await;
        ada.ok(json!({ "op": "typing", "room": room })).await;
        let mut bob = node.joined(codec, "Bob", &room).await;
        bob.send(&room, "1", "x").await;
        tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
        ada.ok(send(n)).await;
    })
    .await;
}

/// The socket is read more slowly, and nothing is refused.
#[tokio::test]
async fn who_asks_too_fast_is_read_more_slowly() {
    let node = &Node::with(&["limits.commands_per_second=20"]).await;
    with_both(|codec| async move {
        let mut ada = node.guest(codec, "Ada").await;
        let began = std::time::Instant::now();
        let pings: Vec<_> = (0..130).map(|id| json!({ "op": "ping", "id": id })).collect();
        ada.bytes(&crate::support::raw::frames(codec, &pings)).await;
        for id in 0..130 {
            let pong = ada.next().await;
            assert_eq!((&pong["op"], &pong["id"]), (&json!("pong"), &json!(id)));
        }
        // A burst of five seconds is 100; the other 30 take 1.5 s.
        let took = began.elapsed();
        assert!(took > std::time::Duration::from_millis(1_000), "{took:?}");
    })
    .await;
}

#[tokio::test]
async fn events_come_in_one_order_to_all() {
    let node = &Node::with(FAST).await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut writers = Vec::new();
        for n in 0..4 {
            writers.push(node.joined(codec, &format!("Writer {n}"), &room).await);
        }
        for writer in &mut writers {
            let sends: Vec<_> = (0..50)
                .map(|n| json!({ "op": "send", "room": room, "cid": format!("{n}"), "text": format!("{n}") }))
                .collect();
            writer.bytes(&crate::support::raw::frames(codec, &sends)).await;
        }
        let mut seen = Vec::new();
        for writer in &mut writers {
            seen.push(writer.events(&room, 200).await);
        }
        for events in &seen {
            assert_eq!(events, &seen[0]);
            assert_eq!((&events[0]["seq"], &events[199]["seq"]), (&json!(1), &json!(200)));
            for pair in events.windows(2) {
                assert!(
                    pair[0]["at"].as_u64() <= pair[1]["at"].as_u64(),
                    "`at` never goes back"
                );
            }
        }
        // Each writer's own are in the order sent.
        let authors: std::collections::BTreeSet<_> = seen[0]
            .iter()
            .map(|e| e["user"]["id"].as_str().unwrap())
            .collect();
        assert_eq!(authors.len(), 4);
        for author in authors {
            let texts = seen[0]
                .iter()
                .filter(|e| e["user"]["id"].as_str().unwrap() == author);
            let texts: Vec<_> = texts
                .map(|e| e["text"].as_str().unwrap().parse::<u32>().unwrap())
                .collect();
            assert_eq!(texts, (0..50).collect::<Vec<_>>());
        }
    })
    .await;
}
