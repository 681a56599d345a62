//! Sessions, keys and passwords.

use std::{sync::Arc, time::Duration};

use super::{Nodes, script::*};
use crate::ports::{CredentialKind, Ending, MAX_SESSIONS};

/// Every field comes back; another hash or another kind finds nothing.
pub async fn a_credential_is_found_by_its_hash_and_kind(nodes: Nodes) {
    let ann = make_account(&nodes.a, "ann").await;
    let new = new_credential(CredentialKind::ApiKey, "ann", None);
    let made = nodes.a.create_credential(&new, None).await.unwrap().unwrap();
    assert_eq!(
        (&made.id, &made.account, &made.label),
        (&new.id, &ann, &new.label)
    );
    assert_eq!((made.scopes, made.expires_at), (new.scopes, None));
    assert!(made.created_at.abs_diff(now_ms()) < 60_000 && made.last_used_at == made.created_at);
    let (session, hash) = make_session(&nodes.a, "ann").await;
    let asked = [
        (CredentialKind::ApiKey, [9; 32]),
        (CredentialKind::Session, hash),
        (CredentialKind::Session, new.hash),
        (CredentialKind::ApiKey, new.hash),
    ];
    let found = nodes.b.find_credentials(&asked).await.unwrap();
    assert_eq!(found, [None, Some(session), None, Some(made)]);
    assert!(nodes.b.find_credentials(&[]).await.unwrap().is_empty());
    let of_nobody = new_credential(CredentialKind::Session, "nobody", None);
    assert_eq!(nodes.b.create_credential(&of_nobody, None).await.unwrap(), None);
}

/// It is neither found nor listed, cannot be ended, and is forgotten in time.
pub async fn an_expired_credential_is_none(nodes: Nodes) {
    make_account(&nodes.a, "ann").await;
    let new = new_credential(CredentialKind::Session, "ann", Some(now_ms() - 1));
    nodes.a.create_credential(&new, None).await.unwrap();
    assert!(!lives(&nodes.a, &new.hash).await);
    let all = nodes
        .a
        .credentials(CredentialKind::Session, None, None, 10)
        .await
        .unwrap();
    assert!(all.is_empty(), "{all:?}");
    let one = Ending::One {
        kind: CredentialKind::Session,
        id: &new.id,
        account: None,
    };
    assert_eq!(nodes.a.end_credentials(one, None).await.unwrap(), 0);
    let (_, other) = make_session(&nodes.a, "ann").await;
    nodes.b.tidy().await.unwrap();
    assert!(lives(&nodes.a, &other).await);
}

/// Who it does not belong to cannot end it; ending it twice is once.
pub async fn a_credential_ends_once_and_only_for_its_owner(nodes: Nodes) {
    make_account(&nodes.a, "ann").await;
    make_account(&nodes.a, "bob").await;
    let (session, hash) = make_session(&nodes.a, "ann").await;
    let end = |kind, account| Ending::One {
        kind,
        id: &session.id,
        account,
    };
    let of_bob = end(CredentialKind::Session, Some("bob"));
    assert_eq!(nodes.b.end_credentials(of_bob, None).await.unwrap(), 0);
    let as_key = end(CredentialKind::ApiKey, None);
    assert_eq!(nodes.b.end_credentials(as_key, None).await.unwrap(), 0);
    assert!(lives(&nodes.a, &hash).await);
    let of_ann = end(CredentialKind::Session, Some("ann"));
    assert_eq!(nodes.b.end_credentials(of_ann, None).await.unwrap(), 1);
    assert!(!lives(&nodes.a, &hash).await);
    assert_eq!(nodes.b.end_credentials(of_ann, None).await.unwrap(), 0);
}

/// All sessions of the account but the one that asks; its keys and other people's sessions stay.
pub async fn all_other_sessions_end(nodes: Nodes) {
    make_account(&nodes.a, "ann").await;
    make_account(&nodes.a, "bob").await;
    let (kept, kept_hash) = make_session(&nodes.a, "ann").await;
    let (_, ended) = make_session(&nodes.a, "ann").await;
    let (_, of_bob) = make_session(&nodes.a, "bob").await;
    let key = new_credential(CredentialKind::ApiKey, "ann", None);
    nodes.a.create_credential(&key, None).await.unwrap();
    let others = Ending::SessionsOf {
        account: "ann",
        but: Some(&kept.id),
    };
    assert_eq!(nodes.b.end_credentials(others, None).await.unwrap(), 1);
    assert!(lives(&nodes.a, &kept_hash).await && lives(&nodes.a, &of_bob).await);
    assert!(!lives(&nodes.a, &ended).await);
    assert!(find(&nodes.a, CredentialKind::ApiKey, &key.hash).await.is_some());
    let all = Ending::SessionsOf {
        account: "ann",
        but: None,
    };
    assert_eq!(nodes.b.end_credentials(all, None).await.unwrap(), 1);
}

/// The password is another one and only the session that changed it stays.
pub async fn another_password_ends_the_other_sessions(nodes: Nodes) {
    make_account(&nodes.a, "ann").await;
    let (kept, kept_hash) = make_session(&nodes.a, "ann").await;
    let (_, ended) = make_session(&nodes.b, "ann").await;
    let by = audit("password", "ann");
    assert!(
        nodes
            .b
            .set_password("ann", "new", Some(&kept.id), &by)
            .await
            .unwrap()
    );
    assert_eq!(nodes.a.password("ann").await.unwrap().as_deref(), Some("new"));
    assert!(lives(&nodes.a, &kept_hash).await && !lives(&nodes.a, &ended).await);
    assert!(!nodes.b.set_password("nobody", "new", None, &by).await.unwrap());
}

/// The number of sessions is bounded, and the one that was unused for longest goes.
pub async fn the_session_unused_for_longest_makes_room(nodes: Nodes) {
    make_account(&nodes.a, "ann").await;
    let (first, first_hash) = make_session(&nodes.a, "ann").await;
    let (_, second_hash) = make_session(&nodes.a, "ann").await;
    for _ in 2..MAX_SESSIONS {
        make_session(&nodes.a, "ann").await;
    }
    // Times are in milliseconds: the use has to be later than all of them were made.
    tokio::time::sleep(Duration::from_millis(3)).await;
    nodes.a.touch(std::slice::from_ref(&first.id)).await.unwrap();
    let before = nodes.a.changes_since(None).await.unwrap().version;
    let (_, newest) = make_session(&nodes.a, "ann").await;
    assert!(lives(&nodes.b, &first_hash).await && lives(&nodes.b, &newest).await);
    assert!(!lives(&nodes.b, &second_hash).await, "unused for longest");
    assert_eq!(
        nodes.b.changes_since(Some(before)).await.unwrap().changes.len(),
        1
    );
}

/// The last use only grows.
pub async fn use_is_recorded(nodes: Nodes) {
    make_account(&nodes.a, "ann").await;
    let (session, hash) = make_session(&nodes.a, "ann").await;
    tokio::time::sleep(Duration::from_millis(3)).await;
    let in_use = ["nobody's".into(), Arc::clone(&session.id)];
    nodes.b.touch(&in_use).await.unwrap();
    nodes.b.touch(&[]).await.unwrap();
    let found = find(&nodes.a, CredentialKind::Session, &hash).await.unwrap();
    assert!(found.last_used_at > session.last_used_at, "{found:?}");
}

/// Ended, expired and unknown ones are not among the living.
pub async fn the_living_are_told_from_the_dead(nodes: Nodes) {
    make_account(&nodes.a, "ann").await;
    let (alive, _) = make_session(&nodes.a, "ann").await;
    let (ended, _) = make_session(&nodes.a, "ann").await;
    let expired = new_credential(CredentialKind::Session, "ann", Some(now_ms() - 1));
    nodes.a.create_credential(&expired, None).await.unwrap();
    let one = Ending::One {
        kind: CredentialKind::Session,
        id: &ended.id,
        account: None,
    };
    nodes.a.end_credentials(one, None).await.unwrap();
    let asked: Vec<Arc<str>> = vec![ended.id, alive.id.clone(), expired.id, "'nobody\"".into()];
    assert_eq!(nodes.b.living(&asked).await.unwrap(), [alive.id]);
    assert!(nodes.b.living(&[]).await.unwrap().is_empty());
}
