//! `cid`: a command that is sent again is done once.

use serde_json::{Value, json};

use super::room_for;
use crate::support::{Node, with_both};

fn seq_and_at(answer: &Value) -> (u64, u64) {
    (answer["seq"].as_u64().unwrap(), answer["at"].as_u64().unwrap())
}

#[tokio::test]
async fn the_same_cid_is_answered_with_the_first_ones_seq() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.open(codec).await;
        let token = ada.hello(json!({ "guest": "Ada" })).await["token"].clone();
        ada.ok(json!({ "op": "join", "room": room })).await;
        let first = ada
            .ok(json!({ "op": "send", "room": room, "cid": "c", "text": "first" }))
            .await;
        let first = seq_and_at(&first);
        let mut elsewhere = node.open(codec).await;
        elsewhere.hello(json!({ "token": token })).await;
        elsewhere
            .ok(json!({ "op": "join", "room": room, "limit": 0 }))
            .await;
        // Whatever else the command says; the target is not looked at.
        for command in [
            json!({ "op": "send", "room": room, "cid": "c", "text": "first" }),
            json!({ "op": "send", "room": room, "cid": "c", "text": "other" }),
            json!({ "op": "send", "room": room, "cid": "c", "text": "other", "reply_to": 77 }),
            json!({ "op": "edit", "room": room, "cid": "c", "seq": 1, "text": "other" }),
            json!({ "op": "edit", "room": room, "cid": "c", "seq": 99, "text": "other" }),
            json!({ "op": "delete", "room": room, "cid": "c", "seq": 99 }),
            json!({ "op": "react", "room": room, "cid": "c", "seq": 99, "emoji": "+", "on": false }),
        ] {
            for raw in [&mut ada, &mut elsewhere] {
                let again = raw.ok(command.clone()).await;
                assert_eq!(seq_and_at(&again), first, "{command}");
            }
        }
        // Form and rights come first.
        let message = ada
            .refused(
                json!({ "op": "send", "room": room, "cid": "c", "text": " " }),
                "bad_request",
            )
            .await;
        assert!(message.contains("`text`"), "{message}");
        elsewhere.ok(json!({ "op": "leave", "room": room })).await;
        elsewhere
            .refused(
                json!({ "op": "send", "room": room, "cid": "c", "text": "first" }),
                "not_joined",
            )
            .await;
        let history = ada.ok(json!({ "op": "history", "room": room })).await;
        assert_eq!(
            history["events"].as_array().unwrap().len(),
            1,
            "nothing was written: {history}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_cid_is_of_one_author_and_room() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let other = format!("{room}-other");
        let mut ada = node.joined(codec, "Ada", &room).await;
        ada.ok(json!({ "op": "join", "room": other })).await;
        let mut bob = node.joined(codec, "Bob", &room).await;
        assert_eq!(ada.send(&room, "c", "a").await, 1);
        assert_eq!(bob.send(&room, "c", "b").await, 2);
        assert_eq!(ada.send(&other, "c", "c").await, 1);
        assert_eq!(ada.send(&room, "C", "case counts").await, 3);
        assert_eq!(ada.send(&room, " c", "white space counts").await, 4);
    })
    .await;
}

/// Many at once, so that they meet in one batch.
#[tokio::test]
async fn repeats_at_the_same_time_are_stored_once() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.joined(codec, "Ada", &room).await;
        let sends: Vec<_> = (0..60)
            .map(|n| json!({ "op": "send", "room": room, "cid": format!("{}", n / 20), "text": format!("{n}"), "id": 1_000 + n }))
            .collect();
        ada.bytes(&crate::support::raw::frames(codec, &sends)).await;
        for n in 0..60_u64 {
            let answer = ada.first(|frame| frame["id"] == 1_000 + n).await;
            assert_eq!(answer["seq"], n / 20 + 1, "{answer}");
        }
        let texts: Vec<_> = ada.events(&room, 3).await.iter().map(|e| e["text"].clone()).collect();
        assert_eq!(texts, ["0", "20", "40"]);
    })
    .await;
}
