//! From the command line to `ready`, or to a refusal that helps.

use std::{
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use crate::support::{http, process::Process};

#[tokio::test]
async fn standard_output_is_the_two_lines_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let (process, addresses) = Process::ready(folder.path(), &["--log-level", "debug"]).await;
    assert_ne!(addresses.public.port(), 0);
    assert_ne!(addresses.private.port(), 0);
    assert_eq!(http::get(addresses.public, "/livez").await.status, 200);
    process.signal(Signal::TERM);
    let ended = process.end().await;
    assert_eq!((ended.code, &*ended.out), (Some(0), ""), "{ended:?}");
}

/// The port is taken, so that a node which bound it first would complain of that instead.
#[tokio::test]
async fn a_wrong_configuration_is_refused_before_a_port_is_bound() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("http.listen={}", taken.local_addr().unwrap());
    for (setting, told) in [
        (
            "limits.presence_peple=1",
            &["limits.presence_peple", "did you mean `limits.presence_people`"][..],
        ),
        ("chat.rooms=1", &["chat.rooms"]),
        ("drain.seconds=soon", &["drain.seconds", "\"soon\"", "0 to 3600"]),
        ("drain.seconds=3601", &["drain.seconds", "3601", "0 to 3600"]),
        ("log.format=xml", &["log.format", "\"xml\"", "text or json"]),
        (
            "auth.guests=perhaps",
            &["auth.guests", "\"perhaps\"", "true or false"],
        ),
        (
            "store.url=mysql://here",
            &["store.url", "sqlite://", "postgres://"],
        ),
        ("bus.url=kafka://here", &["bus.url", "local://", "redis://"]),
        (
            "http.allowed_origins=example",
            &["http.allowed_origins", "scheme://host[:port]"],
        ),
        (
            "http.trusted_proxies=proxy",
            &["http.trusted_proxies", "10.0.0.0/16"],
        ),
    ] {
        let folder = TempDir::new().unwrap();
        let process = Process::start(folder.path(), &["--set", &listen, "--set", setting]);
        let ended = process.end().await;
        assert_eq!((ended.code, &*ended.out), (Some(2), ""), "{setting}: {ended:?}");
        for word in told {
            assert!(ended.log.contains(word), "{word:?} is not in {:?}", ended.log);
        }
    }
}

#[tokio::test]
async fn a_wrong_file_is_refused_by_its_name() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("hubbub.toml"), "[drain]\nsecond = 1\n").unwrap();
    let ended = Process::start(folder.path(), &[]).end().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for word in ["hubbub.toml", "drain.second", "drain.seconds"] {
        assert!(ended.log.contains(word), "{word:?} is not in {:?}", ended.log);
    }
}

#[tokio::test]
async fn a_port_in_use_is_said_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for key in ["http.listen", "http.private_listen"] {
        let folder = TempDir::new().unwrap();
        let setting = format!("{key}={address}");
        let ended = Process::start(folder.path(), &["--set", &setting]).end().await;
        assert_eq!((ended.code, &*ended.out), (Some(1), ""), "{ended:?}");
        for word in [key, &address, "another process has this port"] {
            assert!(ended.log.contains(word), "{word:?} is not in {:?}", ended.log);
        }
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for_with_open_listeners() {
    let folder = TempDir::new().unwrap();
    let store = format!("postgres://hubbub:secret@{}/hubbub", nobody_there());
    let began = Instant::now();
    let arguments = ["--store-url", &store, "--set", "store.connect_timeout_seconds=2"];
    let mut process = Process::start(folder.path(), &arguments);
    let addresses = process.addresses().await;
    for address in [addresses.public, addresses.private] {
        assert_eq!(http::get(address, "/readyz").await.status, 503);
        assert_eq!(http::get(address, "/livez").await.status, 200);
    }
    let upgrade = crate::support::raw::UPGRADE;
    let refused = http::request(addresses.public, "GET", "/ws", &upgrade, "").await;
    refused.assert_problem(503, "overloaded");
    assert!(refused.header("retry-after").is_some());
    let api = http::get(addresses.public, "/api/v1/rooms").await;
    api.assert_problem(503, "overloaded");
    let metrics = http::get(addresses.private, "/metrics").await;
    assert!(metrics.body.contains("\nhubbub_store_up 0\n"), "{}", metrics.body);
    let ended = process.end().await;
    assert!(began.elapsed() >= Duration::from_secs(1), "it gave up at once");
    assert_eq!((ended.code, &*ended.out), (Some(1), ""), "{ended:?}");
    assert!(
        ended.log.contains("the store was not reached within 2s"),
        "{ended:?}"
    );
    assert!(ended.log.contains("store.url"), "{ended:?}");
    assert!(!ended.log.contains("secret"), "{ended:?}");
}

/// As a load balancer does with nothing behind it.
#[tokio::test]
async fn a_store_that_hangs_up_is_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = format!("postgres://hubbub@{}/hubbub", listener.local_addr().unwrap());
    let hang_up = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 8];
            let _ = socket.read_exact(&mut request).await;
        }
    });
    let folder = TempDir::new().unwrap();
    let began = Instant::now();
    let arguments = ["--store-url", &store, "--set", "store.connect_timeout_seconds=2"];
    let mut process = Process::start(folder.path(), &arguments);
    let addresses = process.addresses().await;
    assert_eq!(http::get(addresses.public, "/readyz").await.status, 503);
    let ended = process.end().await;
    hang_up.abort();
    assert!(began.elapsed() >= Duration::from_secs(1), "it gave up at once");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.log.contains("the store was not reached within 2s"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_node_that_waits_for_its_store_ends_at_once_when_told() {
    let folder = TempDir::new().unwrap();
    let store = format!("postgres://hubbub@{}/hubbub", nobody_there());
    let mut process = Process::start(folder.path(), &["--store-url", &store]);
    process.addresses().await;
    let told = Instant::now();
    process.signal(Signal::TERM);
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
}

#[tokio::test]
async fn a_store_that_will_never_do_is_not_waited_for() {
    let folder = TempDir::new().unwrap();
    std::fs::write(
        folder.path().join("no.db"),
        "This is a letter and no database.".repeat(100),
    )
    .unwrap();
    let mut process = Process::start(folder.path(), &["--store-url", "sqlite://no.db"]);
    process.addresses().await;
    let ended = process.end().await;
    assert_eq!((ended.code, &*ended.out), (Some(1), ""), "{ended:?}");
    for word in ["no.db", "store.url", "not a database"] {
        assert!(ended.log.contains(word), "{word:?} is not in {ended:?}");
    }
    assert!(!ended.log.contains("was not reached within"), "{ended:?}");
}

/// An address where nothing listens.
fn nobody_there() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
