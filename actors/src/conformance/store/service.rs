//! Read marks, keys, epoch and clock.

use std::{
    collections::HashSet,
    time::{SystemTime, UNIX_EPOCH},
};

use protocol::RoomName;

use super::{Nodes, script::*};
use crate::ports::ReadMark;

fn mark(room: &RoomName, user: &str, seq: u64) -> ReadMark {
    ReadMark {
        room: room.clone(),
        user: user.into(),
        seq,
    }
}

/// A mark only moves forward, in one call, in later ones, and between nodes.
pub async fn read_marks_never_go_back(nodes: Nodes) {
    let one = make_room(&nodes.a, "one").await;
    let two = make_room(&nodes.a, "two").await;
    assert_eq!(nodes.a.read_mark(&one, "ann").await.unwrap(), None);
    let marks = [
        mark(&one, "ann", 5),
        mark(&two, "ann", 1),
        mark(&one, "ann", 3),
        mark(&one, "bob", 2),
    ];
    nodes.a.mark_read(&marks).await.unwrap();
    assert_eq!(nodes.b.read_mark(&one, "ann").await.unwrap(), Some(5));
    nodes.b.mark_read(&[mark(&one, "ann", 4)]).await.unwrap();
    assert_eq!(nodes.a.read_mark(&one, "ann").await.unwrap(), Some(5));
    nodes.b.mark_read(&[mark(&one, "ann", 6)]).await.unwrap();
    assert_eq!(nodes.a.read_mark(&one, "ann").await.unwrap(), Some(6));
    assert_eq!(nodes.a.read_mark(&two, "ann").await.unwrap(), Some(1));
    assert_eq!(nodes.a.read_mark(&one, "bob").await.unwrap(), Some(2));
    nodes.a.mark_read(&[]).await.unwrap();
    let climb = (1..=40).map(|seq| {
        let store = if seq % 2 == 0 { &nodes.a } else { &nodes.b }.clone();
        let marks = if seq % 3 == 0 {
            [mark(&two, "ann", seq), mark(&one, "ann", seq)]
        } else {
            [mark(&one, "ann", seq), mark(&two, "ann", seq)]
        };
        tokio::spawn(async move { store.mark_read(&marks).await.unwrap() })
    });
    for task in climb.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(nodes.a.read_mark(&one, "ann").await.unwrap(), Some(40));
    assert_eq!(nodes.a.read_mark(&two, "ann").await.unwrap(), Some(40));
}

/// A mark in a room that does not exist is skipped, the others count.
pub async fn read_marks_of_absent_rooms_are_skipped(nodes: Nodes) {
    let room = make_room(&nodes.a, "room").await;
    let nowhere = room_name("nowhere");
    let marks = [mark(&nowhere, "ann", 5), mark(&room, "ann", 5)];
    nodes.a.mark_read(&marks).await.unwrap();
    assert_eq!(nodes.a.read_mark(&nowhere, "ann").await.unwrap(), None);
    assert_eq!(nodes.a.read_mark(&room, "ann").await.unwrap(), Some(5));
}

/// All nodes get the same key of a name, also when they ask at once; keys of other names are others.
pub async fn keys_are_shared_and_differ_by_name(nodes: Nodes) {
    let mut keys = HashSet::new();
    for name in ["tokens", "token", "", "'🦀"] {
        let (a, b) = tokio::join!(nodes.a.shared_key(name), nodes.b.shared_key(name));
        let key = a.unwrap();
        assert_eq!(key, b.unwrap());
        assert_eq!(key, nodes.a.shared_key(name).await.unwrap());
        keys.insert(key);
    }
    assert_eq!(keys.len(), 4);
}

/// The epoch is the same on all nodes and at all times, until a new one begins.
pub async fn an_epoch_lasts_until_a_new_one_begins(nodes: Nodes) {
    let first = nodes.a.status().await.unwrap().epoch;
    assert!((1..=64).contains(&first.len()));
    assert_eq!(nodes.b.status().await.unwrap().epoch, first);
    let second = nodes.b.new_epoch().await.unwrap();
    assert_ne!(first, second);
    assert_eq!(nodes.a.status().await.unwrap().epoch, second);
    assert_eq!(nodes.b.status().await.unwrap().epoch, second);
}

/// The clock is within a minute of this machine's.
pub async fn the_clock_is_in_unix_milliseconds(nodes: Nodes) {
    let here = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let there = u128::from(nodes.a.status().await.unwrap().now_ms);
    assert!(there.abs_diff(here) < 60_000, "{there} {here}");
}
