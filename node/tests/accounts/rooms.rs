//! Rooms over HTTP: what is decided and counted, and what an address may say.

use std::sync::Arc;

use actors::{
    memory::{Call, Fault, MemoryStore},
    ports::StoreError,
};
use protocol::{Codec, Command, fields::Fields};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{on_both_stores, support::*};

on_both_stores! {
    a_room_comes_back_from_the_archive_with_a_new_title
    a_link_is_used_up_by_members_only
    a_full_room_takes_nobody_in
    making_rooms_is_counted
    a_guest_who_is_gone_can_be_banned
    rooms_are_found_in_any_case
    no_parameter_makes_the_server_fail
}

async fn make_room(person: &Person, node: &Node, name: &str, visibility: &str) -> Value {
    let body = json!({ "room": name, "visibility": visibility });
    person.send(node, Method::POST, "/rooms", body).await.ok(201)
}

async fn a_room_comes_back_from_the_archive_with_a_new_title(place: Place) {
    let node = place.node(&[]).await;
    let ada = sign_up(&node, "Ada").await;
    make_room(&ada, &node, "attic", "public").await;
    let patch = async |body: Value| ada.send(&node, Method::PATCH, "/rooms/attic", body).await;
    let room = patch(json!({ "title": "Attic", "archived": true })).await.ok(200);
    assert_eq!(
        (&room["title"], &room["archived"]),
        (&json!("Attic"), &json!(true))
    );
    patch(json!({ "title": "Cellar" })).await.refused(409, "archived");
    let room = patch(json!({ "title": "Cellar", "slow_mode": 3, "archived": false }))
        .await
        .ok(200);
    assert_eq!(
        (&room["title"], &room["slow_mode"], &room["archived"]),
        (&json!("Cellar"), &json!(3), &json!(false))
    );
    patch(json!({ "title": "Roof", "archived": false, "slow_mode": 86_401 }))
        .await
        .refused(400, "bad_request");
    let room = ada.get(&node, "/rooms/attic").await.ok(200);
    assert_eq!(room["title"], "Cellar", "all or nothing");
}

async fn a_link_is_used_up_by_members_only(place: Place) {
    let node = &place.node(&[]).await;
    let ada = sign_up(node, "Ada").await;
    make_room(&ada, node, "club", "private").await;
    let body = json!({ "uses": 2 });
    let link = ada
        .send(node, Method::POST, "/rooms/club/invites", body)
        .await
        .ok(201);
    let accept = json!({ "token": link["token"] });
    let left = async || {
        let links = ada.get(node, "/rooms/club/invites").await.ok(200);
        links["invites"][0]["uses_left"].as_u64()
    };
    let bob = sign_up(node, "Bob").await;
    let ask = async || {
        bob.send(node, Method::POST, "/invites/accept", accept.clone())
            .await
    };
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    for answer in [a, b, c] {
        answer.ok(200);
    }
    assert_eq!(left().await, Some(1), "Bob came in once");
    ask().await.ok(200);
    assert_eq!(left().await, Some(1), "who is a member needs no link");
    let carl = sign_up(node, "Carl").await;
    ada.put(node, &format!("/rooms/club/bans/{}", carl.id), json!({}))
        .await
        .ok(200);
    carl.send(node, Method::POST, "/invites/accept", accept.clone())
        .await
        .refused(403, "banned");
    assert_eq!(left().await, Some(1), "who was not let in used nothing");
}

/// Order can still be kept in it, and who leaves makes a place.
async fn a_full_room_takes_nobody_in(place: Place) {
    let node = &place.node(&["limits.room_members=2"]).await;
    let (ada, bob) = (sign_up(node, "Ada").await, sign_up(node, "Bob").await);
    let (carl, dora) = (sign_up(node, "Carl").await, sign_up(node, "Dora").await);
    make_room(&ada, node, "club", "public").await;
    let come_in = async |who: &Person| who.put(node, "/rooms/club/members/me", json!({})).await;
    let ban = async |who: &Person| {
        let path = format!("/rooms/club/bans/{}", who.id);
        ada.put(node, &path, json!({})).await
    };
    come_in(&bob).await.ok(200);
    let refused = come_in(&carl).await;
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .contains("the room is full"),
        "{}",
        refused.body
    );
    refused.refused(409, "conflict");
    let body = json!({ "user": carl.id });
    ada.send(node, Method::POST, "/rooms/club/members", body)
        .await
        .refused(409, "conflict");
    let body = json!({ "uses": 1 });
    let link = ada
        .send(node, Method::POST, "/rooms/club/invites", body)
        .await
        .ok(201);
    let accept = json!({ "token": link["token"] });
    carl.send(node, Method::POST, "/invites/accept", accept.clone())
        .await
        .refused(409, "conflict");
    ban(&dora).await.ok(200);
    bob.delete(node, "/rooms/club/members/me").await.ok(200);
    carl.send(node, Method::POST, "/invites/accept", accept)
        .await
        .ok(200);
    let members = carl.get(node, "/rooms/club/members").await.ok(200);
    assert_eq!(members["members"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_use_that_let_nobody_in_is_given_back() {
    let store = MemoryStore::new();
    let place = Place::sqlite();
    let node = place.node_with(Arc::new(store.clone()).into(), &[]).await;
    let node = &node.unwrap();
    let (ada, bob) = (sign_up(node, "Ada").await, sign_up(node, "Bob").await);
    make_room(&ada, node, "club", "private").await;
    let body = json!({ "uses": 1 });
    let link = ada
        .send(node, Method::POST, "/rooms/club/invites", body)
        .await
        .ok(201);
    let accept = json!({ "token": link["token"] });
    let full = StoreError::Full("no space".to_owned());
    store.fail_all(Call::Append, Fault::Refuse(full));
    bob.send(node, Method::POST, "/invites/accept", accept.clone())
        .await
        .refused(503, "overloaded");
    store.heal();
    let links = ada.get(node, "/rooms/club/invites").await.ok(200);
    assert_eq!(links["invites"][0]["uses_left"], 1);
    bob.send(node, Method::POST, "/invites/accept", accept)
        .await
        .ok(200);
}

async fn making_rooms_is_counted(place: Place) {
    let node = place.node(&["limits.sends_per_second_per_user=1"]).await;
    let ada = sign_up(&node, "Ada").await;
    let mut made = 0;
    let refused = loop {
        let body = json!({ "room": format!("room-{made}") });
        let answer = ada.send(&node, Method::POST, "/rooms", body).await;
        if answer.status != 201 {
            break answer;
        }
        made += 1;
        assert!(made < 100, "nothing counts");
    };
    refused.refused(429, "rate_limited");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    ada.get(&node, &format!("/rooms/room-{made}"))
        .await
        .refused(404, "not_found");
}

async fn a_guest_who_is_gone_can_be_banned(place: Place) {
    let node = place.node(&[]).await;
    let ada = sign_up(&node, "Ada").await;
    make_room(&ada, &node, "lobby", "public").await;
    let mut gus = enter(&node.socket().guest("Gus")).await;
    let welcome = gus.welcome().unwrap();
    let (id, token) = (welcome.user.id.to_string(), welcome.token.clone().unwrap());
    for frame in [
        json!({ "op": "join", "room": "lobby" }),
        json!({ "op": "send", "room": "lobby", "cid": "1", "text": "spam" }),
    ] {
        gus.request(command(&frame)).await.unwrap();
    }
    drop(gus);
    until("Gus is gone", async || {
        ada.get(&node, "/rooms/lobby/people").await.ok(200)["count"] == 0
    })
    .await;
    ada.put(&node, &format!("/rooms/lobby/bans/{id}"), json!({}))
        .await
        .ok(200);
    let members = ada.get(&node, "/rooms/lobby/members").await.ok(200);
    let banned = members["members"].as_array().unwrap().iter();
    let banned: Vec<_> = banned.filter(|member| member["user"]["id"] == *id).collect();
    assert_eq!(banned[0]["user"]["name"], "Gus");
    let gus = Person { id, token };
    gus.get(&node, "/rooms/lobby").await.refused(403, "banned");
    ada.put(&node, "/rooms/lobby/mutes/g_nobody", json!({}))
        .await
        .refused(404, "not_found");
}

fn command(frame: &Value) -> Command {
    let text = frame.to_string();
    let fields = Fields::decode(Codec::Json, text.as_bytes()).unwrap();
    Command::from_fields(&fields).unwrap()
}

async fn rooms_are_found_in_any_case(place: Place) {
    let node = place.node(&[]).await;
    let ada = sign_up(&node, "Ada").await;
    make_room(&ada, &node, "trouble", "public").await;
    let body = json!({ "title": "Viel ÄRGER" });
    ada.send(&node, Method::PATCH, "/rooms/trouble", body)
        .await
        .ok(200);
    for search in ["%C3%84RGER", "%C3%A4rger", "TROUBLE"] {
        let found = ada.get(&node, &format!("/rooms?search={search}")).await.ok(200);
        assert_eq!(found["rooms"][0]["room"], "trouble", "{search}");
    }
    let found = ada.get(&node, "/rooms?search=arger").await.ok(200);
    assert_eq!(found["rooms"], json!([]));
}

async fn no_parameter_makes_the_server_fail(place: Place) {
    let node = place.node(&[]).await;
    let ada = sign_up(&node, "Ada").await;
    make_room(&ada, &node, "room", "public").await;
    for odd in ["%00", "a%00b", "%1F"] {
        for (method, path) in [
            (Method::GET, "/rooms?search="),
            (Method::GET, "/rooms?after="),
            (Method::GET, "/rooms?limit="),
            (Method::GET, "/rooms/"),
            (Method::GET, "/rooms/room/events?before="),
            (Method::GET, "/rooms/room/events?after="),
            (Method::GET, "/rooms/room/events?limit="),
            (Method::DELETE, "/rooms/room/messages/"),
            (Method::DELETE, "/rooms/room/messages/1?cid="),
            (Method::GET, "/rooms/room/members?after="),
            (Method::GET, "/rooms/room/members?limit="),
            (Method::DELETE, "/rooms/room/members/"),
            (Method::DELETE, "/rooms/room/members/me?reason="),
            (Method::DELETE, "/rooms/room/bans/"),
            (Method::DELETE, "/rooms/room/mutes/"),
            (Method::DELETE, "/rooms/room/invites/"),
            (Method::DELETE, "/sessions/"),
            (Method::GET, "/users?search="),
            (Method::GET, "/users?after="),
            (Method::GET, "/users?limit="),
        ] {
            let request = node.request(method, &format!("{path}{odd}"));
            let answer = ask(request.bearer_auth(&ada.token)).await;
            assert_eq!(answer.status, 400, "{path}{odd}: {answer:?}");
            answer.refused(400, "bad_request");
        }
    }
    for path in ["/rooms?search=%C2%85", "/users?search=%C2%85", "/users?after=%7F"] {
        ada.get(&node, path).await.refused(400, "bad_request");
    }
    // As on the socket, a `cid` may have what is a control character beyond ASCII's.
    for odd in ["%7F", "%C2%85"] {
        let path = format!("/rooms/room/messages/1?cid={odd}");
        ada.delete(&node, &path).await.refused(404, "not_found");
    }
    let body = json!({ "name": "a\u{0}da", "password": "x\u{0}" });
    node.post("/sessions", body).await.refused(401, "unauthenticated");
    for list in [json!([]), json!([null, null])] {
        ada.send(&node, Method::POST, "/rooms/room/invites", list)
            .await
            .refused(400, "bad_request");
    }
    let body = json!({ "token": "\u{0}" });
    ada.send(&node, Method::POST, "/invites/accept", body)
        .await
        .refused(404, "not_found");
}
