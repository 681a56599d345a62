//! Rooms, events and messages over HTTP.

use protocol::Codec;
use serde_json::{Value, json};

use super::{bearer, get, post};
use crate::support::{Node, http, with_both};

#[tokio::test]
async fn rooms_in_pages_and_one() {
    let node = Node::start().await;
    let guest = bearer(&node, "Ada").await;
    assert_eq!(
        get(&node, &guest, "/api/v1/rooms").await.json(),
        json!({ "rooms": [] })
    );
    let mut raw = node.guest(Codec::Json, "Bob").await;
    for n in 0..5 {
        raw.ok(json!({ "op": "join", "room": format!("room-{n}") })).await;
    }
    raw.send("room-3", "1", "x").await;
    let mut seen = Vec::new();
    let mut path = "/api/v1/rooms?limit=2".to_owned();
    loop {
        let answer = get(&node, &guest, &path).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("application/json"))
        );
        let page = answer.json();
        let rooms = page["rooms"].as_array().unwrap();
        assert!(rooms.len() <= 2, "{page}");
        seen.extend(rooms.iter().map(|room| room["room"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/rooms?limit=2&after={next}");
    }
    assert_eq!(seen, ["room-0", "room-1", "room-2", "room-3", "room-4"]);
    let room = get(&node, &guest, "/api/v1/rooms/room-3").await;
    assert_eq!(room.status, 200);
    let room = room.json();
    assert_eq!(
        (&room["room"], &room["title"], &room["head"]),
        (&json!("room-3"), &json!("room-3"), &json!(1))
    );
    get(&node, &guest, "/api/v1/rooms/nowhere")
        .await
        .assert_problem(404, "not_found");
    for path in [
        "/api/v1/rooms/Bad!",
        "/api/v1/rooms?limit=0",
        "/api/v1/rooms?limit=201",
        "/api/v1/rooms?limit=x",
        "/api/v1/rooms?after=Bad!",
    ] {
        get(&node, &guest, path).await.assert_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn events_are_as_history() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = codec.subprotocol().replace('.', "-");
        let guest = bearer(node, "Ada").await;
        let mut raw = node.joined(codec, "Bob", &room).await;
        for n in 1..=9 {
            raw.send(&room, &format!("{n}"), "x").await;
        }
        raw.ok(json!({ "op": "edit", "room": room, "cid": "e", "seq": 3, "text": "y" }))
            .await;
        raw.ok(json!({ "op": "delete", "room": room, "cid": "d", "seq": 4 }))
            .await;
        for query in [
            json!({}),
            json!({ "limit": 3 }),
            json!({ "before": 5 }),
            json!({ "before": 5, "limit": 2 }),
            json!({ "after": 0, "limit": 4 }),
            json!({ "after": 9 }),
            json!({ "after": 99 }),
        ] {
            let mut history = query.clone();
            history["op"] = "history".into();
            history["room"] = room.clone().into();
            let mut expected = raw.ok(history).await;
            for field in ["op", "id"] {
                expected.as_object_mut().unwrap().remove(field);
            }
            let parameters = query
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            let path = format!(
                "/api/v1/rooms/{room}/events?{}",
                parameters.collect::<Vec<_>>().join("&")
            );
            let answer = get(node, &guest, &path).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.json(), expected, "{path}");
        }
        for wrong in [
            "before=1&after=1",
            "before=0",
            "limit=0",
            "limit=201",
            "after=-1",
            "limit=x",
        ] {
            let answer = get(node, &guest, &format!("/api/v1/rooms/{room}/events?{wrong}")).await;
            answer.assert_problem(400, "bad_request");
        }
        get(node, &guest, "/api/v1/rooms/nowhere/events")
            .await
            .assert_problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn a_message_without_a_connection_is_a_send() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let room = codec.subprotocol().replace('.', "-");
        let mut raw = node.open(codec).await;
        let welcome = raw.hello(json!({ "guest": "Ada" })).await;
        let guest = format!("Bearer {}", welcome["token"].as_str().unwrap());
        let path = format!("/api/v1/rooms/{room}/messages");
        let body = json!({ "cid": "c", "text": "hello", "ignored": 1, "reply_to": null }).to_string();
        post(node, &guest, &path, &body).await.assert_problem(404, "not_found");
        raw.ok(json!({ "op": "join", "room": room })).await;
        let created = post(node, &guest, &path, &body).await;
        assert_eq!((created.status, created.header("content-type")), (201, Some("application/json")));
        let sent = created.json();
        assert_eq!(sent["seq"], 1, "{sent}");
        let event = &raw.events(&room, 1).await[0];
        assert_eq!(
            *event,
            json!({ "seq": 1, "kind": "message", "user": welcome["user"], "at": sent["at"], "cid": "c", "text": "hello" })
        );
        // The same `cid` is one message, on either way.
        let again = post(node, &guest, &path, &json!({ "cid": "c", "text": "other" }).to_string()).await;
        assert_eq!((again.status, again.json()), (201, sent.clone()));
        assert_eq!(raw.send(&room, "c", "other").await, 1);
        assert_eq!(raw.send(&room, "d", "by socket").await, 2);
        let known = post(node, &guest, &path, &json!({ "cid": "d", "text": "x" }).to_string()).await;
        assert_eq!(known.json()["seq"], 2);
        let reply = json!({ "cid": "r", "text": "re", "reply_to": 2 }).to_string();
        assert_eq!(post(node, &guest, &path, &reply).await.json()["seq"], 3);
        let lost = json!({ "cid": "s", "text": "re", "reply_to": 99 }).to_string();
        post(node, &guest, &path, &lost).await.assert_problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn a_message_has_the_rules_of_send() {
    let node = Node::start().await;
    let guest = bearer(&node, "Ada").await;
    let mut raw = node.joined(Codec::Json, "Bob", "lobby").await;
    let largest = "\u{1}".repeat(16 * 1024);
    for (body, status, code, named) in [
        ("", 400, "bad_request", ""),
        ("{", 400, "bad_request", ""),
        ("[]", 400, "bad_request", ""),
        ("{} {}", 400, "bad_request", ""),
        ("{}", 400, "bad_request", "cid"),
        (r#"{"cid":"c"}"#, 400, "bad_request", "text"),
        (r#"{"cid":7,"text":"x"}"#, 400, "bad_request", "cid"),
        (r#"{"cid":"","text":"x"}"#, 400, "bad_request", "cid"),
        (r#"{"cid":"c\n","text":"x"}"#, 400, "bad_request", "cid"),
        (r#"{"cid":"c","text":" \n"}"#, 400, "bad_request", "text"),
        (r#"{"cid":"c","text":"a\u0000"}"#, 400, "bad_request", "text"),
        (
            r#"{"cid":"c","text":"x","reply_to":0}"#,
            400,
            "bad_request",
            "reply_to",
        ),
        (
            &*json!({ "cid": "c", "text": format!("{largest}x") }).to_string(),
            413,
            "too_large",
            "text",
        ),
        (
            &*json!({ "cid": "c", "text": "x".repeat(1 << 20) }).to_string(),
            413,
            "too_large",
            "",
        ),
    ] {
        let answer = post(&node, &guest, "/api/v1/rooms/lobby/messages", body).await;
        let detail = answer.assert_problem(status, code);
        assert!(detail.contains(named), "`{named}` is not named in: {detail}");
    }
    // The largest text, written in the longest way, fits.
    let body = json!({ "cid": "c", "text": largest }).to_string();
    let answer = post(&node, &guest, "/api/v1/rooms/lobby/messages", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(raw.events("lobby", 1).await[0]["text"], largest);
    post(&node, &guest, "/api/v1/rooms/Bad!/messages", &body)
        .await
        .assert_problem(400, "bad_request");
}

#[tokio::test]
async fn who_writes_too_fast_over_http() {
    let node = Node::with(&["limits.sends_per_second_per_user=1"]).await;
    let guest = bearer(&node, "Ada").await;
    let _raw = node.joined(Codec::Json, "Bob", "lobby").await;
    for n in 0..60_u64 {
        let body = json!({ "cid": format!("{n}"), "text": "x" }).to_string();
        let answer = post(&node, &guest, "/api/v1/rooms/lobby/messages", &body).await;
        let told = |name| answer.header(name).expect(name).parse::<u64>().unwrap();
        assert_eq!(told("ratelimit-limit"), 10, "{answer:?}");
        assert!(told("ratelimit-remaining") <= 9, "{answer:?}");
        assert!(told("ratelimit-reset") <= 10, "{answer:?}");
        if answer.status != 201 {
            assert_eq!(told("ratelimit-remaining"), 0);
            answer.assert_problem(429, "rate_limited");
            let wait: u64 = answer
                .header("retry-after")
                .expect("Retry-After")
                .parse()
                .unwrap();
            assert!((1..=2).contains(&wait), "{answer:?}");
            assert!(n >= 10, "a burst of ten seconds passes");
            return;
        }
    }
    panic!("sixty at once are above one a second with a burst of ten");
}

#[tokio::test]
async fn everything_needs_a_credential() {
    let node = Node::start().await;
    for authorization in [
        None,
        Some("Bearer nonsense"),
        Some("Basic dXNlcjpwYXNz"),
        Some("Bearer"),
    ] {
        let headers: Vec<_> = authorization
            .into_iter()
            .map(|value| ("authorization", value))
            .collect();
        for (method, path) in [
            ("GET", "/api/v1/rooms"),
            ("GET", "/api/v1/rooms/lobby"),
            ("GET", "/api/v1/rooms/lobby/events"),
            ("POST", "/api/v1/rooms/lobby/messages"),
        ] {
            let answer = http::request(node.public(), method, path, &headers, "").await;
            answer.assert_problem(401, "unauthenticated");
            assert!(answer.header("www-authenticate").is_some(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_page_of_history_is_json_also_when_empty() {
    let node = Node::start().await;
    let guest = bearer(&node, "Ada").await;
    let _raw = node.joined(Codec::Json, "Bob", "lobby").await;
    let page: Value = get(&node, &guest, "/api/v1/rooms/lobby/events").await.json();
    assert_eq!(page, json!({ "events": [], "more": false }));
}
