//! What is taken back on one node holds on the others: within a second, and within two while the bus is down.

use std::time::Duration;

use load_tests::{client::Client, lab::Redis};
use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use super::administration::administrator;
use crate::{on_both_stores, support::*};

on_both_stores! {
    with_the_bus_up_it_takes_less_than_a_second
    with_the_bus_cut_it_takes_less_than_two
    what_is_remembered_of_a_session_ends_with_it
    who_becomes_administrator_is_so_everywhere
}

/// Ends a session, a key and lets a guest be banned on node `a`, all of them connected to `b`; the longest that one of
/// them stayed.
async fn longest(a: &Node, b: &Node, place: &Place, round: &str) -> Duration {
    let root = administrator(place, a, &format!("Root {round}")).await;
    let mut longest = Duration::ZERO;
    let mut note = |(code, took): (u16, Duration), expected: u16| {
        assert_eq!(code, expected);
        longest = longest.max(took);
    };

    let ada = sign_up(a, &format!("Ada {round}")).await;
    let mut client = enter(&b.socket().token(&ada.token)).await;
    let begun = Instant::now();
    assert_eq!(ada.delete(a, "/sessions/current").await.status, 204);
    note(ended(&mut client, begun).await, 4105);

    let key = json!({ "name": format!("Bot {round}"), "scopes": ["read"] });
    let key = root.send(a, Method::POST, "/keys", key).await.ok(201);
    let mut client = enter(&b.socket().token(key["key"].as_str().unwrap())).await;
    let begun = Instant::now();
    let path = format!("/keys/{}", key["id"].as_str().unwrap());
    assert_eq!(root.delete(a, &path).await.status, 204);
    note(ended(&mut client, begun).await, 4105);

    let mut guest = enter(&b.socket().guest("Gus")).await;
    let id = guest.welcome().unwrap().user.id.to_string();
    let token = guest.welcome().unwrap().token.clone().unwrap();
    let begun = Instant::now();
    root.put(a, &format!("/bans/{id}"), json!({ "reason": "rude" }))
        .await
        .ok(200);
    note(ended(&mut guest, begun).await, 4101);
    assert_eq!(
        turned_away(&b.socket().token(&token)).await,
        ("banned".to_owned(), 4101)
    );

    let bob = sign_in_anew(a, &format!("Bob {round}")).await;
    let mut client = enter(&b.socket().token(&bob.token)).await;
    let begun = Instant::now();
    root.put(a, &format!("/bans/{}", bob.id), json!({})).await.ok(200);
    note(ended(&mut client, begun).await, 4101);
    bob.get(b, "/users/me").await.refused(403, "banned");
    longest
}

async fn sign_in_anew(node: &Node, name: &str) -> Person {
    sign_up(node, name).await;
    sign_in(node, name).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_redis_and_while_it_is_stopped() {
    let place = Place::postgres().await;
    let mut redis = Redis::start().unwrap();
    let url = redis.url();
    let (a, b) = (place.node_on(&url).await, place.node_on(&url).await);
    for node in [&a, &b] {
        until("the node is on the bus", async || {
            node.metric("hubbub_bus_up").await == 1.0
        })
        .await;
    }
    let up = longest(&a, &b, &place, "up").await;
    assert!(up < Duration::from_secs(1), "{up:?}");
    redis.stop().unwrap();
    let down = longest(&a, &b, &place, "down").await;
    assert!(down < Duration::from_secs(2), "{down:?}");
}

async fn with_the_bus_up_it_takes_less_than_a_second(place: Place) {
    let (a, b) = (place.node(&[]).await, place.node(&[]).await);
    let longest = longest(&a, &b, &place, "").await;
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

async fn with_the_bus_cut_it_takes_less_than_two(place: Place) {
    let (a, b) = (place.node(&[]).await, place.node(&[]).await);
    place.hub.set_up(false);
    a.bus.set_reachable(false);
    let longest = longest(&a, &b, &place, "").await;
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

async fn what_is_remembered_of_a_session_ends_with_it(place: Place) {
    let (a, b) = (place.node(&[]).await, place.node(&[]).await);
    let ada = sign_up(&a, "Ada").await;
    ada.get(&b, "/users/me").await.ok(200);
    assert_eq!(ada.delete(&a, "/sessions/current").await.status, 204);
    ada.get(&a, "/users/me").await.refused(401, "unauthenticated");
    until("the other node has forgotten the session", async || {
        ada.get(&b, "/users/me").await.status == 401
    })
    .await;
    let options = b.socket().token(&ada.token);
    assert_eq!(turned_away(&options).await, ("unauthenticated".to_owned(), 4100));
}

async fn who_becomes_administrator_is_so_everywhere(place: Place) {
    let (a, b) = (place.node(&[]).await, place.node(&[]).await);
    let root = administrator(&place, &a, "Root").await;
    let ada = sign_up(&a, "Ada").await;
    let mut client: Client = enter(&b.socket().token(&ada.token)).await;
    ada.get(&b, "/audit").await.refused(403, "forbidden");
    let path = format!("/administrators/{}", ada.id);
    assert_eq!(root.put(&a, &path, json!({})).await.status, 204);
    assert_eq!(
        ended(&mut client, Instant::now()).await.0,
        1012,
        "to come back as what she is now"
    );
    until("it is known on the other node", async || {
        ada.get(&b, "/audit").await.status == 200
    })
    .await;
    assert_eq!(root.delete(&a, &path).await.status, 204);
    until("that too", async || ada.get(&b, "/audit").await.status == 403).await;
}
