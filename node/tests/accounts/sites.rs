//! Pages of other sites, and what browsers send along with what those ask for.

use load_tests::client::{Client, Error};
use reqwest::Method;
use serde_json::json;

use crate::{on_both_stores, support::*};

on_both_stores! {
    a_page_of_another_site_can_do_nothing_with_the_cookie
    the_cookie_is_for_https_where_the_client_came_by_it
}

async fn a_page_of_another_site_can_do_nothing_with_the_cookie(place: Place) {
    let node = place.node(&["http.allowed_origins=https://app.example"]).await;
    let answer = node
        .post("/users", json!({ "name": "Ada", "password": PASSWORD }))
        .await;
    let cookie = answer.cookie();
    let change = |origin: Option<&str>| {
        let request = node.request(Method::PATCH, "/users/me").header("cookie", &cookie);
        let request = match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        };
        ask(request.json(&json!({ "name": "Ada" })))
    };
    for origin in [None, Some("https://evil.example"), Some("null")] {
        change(origin).await.refused(403, "forbidden");
    }
    change(Some(&node.origin())).await.ok(200);
    change(Some("https://app.example")).await.ok(200);
    let read = node.request(Method::GET, "/users/me").header("cookie", &cookie);
    ask(read).await.ok(200);
    // The bearer is not sent by browsers of themselves, and needs no Origin; and it counts before the cookie.
    let both = node.request(Method::PATCH, "/users/me").header("cookie", &cookie);
    let token = answer.body["token"].as_str().unwrap();
    ask(both.bearer_auth(token).json(&json!({ "name": "Ada" })))
        .await
        .ok(200);

    let upgrade = node
        .socket()
        .header("cookie", &cookie)
        .origin("https://evil.example");
    match Client::open(&upgrade).await {
        Err(Error::Upgrade(refused)) => assert_eq!(refused.status, 403),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("a page of another site was let in"),
    }
    // Nor can it sign its visitors in as somebody of its choice.
    let planted = node
        .request(Method::POST, "/sessions")
        .header("origin", "https://evil.example");
    let body = json!({ "name": "Ada", "password": PASSWORD });
    ask(planted.json(&body)).await.refused(403, "forbidden");
}

async fn the_cookie_is_for_https_where_the_client_came_by_it(place: Place) {
    let trusting = place.node(&["http.trusted_proxies=127.0.0.1"]).await;
    let plain = place.node(&[]).await;
    sign_up(&plain, "Ada").await;
    for (node, proto, secure) in [
        (&trusting, "https", true),
        (&trusting, "http", false),
        (&plain, "https", false),
    ] {
        let request = node
            .request(Method::POST, "/sessions")
            .header("x-forwarded-proto", proto);
        let answer = ask(request.json(&json!({ "name": "Ada", "password": PASSWORD }))).await;
        assert_eq!(
            answer.header("set-cookie").ends_with("; Secure"),
            secure,
            "{answer:?}"
        );
    }
}
