//! Sessions: listed, ended, expired.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{on_both_stores, support::*};

on_both_stores! {
    sessions_are_listed_and_ended_by_their_owner
    signing_out_takes_the_cookie_and_the_connection
    another_password_ends_the_other_sessions
    all_other_sessions_can_be_ended
}

async fn ids(person: &Person, node: &Node) -> Vec<(String, bool)> {
    let body = person.get(node, "/sessions").await.ok(200);
    let session = |session: &Value| {
        (
            session["id"].as_str().unwrap().to_owned(),
            session["current"].as_bool().unwrap(),
        )
    };
    body["sessions"].as_array().unwrap().iter().map(session).collect()
}

async fn sessions_are_listed_and_ended_by_their_owner(place: Place) {
    let node = place.node(&[]).await;
    let ada = sign_up(&node, "Ada").await;
    let body = json!({ "name": "Ada", "password": PASSWORD, "device": "Ada's phone" });
    let phone = node.post("/sessions", body).await.ok(201);
    let bob = sign_up(&node, "Bob").await;

    let list = ada.get(&node, "/sessions").await.ok(200);
    let sessions = list["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{list}");
    let of_phone = sessions
        .iter()
        .find(|session| session["device"] == "Ada's phone")
        .unwrap();
    assert_eq!(of_phone["current"], false);
    for field in ["created_at", "last_used_at", "expires_at"] {
        assert!(
            of_phone[field].as_u64().unwrap() > 1_700_000_000_000,
            "{of_phone}"
        );
    }
    assert!(!list.to_string().contains("hs1_"), "no token is ever shown again");

    let id = of_phone["id"].as_str().unwrap();
    bob.delete(&node, &format!("/sessions/{id}"))
        .await
        .refused(404, "not_found");
    let mut client = enter(&node.socket().token(phone["token"].as_str().unwrap())).await;
    let begun = Instant::now();
    assert_eq!(ada.delete(&node, &format!("/sessions/{id}")).await.status, 204);
    assert_eq!(ended(&mut client, begun).await.0, 4105);
    ada.delete(&node, &format!("/sessions/{id}"))
        .await
        .refused(404, "not_found");
    assert_eq!(ids(&ada, &node).await.len(), 1);
}

async fn signing_out_takes_the_cookie_and_the_connection(place: Place) {
    let node = place.node(&[]).await;
    let answer = node
        .post("/users", json!({ "name": "Ada", "password": PASSWORD }))
        .await;
    let cookie = answer.cookie();
    let mut client = enter(&node.socket().header("cookie", &cookie).origin(&node.origin())).await;
    let mut other = enter(&node.socket().token(&sign_in(&node, "Ada").await.token)).await;
    let request = node
        .request(Method::DELETE, "/sessions/current")
        .header("cookie", &cookie)
        .header("origin", node.origin());
    let begun = Instant::now();
    let out = ask(request).await;
    assert_eq!(out.status, 204, "{out:?}");
    assert!(
        out.header("set-cookie").starts_with("hubbub_session=; "),
        "{out:?}"
    );
    assert_eq!(ended(&mut client, begun).await.0, 4105);
    let back = node.socket().header("cookie", &cookie);
    assert_eq!(turned_away(&back).await.1, 4100);
    other.request(protocol::Command::Ping).await.unwrap();
}

async fn another_password_ends_the_other_sessions(place: Place) {
    let node = place.node(&[]).await;
    let ada = sign_up(&node, "Ada").await;
    let mut other = enter(&node.socket().token(&sign_in(&node, "Ada").await.token)).await;
    let mut kept = enter(&node.socket().token(&ada.token)).await;
    let change = async |body: Value| ada.send(&node, Method::PATCH, "/users/me", body).await;
    change(json!({ "password": "another horse" }))
        .await
        .refused(403, "forbidden");
    let wrong = json!({ "password": "another horse", "current_password": "wrong horse" });
    change(wrong).await.refused(403, "forbidden");
    let short = json!({ "password": "short", "current_password": PASSWORD });
    change(short).await.refused(400, "bad_request");
    let begun = Instant::now();
    let right = json!({ "password": "another horse", "current_password": PASSWORD });
    change(right).await.ok(200);
    assert_eq!(ended(&mut other, begun).await.0, 4105);
    kept.request(protocol::Command::Ping).await.unwrap();
    let old = node
        .post("/sessions", json!({ "name": "Ada", "password": PASSWORD }))
        .await;
    old.refused(401, "unauthenticated");
    node.post("/sessions", json!({ "name": "Ada", "password": "another horse" }))
        .await
        .ok(201);
}

async fn all_other_sessions_can_be_ended(place: Place) {
    let node = place.node(&[]).await;
    let ada = sign_up(&node, "Ada").await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(enter(&node.socket().token(&sign_in(&node, "Ada").await.token)).await);
    }
    let begun = Instant::now();
    assert_eq!(ada.delete(&node, "/sessions").await.status, 204);
    for other in &mut others {
        assert_eq!(ended(other, begun).await.0, 4105);
    }
    let left = ids(&ada, &node).await;
    assert!(matches!(left[..], [(_, true)]), "{left:?}");
}
