//! Slow mode is the room's, not a node's.

use actors::rights::{Role, Visibility};
use load_tests::client::{Client, Error};
use protocol::{Codec, ErrorCode, JoinFrom, RoomName};
use reqwest::Method;
use serde_json::json;

use crate::{cast::Cast, on_both_stores, support::*};

on_both_stores! {
    who_wrote_on_one_node_waits_on_the_other
}

const PAUSE_SECONDS: u64 = 600;

async fn says(client: &mut Client, room: &RoomName, text: &str) -> Result<(), ErrorCode> {
    match client.say(room, text).await {
        Ok(_) => Ok(()),
        Err(Error::Refused(refused)) => {
            let wait_ms = refused.retry_after_ms.unwrap();
            assert!((1..=PAUSE_SECONDS * 1_000).contains(&wait_ms), "{wait_ms}");
            Err(refused.code)
        }
        Err(other) => panic!("{other}"),
    }
}

async fn who_wrote_on_one_node_waits_on_the_other(place: Place) {
    let (a, b) = (place.node(&[]).await, place.node(&[]).await);
    let cast = Cast::new(&place, &a, &["keeper", "moderator", "member", "guest"]).await;
    let people = [
        ("keeper", Role::Owner),
        ("moderator", Role::Moderator),
        ("member", Role::Member),
    ];
    for followed in [true, false] {
        let room = cast.room(Visibility::Public, &people).await;
        let path = format!("/rooms/{room}");
        let slow = json!({ "slow_mode": PAUSE_SECONDS });
        let keeper = cast.who("keeper");
        keeper.send(&a, Method::PATCH, &path, slow).await.ok(200);
        for who in ["moderator", "member", "guest"] {
            let limited = who != "moderator";
            let token = &cast.who(who).token;
            let mut here = enter(&a.socket().token(token)).await;
            let mut there = enter(&b.socket().codec(Codec::Msgpack).token(token)).await;
            here.join(&room, JoinFrom::Newest(0)).await.unwrap();
            if followed {
                there.join(&room, JoinFrom::Newest(0)).await.unwrap();
            }
            says(&mut here, &room, "one").await.unwrap();
            if followed {
                there.take_events(&room, 1).await.unwrap();
            } else {
                there.join(&room, JoinFrom::Newest(0)).await.unwrap();
            }
            let expected = if limited {
                Err(ErrorCode::RateLimited)
            } else {
                Ok(())
            };
            assert_eq!(says(&mut there, &room, "two").await, expected, "{who} on b");
            assert_eq!(says(&mut here, &room, "three").await, expected, "{who} on a");
            let body = json!({ "cid": "four", "text": "four" });
            let path = format!("{path}/messages");
            let answer = cast.who(who).send(&b, Method::POST, &path, body).await;
            if limited {
                answer.refused(429, "rate_limited");
                let wait: u64 = answer.header("retry-after").parse().unwrap();
                assert!((1..=PAUSE_SECONDS).contains(&wait), "{wait}");
            } else {
                answer.ok(201);
            }
            here.leave(&room).await.unwrap();
            there.leave(&room).await.unwrap();
        }
    }
}
