//! Credentials that were looked up lately. Pure: time is an argument.

use std::{num::NonZeroUsize, time::Duration};

use lru::LruCache;
use tokio::time::Instant;

use crate::ports::{CredentialKind, CredentialRecord, TokenHash};

/// Most credentials that are remembered.
const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);
/// For so long, at most.
const KEEP: Duration = Duration::from_secs(30);

pub(super) struct Cache(LruCache<(CredentialKind, TokenHash), (Instant, CredentialRecord)>);

impl Cache {
    pub(super) fn new() -> Self {
        Self(LruCache::new(CAPACITY))
    }

    pub(super) fn get(
        &mut self,
        kind: CredentialKind,
        hash: &TokenHash,
        now: Instant,
    ) -> Option<CredentialRecord> {
        let (at, record) = self.0.get(&(kind, *hash))?;
        (now < *at + KEEP).then(|| record.clone())
    }

    pub(super) fn insert(
        &mut self,
        kind: CredentialKind,
        hash: TokenHash,
        record: CredentialRecord,
        now: Instant,
    ) {
        self.0.put((kind, hash), (now, record));
    }

    pub(super) fn forget_credential(&mut self, id: &str) {
        self.forget(|record| *record.id == *id);
    }

    pub(super) fn forget_account(&mut self, id: &str) {
        self.forget(|record| *record.account.person.id == *id);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn forget(&mut self, meant: impl Fn(&CredentialRecord) -> bool) {
        let keys: Vec<_> = self
            .0
            .iter()
            .filter(|(_, (_, record))| meant(record))
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            self.0.pop(&key);
        }
    }
}
