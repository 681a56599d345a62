//! "Limit connections per user": whatever the person's connections come from.

use protocol::Codec;
use serde_json::json;

use crate::support::{Node, Raw};

#[tokio::test]
async fn connections_of_one_user_are_limited_and_a_place_is_free_again_when_one_ends() {
    let settings = [
        "limits.connections_per_user=2",
        "limits.handshakes_per_second_per_address=0",
    ];
    let node = Node::with(&settings).await;
    let mut first = node.open(Codec::Json).await;
    let welcome = first.hello(json!({ "guest": "Ada" })).await;
    let again = json!({ "op": "hello", "token": welcome["token"], "id": 7 });
    let mut second = node.open(Codec::Msgpack).await;
    second.hello(again.clone()).await;

    let mut third = node.open(Codec::Json).await;
    third.say(&again).await;
    let refused = third.next().await;
    assert_eq!(
        (&refused["op"], &refused["code"]),
        (&json!("error"), &json!("overloaded"))
    );
    assert!(
        refused["retry_after_ms"].as_u64().is_some_and(|after| after > 0),
        "{refused}"
    );
    assert_eq!(refused["id"], 7);
    third.closed(4003).await;
    // Somebody else comes in.
    node.guest(Codec::Json, "Ben").await;

    drop(second);
    crate::support::eventually("a place to be free", || async {
        let mut raw: Raw = node.open(Codec::Json).await;
        raw.say(&again).await;
        (raw.next().await["op"] == "welcome").then_some(())
    })
    .await;
}
