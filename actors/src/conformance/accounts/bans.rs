//! Bans from the whole server.

use super::{Nodes, script::*};

/// One without an end lasts, one whose end has come does not count, and is no ban to be ended.
pub async fn a_ban_is_in_force_until_its_end(nodes: Nodes) {
    let until = now_ms() + 3_600_000;
    for (id, until) in [("a", None), ("b", Some(until)), ("c", Some(now_ms() - 1))] {
        let made = nodes.a.ban(&ban(id, until), &audit("ban", id)).await.unwrap();
        assert!(made.at.abs_diff(now_ms()) < 60_000);
    }
    let found = nodes.b.bans(None, 10).await.unwrap();
    let shown: Vec<_> = found
        .iter()
        .map(|ban| (&*ban.person.id, ban.until, &*ban.reason))
        .collect();
    assert_eq!(shown, [("a", None, "rude"), ("b", Some(until), "rude")]);
    assert_eq!(found[0].person, person("a"));
    assert!(!nodes.b.unban("c", &audit("unban", "c")).await.unwrap());
    nodes.b.tidy().await.unwrap();
    assert_eq!(nodes.a.bans(None, 10).await.unwrap().len(), 2);
}

/// A second ban replaces the first.
pub async fn a_ban_can_be_changed_and_ended(nodes: Nodes) {
    nodes
        .a
        .ban(&ban("g_1", None), &audit("ban", "g_1"))
        .await
        .unwrap();
    let until = Some(now_ms() + 3_600_000);
    nodes
        .b
        .ban(&ban("g_1", until), &audit("ban", "g_1"))
        .await
        .unwrap();
    let found = nodes.a.bans(None, 10).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].until, until);
    assert!(nodes.a.unban("g_1", &audit("unban", "g_1")).await.unwrap());
    assert!(!nodes.b.unban("g_1", &audit("unban", "g_1")).await.unwrap());
    assert!(nodes.b.bans(None, 10).await.unwrap().is_empty());
}

/// In the order of ids, each behind the last of the page before.
pub async fn bans_come_in_pages(nodes: Nodes) {
    for id in ["b", "C", "a", "d"] {
        nodes.a.ban(&ban(id, None), &audit("ban", id)).await.unwrap();
    }
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = nodes.b.bans(after.as_deref(), 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.person.id.to_string());
        found.extend(page.iter().map(|ban| ban.person.id.to_string()));
    }
    assert_eq!(found, ["C", "a", "b", "d"]);
}
