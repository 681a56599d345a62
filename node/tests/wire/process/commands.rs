//! The commands beside serving, and what outlives the process.

use protocol::Codec;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    Raw,
    process::{Ended, Process},
};

async fn command(folder: &TempDir, arguments: &[&str]) -> Ended {
    Process::start(folder.path(), arguments).end().await
}

#[tokio::test]
async fn help_and_version() {
    let folder = TempDir::new().unwrap();
    let help = command(&folder, &["--help"]).await;
    assert_eq!(help.code, Some(0), "{help:?}");
    for word in [
        "config",
        "migrate",
        "new-epoch",
        "healthcheck",
        "--listen",
        "HUBBUB__",
    ] {
        assert!(help.out.contains(word), "{word:?} is not in {}", help.out);
    }
    let version = command(&folder, &["--version"]).await;
    assert_eq!(version.code, Some(0), "{version:?}");
    assert_eq!(version.out, format!("node {}\n", env!("CARGO_PKG_VERSION")));
    let wrong = command(&folder, &["serve"]).await;
    assert_eq!((wrong.code, &*wrong.out), (Some(2), ""), "{wrong:?}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "nothing is written for that: {left:?}");
}

#[tokio::test]
async fn config_prints_what_is_in_force_and_no_password() {
    let folder = TempDir::new().unwrap();
    let arguments = [
        "--set",
        "drain.seconds=7",
        "--store-url",
        "postgres://hubbub:secret@db/hubbub",
        "config",
    ];
    let printed = command(&folder, &arguments).await;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    assert!(!printed.out.contains("secret"), "{}", printed.out);
    assert!(printed.out.contains("postgres://hubbub:"), "{}", printed.out);
    let section = printed.out.split("[drain]").nth(1).expect("a section [drain]");
    assert!(section.contains("seconds = 7"), "{}", printed.out);
    // What it prints is itself a configuration.
    std::fs::write(folder.path().join("printed.toml"), &printed.out).unwrap();
    let again = command(&folder, &["--config", "printed.toml", "config"]).await;
    assert_eq!(again.out, printed.out, "{again:?}");
}

#[tokio::test]
async fn a_restart_keeps_everything_and_new_epoch_says_that_it_did_not() {
    let folder = TempDir::new().unwrap();
    let migrated = command(&folder, &["migrate"]).await;
    assert_eq!(migrated.code, Some(0), "{migrated:?}");

    let (process, addresses) = Process::ready(folder.path(), &[]).await;
    let mut raw = Raw::open(addresses.public, Codec::Json, &[]).await;
    let first = raw.hello(json!({ "guest": "Ada" })).await;
    raw.ok(json!({ "op": "join", "room": "lobby" })).await;
    let seq = raw.send("lobby", "c1", "kept").await;
    drop(raw);
    process.signal(Signal::KILL);
    process.end().await;

    // Another process is the same server to who comes back, also after a kill.
    let (process, addresses) = Process::ready(folder.path(), &[]).await;
    let mut raw = Raw::open(addresses.public, Codec::Msgpack, &[]).await;
    let resume = json!({
        "token": first["token"], "epoch": first["epoch"], "resume": { "lobby": seq - 1 }
    });
    let second = raw.hello(resume.clone()).await;
    assert_eq!(second["user"], first["user"]);
    assert_eq!(second["epoch"], first["epoch"]);
    assert_eq!(second["rooms"]["lobby"]["head"], seq);
    assert_eq!(second["rooms"]["lobby"].get("reset"), None);
    let events = raw.events("lobby", 1).await;
    assert_eq!(events[0]["text"], "kept");
    assert_eq!(raw.send("lobby", "c1", "again").await, seq, "the cid is known");
    drop(raw);
    process.signal(Signal::TERM);
    assert_eq!(process.end().await.code, Some(0));

    let renewed = command(&folder, &["new-epoch"]).await;
    assert_eq!(renewed.code, Some(0), "{renewed:?}");
    let (process, addresses) = Process::ready(folder.path(), &[]).await;
    let mut raw = Raw::open(addresses.public, Codec::Json, &[]).await;
    let third = raw.hello(resume).await;
    assert_ne!(third["epoch"], first["epoch"]);
    assert!(
        renewed.out.contains(third["epoch"].as_str().unwrap()),
        "{renewed:?}"
    );
    assert_eq!(third["rooms"]["lobby"]["reset"], true);
    assert_eq!(raw.events("lobby", 1).await[0]["text"], "kept");
    drop(raw);
    process.signal(Signal::TERM);
    assert_eq!(process.end().await.code, Some(0));
}

#[tokio::test]
async fn healthcheck_asks_the_running_node() {
    let folder = TempDir::new().unwrap();
    let (process, addresses) = Process::ready(folder.path(), &[]).await;
    let private = addresses.private.to_string();
    let asked = ["--private-listen", &private, "healthcheck"];
    let healthy = command(&folder, &asked).await;
    assert_eq!((healthy.code, &*healthy.out), (Some(0), ""), "{healthy:?}");
    process.signal(Signal::TERM);
    process.end().await;
    let gone = command(&folder, &asked).await;
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert!(gone.log.contains(&private), "{gone:?}");
}
