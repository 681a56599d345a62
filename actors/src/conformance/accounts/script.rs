//! What the cases are written with.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use protocol::Person;

use crate::{
    Scopes,
    ports::{
        Account, Accounts, Ban, Claim, CredentialKind, CredentialRecord, NewAccount, NewAudit, NewCredential,
        TokenHash,
    },
};

pub(super) fn person(id: &str) -> Person {
    Person {
        id: id.into(),
        name: format!("{id}'s name").into(),
    }
}

pub(super) fn new_account(id: &str, keys: &[&str]) -> NewAccount {
    NewAccount {
        person: person(id),
        name_keys: keys.iter().map(|&key| key.to_owned()).collect(),
        password: Some(format!("hash of {id}")),
        administrator: false,
        bot: false,
    }
}

pub(super) fn audit(action: &'static str, target: &str) -> NewAudit {
    NewAudit {
        actor: person("root"),
        action,
        target: target.into(),
        room: None,
        details: "{}".to_owned(),
    }
}

/// An account whose only name key is its id.
pub(super) async fn make_account(store: &Arc<dyn Accounts>, id: &str) -> Account {
    match store
        .create_account(&new_account(id, &[id]), &audit("made", id))
        .await
        .unwrap()
    {
        Claim::Given(account) => account,
        other => panic!("{id}: {other:?}"),
    }
}

pub(super) fn new_credential(kind: CredentialKind, account: &str, expires_at: Option<u64>) -> NewCredential {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Relaxed);
    let mut hash: TokenHash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    NewCredential {
        id: format!("c_{number:08}").into(),
        kind,
        hash,
        account: account.into(),
        label: "Ünïcode phone".into(),
        scopes: Scopes {
            moderate: false,
            ..Scopes::ALL
        },
        expires_at,
    }
}

/// A session of the account, with its hash.
pub(super) async fn make_session(store: &Arc<dyn Accounts>, account: &str) -> (CredentialRecord, TokenHash) {
    let new = new_credential(CredentialKind::Session, account, Some(now_ms() + 3_600_000));
    let record = store.create_credential(&new, None).await.unwrap().unwrap();
    (record, new.hash)
}

pub(super) async fn lives(store: &Arc<dyn Accounts>, hash: &TokenHash) -> bool {
    find(store, CredentialKind::Session, hash).await.is_some()
}

pub(super) async fn find(
    store: &Arc<dyn Accounts>,
    kind: CredentialKind,
    hash: &TokenHash,
) -> Option<CredentialRecord> {
    let mut found = store.find_credentials(&[(kind, *hash)]).await.unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

pub(super) fn ban(id: &str, until: Option<u64>) -> Ban {
    Ban {
        person: person(id),
        until,
        reason: "rude".into(),
        at: 0,
    }
}

pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}
