//! Who somebody is.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::assert_welcome;
use crate::support::{Node, Raw, with_both};

/// A new guest's `welcome`.
async fn new_guest(node: &Node, codec: protocol::Codec, name: &str) -> Value {
    let welcome = node.open(codec).await.hello(json!({ "guest": name })).await;
    assert_welcome(&welcome);
    assert_eq!(welcome["user"]["name"], name);
    let token = welcome["token"].as_str().expect("a token");
    assert!(token.len() <= 8 * 1024);
    welcome
}

fn token(welcome: &Value) -> &str {
    welcome["token"].as_str().unwrap()
}

#[tokio::test]
async fn a_guest_comes_back_by_token_on_any_node_and_after_a_restart() {
    let folder = &TempDir::new().unwrap();
    with_both(|codec| async move {
        let node = Node::in_folder(folder.path(), &[]).await;
        let ada = new_guest(&node, codec, "Ada \u{1f469}").await;
        let other = new_guest(&node, codec, "Ada \u{1f469}").await;
        assert_ne!(ada["user"]["id"], other["user"]["id"], "names need not be unique");
        for _ in 0..2 {
            let again = node
                .open(codec)
                .await
                .hello(json!({ "token": ada["token"] }))
                .await;
            assert_eq!(again["user"], ada["user"]);
            assert_ne!(again["session"], ada["session"]);
            assert_eq!(
                again.get("token"),
                None,
                "only a new guest's welcome carries one: {again}"
            );
        }
        let second = Node::in_folder(folder.path(), &[]).await;
        let there = second
            .open(codec)
            .await
            .hello(json!({ "token": ada["token"] }))
            .await;
        assert_eq!(there["user"], ada["user"]);
        assert_ne!(there["node"], ada["node"]);
        node.stop().await;
        second.stop().await;
        let third = Node::in_folder(folder.path(), &[]).await;
        let back = third
            .open(codec)
            .await
            .hello(json!({ "token": ada["token"] }))
            .await;
        assert_eq!((&back["user"], &back["epoch"]), (&ada["user"], &ada["epoch"]));
        third.stop().await;
    })
    .await;
}

#[tokio::test]
async fn no_credential_or_a_bad_one_is_unauthenticated() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let good = new_guest(node, codec, "Ada").await;
        let changed = format!("{}x", token(&good));
        for hello in [
            json!({ "op": "hello" }),
            json!({ "op": "hello", "id": 5 }),
            json!({ "op": "hello", "token": "" }),
            json!({ "op": "hello", "token": "nonsense" }),
            json!({ "op": "hello", "token": "x".repeat(8 * 1024) }),
            json!({ "op": "hello", "token": changed }),
            // The first credential that is there counts.
            json!({ "op": "hello", "token": "nonsense", "guest": "Ada" }),
        ] {
            let mut raw = node.open(codec).await;
            raw.say(&hello).await;
            let error = raw.error("unauthenticated").await;
            assert_eq!(error.get("id"), hello.get("id"), "{error}");
            raw.closed(4100).await;
        }
    })
    .await;
}

#[tokio::test]
async fn where_guests_are_not_let_in_they_are_unauthenticated() {
    let folder = &TempDir::new().unwrap();
    with_both(|codec| async move {
        let open = Node::in_folder(folder.path(), &[]).await;
        let ada = new_guest(&open, codec, "Ada").await;
        open.stop().await;
        let closed = Node::in_folder(folder.path(), &["auth.guests=false"]).await;
        for hello in [
            json!({ "op": "hello", "guest": "Ada", "id": 1 }),
            json!({ "op": "hello", "token": ada["token"], "id": 1 }),
        ] {
            let mut raw = closed.open(codec).await;
            raw.say(&hello).await;
            assert_eq!(raw.error("unauthenticated").await["id"], 1);
            raw.closed(4100).await;
        }
        closed.stop().await;
    })
    .await;
}

#[tokio::test]
async fn the_first_credential_that_is_there_counts() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let ada = new_guest(node, codec, "Ada").await;
        let bob = new_guest(node, codec, "Bob").await;
        let bearer = format!("Bearer {}", token(&ada));
        let cases = [
            (json!({}), &ada["user"]),
            (json!({ "guest": "Eve" }), &ada["user"]),
            (json!({ "token": bob["token"] }), &bob["user"]),
        ];
        for (hello, user) in cases {
            let mut raw = Raw::open(node.public(), codec, &[("authorization", &bearer)]).await;
            let welcome = raw.hello(hello).await;
            assert_eq!(&welcome["user"], user);
            assert_eq!(welcome.get("token"), None, "{welcome}");
        }
        // The scheme's case does not matter, and a bad cookie counts as none.
        let bearer = format!("bearer {}", token(&ada));
        let headers = [
            ("authorization", &*bearer),
            ("cookie", "a=b; hubbub_session=nonsense"),
        ];
        let welcome = Raw::open(node.public(), codec, &headers)
            .await
            .hello(json!({}))
            .await;
        assert_eq!(welcome["user"], ada["user"]);
        let welcome = Raw::open(node.public(), codec, &headers[1..])
            .await
            .hello(json!({ "guest": "Eve" }))
            .await;
        assert_eq!(welcome["user"]["name"], "Eve");
        // A guest's token is no session: in a cookie it counts as none, too.
        let cookie = format!("hubbub_session={}", token(&ada));
        let mut raw = Raw::open(node.public(), codec, &[("cookie", &cookie)]).await;
        raw.say(&json!({ "op": "hello" })).await;
        raw.error("unauthenticated").await;
        raw.closed(4100).await;
    })
    .await;
}

#[tokio::test]
async fn a_hello_that_cannot_be_served_now_is_overloaded() {
    let node = &Node::with(&["limits.connections_per_user=2"]).await;
    with_both(|codec| async move {
        let mut first = node.open(codec).await;
        let ada = first.hello(json!({ "guest": "Ada" })).await;
        let mut second = node.open(codec).await;
        second.hello(json!({ "token": ada["token"] })).await;
        let mut third = node.open(codec).await;
        third
            .say(&json!({ "op": "hello", "token": ada["token"], "id": 3 }))
            .await;
        let error = third.error("overloaded").await;
        assert_eq!(error["id"], 3, "{error}");
        assert!(error["retry_after_ms"].is_u64(), "{error}");
        third.closed(4003).await;
        // Others come in, and a place that is given up is free again.
        node.guest(codec, "Bob").await;
        second.frame(true, crate::support::raw::CLOSE, b"").await;
        drop(second);
        crate::support::eventually("a place to be free", || async {
            let mut raw = node.open(codec).await;
            raw.say(&json!({ "op": "hello", "token": ada["token"] })).await;
            (raw.next().await["op"] == "welcome").then_some(())
        })
        .await;
    })
    .await;
}
