//! The record of what was done to whom.

use super::{Nodes, script::*};
use crate::ports::{Claim, NewAudit};

/// Every field comes back, the newest first, in pages.
pub async fn the_record_is_read_backwards(nodes: Nodes) {
    make_account(&nodes.a, "ann").await;
    nodes
        .b
        .ban(&ban("g_1", None), &audit("ban", "g_1"))
        .await
        .unwrap();
    let entry = NewAudit {
        room: Some("lobby".into()),
        details: r#"{"role":"owner ' \" 🦀"}"#.to_owned(),
        ..audit("role", "ann")
    };
    nodes.a.record(&entry).await.unwrap();
    let newest = nodes.b.audit(None, 2).await.unwrap();
    assert_eq!(newest.len(), 2);
    assert_eq!((&newest[0].actor, &*newest[0].action), (&entry.actor, "role"));
    assert_eq!((&newest[0].target, &newest[0].room), (&entry.target, &entry.room));
    assert_eq!(*newest[0].details, *entry.details);
    assert!(newest[0].at.abs_diff(now_ms()) < 60_000);
    assert_eq!((&*newest[1].action, &newest[1].room), ("ban", &None));
    let older = nodes.b.audit(Some(newest[1].id), 10).await.unwrap();
    assert_eq!(
        older.iter().map(|entry| &*entry.action).collect::<Vec<_>>(),
        ["made"]
    );
    assert!(nodes.b.audit(Some(older[0].id), 10).await.unwrap().is_empty());
}

/// What was not done is not recorded.
pub async fn a_refused_act_leaves_no_entry(nodes: Nodes) {
    make_account(&nodes.a, "ann").await;
    let again = new_account("u2", &["ann"]);
    assert_eq!(
        nodes
            .a
            .create_account(&again, &audit("made", "u2"))
            .await
            .unwrap(),
        Claim::Taken
    );
    nodes.a.unban("x", &audit("unban", "x")).await.unwrap();
    nodes
        .a
        .set_password("x", "y", None, &audit("password", "x"))
        .await
        .unwrap();
    assert_eq!(nodes.b.audit(None, 10).await.unwrap().len(), 1);
}
