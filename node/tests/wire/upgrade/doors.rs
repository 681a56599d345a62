//! Refusals for what a request says, and their order.

use protocol::Codec;
use serde_json::json;

use super::upgrade;
use crate::support::Node;

#[tokio::test]
async fn a_credential_in_the_url_is_refused() {
    let node = Node::start().await;
    for path in [
        "/ws?token=x",
        "/ws?access_token=x",
        "/ws?authorization=x",
        "/ws?api_key=x",
        "/ws?jwt=x",
        "/ws?jwt",
        "/ws?api_key=",
        "/ws?room=lobby&token=x",
        "/ws?tok%65n=x",
    ] {
        let detail = upgrade(node.public(), path, &[])
            .await
            .assert_problem(400, "bad_request");
        assert!(!detail.contains("=x"), "a credential is not sent back: {detail}");
    }
    for path in [
        "/ws?",
        "/ws?room=token",
        "/ws?tokens=1&my_token=2",
        "/ws?v=1&v=2&x=%zz",
    ] {
        assert_eq!(upgrade(node.public(), path, &[]).await.status, 101, "{path}");
    }
}

#[tokio::test]
async fn a_page_of_another_site_is_refused() {
    let allowed = "http.allowed_origins=https://app.example,http://localhost:3000";
    let node = Node::with(&[allowed]).await;
    let own = node.public().to_string();
    let port = node.public().port();
    let other_port = format!("http://127.0.0.1:{}", port ^ 1);
    for (origin, host, status) in [
        (&*format!("http://{own}"), &*own, 101),
        (&*format!("https://{own}"), &own, 101),
        ("https://chat.example", "chat.example", 101),
        ("https://CHAT.example", "chat.EXAMPLE", 101),
        ("https://chat.example:8443", "chat.example:8443", 101),
        ("https://app.example", &own, 101),
        ("http://localhost:3000", &own, 101),
        ("null", &own, 403),
        ("null", "null", 403),
        ("", &own, 403),
        (&*other_port, &own, 403),
        ("http://127.0.0.1", &own, 403),
        ("https://chat.example", "chat.example:8443", 403),
        ("https://chat.example.evil.example", "chat.example", 403),
        ("https://evil.example", &own, 403),
        ("http://app.example", &own, 403),
        ("https://app.example:8443", &own, 403),
        ("http://localhost:3001", &own, 403),
    ] {
        let answer = upgrade(node.public(), "/ws", &[("origin", origin), ("host", host)]).await;
        assert_eq!(answer.status, status, "{origin} at {host}: {answer:?}");
        if status == 403 {
            answer.assert_problem(403, "forbidden");
        }
    }
    assert_eq!(
        upgrade(node.public(), "/ws", &[]).await.status,
        101,
        "programs send none"
    );
}

#[tokio::test]
async fn a_bad_bearer_is_refused() {
    let node = Node::start().await;
    let long = format!("Bearer {}", "x".repeat(8 * 1024 + 1));
    for authorization in [
        "Bearer nonsense",
        "Bearer ",
        "Bearer",
        "Basic dXNlcjpwYXNz",
        "nonsense",
        &long,
    ] {
        let answer = upgrade(node.public(), "/ws", &[("authorization", authorization)]).await;
        answer.assert_problem(401, "unauthenticated");
        assert!(
            answer.header("www-authenticate").is_some(),
            "RFC 9110 §15.5.2: {answer:?}"
        );
    }
    let token = node
        .open(Codec::Json)
        .await
        .hello(json!({ "guest": "Ada" }))
        .await["token"]
        .clone();
    let good = format!("Bearer {}", token.as_str().unwrap());
    assert_eq!(
        upgrade(node.public(), "/ws", &[("authorization", &good)])
            .await
            .status,
        101
    );
    let closed = Node::with(&["auth.guests=false"]).await;
    let answer = upgrade(closed.public(), "/ws", &[("authorization", &good)]).await;
    answer.assert_problem(401, "unauthenticated");
}

/// Everything is wrong, and then one thing less.
#[tokio::test]
async fn the_order_of_refusals() {
    let node = Node::with(&["limits.handshakes_per_second_per_address=5"]).await;
    let unknown = ("sec-websocket-protocol", "chat");
    let foreign = ("origin", "https://evil.example");
    let bad = ("authorization", "Bearer nonsense");
    for (path, headers, status) in [
        ("/ws?token=x", &[unknown, foreign, bad][..], 400),
        ("/ws", &[unknown, foreign, bad], 400),
        ("/ws", &[foreign, bad], 403),
        ("/ws", &[bad], 401),
        ("/ws", &[], 101),
    ] {
        assert_eq!(
            upgrade(node.public(), path, headers).await.status,
            status,
            "{headers:?}"
        );
    }
    // Refused ones count as well, so that guessing costs.
    let mut answer = upgrade(node.public(), "/ws?token=x", &[unknown, foreign, bad]).await;
    for _ in 0..100 {
        if answer.status == 429 {
            return;
        }
        answer = upgrade(node.public(), "/ws?token=x", &[unknown, foreign, bad]).await;
    }
    panic!("too many handshakes are refused first of all, and there was {answer:?}");
}
