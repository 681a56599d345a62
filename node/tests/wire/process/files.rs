//! What the embedded store leaves on disk.

use std::{fs, path::Path};

use protocol::Codec;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Raw, eventually, process::Process};

/// How many of the files in the data folder have `text` in them.
fn files_with(folder: &Path, text: &str) -> usize {
    let files = fs::read_dir(folder.join("hubbub-data")).unwrap();
    let contents = files.map(|file| fs::read(file.unwrap().path()).unwrap());
    contents
        .filter(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
        .count()
}

/// A node, and somebody who has its lobby open.
async fn in_the_lobby(folder: &Path) -> (Process, Raw) {
    let (process, addresses) = Process::ready(folder, &[]).await;
    let mut raw = Raw::open(addresses.public, Codec::Json, &[]).await;
    raw.hello(json!({ "guest": "Ada" })).await;
    raw.ok(json!({ "op": "join", "room": "lobby" })).await;
    (process, raw)
}

#[tokio::test]
async fn text_that_was_deleted_or_replaced_is_in_no_file() {
    let folder = TempDir::new().unwrap();
    let (process, mut raw) = in_the_lobby(folder.path()).await;
    let deleted = raw.send("lobby", "1", "deleted-a7f3").await;
    let edited = raw.send("lobby", "2", "replaced-c9e1").await;
    raw.send("lobby", "3", "kept-52bd").await;
    assert!(files_with(folder.path(), "deleted-a7f3") > 0);
    raw.ok(json!({ "op": "edit", "room": "lobby", "cid": "4", "seq": edited, "text": "present-08aa" }))
        .await;
    raw.ok(json!({ "op": "delete", "room": "lobby", "cid": "5", "seq": deleted }))
        .await;
    for gone in ["deleted-a7f3", "replaced-c9e1"] {
        eventually(gone, || async {
            (files_with(folder.path(), gone) == 0).then_some(())
        })
        .await;
    }
    for kept in ["kept-52bd", "present-08aa"] {
        assert!(files_with(folder.path(), kept) > 0, "{kept}");
    }
    drop(raw);
    process.signal(Signal::TERM);
    assert_eq!(process.end().await.code, Some(0));
}

#[tokio::test]
async fn behind_the_end_the_database_is_one_file() {
    let folder = TempDir::new().unwrap();
    let (process, mut raw) = in_the_lobby(folder.path()).await;
    raw.send("lobby", "1", "kept-52bd").await;
    drop(raw);
    process.signal(Signal::TERM);
    assert_eq!(process.end().await.code, Some(0));
    let names: Vec<_> = fs::read_dir(folder.path().join("hubbub-data"))
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(names, ["hubbub.db"]);
    assert_eq!(files_with(folder.path(), "kept-52bd"), 1);
}

#[tokio::test]
async fn what_a_node_that_was_killed_left_in_the_log_goes_at_the_next_start() {
    let folder = TempDir::new().unwrap();
    let (process, mut raw) = in_the_lobby(folder.path()).await;
    let deleted = raw.send("lobby", "1", "deleted-a7f3").await;
    raw.ok(json!({ "op": "delete", "room": "lobby", "cid": "2", "seq": deleted }))
        .await;
    process.signal(Signal::KILL);
    process.end().await;
    let (process, _) = Process::ready(folder.path(), &[]).await;
    eventually("the text is gone", || async {
        (files_with(folder.path(), "deleted-a7f3") == 0).then_some(())
    })
    .await;
    process.signal(Signal::TERM);
    assert_eq!(process.end().await.code, Some(0));
}
