//! Text that means something to databases, file systems and pages, in every field: it is text.

use protocol::{Codec, JoinFrom, RoomName};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cast::{Cast, said},
    on_both_stores,
    support::*,
};
use actors::rights::{Role, Visibility};

on_both_stores! {
    what_is_written_comes_back_as_it_was
    what_is_asked_for_is_no_command
}

const NASTY: [&str; 14] = [
    "'; DROP TABLE events; --",
    "\" OR \"\"=\"",
    "x' UNION SELECT password FROM accounts --",
    "$1",
    "?1",
    "%_\\",
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/proc/self/environ",
    "%2e%2e%2f",
    "<script>alert(1)</script>",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "\u{202e}txt.exe",
];

async fn what_is_written_comes_back_as_it_was(place: Place) {
    let node = place.node(&["limits.sends_per_second_per_user=0"]).await;
    let cast = Cast::new(&place, &node, &["keeper", "member"]).await;
    let people = [("keeper", Role::Owner), ("member", Role::Member)];
    let room = cast.room(Visibility::Public, &people).await;
    let keeper = cast.who("keeper");
    let at = |path: &str| format!("/rooms/{room}{path}");
    for codec in Codec::ALL {
        let mut client = enter(&node.socket().codec(codec).token(&keeper.token)).await;
        client.join(&room, JoinFrom::Newest(0)).await.unwrap();
        for (number, text) in NASTY.into_iter().enumerate() {
            let cid = format!("{text} {codec:?}");
            let sent = client.send(&room, &cid, text, None).await.unwrap();
            let again = client.send(&room, &cid, "another", None).await.unwrap();
            assert_eq!(again, sent, "{text}");
            let emoji = text.get(..16).unwrap_or(text);
            let reacted = client
                .react(&room, &format!("{cid} r"), sent.seq, emoji, true)
                .await;
            let mute = at(&format!("/mutes/{}", cast.id("member")));
            let until = 4_000_000_000_000 + number as u64;
            let body = json!({ "reason": text, "until": until });
            keeper.put(&node, &mute, body).await.ok(200);
            let change = json!({ "title": text, "topic": text });
            let changed = keeper.send(&node, Method::PATCH, &at(""), change).await.ok(200);
            assert_eq!(
                (&changed["title"], &changed["topic"]),
                (&json!(text), &json!(text))
            );

            let path = format!("/events?after={}&limit=10", sent.seq - 1);
            let page = keeper.get(&node, &at(&path)).await.ok(200);
            let events = page["events"].as_array().unwrap();
            assert_eq!(
                (&events[0]["text"], &events[0]["cid"]),
                (&json!(text), &json!(cid))
            );
            assert_eq!(events[1]["emoji"], emoji, "{:?}", reacted.unwrap());
            assert_eq!(events[2]["reason"], text);
        }
    }
}

async fn what_is_asked_for_is_no_command(place: Place) {
    let node = place.node(&["limits.sends_per_second_per_user=0"]).await;
    let cast = Cast::new(&place, &node, &["keeper", "administrator"]).await;
    let room = cast.room(Visibility::Public, &[("keeper", Role::Owner)]).await;
    let secret = cast
        .room(Visibility::Private, &[("administrator", Role::Owner)])
        .await;
    cast.write(&room, vec![("keeper", said("one"))]).await;
    let (before, secret_before) = (cast.kept(&room).await, cast.kept(&secret).await);
    let keeper = cast.who("keeper");
    let root = cast.who("administrator");
    // Who is in a room is known at once where somebody is.
    let mut open = enter(&node.socket().token(&keeper.token)).await;
    open.join(&room, JoinFrom::Newest(0)).await.unwrap();
    for text in NASTY {
        let quoted = escaped(text);
        let at = |path: &str| format!("/rooms/{room}/{path}/{quoted}");
        for path in [
            format!("/rooms?search={quoted}"),
            format!("/rooms?after={quoted}"),
            format!("/rooms/{quoted}"),
            format!("/rooms/{quoted}/events"),
            format!("/rooms/{room}/events?before={quoted}"),
            format!("/rooms/{room}/members?after={quoted}"),
            format!("/users?search={quoted}"),
            format!("/users?after={quoted}"),
            format!("/bans?after={quoted}"),
            format!("/audit?before={quoted}"),
        ] {
            for who in [keeper, root] {
                let answer = who.get(&node, &path).await;
                assert!(
                    [200, 400, 403, 404].contains(&answer.status),
                    "{path}: {answer:?}"
                );
                let shown = answer.body.to_string();
                assert!(
                    !shown.contains("argon2") && !shown.contains("root:"),
                    "{path}: {shown}"
                );
                let meant = path.starts_with("/rooms?") && who.id == root.id;
                assert!(meant || !shown.contains(secret.as_str()), "{path}: {shown}");
            }
        }
        for (method, path, body) in [
            (Method::PUT, at("members"), json!({ "role": "owner" })),
            (Method::DELETE, at("members"), Value::Null),
            (Method::PUT, at("bans"), json!({})),
            (Method::DELETE, at("invites"), Value::Null),
            (Method::DELETE, at("messages"), Value::Null),
            (
                Method::POST,
                format!("/rooms/{room}/members"),
                json!({ "user": text }),
            ),
            (Method::POST, "/rooms".to_owned(), json!({ "room": text })),
            (
                Method::POST,
                "/invites/accept".to_owned(),
                json!({ "token": text }),
            ),
            (Method::POST, "/directs".to_owned(), json!({ "users": [text] })),
            (Method::DELETE, format!("/sessions/{quoted}"), Value::Null),
            (
                Method::POST,
                "/sessions".to_owned(),
                json!({ "name": text, "password": text }),
            ),
        ] {
            let what = format!("{method} {path} {body}");
            let answer = keeper.send(&node, method, &path, body).await;
            assert!([400, 401, 404].contains(&answer.status), "{what}: {answer:?}");
        }
        let stolen = Person {
            id: String::new(),
            token: text.replace('\u{202e}', ""),
        };
        stolen
            .get(&node, "/users/me")
            .await
            .refused(401, "unauthenticated");
        let refused = turned_away(&node.socket().token(text)).await;
        assert_eq!(refused, ("unauthenticated".to_owned(), 4100), "{text}");
        assert!(RoomName::new(text).is_err());
    }
    assert_eq!(cast.kept(&room).await, before);
    assert_eq!(cast.kept(&secret).await, secret_before);
}

/// As it stands in an address.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
