//! Who runs the server, whom they ban, and the record.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{on_both_stores, support::*};

on_both_stores! {
    only_administrators_administrate
    a_ban_ends_when_it_says_and_when_it_is_lifted
    the_record_tells_who_did_what
    people_are_listed_and_found
    nothing_in_an_address_makes_the_server_fail
}

/// Somebody who runs the server.
pub(crate) async fn administrator(place: &Place, node: &Node, name: &str) -> Person {
    let person = sign_up(node, name).await;
    super::command::make_administrator(place, name).await;
    until("the node knows the administrator", async || {
        person.get(node, "/audit").await.status == 200
    })
    .await;
    person
}

async fn only_administrators_administrate(place: Place) {
    let node = place.node(&[]).await;
    let ada = sign_up(&node, "Ada").await;
    let token = enter(&node.socket().guest("Gus"))
        .await
        .welcome()
        .unwrap()
        .token
        .clone();
    let guest = Person {
        id: String::new(),
        token: token.unwrap(),
    };
    for person in [&ada, &guest] {
        let path = format!("/administrators/{}", ada.id);
        person
            .put(&node, &path, json!({}))
            .await
            .refused(403, "forbidden");
        person
            .put(&node, "/bans/u_1", json!({}))
            .await
            .refused(403, "forbidden");
        person.delete(&node, "/bans/u_1").await.refused(403, "forbidden");
        person.delete(&node, "/keys/k_1").await.refused(403, "forbidden");
        let key = json!({ "name": "Bot", "scopes": ["manage"] });
        person
            .send(&node, Method::POST, "/keys", key)
            .await
            .refused(403, "forbidden");
        for path in ["/keys", "/bans", "/audit"] {
            person.get(&node, path).await.refused(403, "forbidden");
        }
    }
    ask(node.request(Method::GET, "/audit"))
        .await
        .refused(401, "unauthenticated");
}

async fn a_ban_ends_when_it_says_and_when_it_is_lifted(place: Place) {
    let node = place.node(&[]).await;
    let root = administrator(&place, &node, "Root").await;
    let ada = sign_up(&node, "Ada").await;
    let path = format!("/bans/{}", ada.id);
    root.put(&node, &path, json!({ "until": 5 }))
        .await
        .refused(400, "bad_request");
    root.put(&node, &format!("/bans/{}", root.id), json!({}))
        .await
        .refused(409, "conflict");
    let made = root.put(&node, &path, json!({ "reason": "rude" })).await.ok(200);
    assert_eq!(made["user"], json!({ "id": ada.id, "name": "Ada" }));
    assert_eq!(
        turned_away(&node.socket().token(&ada.token)).await,
        ("banned".to_owned(), 4101)
    );
    assert_eq!(
        turned_away(&node.socket().bearer(&ada.token)).await,
        ("banned".to_owned(), 4101)
    );
    ada.get(&node, "/rooms").await.refused(403, "banned");
    let body = json!({ "name": "Ada", "password": PASSWORD });
    node.post("/sessions", body).await.refused(403, "banned");
    let listed = root.get(&node, "/bans").await.ok(200);
    assert_eq!(listed["bans"][0]["reason"], "rude");
    assert_eq!(root.delete(&node, &path).await.status, 204);
    root.delete(&node, &path).await.refused(404, "not_found");
    enter(&node.socket().token(&ada.token)).await;

    let now = u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let mut client = enter(&node.socket().token(&ada.token)).await;
    root.put(&node, &path, json!({ "until": now + 5_000 }))
        .await
        .ok(200);
    assert_eq!(ended(&mut client, Instant::now()).await.0, 4101);
    until("the ban is over", async || {
        ada.get(&node, "/users/me").await.status == 200
    })
    .await;
}

async fn the_record_tells_who_did_what(place: Place) {
    let node = place.node(&[]).await;
    let root = administrator(&place, &node, "Root").await;
    root.put(&node, "/bans/g_1", json!({ "name": "Gus", "reason": "rude" }))
        .await
        .ok(200);
    assert_eq!(root.delete(&node, "/bans/g_1").await.status, 204);
    let first = root.get(&node, "/audit?limit=2").await.ok(200);
    let actions = |page: &Value| -> Vec<String> {
        let entries = page["entries"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["action"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(actions(&first), ["user.unban", "user.ban"]);
    let ban = &first["entries"][1];
    assert_eq!(ban["actor"], json!({ "id": root.id, "name": "Root" }));
    assert_eq!(
        (&ban["target"], &ban["details"]["reason"]),
        (&json!("g_1"), &json!("rude"))
    );
    let next = first["next"].as_u64().unwrap();
    let older = root.get(&node, &format!("/audit?before={next}")).await.ok(200);
    assert_eq!(actions(&older), ["administrator.give", "user.create"]);
    assert_eq!(older["entries"][0]["actor"]["name"], "operator");
    assert_eq!(older.get("next"), None);
}

async fn people_are_listed_and_found(place: Place) {
    let node = place.node(&[]).await;
    let ada = sign_up(&node, "Ada").await;
    for name in ["Bob", "Carl", "Cara"] {
        sign_up(&node, name).await;
    }
    let names = |page: &Value| -> Vec<String> {
        let users = page["users"].as_array().unwrap().iter();
        users
            .map(|user| user["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = ada.get(&node, "/users?limit=3").await.ok(200);
    assert_eq!(names(&first), ["Ada", "Bob", "Cara"]);
    let path = format!("/users?after={}", first["next"].as_str().unwrap());
    assert_eq!(names(&ada.get(&node, &path).await.ok(200)), ["Carl"]);
    assert_eq!(
        names(&ada.get(&node, "/users?search=CAR").await.ok(200)),
        ["Cara", "Carl"]
    );
    assert!(names(&ada.get(&node, "/users?search=%25").await.ok(200)).is_empty());
    ada.get(&node, "/users?limit=0").await.refused(400, "bad_request");
}

async fn nothing_in_an_address_makes_the_server_fail(place: Place) {
    let node = place.node(&[]).await;
    let root = administrator(&place, &node, "Root").await;
    let long = "x".repeat(5_000);
    for odd in [
        "%00",
        "a%00b",
        "%FF%FE",
        "%0A",
        "'%20OR%201=1--",
        "..%2F..%2Fetc",
        "%F0%9F%A6%80",
        "0",
        &long,
    ] {
        for path in ["/sessions/", "/keys/", "/bans/", "/administrators/"] {
            let answer = root.delete(&node, &format!("{path}{odd}")).await;
            assert!(matches!(answer.status, 400 | 404), "{path}{odd}: {answer:?}");
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        for query in [
            "/users?search=",
            "/users?after=",
            "/keys?after=",
            "/bans?after=",
            "/audit?before=",
        ] {
            let answer = root.get(&node, &format!("{query}{odd}")).await;
            assert!(matches!(answer.status, 200 | 400), "{query}{odd}: {answer:?}");
        }
    }
    let max = u64::MAX;
    for body in [
        json!({ "until": max }),
        json!({ "until": -1 }),
        json!({ "until": 1.5 }),
        json!({ "reason": "\u{0}" }),
    ] {
        root.put(&node, "/bans/g_1", body)
            .await
            .refused(400, "bad_request");
    }
    root.get(&node, &format!("/audit?before={max}"))
        .await
        .refused(400, "bad_request");
    root.get(&node, "/audit?before=9007199254740991").await.ok(200);
    let key = json!({ "user": "a\u{0}", "scopes": ["read"] });
    root.send(&node, Method::POST, "/keys", key)
        .await
        .refused(400, "bad_request");
}
