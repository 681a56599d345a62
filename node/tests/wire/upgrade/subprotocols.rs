//! The answer to a good upgrade.

use protocol::Codec;
use serde_json::json;

use super::upgrade;
use crate::support::{Node, Raw, http, raw::UPGRADE};

#[tokio::test]
async fn the_first_offered_that_is_known_is_taken_and_named() {
    let node = Node::start().await;
    let (j, m) = ("hubbub.v1.json", "hubbub.v1.msgpack");
    for (offers, codec, named) in [
        (&[][..], Codec::Json, None),
        (&["hubbub.v1.json"], Codec::Json, Some(j)),
        (&["hubbub.v1.msgpack"], Codec::Msgpack, Some(m)),
        (&["hubbub.v1.json, hubbub.v1.msgpack"], Codec::Json, Some(j)),
        (&["hubbub.v1.msgpack,hubbub.v1.json"], Codec::Msgpack, Some(m)),
        (&["hubbub.v2.json, hubbub.v1.msgpack, x"], Codec::Msgpack, Some(m)),
        (
            &["hubbub.v2.json", "hubbub.v1.msgpack", "hubbub.v1.json"],
            Codec::Msgpack,
            Some(m),
        ),
    ] {
        let headers: Vec<_> = offers
            .iter()
            .map(|offer| ("sec-websocket-protocol", *offer))
            .collect();
        let mut raw = Raw::try_open(node.public(), "/ws", codec, &headers, &[]).await;
        assert_eq!(raw.upgraded.status, 101, "{offers:?}: {:?}", raw.upgraded);
        assert_eq!(raw.upgraded.header("sec-websocket-protocol"), named, "{offers:?}");
        raw.hello(json!({ "guest": "Ada" })).await;
    }
    for unknown in ["hubbub.v2.json", "chat", "HUBBUB.V1.JSON", "hubbub.v1", "a, b"] {
        let refused = upgrade(node.public(), "/ws", &[("sec-websocket-protocol", unknown)]).await;
        refused.assert_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn the_answer_is_that_of_rfc_6455_and_no_extension_is_negotiated() {
    let node = Node::start().await;
    let extensions = (
        "sec-websocket-extensions",
        "permessage-deflate; client_max_window_bits, x-webkit-deflate",
    );
    let answer = upgrade(node.public(), "/ws?room=lobby", &[extensions]).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    // RFC 6455 §1.3 has this very key.
    assert_eq!(
        answer.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert!(
        answer
            .header("upgrade")
            .unwrap()
            .eq_ignore_ascii_case("websocket")
    );
    assert!(
        answer
            .header("connection")
            .unwrap()
            .eq_ignore_ascii_case("upgrade")
    );
    assert_eq!(answer.header("sec-websocket-extensions"), None);
}

#[tokio::test]
async fn what_is_no_upgrade_is_told_that_one_is_required() {
    let node = Node::start().await;
    for (name, value) in [
        ("upgrade", ""),
        ("connection", ""),
        ("sec-websocket-version", ""),
        ("upgrade", "h2c"),
        ("connection", "keep-alive"),
        ("sec-websocket-version", "8"),
    ] {
        let headers: Vec<_> = UPGRADE
            .iter()
            .filter(|(header, _)| *header != name)
            .copied()
            .chain((!value.is_empty()).then_some((name, value)))
            .collect();
        let answer = http::request(node.public(), "GET", "/ws", &headers, "").await;
        answer.assert_problem(426, "bad_request");
        assert!(
            answer
                .header("upgrade")
                .unwrap()
                .eq_ignore_ascii_case("websocket"),
            "{answer:?}"
        );
        assert_eq!(answer.header("sec-websocket-version"), Some("13"), "{answer:?}");
    }
    http::get(node.public(), "/ws")
        .await
        .assert_problem(426, "bad_request");
    // Before everything else.
    let answer = http::get(node.public(), "/ws?token=x").await;
    answer.assert_problem(426, "bad_request");
    // Browsers send these in other words.
    let headers = [
        ("connection", "keep-alive, upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(
        http::request(node.public(), "GET", "/ws", &headers, "")
            .await
            .status,
        101
    );
}
