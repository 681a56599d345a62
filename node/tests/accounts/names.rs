//! Names: given once, also to what only looks like them, and not to guests.

use load_tests::client::{Client, Error};
use protocol::{Command, JoinFrom};
use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use crate::{on_both_stores, support::*};

on_both_stores! {
    a_name_that_looks_like_another_is_taken
    many_who_ask_for_a_name_at_once_are_one
    a_guest_may_not_look_like_an_account
    nobody_goes_on_under_an_old_name
}

async fn a_name_that_looks_like_another_is_taken(place: Place) {
    let node = place.node(&[]).await;
    sign_up(&node, "Paypal Admin").await;
    for name in [
        "Paypal Admin",
        "PAYPAL ADMIN",
        "paypaladmin",
        "Раураl Аdmіn",
        "ＰａｙｐａｌAdmin",
        "PaypaI Admin",
    ] {
        let answer = node
            .post("/users", json!({ "name": name, "password": PASSWORD }))
            .await;
        answer.refused(409, "conflict");
    }
    sign_up(&node, "Paypal Admin 2").await;
}

async fn many_who_ask_for_a_name_at_once_are_one(place: Place) {
    let (a, b) = (place.node(&[]).await, place.node(&[]).await);
    let tasks = (0..8).map(|n| {
        let node = if n % 2 == 0 { &a } else { &b };
        let name = if n % 3 == 0 { "Ada" } else { "ADA" };
        node.post("/users", json!({ "name": name, "password": PASSWORD }))
    });
    let answers = futures_util::future::join_all(tasks).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.refused(409, "conflict");
    }
}

async fn a_guest_may_not_look_like_an_account(place: Place) {
    let node = place.node(&[]).await;
    sign_up(&node, "Ada").await;
    let mut client = Client::open(&node.socket()).await.unwrap();
    for name in ["Ada", "аdа", "A d a", "ADA\u{200b}"] {
        let hello = protocol::Hello {
            guest: Some(name.into()),
            ..protocol::Hello::default()
        };
        match client.request(Command::Hello(hello)).await {
            Err(Error::Refused(refused)) => {
                assert_eq!(refused.code.as_str(), "bad_request");
                assert!(refused.message.contains("`guest`"), "{}", refused.message);
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    // The connection lives, and another name will do; guests among themselves may share one.
    let hello = protocol::Hello {
        guest: Some("Adam".into()),
        ..protocol::Hello::default()
    };
    assert_eq!(&*client.hello(hello).await.unwrap().user.name, "Adam");
    enter(&node.socket().guest("Adam")).await;
}

/// It may be somebody else's by then.
async fn nobody_goes_on_under_an_old_name(place: Place) {
    let (a, b) = (place.node(&[]).await, place.node(&[]).await);
    let ada = sign_up(&a, "Ada").await;
    let room = "lobby".parse().unwrap();
    let mut client = enter(&b.socket().token(&ada.token)).await;
    let begun = Instant::now();
    let path = "/users/me";
    ada.send(&a, Method::PATCH, path, json!({ "name": "Lovelace" }))
        .await
        .ok(200);
    let (code, _) = ended(&mut client, begun).await;
    assert_eq!(code, 1012, "to come back as who she is now");
    sign_up(&a, "Ada").await;
    let mut client = enter(&b.socket().token(&ada.token)).await;
    client.join(&room, JoinFrom::Newest(0)).await.unwrap();
    client.say(&room, "it is I").await.unwrap();
    let events = client.take_events(&room, 1).await.unwrap();
    assert_eq!(&*events[0].user.name, "Lovelace");
}
