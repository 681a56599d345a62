//! Who guesses is slowed, and nobody else.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::{on_both_stores, support::*};

on_both_stores! {
    ten_thousand_guesses_are_slowed_and_others_are_not
    an_address_that_tries_many_names_is_slowed
    an_unknown_name_takes_as_long_as_a_known_one
}

/// Statuses of so many attempts, eight at a time, as from that address.
async fn attempts(node: &Node, count: usize, address: &str, name: impl Fn(usize) -> String) -> Vec<Answer> {
    let mut answers = Vec::new();
    for first in (0..count).step_by(8) {
        let batch = (first..count.min(first + 8)).map(|n| {
            let body = json!({ "name": name(n), "password": "wrong horse" });
            let request = node
                .request(Method::POST, "/sessions")
                .header("x-forwarded-for", address);
            ask(request.json(&body))
        });
        answers.extend(futures_util::future::join_all(batch).await);
    }
    answers
}

async fn ten_thousand_guesses_are_slowed_and_others_are_not(place: Place) {
    let node = place.node(&["http.trusted_proxies=127.0.0.1"]).await;
    sign_up(&node, "Ada").await;
    sign_up(&node, "Bob").await;
    let begun = Instant::now();
    let answers = attempts(&node, 10_000, "192.0.2.1", |_| "Ada".to_owned()).await;
    let took = begun.elapsed();
    let guessed = answers.iter().filter(|answer| answer.status == 401).count();
    // Ten at once, and then one for each pause of 1, 2, 4 … seconds.
    assert!(guessed < 30, "{guessed} guesses in {took:?}");
    let slowed = answers.iter().find(|answer| answer.status == 429).unwrap();
    slowed.refused(429, "rate_limited");
    assert!(slowed.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert!(slowed.body["retry_after_ms"].as_u64().unwrap() >= 1);
    assert_eq!(slowed.header("ratelimit-remaining"), "0");
    // The right password does not help who is slowed, from wherever it comes …
    let body = json!({ "name": "Ada", "password": PASSWORD });
    node.post("/sessions", body).await.refused(429, "rate_limited");
    // … and others sign in as ever, also from the same address.
    let bob = json!({ "name": "Bob", "password": PASSWORD });
    let request = node
        .request(Method::POST, "/sessions")
        .header("x-forwarded-for", "192.0.2.1");
    ask(request.json(&bob)).await.ok(201);
    assert!(took < Duration::from_secs(60), "refusing is cheap: {took:?}");
}

async fn an_address_that_tries_many_names_is_slowed(place: Place) {
    let node = place.node(&["http.trusted_proxies=127.0.0.1"]).await;
    sign_up(&node, "Bob").await;
    let answers = attempts(&node, 200, "192.0.2.1", |n| format!("u{n}x")).await;
    let guessed = answers.iter().filter(|answer| answer.status == 401).count();
    assert!((95..120).contains(&guessed), "{guessed}");
    sign_in(&node, "Bob").await;
}

async fn an_unknown_name_takes_as_long_as_a_known_one(place: Place) {
    let node = place.node(&[]).await;
    sign_up(&node, "Ada").await;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for n in 0..9 {
        for (name, times) in [
            ("Ada".to_owned(), &mut known),
            (format!("nobody{n}"), &mut unknown),
        ] {
            let begun = Instant::now();
            let body = json!({ "name": name, "password": "wrong horse" });
            node.post("/sessions", body).await.refused(401, "unauthenticated");
            times.push(begun.elapsed());
        }
    }
    // The quickest of each: whatever else the machine does only makes the others slower. Without a hash the unknown one
    // would take a twentieth.
    let (known, unknown) = (known.iter().min().unwrap(), unknown.iter().min().unwrap());
    assert!(*unknown > *known / 5, "{known:?} {unknown:?}");
}
