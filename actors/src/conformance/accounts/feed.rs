//! The changes that every node acts upon.

use std::sync::Arc;

use super::{Nodes, script::*};
use crate::ports::{AccountChangeKind, Accounts, CredentialKind, Ending};

async fn kinds_since(store: &Arc<dyn Accounts>, version: u64) -> Vec<(String, AccountChangeKind)> {
    let found = store.changes_since(Some(version)).await.unwrap();
    assert!(!found.lost);
    let numbers: Vec<u64> = found.changes.iter().map(|change| change.version).collect();
    assert_eq!(numbers, (version + 1..=found.version).collect::<Vec<_>>());
    let kind = |change: crate::ports::AccountChange| (change.account.to_string(), change.kind);
    found.changes.into_iter().map(kind).collect()
}

/// Everything that takes something away is in the feed, in the order of commitment.
pub async fn every_loss_is_a_change(nodes: Nodes) {
    let begun = nodes.a.changes_since(None).await.unwrap();
    assert!(begun.changes.is_empty() && !begun.lost);
    make_account(&nodes.a, "ann").await;
    let (first, _) = make_session(&nodes.a, "ann").await;
    let (second, _) = make_session(&nodes.a, "ann").await;
    assert_eq!(
        kinds_since(&nodes.b, begun.version).await,
        [],
        "nobody loses anything"
    );
    let one = Ending::One {
        kind: CredentialKind::Session,
        id: &first.id,
        account: None,
    };
    nodes.a.end_credentials(one, None).await.unwrap();
    nodes
        .b
        .set_password("ann", "new", None, &audit("password", "ann"))
        .await
        .unwrap();
    nodes
        .a
        .set_administrator("ann", true, &audit("administrator", "ann"))
        .await
        .unwrap();
    let until = Some(now_ms() + 60_000);
    nodes
        .b
        .ban(&ban("g_1", until), &audit("ban", "g_1"))
        .await
        .unwrap();
    nodes.a.unban("g_1", &audit("unban", "g_1")).await.unwrap();
    nodes
        .a
        .rename("ann", "Bea", &["bea".to_owned()], &audit("rename", "ann"))
        .await
        .unwrap();
    let banned = AccountChangeKind::Banned {
        name: person("g_1").name,
        until,
    };
    let expected = [
        ("ann", AccountChangeKind::Ended(first.id)),
        ("ann", AccountChangeKind::Ended(second.id)),
        ("ann", AccountChangeKind::Standing),
        ("g_1", banned),
        ("g_1", AccountChangeKind::Unbanned),
        ("ann", AccountChangeKind::Renamed),
    ]
    .map(|(id, kind)| (id.to_owned(), kind));
    assert_eq!(kinds_since(&nodes.b, begun.version).await, expected);
    assert_eq!(kinds_since(&nodes.a, begun.version + 4).await, expected[4..]);
    assert_eq!(
        nodes.a.changes_since(None).await.unwrap().version,
        begun.version + 6
    );
}

/// A node that follows while others write sees each version once, in order.
pub async fn versions_have_no_hole_under_concurrent_changes(nodes: Nodes) {
    let begun = nodes.a.changes_since(None).await.unwrap().version;
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = if writer % 2 == 0 { &nodes.a } else { &nodes.b }.clone();
            tokio::spawn(async move {
                for n in 0..25 {
                    let id = format!("g_{writer}_{n}");
                    store.ban(&ban(&id, None), &audit("ban", &id)).await.unwrap();
                }
            })
        })
        .collect();
    let mut seen = begun;
    while seen < begun + 100 {
        let found = nodes.b.changes_since(Some(seen)).await.unwrap();
        assert!(!found.lost, "behind {seen}");
        for change in found.changes {
            assert_eq!(change.version, seen + 1);
            seen = change.version;
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

/// What is so already, or meets nothing, is no change.
pub async fn what_changes_nothing_is_no_change(nodes: Nodes) {
    make_account(&nodes.a, "ann").await;
    let begun = nodes.a.changes_since(None).await.unwrap().version;
    let same = nodes
        .a
        .set_administrator("ann", false, &audit("administrator", "ann"))
        .await
        .unwrap();
    assert!(same.is_some_and(|account| !account.administrator));
    assert_eq!(
        nodes
            .a
            .set_administrator("x", true, &audit("administrator", "x"))
            .await
            .unwrap(),
        None
    );
    let others = Ending::SessionsOf {
        account: "ann",
        but: None,
    };
    assert_eq!(
        nodes
            .a
            .end_credentials(others, Some(&audit("ended", "ann")))
            .await
            .unwrap(),
        0
    );
    assert!(!nodes.a.unban("ann", &audit("unban", "ann")).await.unwrap());
    assert_eq!(nodes.a.changes_since(None).await.unwrap().version, begun);
}

/// After a backup was restored a node may know a version that there never was.
pub async fn a_version_from_another_history_is_lost(nodes: Nodes) {
    let now = nodes.a.changes_since(None).await.unwrap().version;
    let found = nodes.a.changes_since(Some(now + 5)).await.unwrap();
    assert!(
        found.lost && found.changes.is_empty() && found.version == now,
        "{found:?}"
    );
}
