//! Accounts in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;

use super::store::{Call, Data, MemoryStore};
use crate::ports::{
    Account, AccountChange, AccountChangeKind, AccountChanges, Accounts, AuditRecord, Ban, Claim,
    CredentialKind, CredentialRecord, Ending, KEEP_CHANGES_MS, Login, MAX_SESSIONS, NewAccount, NewAudit,
    NewCredential, StoreError, TokenHash,
};

/// Changes that are handed out at once.
const CHANGES_AT_ONCE: usize = 1_000;

/// Everything that [`Accounts`] keeps.
#[derive(Default)]
pub(super) struct Book {
    accounts: HashMap<Arc<str>, Entry>,
    /// Name keys to ids.
    names: HashMap<String, Arc<str>>,
    credentials: BTreeMap<Arc<str>, Held>,
    bans: BTreeMap<Arc<str>, Ban>,
    audit: Vec<AuditRecord>,
    version: u64,
    changes: Vec<(u64, AccountChange)>,
}

struct Entry {
    account: Account,
    name_keys: Vec<String>,
    password: Option<String>,
}

struct Held {
    kind: CredentialKind,
    hash: TokenHash,
    account: Arc<str>,
    record: NewCredential,
    created_at: u64,
    last_used_at: u64,
}

impl Book {
    fn claim(&mut self, id: &Arc<str>, name_keys: &[String]) -> bool {
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

    fn create(&mut self, new: &NewAccount, now_ms: u64, audit: &NewAudit) -> Claim {
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

    fn rename(&mut self, id: &str, name: &str, name_keys: &[String], now_ms: u64, audit: &NewAudit) -> Claim {
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

    fn change(&mut self, account: &Arc<str>, kind: AccountChangeKind, now_ms: u64) {
        self.version += 1;
        let change = AccountChange {
            version: self.version,
            account: Arc::clone(account),
            kind,
        };
        self.changes.push((now_ms, change));
    }

    fn found(&self, held: &Held) -> Option<CredentialRecord> {
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

    fn end(&mut self, ends: impl Fn(&Held) -> bool, now_ms: u64) -> u64 {
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

    fn create_credential(
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

    fn changes_since(&self, version: Option<u64>) -> AccountChanges {
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

    fn tidy(&mut self, now_ms: u64) {
        self.changes.retain(|(at, _)| at + KEEP_CHANGES_MS > now_ms);
        self.credentials.retain(|_, held| held.lives(now_ms));
        self.bans
            .retain(|_, ban| ban.until.is_none_or(|until| until > now_ms));
    }
}

impl Held {
    fn lives(&self, now_ms: u64) -> bool {
        self.record.expires_at.is_none_or(|end| end > now_ms)
    }
}

impl MemoryStore {
    async fn book<T>(&self, work: impl FnOnce(&mut Book, u64) -> T) -> Result<T, StoreError> {
        let work = |data: &mut Data| {
            let now_ms = data.now_ms();
            work(&mut data.accounts, now_ms)
        };
        self.call(Call::Accounts, work).await
    }
}

#[async_trait]
impl Accounts for MemoryStore {
    async fn create_account(&self, account: &NewAccount, audit: &NewAudit) -> Result<Claim, StoreError> {
        self.book(|book, now_ms| book.create(account, now_ms, audit))
            .await
    }

    async fn account(&self, id: &str) -> Result<Option<Account>, StoreError> {
        self.book(|book, _| book.accounts.get(id).map(|entry| entry.account.clone()))
            .await
    }

    async fn login(&self, name_key: &str) -> Result<Option<Login>, StoreError> {
        self.book(|book, _| {
            let entry = book.accounts.get(book.names.get(name_key)?)?;
            (entry.name_keys.first().is_some_and(|first| first == name_key)).then(|| Login {
                account: entry.account.clone(),
                password: entry.password.clone(),
            })
        })
        .await
    }

    async fn password(&self, id: &str) -> Result<Option<String>, StoreError> {
        self.book(|book, _| book.accounts.get(id).and_then(|entry| entry.password.clone()))
            .await
    }

    async fn is_name_taken(&self, name_keys: &[String]) -> Result<bool, StoreError> {
        self.book(|book, _| name_keys.iter().any(|key| book.names.contains_key(key)))
            .await
    }

    async fn accounts(
        &self,
        search: Option<&str>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Account>, StoreError> {
        self.book(|book, _| {
            let first_key = |entry: &Entry| entry.name_keys.first().cloned().unwrap_or_default();
            let behind = match after {
                Some(id) => match book.accounts.get(id) {
                    Some(entry) => Some(first_key(entry)),
                    None => return Vec::new(),
                },
                None => None,
            };
            let mut found: Vec<(String, Account)> = book
                .accounts
                .values()
                .map(|entry| (first_key(entry), entry.account.clone()))
                .filter(|(key, _)| search.is_none_or(|part| key.contains(part)))
                .filter(|(key, _)| behind.as_ref().is_none_or(|behind| key > behind))
                .collect();
            found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            found.into_iter().map(|(_, account)| account).collect()
        })
        .await
    }

    async fn rename(
        &self,
        id: &str,
        name: &str,
        name_keys: &[String],
        audit: &NewAudit,
    ) -> Result<Claim, StoreError> {
        self.book(|book, now_ms| book.rename(id, name, name_keys, now_ms, audit))
            .await
    }

    async fn set_password(
        &self,
        id: &str,
        password: &str,
        keep: Option<&str>,
        audit: &NewAudit,
    ) -> Result<bool, StoreError> {
        self.book(|book, now_ms| {
            let Some(entry) = book.accounts.get_mut(id) else {
                return false;
            };
            entry.password = Some(password.to_owned());
            let ends = |held: &Held| {
                held.kind == CredentialKind::Session
                    && *held.account == *id
                    && keep.is_none_or(|keep| *held.record.id != *keep)
            };
            book.end(ends, now_ms);
            book.record(audit, now_ms);
            true
        })
        .await
    }

    async fn set_administrator(
        &self,
        id: &str,
        administrator: bool,
        audit: &NewAudit,
    ) -> Result<Option<Account>, StoreError> {
        self.book(|book, now_ms| {
            let entry = book.accounts.get_mut(id)?;
            let changes = entry.account.administrator != administrator;
            entry.account.administrator = administrator;
            let account = entry.account.clone();
            if changes {
                book.change(&account.person.id, AccountChangeKind::Standing, now_ms);
                book.record(audit, now_ms);
            }
            Some(account)
        })
        .await
    }

    async fn create_credential(
        &self,
        credential: &NewCredential,
        audit: Option<&NewAudit>,
    ) -> Result<Option<CredentialRecord>, StoreError> {
        self.book(|book, now_ms| book.create_credential(credential, now_ms, audit))
            .await
    }

    async fn find_credentials(
        &self,
        tokens: &[(CredentialKind, TokenHash)],
    ) -> Result<Vec<Option<CredentialRecord>>, StoreError> {
        self.book(|book, now_ms| {
            let find = |(kind, hash): &(CredentialKind, TokenHash)| {
                let mut held = book.credentials.values();
                let held =
                    held.find(|held| held.kind == *kind && held.hash == *hash && held.lives(now_ms))?;
                book.found(held)
            };
            tokens.iter().map(find).collect()
        })
        .await
    }

    async fn credentials(
        &self,
        kind: CredentialKind,
        account: Option<&str>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<CredentialRecord>, StoreError> {
        self.book(|book, now_ms| {
            book.credentials
                .values()
                .filter(|held| held.kind == kind && held.lives(now_ms))
                .filter(|held| account.is_none_or(|account| *held.account == *account))
                .filter(|held| after.is_none_or(|after| *held.record.id > *after))
                .take(usize::try_from(limit).unwrap_or(usize::MAX))
                .filter_map(|held| book.found(held))
                .collect()
        })
        .await
    }

    async fn living(&self, credentials: &[Arc<str>]) -> Result<Vec<Arc<str>>, StoreError> {
        self.book(|book, now_ms| {
            let lives = |id: &&Arc<str>| book.credentials.get(*id).is_some_and(|held| held.lives(now_ms));
            credentials.iter().filter(lives).cloned().collect()
        })
        .await
    }

    async fn touch(&self, credentials: &[Arc<str>]) -> Result<(), StoreError> {
        self.book(|book, now_ms| {
            for id in credentials {
                if let Some(held) = book.credentials.get_mut(id) {
                    held.last_used_at = now_ms;
                }
            }
        })
        .await
    }

    async fn end_credentials(&self, which: Ending<'_>, audit: Option<&NewAudit>) -> Result<u64, StoreError> {
        self.book(|book, now_ms| {
            let ends = |held: &Held| match which {
                Ending::One { kind, id, account } => {
                    held.kind == kind
                        && *held.record.id == *id
                        && account.is_none_or(|account| *held.account == *account)
                }
                Ending::SessionsOf { account, but } => {
                    held.kind == CredentialKind::Session
                        && *held.account == *account
                        && but.is_none_or(|but| *held.record.id != *but)
                }
            };
            let ended = book.end(ends, now_ms);
            if let Some(audit) = audit
                && ended > 0
            {
                book.record(audit, now_ms);
            }
            ended
        })
        .await
    }

    async fn ban(&self, ban: &Ban, audit: &NewAudit) -> Result<Ban, StoreError> {
        self.book(|book, now_ms| {
            let ban = Ban {
                at: now_ms,
                ..ban.clone()
            };
            book.bans.insert(Arc::clone(&ban.person.id), ban.clone());
            let kind = AccountChangeKind::Banned {
                name: Arc::clone(&ban.person.name),
                until: ban.until,
            };
            book.change(&ban.person.id, kind, now_ms);
            book.record(audit, now_ms);
            ban
        })
        .await
    }

    async fn unban(&self, id: &str, audit: &NewAudit) -> Result<bool, StoreError> {
        self.book(|book, now_ms| {
            let in_force = |ban: &Ban| ban.until.is_none_or(|until| until > now_ms);
            let Some((id, _)) = book.bans.remove_entry(id).filter(|(_, ban)| in_force(ban)) else {
                return false;
            };
            book.change(&id, AccountChangeKind::Unbanned, now_ms);
            book.record(audit, now_ms);
            true
        })
        .await
    }

    async fn bans(&self, after: Option<&str>, limit: u64) -> Result<Vec<Ban>, StoreError> {
        self.book(|book, now_ms| {
            book.bans
                .values()
                .filter(|ban| after.is_none_or(|after| *ban.person.id > *after))
                .filter(|ban| ban.until.is_none_or(|until| until > now_ms))
                .take(usize::try_from(limit).unwrap_or(usize::MAX))
                .cloned()
                .collect()
        })
        .await
    }

    async fn record(&self, audit: &NewAudit) -> Result<(), StoreError> {
        self.book(|book, now_ms| book.record(audit, now_ms)).await
    }

    async fn audit(&self, before: Option<u64>, limit: u64) -> Result<Vec<AuditRecord>, StoreError> {
        self.book(|book, _| {
            book.audit
                .iter()
                .rev()
                .filter(|entry| before.is_none_or(|before| entry.id < before))
                .take(usize::try_from(limit).unwrap_or(usize::MAX))
                .cloned()
                .collect()
        })
        .await
    }

    async fn changes_since(&self, version: Option<u64>) -> Result<AccountChanges, StoreError> {
        self.book(|book, _| book.changes_since(version)).await
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        self.book(Book::tidy).await
    }
}
