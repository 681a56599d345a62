//! API keys.

use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use super::administration::administrator;
use crate::{on_both_stores, support::*};

on_both_stores! {
    a_bot_comes_in_with_its_key
    a_key_is_good_for_its_scopes_alone
    a_key_ends_by_itself
}

async fn a_bot_comes_in_with_its_key(place: Place) {
    let node = place.node(&[]).await;
    let root = administrator(&place, &node, "Root").await;
    let wanted = json!({ "name": "Weather", "label": "forecast", "scopes": ["read", "write"] });
    let made = root.send(&node, Method::POST, "/keys", wanted.clone()).await;
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.ok(201);
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("hk1_"), "{made}");
    assert_eq!(
        (&made["label"], &made["scopes"]),
        (&json!("forecast"), &json!(["read", "write"]))
    );
    let client = enter(&node.socket().token(key)).await;
    assert_eq!(json!(*client.welcome().unwrap().user.id), made["user"]["id"]);
    let bot = Person {
        id: String::new(),
        token: key.to_owned(),
    };
    bot.get(&node, "/rooms").await.ok(200);
    // A key is no session: not in a cookie, not to be signed out of.
    let cookie = node.socket().header("cookie", &format!("hubbub_session={key}"));
    assert_eq!(turned_away(&cookie).await.1, 4100);
    bot.delete(&node, "/sessions/current")
        .await
        .refused(403, "forbidden");

    let list = root.get(&node, "/keys").await.ok(200);
    assert_eq!(list["keys"][0]["id"], made["id"]);
    assert!(!list.to_string().contains("hk1_"), "no key is ever shown again");
    root.send(&node, Method::POST, "/keys", wanted)
        .await
        .refused(409, "conflict");
    let second = json!({ "user": made["user"]["id"], "scopes": ["read"] });
    let second = root.send(&node, Method::POST, "/keys", second).await.ok(201);
    assert_eq!(second["user"], made["user"]);
    let of_person = json!({ "user": root.id, "scopes": ["read"] });
    root.send(&node, Method::POST, "/keys", of_person)
        .await
        .refused(404, "not_found");
    let body = json!({ "name": "Weather", "password": PASSWORD });
    node.post("/sessions", body).await.refused(401, "unauthenticated");
}

async fn a_key_is_good_for_its_scopes_alone(place: Place) {
    let node = place.node(&[]).await;
    let root = administrator(&place, &node, "Root").await;
    for scopes in [json!([]), json!(["everything"]), json!("read"), json!(null)] {
        let wanted = json!({ "name": "Bot", "scopes": scopes });
        root.send(&node, Method::POST, "/keys", wanted)
            .await
            .refused(400, "bad_request");
    }
    let wanted = json!({ "name": "Bot", "scopes": ["read"] });
    let made = root.send(&node, Method::POST, "/keys", wanted).await.ok(201);
    let path = format!("/administrators/{}", made["user"]["id"].as_str().unwrap());
    assert_eq!(root.put(&node, &path, json!({})).await.status, 204);
    let bot = Person {
        id: String::new(),
        token: made["key"].as_str().unwrap().to_owned(),
    };
    for path in ["/audit", "/cluster"] {
        bot.get(&node, path).await.refused(403, "forbidden");
    }
    bot.send(&node, Method::PATCH, "/users/me", json!({ "name": "B" }))
        .await
        .refused(403, "forbidden");
    let managing = json!({ "user": made["user"]["id"], "scopes": ["manage"] });
    let managing = root.send(&node, Method::POST, "/keys", managing).await.ok(201);
    let bot = Person {
        id: String::new(),
        token: managing["key"].as_str().unwrap().to_owned(),
    };
    for path in ["/audit", "/cluster"] {
        bot.get(&node, path).await.ok(200);
    }
}

async fn a_key_ends_by_itself(place: Place) {
    let node = place.node(&[]).await;
    let root = administrator(&place, &node, "Root").await;
    let now = u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let over = json!({ "name": "Bot", "scopes": ["read"], "expires_at": now - 5_000 });
    root.send(&node, Method::POST, "/keys", over)
        .await
        .refused(400, "bad_request");
    let wanted = json!({ "name": "Bot", "scopes": ["read"], "expires_at": now + 6_000 });
    let made = root.send(&node, Method::POST, "/keys", wanted).await.ok(201);
    let key = made["key"].as_str().unwrap();
    let mut client = enter(&node.socket().token(key)).await;
    let (code, took) = ended(&mut client, Instant::now()).await;
    assert_eq!(code, 4105);
    assert!(took.as_secs() < 10, "{took:?}");
    assert_eq!(turned_away(&node.socket().token(key)).await.1, 4100);
}
