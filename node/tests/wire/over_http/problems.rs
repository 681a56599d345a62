//! Errors are problem details wherever they come from; health; the page.

use actors::{
    memory::{Fault, LocalHub, MemoryStore},
    ports::StoreError,
};
use serde_json::json;

use super::{bearer, get, post};
use crate::support::{Node, http};

#[tokio::test]
async fn what_is_not_there() {
    let node = Node::start().await;
    let guest = bearer(&node, "Ada").await;
    for path in [
        "/nothing",
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v1/nothing",
        "/api/v2/rooms",
        "/ws/",
        "/metrics",
        "/api/v1/rooms/lobby/nothing",
        "/api/v1/rooms/",
        "/..%2f",
        "/index.php",
    ] {
        get(&node, &guest, path).await.assert_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_method_that_is_not_taken() {
    let node = Node::start().await;
    for (method, path) in [
        ("POST", "/api/v1/rooms/lobby/events"),
        ("DELETE", "/api/v1/rooms/lobby/messages"),
        ("GET", "/api/v1/rooms/lobby/messages"),
        ("PUT", "/api/v1/rooms/lobby/messages"),
        ("POST", "/ws"),
        ("POST", "/livez"),
        ("DELETE", "/readyz"),
        ("POST", "/"),
    ] {
        let answer = http::request(node.public(), method, path, &[], "").await;
        answer.assert_problem(405, "bad_request");
        assert!(
            answer.header("allow").is_some(),
            "RFC 9110 §15.5.6: {method} {path}: {answer:?}"
        );
    }
    let answer = http::request(node.private(), "POST", "/metrics", &[], "").await;
    answer.assert_problem(405, "bad_request");
}

#[tokio::test]
async fn paths_that_are_no_text() {
    let node = Node::start().await;
    let guest = bearer(&node, "Ada").await;
    for path in [
        "/api/v1/rooms/%ff",
        "/api/v1/rooms/%ff/events",
        "/api/v1/rooms/lobby%00",
    ] {
        get(&node, &guest, path).await.assert_problem(400, "bad_request");
    }
    post(
        &node,
        &guest,
        "/api/v1/rooms/%ff/messages",
        r#"{"cid":"c","text":"x"}"#,
    )
    .await
    .assert_problem(400, "bad_request");
}

#[tokio::test]
async fn health() {
    let store = MemoryStore::new();
    let node = Node::on(store.clone(), LocalHub::new().connect(), &[]).await;
    let both = [node.public(), node.private()];
    for address in both {
        for path in ["/livez", "/readyz"] {
            assert_eq!(http::get(address, path).await.status, 200);
        }
    }
    let guest = bearer(&node, "Ada").await;
    store.fail_all(None, Fault::Refuse(StoreError::Down("gone".to_owned())));
    node.metric_becomes("hubbub_store_up", 0.0).await;
    for address in both {
        assert_eq!(http::get(address, "/livez").await.status, 200);
        assert_eq!(http::get(address, "/readyz").await.status, 503);
    }
    for path in [
        "/api/v1/rooms",
        "/api/v1/rooms/lobby",
        "/api/v1/rooms/lobby/events",
    ] {
        let answer = get(&node, &guest, path).await;
        answer.assert_problem(503, "overloaded");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    let body = json!({ "cid": "c", "text": "x" }).to_string();
    let answer = post(&node, &guest, "/api/v1/rooms/lobby/messages", &body).await;
    answer.assert_problem(503, "overloaded");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    // What the store cannot do at all is the server's fault, and its causes are not told.
    store.heal();
    node.metric_becomes("hubbub_store_up", 1.0).await;
    store.fail_all(
        None,
        Fault::Refuse(StoreError::Internal("table events is missing".to_owned())),
    );
    let detail = get(&node, &guest, "/api/v1/rooms")
        .await
        .assert_problem(500, "internal");
    assert!(!detail.contains("table"), "{detail}");
}

#[tokio::test]
async fn the_page() {
    let node = Node::start().await;
    let page = http::get(node.public(), "/").await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type").unwrap().starts_with("text/html"),
        "{:?}",
        page.headers
    );
    assert!(page.body.to_ascii_lowercase().starts_with("<!doctype html>"));
    for missing in ["/ui/", "/ui/nothing.js", "/ui/%ff", "/ui/../index.html"] {
        http::get(node.public(), missing)
            .await
            .assert_problem(404, "not_found");
    }
}
