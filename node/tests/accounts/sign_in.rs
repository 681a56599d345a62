//! Signing up and in, and what the credential is good for.

use reqwest::Method;
use serde_json::json;

use crate::{on_both_stores, support::*};

on_both_stores! {
    who_signs_up_comes_in_by_every_door
    a_wrong_password_and_an_unknown_name_are_refused_alike
    a_bad_credential_is_none_in_a_cookie_and_refused_elsewhere
    a_new_session_has_nothing_of_what_the_client_brought_along
    what_is_missing_or_wrong_in_a_body_is_named
    registration_can_be_switched_off
    an_account_survives_a_restart
    a_name_can_be_changed
}

async fn who_signs_up_comes_in_by_every_door(place: Place) {
    let node = place.node(&[]).await;
    let answer = node
        .post("/users", json!({ "name": " Ada  Läufer ", "password": PASSWORD }))
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.body["user"]["name"], "Ada Läufer");
    let id = answer.body["user"]["id"].as_str().unwrap().to_owned();
    let token = answer.body["token"].as_str().unwrap().to_owned();
    assert!(
        id.starts_with("u_") && id.len() <= 64 && token.starts_with("hs1_"),
        "{answer:?}"
    );
    assert!(answer.body["expires_at"].as_u64().unwrap() > 1_700_000_000_000);
    let cookie = answer.header("set-cookie").to_owned();
    for part in [
        "hubbub_session=hs1_",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Path=/",
        "; Max-Age=2592000",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");
    assert_eq!(answer.header("cache-control"), "no-store");

    let bearer = enter(&node.socket().bearer(&token)).await;
    let hello = enter(&node.socket().token(&token)).await;
    let by_cookie = enter(&node.socket().header("cookie", &answer.cookie())).await;
    for client in [bearer, hello, by_cookie] {
        let welcome = client.welcome().unwrap();
        assert_eq!((&*welcome.user.id, &*welcome.user.name), (&*id, "Ada Läufer"));
        assert_eq!(welcome.token, None);
    }
    let person = Person {
        id: id.clone(),
        token,
    };
    let me = person.get(&node, "/users/me").await.ok(200);
    assert_eq!(
        (&me["user"]["id"], &me["standing"]),
        (&json!(id), &json!("registered"))
    );
    let again = sign_in(&node, "ADA LÄUFER").await;
    assert_eq!(again.id, id, "large and small letters are the same name");
    assert_ne!(again.token, person.token);
}

async fn a_wrong_password_and_an_unknown_name_are_refused_alike(place: Place) {
    let node = place.node(&[]).await;
    sign_up(&node, "Ada").await;
    let wrong = node
        .post("/sessions", json!({ "name": "Ada", "password": "wrong horse" }))
        .await;
    let unknown = node
        .post("/sessions", json!({ "name": "Bob", "password": PASSWORD }))
        .await;
    wrong.refused(401, "unauthenticated");
    unknown.refused(401, "unauthenticated");
    assert_eq!(wrong.body, unknown.body);
    assert!(!wrong.headers.contains_key("set-cookie"));
    // A password that cannot be one takes the same way.
    let short = node
        .post("/sessions", json!({ "name": "Ada", "password": "x" }))
        .await;
    short.refused(401, "unauthenticated");
}

async fn a_bad_credential_is_none_in_a_cookie_and_refused_elsewhere(place: Place) {
    let node = place.node(&[]).await;
    let bad = format!("hs1_{}", "x".repeat(43));
    let guest = node
        .socket()
        .header("cookie", &format!("hubbub_session={bad}"))
        .guest("Gus");
    assert_eq!(&*enter(&guest).await.welcome().unwrap().user.name, "Gus");
    let nobody = node.socket().token(&bad).guest("Gus");
    assert_eq!(turned_away(&nobody).await, ("unauthenticated".to_owned(), 4100));
    assert!(
        load_tests::client::Client::open(&node.socket().bearer(&bad))
            .await
            .is_err()
    );
    let answer = ask(node.request(Method::GET, "/users/me").bearer_auth(&bad)).await;
    answer.refused(401, "unauthenticated");
    // A guest's token is no session, and is not taken from a cookie.
    let gus = enter(&node.socket().guest("Gus")).await;
    let token = gus.welcome().unwrap().token.clone().unwrap();
    let cookie = node.socket().header("cookie", &format!("hubbub_session={token}"));
    assert_eq!(turned_away(&cookie).await.1, 4100);
    let gus = Person {
        id: String::new(),
        token,
    };
    gus.get(&node, "/users/me").await.ok(200);
    gus.get(&node, "/users").await.refused(403, "forbidden");
    gus.get(&node, "/sessions").await.refused(403, "forbidden");
}

async fn a_new_session_has_nothing_of_what_the_client_brought_along(place: Place) {
    let node = place.node(&[]).await;
    let mallory = sign_up(&node, "Mallory").await;
    sign_up(&node, "Ada").await;
    let planted = format!("hubbub_session={}", mallory.token);
    let request = node
        .request(Method::POST, "/sessions")
        .header("cookie", &planted)
        .header("origin", node.origin())
        .json(&json!({ "name": "Ada", "password": PASSWORD, "token": mallory.token }));
    let answer = ask(request).await;
    let token = answer.body["token"].as_str().unwrap();
    assert_ne!(token, mallory.token);
    assert_eq!(answer.cookie(), format!("hubbub_session={token}"));
    let me = mallory.get(&node, "/users/me").await.ok(200);
    assert_eq!(
        me["user"]["name"], "Mallory",
        "the planted session is what it was"
    );
}

async fn what_is_missing_or_wrong_in_a_body_is_named(place: Place) {
    let node = place.node(&[]).await;
    for (body, named) in [
        (json!({}), "name"),
        (json!({ "name": "Ada" }), "password"),
        (json!({ "name": 5, "password": PASSWORD }), "name"),
        (json!({ "name": "", "password": PASSWORD }), "name"),
        (json!({ "name": "a\u{0}b", "password": PASSWORD }), "name"),
        (json!({ "name": "a\u{200b}b", "password": PASSWORD }), "name"),
        (json!({ "name": "x".repeat(65), "password": PASSWORD }), "name"),
        (json!({ "name": "Ada", "password": "1234567" }), "password"),
        (json!({ "name": "Ada", "password": "x".repeat(257) }), "password"),
        (
            json!({ "name": "Ada", "password": PASSWORD, "device": "x".repeat(201) }),
            "device",
        ),
    ] {
        let answer = node.post("/users", body.clone()).await;
        answer.refused(400, "bad_request");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("`{named}`")), "{body}: {detail}");
    }
    for text in ["", "[]", "{", "{}{}", "null"] {
        let request = node.request(Method::POST, "/sessions").body(text);
        ask(request).await.refused(400, "bad_request");
    }
    // What looks like SQL or a path is a name like any other.
    for name in [
        "'; DROP TABLE users; --",
        "../../etc/passwd",
        "%00",
        "\" OR \"\"=\"",
    ] {
        let person = sign_up(&node, name).await;
        assert_eq!(sign_in(&node, name).await.id, person.id);
    }
}

async fn registration_can_be_switched_off(place: Place) {
    let node = place.node(&["auth.registration=false"]).await;
    let answer = node
        .post("/users", json!({ "name": "Ada", "password": PASSWORD }))
        .await;
    answer.refused(403, "forbidden");
}

async fn an_account_survives_a_restart(place: Place) {
    let node = place.node(&["drain.seconds=0"]).await;
    let ada = sign_up(&node, "Ada").await;
    node.stop().await;
    let node = place.node(&[]).await;
    let client = enter(&node.socket().token(&ada.token)).await;
    assert_eq!(*client.welcome().unwrap().user.id, *ada.id);
    assert_eq!(sign_in(&node, "Ada").await.id, ada.id);
}

async fn a_name_can_be_changed(place: Place) {
    let node = place.node(&[]).await;
    let ada = sign_up(&node, "Ada").await;
    sign_up(&node, "Bob").await;
    let taken = ada
        .send(&node, Method::PATCH, "/users/me", json!({ "name": "B0b" }))
        .await;
    taken.refused(409, "conflict");
    let changed = ada
        .send(&node, Method::PATCH, "/users/me", json!({ "name": "Bea" }))
        .await
        .ok(200);
    assert_eq!(
        (&changed["id"], &changed["name"]),
        (&json!(ada.id), &json!("Bea"))
    );
    assert_eq!(
        &*enter(&node.socket().token(&ada.token))
            .await
            .welcome()
            .unwrap()
            .user
            .name,
        "Bea"
    );
    assert_eq!(sign_in(&node, "Bea").await.id, ada.id);
    assert_ne!(
        sign_up(&node, "Ada").await.id,
        ada.id,
        "the old name is free again"
    );
}
