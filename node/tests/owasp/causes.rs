//! "Do not expose internal errors": what fails inside is told by a code and a plain sentence, on the socket and over HTTP.

use actors::{
    memory::{Fault, LocalHub, MemoryStore},
    ports::StoreError,
};
use protocol::Codec;
use serde_json::{Value, json};

use crate::support::{Node, http};

/// What a database might say.
const CAUSE: &str = "FATAL: relation \"users\" at db-7.internal:5432, password for hubbub";

fn plain(text: &str) {
    for part in [
        "FATAL", "relation", "db-7", "5432", "password", "hubbub", "panicked", ".rs:", "SELECT", "store",
    ] {
        assert!(!text.contains(part), "{part:?} is told: {text}");
    }
}

#[tokio::test]
async fn a_failing_store_is_told_without_its_causes() {
    let errors: [fn(String) -> StoreError; 5] = [
        StoreError::Down,
        StoreError::Timeout,
        StoreError::Full,
        StoreError::Constraint,
        StoreError::Internal,
    ];
    for error in errors {
        let store = MemoryStore::new();
        let bus = LocalHub::new().connect();
        let node = Node::on(
            store.clone(),
            bus,
            &["auth.guests=true", "rooms.create_on_join=true"],
        )
        .await;
        let mut ada = node.open(Codec::Json).await;
        let welcome = ada.hello(json!({ "guest": "Ada" })).await;
        ada.ok(json!({ "op": "join", "room": "lobby", "limit": 0 })).await;
        store.fail_all(None, Fault::Refuse(error(CAUSE.to_owned())));
        for command in [
            json!({ "op": "send", "room": "lobby", "cid": "a", "text": "x" }),
            json!({ "op": "join", "room": "elsewhere" }),
            json!({ "op": "history", "room": "lobby" }),
            json!({ "op": "edit", "room": "lobby", "cid": "b", "seq": 1, "text": "y" }),
        ] {
            let answer = ada.ask(command.clone()).await;
            assert_eq!(answer["op"], "error", "{command}: {answer}");
            let code = answer["code"].as_str().unwrap();
            assert!(
                ["overloaded", "internal", "not_found"].contains(&code),
                "{command}: {answer}"
            );
            plain(answer["message"].as_str().unwrap());
        }
        let bearer = format!("Bearer {}", welcome["token"].as_str().unwrap());
        let body = json!({ "name": "Ben", "password": "correct horse" }).to_string();
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        let message = json!({ "cid": "c", "text": "x" }).to_string();
        for (method, path, body) in [
            ("POST", "/api/v1/users", body.as_str()),
            ("POST", "/api/v1/sessions", &body),
            ("GET", "/api/v1/rooms", ""),
            ("GET", "/api/v1/rooms/lobby/events", ""),
            ("POST", "/api/v1/rooms/lobby/messages", &message),
        ] {
            let headers = if path.ends_with("users") || path.ends_with("sessions") {
                &headers[1..]
            } else {
                &headers[..]
            };
            let answer = http::request(node.public(), method, path, headers, body).await;
            assert!(matches!(answer.status, 500 | 503), "{path}: {answer:?}");
            let problem: Value = answer.json();
            for member in ["title", "detail"] {
                plain(problem[member].as_str().unwrap_or_default());
            }
        }
    }
}

#[tokio::test]
async fn who_one_is_not_is_told_in_the_same_words_whatever_is_wrong_with_the_credential() {
    let node = Node::start().await;
    let mut said = Vec::new();
    let unknown = format!("hs1_{}", "A".repeat(43));
    let key = format!("hk1_{}", "A".repeat(43));
    for token in [
        unknown.as_str(),
        &key,
        "hg1.e30.AAAA",
        "hs1_short",
        "eyJhbGciOiJub25lIn0.e30.",
        "x",
    ] {
        let mut raw = node.open(Codec::Json).await;
        raw.say(&json!({ "op": "hello", "token": token })).await;
        let refused = raw.error("unauthenticated").await;
        said.push(refused["message"].clone());
        raw.closed(4100).await;
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
}
