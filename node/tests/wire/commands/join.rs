//! `join` and `leave`.

use serde_json::{Value, json};

use super::{FAST, room_for};
use crate::support::{Node, with_both};

#[tokio::test]
async fn a_room_is_made_by_the_first_who_joins() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.guest(codec, "Ada").await;
        ada.refused(json!({ "op": "history", "room": room }), "not_found").await;
        ada.refused(json!({ "op": "presence", "room": room }), "not_found").await;
        ada.say(&json!({ "op": "join", "room": room, "id": 99 })).await;
        assert_eq!(
            ada.next().await,
            json!({ "op": "ok", "id": 99, "room": room, "title": room, "head": 0, "role": "guest", "members": 1 })
        );
        let history = ada.ok(json!({ "op": "history", "room": room })).await;
        assert_eq!((&history["events"], &history["more"]), (&json!([]), &json!(false)), "no event is written");
        let mut bob = node.guest(codec, "Bob").await;
        let joined = bob.ok(json!({ "op": "join", "room": room })).await;
        assert_eq!((&joined["head"], &joined["members"]), (&json!(0), &json!(2)), "{joined}");
    })
    .await;
}

#[tokio::test]
async fn where_rooms_are_not_made_there_is_none() {
    let node = &Node::with(&["rooms.create_on_join=false"]).await;
    with_both(|codec| async move {
        let mut ada = node.guest(codec, "Ada").await;
        for _ in 0..2 {
            ada.refused(json!({ "op": "join", "room": "lobby" }), "not_found")
                .await;
        }
        ada.refused(
            json!({ "op": "send", "room": "lobby", "cid": "1", "text": "x" }),
            "not_joined",
        )
        .await;
        ada.ok(json!({ "op": "leave", "room": "lobby" })).await;
    })
    .await;
}

#[tokio::test]
async fn a_join_says_where_it_begins() {
    let node = &Node::with(FAST).await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.joined(codec, "Ada", &room).await;
        ada.fill(&room, 60).await;
        // The last `seq` that is not sent any more, by how the room is joined.
        for (from, before) in [
            (json!({}), 10),
            (json!({ "limit": 1 }), 59),
            (json!({ "limit": 60 }), 0),
            (json!({ "limit": 1_000 }), 0),
            (json!({ "limit": 0 }), 60),
            (json!({ "after": 0 }), 0),
            (json!({ "after": 59 }), 59),
            (json!({ "after": 60 }), 60),
        ] {
            // The second time the room is open, and starts anew.
            for again in [false, true] {
                let mut join = from.clone();
                join["op"] = "join".into();
                join["room"] = room.clone().into();
                join["id"] = 7.into();
                ada.say(&join).await;
                let joined = ada.first(|frame| frame["op"] != "presence").await;
                assert_eq!(
                    (&joined["op"], &joined["id"]),
                    (&json!("ok"), &json!(7)),
                    "{join}: {joined}"
                );
                assert_eq!(joined["head"], 60, "{join}: {joined}");
                assert_eq!(joined.get("reset"), None, "{join}: {joined}");
                if before < 60 {
                    let events = ada.events(&room, 60 - before).await;
                    assert_eq!(events[0]["seq"], before + 1, "{join}");
                }
                if again {
                    ada.ok(json!({ "op": "leave", "room": room })).await;
                }
            }
        }
        let both = json!({ "op": "join", "room": room, "after": 1, "limit": 1 });
        ada.refused(both, "bad_request").await;
        ada.refused(
            json!({ "op": "join", "room": room, "limit": 1_001 }),
            "bad_request",
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_position_beyond_the_head_resets() {
    let node = &Node::with(FAST).await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.joined(codec, "Ada", &room).await;
        let reset = ada.ok(json!({ "op": "join", "room": room, "after": 1 })).await;
        assert_eq!(
            (&reset["head"], &reset["reset"]),
            (&json!(0), &json!(true)),
            "{reset}"
        );
        ada.fill(&room, 70).await;
        for after in [71, (1_u64 << 53) - 1] {
            let reset = ada
                .ok(json!({ "op": "join", "room": room, "after": after }))
                .await;
            assert_eq!(
                (&reset["head"], &reset["reset"]),
                (&json!(70), &json!(true)),
                "{reset}"
            );
            assert_eq!(ada.events(&room, 50).await[0]["seq"], 21);
        }
    })
    .await;
}

#[tokio::test]
async fn more_than_a_thousand_are_a_gap_and_the_newest_thousand() {
    let node = &Node::with(FAST).await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.joined(codec, "Ada", &room).await;
        ada.fill(&room, 1_250).await;
        let joined = ada.ok(json!({ "op": "join", "room": room, "after": 249 })).await;
        assert_eq!(joined.get("reset"), None, "{joined}");
        let gap = ada
            .first(|frame| frame["op"] == "gap" || frame["op"] == "events")
            .await;
        assert_eq!(gap, json!({ "op": "gap", "room": room, "from": 250, "to": 250 }));
        assert_eq!(ada.events(&room, 1_000).await[0]["seq"], 251);
        ada.ok(json!({ "op": "join", "room": room, "after": 250 })).await;
        let first = ada
            .first(|frame| frame["op"] == "gap" || frame["op"] == "events")
            .await;
        assert_eq!(first["op"], "events", "a thousand are replayed whole");
        // The newest so many never are a gap.
        let mut bob = node.guest(codec, "Bob").await;
        bob.ok(json!({ "op": "join", "room": room, "limit": 1_000 }))
            .await;
        assert_eq!(bob.next().await["op"], "events");
    })
    .await;
}

#[tokio::test]
async fn after_leave_nothing_of_the_room_comes() {
    let node = &Node::with(FAST).await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut writer = node.joined(codec, "Writer", &room).await;
        let mut leaver = node.joined(codec, "Leaver", &room).await;
        leaver.ok(json!({ "op": "leave", "room": "never-open" })).await;
        for round in 0..10 {
            let leave = json!({ "op": "leave", "room": room, "id": 1_000 });
            tokio::join!(writer.fill(&room, 20), leaver.say(&leave));
            loop {
                let frame = leaver.next().await;
                if frame["id"] == 1_000 {
                    assert_eq!(frame, json!({ "op": "ok", "id": 1_000 }));
                    break;
                }
            }
            writer.fill(&room, 5).await;
            writer.ok(json!({ "op": "typing", "room": room })).await;
            writer
                .ok(json!({ "op": "read", "room": room, "seq": 25 * (round + 1) }))
                .await;
            assert_eq!(leaver.until_pong().await, Vec::<Value>::new(), "round {round}");
            leaver
                .refused(json!({ "op": "typing", "room": room }), "not_joined")
                .await;
            // Leaving again is all right.
            leaver.ok(json!({ "op": "leave", "room": room })).await;
            leaver.ok(json!({ "op": "join", "room": room, "limit": 0 })).await;
        }
    })
    .await;
}

#[tokio::test]
async fn commands_behind_a_join_wait_for_it() {
    let node = &Node::with(FAST).await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.guest(codec, "Ada").await;
        let all = [
            json!({ "op": "join", "room": room, "limit": 0, "id": 1 }),
            json!({ "op": "send", "room": room, "cid": "1", "text": "1", "id": 2 }),
            json!({ "op": "leave", "room": room, "id": 3 }),
            json!({ "op": "send", "room": room, "cid": "2", "text": "2", "id": 4 }),
            json!({ "op": "join", "room": room, "after": 0, "id": 5 }),
            json!({ "op": "typing", "room": room, "id": 6 }),
        ];
        ada.bytes(&crate::support::raw::frames(codec, &all)).await;
        for (id, outcome) in [
            (1, "ok"),
            (2, "ok"),
            (3, "ok"),
            (4, "error"),
            (5, "ok"),
            (6, "ok"),
        ] {
            let answer = ada.first(|frame| frame["id"] == id).await;
            assert_eq!(answer["op"], outcome, "{answer}");
        }
        let events = ada.events(&room, 1).await;
        assert_eq!(events[0]["cid"], "1");
    })
    .await;
}
