//! A repetition is answered with the first one's place.

use std::collections::HashSet;

use super::{Nodes, script::*};

/// A `cid` that was committed is known, with `seq` and `at` of the first, on every node.
pub async fn a_cid_is_known_later_and_on_another_node(nodes: Nodes) {
    let (ann, _) = room_with_two(&nodes, "room").await;
    let first = write(&nodes.a, ann.message("cid", "hello")).await;
    write(&nodes.a, ann.message("other", "more")).await;
    assert_eq!(
        append_one(&nodes.a, ann.message("cid", "hello")).await,
        known(first)
    );
    assert_eq!(
        append_one(&nodes.b, ann.message("cid", "hello")).await,
        known(first)
    );
    assert_eq!(log(&nodes.a, &ann.room).await.len(), 2);
}

/// A `cid` that stands earlier in the batch is known, also if other rooms and events stand between.
pub async fn a_cid_is_known_within_a_batch(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    let (far, _) = room_with_two(&nodes, "far").await;
    let batch = [
        ann.message("cid", "first"),
        ann.message("cid", "again"),
        far.message("cid", "elsewhere"),
        bob.message("cid", "somebody else"),
        ann.message("cid", "and again"),
        ann.message("new", "next"),
    ];
    let outcomes = append(&nodes.a, &batch).await;
    let first = written(outcomes[0]);
    assert_eq!(first.0, 1);
    assert_eq!(outcomes[1], known(first));
    assert_eq!(written(outcomes[2]).0, 1);
    assert_eq!(written(outcomes[3]).0, 2);
    assert_eq!(outcomes[4], known(first));
    assert_eq!(written(outcomes[5]).0, 3);
    let log = log(&nodes.a, &ann.room).await;
    assert_eq!(message_at(&log, 1).0, "first");
    assert_eq!(log.len(), 3);
}

/// Two nodes append the same batch at the same time: one writes, the other is told what the first one was.
pub async fn a_cid_is_written_once_by_concurrent_nodes(nodes: Nodes) {
    let (ann, _) = room_with_two(&nodes, "room").await;
    for round in 0..12 {
        let batch: Vec<_> = (0..4)
            .map(|n| ann.message(&format!("{round}-{n}"), "hello"))
            .collect();
        let (left, right) = tokio::join!(append(&nodes.a, &batch), append(&nodes.b, &batch));
        let left: Vec<_> = left.into_iter().map(stored).collect();
        let right: Vec<_> = right.into_iter().map(stored).collect();
        assert_eq!(left, right);
    }
    let log = log(&nodes.a, &ann.room).await;
    let cids: HashSet<_> = log.iter().map(|event| event.cid.clone().unwrap()).collect();
    assert_eq!((log.len(), cids.len()), (48, 48));
}

/// The same `cid` of somebody else, or in another room, is new.
pub async fn a_cid_belongs_to_its_room_and_author(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    let (far, _) = room_with_two(&nodes, "far").await;
    assert_eq!(write(&nodes.a, ann.message("cid", "ann")).await.0, 1);
    assert_eq!(write(&nodes.a, bob.message("cid", "bob")).await.0, 2);
    assert_eq!(write(&nodes.b, far.message("cid", "far")).await.0, 1);
    let mut renamed = ann.clone();
    renamed.author.name = "another name".into();
    let outcome = append_one(&nodes.b, renamed.message("cid", "a name is not an author")).await;
    assert_eq!(stored(outcome).0, 1);
}

/// The `cid` is looked up before anything else: kind, target and rights do not matter.
pub async fn a_known_cid_wins_whatever_else_the_entry_says(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    let first = write(&nodes.a, ann.message("cid", "hello")).await;
    write(&nodes.a, bob.message("b", "of bob")).await;
    let batch = [
        ann.edit("cid", 1, "changed"),
        ann.edit("cid", 2, "forbidden otherwise"),
        ann.delete("cid", 1),
        ann.delete("cid", 77),
        ann.react("cid", 1, "👍", true),
        ann.reply("cid", 78),
    ];
    assert_eq!(append(&nodes.b, &batch).await, vec![known(first); 6]);
    let edit = write(&nodes.a, ann.edit("edit", 1, "edited")).await;
    assert_eq!(
        append_one(&nodes.b, ann.edit("edit", 1, "twice")).await,
        known(edit)
    );
    assert_eq!(
        append_one(&nodes.b, ann.message("edit", "a message")).await,
        known(edit)
    );
    let log = log(&nodes.a, &ann.room).await;
    assert_eq!(log.len(), 3);
    assert_eq!(message_at(&log, 1), ("edited", Some(edit.1), false));
}

/// What has no `cid` is written each time.
pub async fn entries_without_cid_are_all_written(nodes: Nodes) {
    let (ann, _) = room_with_two(&nodes, "room").await;
    let batch = [ann.message("", "one"), ann.message("", "one")];
    for store in [&nodes.a, &nodes.b] {
        for outcome in append(store, &batch).await {
            written(outcome);
        }
    }
    let log = log(&nodes.a, &ann.room).await;
    assert_eq!(log.len(), 4);
    assert!(log.iter().all(|event| event.cid.is_none()));
}
