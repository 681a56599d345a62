//! Refusals for how many there are.

use protocol::Codec;

use super::upgrade;
use crate::support::{Node, Raw, eventually, http::Answer, raw::CLOSE};

fn assert_refused(answer: &Answer, status: u16, code: &str) {
    answer.assert_problem(status, code);
    let wait: u64 = answer
        .header("retry-after")
        .expect("Retry-After")
        .parse()
        .unwrap();
    assert!((1..=60).contains(&wait), "{answer:?}");
}

/// The first refusal among many upgrades at once.
async fn refusal(node: &Node, headers: &[(&str, &str)]) -> Answer {
    for _ in 0..200 {
        let answer = upgrade(node.public(), "/ws", headers).await;
        if answer.status != 101 {
            return answer;
        }
    }
    panic!("none of 200 was refused");
}

#[tokio::test]
async fn an_address_that_is_too_fast() {
    let node = Node::with(&["limits.handshakes_per_second_per_address=3"]).await;
    for _ in 0..3 {
        assert_eq!(
            upgrade(node.public(), "/ws", &[]).await.status,
            101,
            "a burst of one second"
        );
    }
    let refused = refusal(&node, &[]).await;
    assert_refused(&refused, 429, "rate_limited");
    // Nobody believes a stranger's header.
    let forged = refusal(&node, &[("x-forwarded-for", "192.0.2.1")]).await;
    assert_refused(&forged, 429, "rate_limited");
    eventually("another handshake to be let in", || async {
        (upgrade(node.public(), "/ws", &[]).await.status == 101).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_too_busy() {
    let node = Node::with(&["limits.handshakes_per_second=3"]).await;
    assert_refused(&refusal(&node, &[]).await, 503, "overloaded");
}

#[tokio::test]
async fn behind_a_trusted_proxy_its_clients_count() {
    let settings = [
        "limits.connections_per_address=1",
        "http.trusted_proxies=127.0.0.0/8",
    ];
    let node = Node::with(&settings).await;
    let address = node.public();
    let open = |forwarded: &'static str| async move {
        let headers = [("x-forwarded-for", forwarded)];
        Raw::try_open(address, "/ws", Codec::Json, &headers, &[]).await
    };
    let first = open("192.0.2.1").await;
    assert_eq!(first.upgraded.status, 101);
    let second = open("192.0.2.2").await;
    assert_eq!(second.upgraded.status, 101, "another client of the proxy");
    // What stands left of that was written by the client.
    for same in ["192.0.2.1", "198.51.100.7, 192.0.2.1", "192.0.2.2, 127.0.0.9"] {
        assert_refused(&open(same).await.upgraded, 429, "rate_limited");
    }
}

#[tokio::test]
async fn connections_of_an_address_and_of_the_node() {
    for (setting, status, code) in [
        ("limits.connections_per_address=2", 429, "rate_limited"),
        ("limits.connections=2", 503, "overloaded"),
    ] {
        let node = Node::with(&[setting]).await;
        let _stays = node.guest(Codec::Json, "Ada").await;
        let mut goes = node.open(Codec::Msgpack).await;
        assert_refused(&upgrade(node.public(), "/ws", &[]).await, status, code);
        goes.frame(true, CLOSE, b"").await;
        drop(goes);
        eventually("a place to be free", || async {
            (upgrade(node.public(), "/ws", &[]).await.status == 101).then_some(())
        })
        .await;
    }
}

/// `connections_per_user` and `commands_per_second` are checked where they act.
#[tokio::test]
async fn zero_means_off() {
    let settings = [
        "limits.handshakes_per_second=0",
        "limits.handshakes_per_second_per_address=0",
        "limits.connections_per_user=0",
    ];
    let node = Node::with(&settings).await;
    for _ in 0..300 {
        assert_eq!(upgrade(node.public(), "/ws", &[]).await.status, 101);
    }
}
