//! `edit`, `delete` and `react`.

use serde_json::{Value, json};

use super::room_for;
use crate::support::{Node, Raw, with_both};

async fn change(raw: &mut Raw, mut command: Value, room: &str, cid: &str) -> u64 {
    command["room"] = room.into();
    command["cid"] = cid.into();
    raw.ok(command).await["seq"].as_u64().unwrap()
}

#[tokio::test]
async fn an_edit_is_an_event_and_changes_the_message() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.joined(codec, "Ada", &room).await;
        let mut bob = node.joined(codec, "Bob", &room).await;
        ada.send(&room, "1", "one").await;
        let edited = ada
            .ok(json!({ "op": "edit", "room": room, "cid": "2", "seq": 1, "text": "two" }))
            .await;
        assert_eq!(edited["seq"], 2);
        let events = bob.events(&room, 2).await;
        let event = &events[1];
        assert_eq!(
            *event,
            json!({
                "seq": 2, "kind": "edit", "user": event["user"], "at": edited["at"], "cid": "2", "target": 1, "text": "two"
            })
        );
        assert_eq!(event["user"]["name"], "Ada");
        assert_eq!(change(&mut ada, json!({ "op": "edit", "seq": 1, "text": "three" }), &room, "3").await, 3);
        let history = bob.ok(json!({ "op": "history", "room": room })).await;
        let history = history["events"].as_array().unwrap();
        assert_eq!(history[0]["text"], "three", "the present state");
        assert!(history[0]["edited_at"].as_u64() >= edited["at"].as_u64(), "{history:?}");
        assert_eq!(history[1].get("text"), None, "no longer the present text: {history:?}");
        assert_eq!(history[2]["text"], "three");
        // A replay shows the same.
        let mut late = node.guest(codec, "Late").await;
        late.ok(json!({ "op": "join", "room": room, "after": 0 })).await;
        assert_eq!(&late.events(&room, 3).await, history);
    })
    .await;
}

#[tokio::test]
async fn a_deleted_message_keeps_its_place() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.joined(codec, "Ada", &room).await;
        ada.send(&room, "1", "secret").await;
        change(&mut ada, json!({ "op": "edit", "seq": 1, "text": "more secret" }), &room, "2").await;
        change(&mut ada, json!({ "op": "react", "seq": 1, "emoji": "+", "on": true }), &room, "3").await;
        let deleted = ada.ok(json!({ "op": "delete", "room": room, "cid": "4", "seq": 1 })).await;
        assert_eq!(deleted["seq"], 4);
        let events = ada.events(&room, 4).await;
        assert_eq!(
            events[3],
            json!({ "seq": 4, "kind": "delete", "user": events[0]["user"], "at": deleted["at"], "cid": "4", "target": 1 })
        );
        // Deleting again is answered with the first one's `seq`, and nothing is written.
        let again = ada.ok(json!({ "op": "delete", "room": room, "cid": "5", "seq": 1 })).await;
        assert_eq!((&again["seq"], &again["at"]), (&deleted["seq"], &deleted["at"]));
        for command in [
            json!({ "op": "edit", "room": room, "cid": "6", "seq": 1, "text": "x" }),
            json!({ "op": "react", "room": room, "cid": "6", "seq": 1, "emoji": "-", "on": true }),
            json!({ "op": "react", "room": room, "cid": "6", "seq": 1, "emoji": "+", "on": false }),
        ] {
            ada.refused(command, "not_found").await;
        }
        let history = ada.ok(json!({ "op": "history", "room": room })).await;
        let history = history["events"].as_array().unwrap();
        assert_eq!(history.len(), 4);
        assert_eq!((&history[0]["text"], &history[0]["deleted"]), (&json!(""), &json!(true)), "{history:?}");
        let shown = serde_json::to_string(history).unwrap();
        assert!(!shown.contains("secret"), "{shown}");
        let mut late = node.guest(codec, "Late").await;
        late.ok(json!({ "op": "join", "room": room, "after": 0 })).await;
        assert_eq!(&late.events(&room, 4).await, history);
    })
    .await;
}

#[tokio::test]
async fn a_target_is_a_message_of_this_room_and_ones_own() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let other = format!("{room}-other");
        let mut ada = node.joined(codec, "Ada", &room).await;
        let mut bob = node.joined(codec, "Bob", &room).await;
        bob.ok(json!({ "op": "join", "room": other })).await;
        ada.send(&room, "1", "mine").await;
        change(
            &mut ada,
            json!({ "op": "edit", "seq": 1, "text": "mine!" }),
            &room,
            "2",
        )
        .await;
        for command in [
            json!({ "op": "edit", "seq": 1, "text": "yours" }),
            json!({ "op": "delete", "seq": 1 }),
        ] {
            for (target, of, code) in [
                (1, &room, "forbidden"),
                (2, &room, "not_found"),
                (99, &room, "not_found"),
                (1, &other, "not_found"),
            ] {
                let mut command = command.clone();
                command["room"] = of.clone().into();
                command["cid"] = "x".into();
                command["seq"] = target.into();
                bob.refused(command, code).await;
            }
        }
        for target in [2, 99] {
            let react =
                json!({ "op": "react", "room": room, "cid": "x", "seq": target, "emoji": "+", "on": true });
            bob.refused(react, "not_found").await;
        }
        // Everybody may react, and a `cid` of what was refused is not kept.
        assert_eq!(
            change(
                &mut bob,
                json!({ "op": "react", "seq": 1, "emoji": "+", "on": true }),
                &room,
                "x"
            )
            .await,
            3
        );
    })
    .await;
}

#[tokio::test]
async fn a_reaction_is_or_is_not() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.joined(codec, "Ada", &room).await;
        let mut bob = node.joined(codec, "Bob", &room).await;
        ada.send(&room, "1", "x").await;
        let react = |emoji: &str, on: bool| json!({ "op": "react", "seq": 1, "emoji": emoji, "on": on });
        let never = json!({ "op": "react", "room": room, "cid": "n", "seq": 1, "emoji": "+", "on": false });
        ada.refused(never, "not_found").await;
        assert_eq!(change(&mut ada, react("+", true), &room, "2").await, 2);
        let events = bob.events(&room, 2).await;
        let event = &events[1];
        assert_eq!(
            *event,
            json!({
                "seq": 2, "kind": "react", "user": event["user"], "at": event["at"], "cid": "2",
                "target": 1, "emoji": "+", "on": true
            })
        );
        // It is so already: answered with the `seq` that made it so, and its `cid` is not kept.
        assert_eq!(change(&mut ada, react("+", true), &room, "3").await, 2);
        // Another emoji and another person are others.
        assert_eq!(change(&mut ada, react("-", true), &room, "3").await, 3);
        assert_eq!(change(&mut bob, react("+", true), &room, "3").await, 4);
        // Withdrawn, withdrawn again, and given again.
        assert_eq!(change(&mut ada, react("+", false), &room, "4").await, 5);
        assert_eq!(change(&mut ada, react("+", false), &room, "5").await, 5);
        assert_eq!(change(&mut ada, react("+", true), &room, "6").await, 6);
        assert_eq!(change(&mut ada, react("+", true), &room, "7").await, 6);
        // The other person's stands.
        assert_eq!(change(&mut bob, react("+", true), &room, "8").await, 4);
        assert_eq!(ada.send(&room, "5", "the cid was not kept").await, 7);
    })
    .await;
}
