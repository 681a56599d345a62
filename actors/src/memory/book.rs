//! What there is to know of accounts, as [`MemoryStore`](super::MemoryStore) keeps it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::ports::{
    Account, AccountChange, AccountChangeKind, AccountChanges, AuditRecord, Ban, Claim, CredentialKind,
    CredentialRecord, KEEP_CHANGES_MS, MAX_SESSIONS, NewAccount, NewAudit, NewCredential, TokenHash,
};

/// Changes that are handed out at once.
const CHANGES_AT_ONCE: usize = 1_000;

/// Everything that [`Accounts`](crate::ports::Accounts) keeps.
#[derive(Default)]
pub(super) struct Book {
    pub(super) accounts: HashMap<Arc<str>, Entry>,
    /// Name keys to ids.
    pub(super) names: HashMap<String, Arc<str>>,
    pub(super) credentials: BTreeMap<Arc<str>, Held>,
    pub(super) bans: BTreeMap<Arc<str>, Ban>,
    pub(super) audit: Vec<AuditRecord>,
    pub(super) version: u64,
    pub(super) changes: Vec<(u64, AccountChange)>,
}

pub(super) struct Entry {
    pub(super) account: Account,
    pub(super) name_keys: Vec<String>,
    pub(super) password: Option<String>,
}

pub(super) struct Held {
    pub(super) kind: CredentialKind,
    pub(super) hash: TokenHash,
    pub(super) account: Arc<str>,
    pub(super) record: NewCredential,
    pub(super) created_at: u64,
    pub(super) last_used_at: u64,
}

impl Book {
    pub(super) fn claim(&mut self, id: &Arc<str>, name_keys: &[String]) -> bool {
        if name_keys
            .iter()
            .any(|key| self.names.get(key).is_some_and(|owner| owner != id))
        {
            return false;
        }
        self.names.retain(|_, owner| owner != id);
        for key in name_keys {
            self.names.insert(key.clone(), Arc::clone(id));
        }
        true
    }

    pub(super) fn create(&mut self, new: &NewAccount, now_ms: u64, audit: &NewAudit) -> Claim {
        if !self.claim(&new.person.id, &new.name_keys) {
            return Claim::Taken;
        }
        let account = Account {
            person: new.person.clone(),
            administrator: new.administrator,
            bot: new.bot,
            created_at: now_ms,
        };
        let entry = Entry {
            account: account.clone(),
            name_keys: new.name_keys.clone(),
            password: new.password.clone(),
        };
        self.accounts.insert(Arc::clone(&new.person.id), entry);
        self.record(audit, now_ms);
        Claim::Given(account)
    }

    pub(super) fn rename(
        &mut self,
        id: &str,
        name: &str,
        name_keys: &[String],
        now_ms: u64,
        audit: &NewAudit,
    ) -> Claim {
        let Some(id) = self.accounts.get_key_value(id).map(|(id, _)| Arc::clone(id)) else {
            return Claim::NoAccount;
        };
        if !self.claim(&id, name_keys) {
            return Claim::Taken;
        }
        let Some(entry) = self.accounts.get_mut(&id) else {
            return Claim::NoAccount;
        };
        entry.account.person.name = name.into();
        entry.name_keys = name_keys.to_vec();
        let account = entry.account.clone();
        self.change(&id, AccountChangeKind::Renamed, now_ms);
        self.record(audit, now_ms);
        Claim::Given(account)
    }

    pub(super) fn record(&mut self, audit: &NewAudit, now_ms: u64) {
        self.audit.push(AuditRecord {
            id: self.audit.len() as u64 + 1,
            at: now_ms,
            actor: audit.actor.clone(),
            action: audit.action.into(),
            target: Arc::clone(&audit.target),
            room: audit.room.clone(),
            details: audit.details.as_str().into(),
        });
    }

    pub(super) fn change(&mut self, account: &Arc<str>, kind: AccountChangeKind, now_ms: u64) {
        self.version += 1;
        let change = AccountChange {
            version: self.version,
            account: Arc::clone(account),
            kind,
        };
        self.changes.push((now_ms, change));
    }

    pub(super) fn found(&self, held: &Held) -> Option<CredentialRecord> {
        Some(CredentialRecord {
            id: Arc::clone(&held.record.id),
            account: self.accounts.get(&held.account)?.account.clone(),
            label: Arc::clone(&held.record.label),
            scopes: held.record.scopes,
            created_at: held.created_at,
            last_used_at: held.last_used_at,
            expires_at: held.record.expires_at,
        })
    }

    pub(super) fn end(&mut self, ends: impl Fn(&Held) -> bool, now_ms: u64) -> u64 {
        let ended: Vec<(Arc<str>, Arc<str>)> = self
            .credentials
            .iter()
            .filter(|(_, held)| held.lives(now_ms) && ends(held))
            .map(|(id, held)| (Arc::clone(id), Arc::clone(&held.account)))
            .collect();
        for (id, account) in &ended {
            self.credentials.remove(id);
            self.change(account, AccountChangeKind::Ended(Arc::clone(id)), now_ms);
        }
        ended.len() as u64
    }

    pub(super) fn create_credential(
        &mut self,
        new: &NewCredential,
        now_ms: u64,
        audit: Option<&NewAudit>,
    ) -> Option<CredentialRecord> {
        let account = Arc::clone(self.accounts.get_key_value(&new.account)?.0);
        let held = Held {
            kind: new.kind,
            hash: new.hash,
            account: Arc::clone(&account),
            record: new.clone(),
            created_at: now_ms,
            last_used_at: now_ms,
        };
        let record = self.found(&held)?;
        self.credentials.insert(Arc::clone(&new.id), held);
        if new.kind == CredentialKind::Session {
            let mut sessions: Vec<(u64, Arc<str>)> = self
                .credentials
                .iter()
                .filter(|(id, held)| **id != new.id && held.kind == new.kind && held.account == account)
                .map(|(id, held)| (held.last_used_at, Arc::clone(id)))
                .collect();
            sessions.sort_unstable_by(|a, b| b.cmp(a));
            let kept = usize::try_from(MAX_SESSIONS - 1).unwrap_or(usize::MAX);
            for (_, id) in sessions.into_iter().skip(kept) {
                self.end(|held| held.record.id == id, now_ms);
            }
        }
        if let Some(audit) = audit {
            self.record(audit, now_ms);
        }
        Some(record)
    }

    pub(super) fn changes_since(&self, version: Option<u64>) -> AccountChanges {
        let oldest = self
            .changes
            .first()
            .map_or(self.version + 1, |(_, change)| change.version);
        let since = version.unwrap_or(self.version);
        let lost = since + 1 < oldest || since > self.version;
        let behind = self.changes.iter().map(|(_, change)| change);
        let changes = behind
            .filter(|change| !lost && change.version > since)
            .take(CHANGES_AT_ONCE)
            .cloned()
            .collect();
        AccountChanges {
            version: self.version,
            changes,
            lost,
        }
    }

    pub(super) fn tidy(&mut self, now_ms: u64) {
        self.changes.retain(|(at, _)| at + KEEP_CHANGES_MS > now_ms);
        self.credentials.retain(|_, held| held.lives(now_ms));
        self.bans
            .retain(|_, ban| ban.until.is_none_or(|until| until > now_ms));
    }
}

impl Held {
    pub(super) fn lives(&self, now_ms: u64) -> bool {
        self.record.expires_at.is_none_or(|end| end > now_ms)
    }
}
