//! SIGTERM and SIGINT.

use std::time::{Duration, Instant};

use protocol::Codec;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    Raw, eventually, http,
    process::{Addresses, Process},
    raw::UPGRADE,
    with_both,
};

async fn guest(addresses: Addresses, codec: Codec) -> Raw {
    let mut raw = Raw::open(addresses.public, codec, &[]).await;
    raw.hello(json!({ "guest": "Ada" })).await;
    raw
}

#[tokio::test]
async fn a_node_without_clients_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = TempDir::new().unwrap();
        let (process, addresses) = Process::ready(folder.path(), &[]).await;
        // Somebody was here, and has gone.
        let mut raw = guest(addresses, Codec::Json).await;
        raw.frame(true, crate::support::raw::CLOSE, &1000_u16.to_be_bytes())
            .await;
        raw.closed(1000).await;
        drop(raw);
        let told = Instant::now();
        process.signal(signal);
        let ended = process.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    }
}

#[tokio::test]
async fn clients_are_told_to_go_and_closed_at_the_deadline() {
    with_both(|codec| async move {
        let folder = TempDir::new().unwrap();
        let (process, addresses) = Process::ready(folder.path(), &["--set", "drain.seconds=3"]).await;
        let mut stays = guest(addresses, codec).await;
        let told = Instant::now();
        process.signal(Signal::TERM);
        let goaway = stays.next().await;
        assert_eq!(goaway["op"], "goaway", "{goaway}");
        assert_eq!(goaway["reason"], "drain", "{goaway}");
        assert!(goaway["after_ms"].is_u64(), "{goaway}");
        // Who stays is served until the end.
        stays.ok(json!({ "op": "join", "room": "lobby" })).await;
        stays.send("lobby", "c1", "still here").await;
        stays.events("lobby", 1).await;
        let ready = http::get(addresses.private, "/readyz").await;
        assert_eq!(ready.status, 503);
        let refused = http::request(addresses.public, "GET", "/ws", &UPGRADE, "").await;
        refused.assert_problem(503, "overloaded");
        assert!(refused.header("retry-after").is_some());
        loop {
            match stays.read().await {
                crate::support::Incoming::Data(frame) => assert_ne!(frame["op"], "error", "{frame}"),
                crate::support::Incoming::Close { code, .. } => break assert_eq!(code, Some(1012)),
                other => panic!("1012 is due, and there was {other:?}"),
            }
        }
        assert!(
            told.elapsed() >= Duration::from_millis(2_900),
            "{:?}",
            told.elapsed()
        );
        drop(stays);
        let ended = process.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.log.contains("the drain time is over"), "{ended:?}");
    })
    .await;
}

#[tokio::test]
async fn a_node_ends_when_the_last_client_has_gone() {
    let folder = TempDir::new().unwrap();
    let (process, addresses) = Process::ready(folder.path(), &["--set", "drain.seconds=600"]).await;
    let mut goes = guest(addresses, Codec::Json).await;
    goes.ok(json!({ "op": "join", "room": "lobby" })).await;
    goes.send("lobby", "c1", "bye").await;
    process.signal(Signal::INT);
    // Paced over the drain time: the one client may be asked late, and goes by itself.
    eventually("the node to drain", || async {
        (http::get(addresses.private, "/readyz").await.status == 503).then_some(())
    })
    .await;
    drop(goes);
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.log.contains("the drain time is over"), "{ended:?}");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let folder = TempDir::new().unwrap();
    let (process, addresses) = Process::ready(folder.path(), &["--set", "drain.seconds=600"]).await;
    let _stays = guest(addresses, Codec::Json).await;
    process.signal(Signal::TERM);
    eventually("the node to drain", || async {
        (http::get(addresses.private, "/readyz").await.status == 503).then_some(())
    })
    .await;
    let told = Instant::now();
    process.signal(Signal::TERM);
    let ended = process.end().await;
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    assert!(ended.log.contains("ended at once"), "{ended:?}");
}
