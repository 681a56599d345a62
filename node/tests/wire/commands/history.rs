//! `history`.

use serde_json::{Value, json};

use super::{FAST, room_for};
use crate::support::{Node, with_both};

/// First and last `seq`, and `more`.
fn page(answer: &Value) -> (u64, u64, bool) {
    let events = answer["events"].as_array().unwrap();
    for pair in events.windows(2) {
        assert_eq!(
            pair[0]["seq"].as_u64().unwrap() + 1,
            pair[1]["seq"].as_u64().unwrap(),
            "ascending"
        );
    }
    let seq = |event: Option<&Value>| event.map_or(0, |event| event["seq"].as_u64().unwrap());
    (
        seq(events.first()),
        seq(events.last()),
        answer["more"].as_bool().unwrap(),
    )
}

#[tokio::test]
async fn pages() {
    let node = &Node::with(FAST).await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.joined(codec, "Ada", &room).await;
        ada.fill(&room, 300).await;
        for (bounds, expected) in [
            (json!({}), (251, 300, true)),
            (json!({ "limit": 1 }), (300, 300, true)),
            (json!({ "limit": 200 }), (101, 300, true)),
            (json!({ "before": 301, "limit": 1 }), (300, 300, true)),
            (json!({ "before": 1_000_000 }), (251, 300, true)),
            (json!({ "before": 101 }), (51, 100, true)),
            (json!({ "before": 51 }), (1, 50, false)),
            (json!({ "before": 52, "limit": 50 }), (2, 51, true)),
            (json!({ "before": 2, "limit": 1 }), (1, 1, false)),
            (json!({ "before": 1 }), (0, 0, false)),
            (json!({ "after": 0 }), (1, 50, true)),
            (json!({ "after": 0, "limit": 200 }), (1, 200, true)),
            (json!({ "after": 250 }), (251, 300, false)),
            (json!({ "after": 249, "limit": 50 }), (250, 299, true)),
            (json!({ "after": 299 }), (300, 300, false)),
            (json!({ "after": 300 }), (0, 0, false)),
            (json!({ "after": 1_000_000 }), (0, 0, false)),
        ] {
            let mut history = bounds.clone();
            history["op"] = "history".into();
            history["room"] = room.clone().into();
            assert_eq!(page(&ada.ok(history).await), expected, "{bounds}");
        }
        for wrong in [
            json!({ "op": "history", "room": room, "before": 2, "after": 1 }),
            json!({ "op": "history", "room": room, "before": 0 }),
            json!({ "op": "history", "room": room, "limit": 0 }),
            json!({ "op": "history", "room": room, "limit": 201 }),
        ] {
            ada.refused(wrong, "bad_request").await;
        }
    })
    .await;
}

#[tokio::test]
async fn all_of_it_with_nothing_more() {
    let node = &Node::with(FAST).await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.joined(codec, "Ada", &room).await;
        ada.fill(&room, 50).await;
        let answer = ada.ok(json!({ "op": "history", "room": room })).await;
        assert_eq!(page(&answer), (1, 50, false));
        let mut keys: Vec<_> = answer.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["events", "id", "more", "op"]);
    })
    .await;
}

/// Large pages come in smaller pieces, never in wrong ones.
#[tokio::test]
async fn a_page_of_large_messages_can_be_paged_on() {
    let node = &Node::with(FAST).await;
    with_both(|codec| async move {
        let room = room_for(codec);
        let mut ada = node.joined(codec, "Ada", &room).await;
        let text = "x".repeat(16 * 1024);
        for n in 0..100 {
            ada.send(&room, &format!("{n}"), &text).await;
        }
        let mut last = 0;
        loop {
            let answer = ada
                .ok(json!({ "op": "history", "room": room, "after": last, "limit": 200 }))
                .await;
            let (first, end, more) = page(&answer);
            assert_eq!(first, last + 1);
            last = end;
            if !more {
                break;
            }
        }
        assert_eq!(last, 100);
    })
    .await;
}
