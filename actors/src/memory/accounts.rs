//! Accounts in memory.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    book::{Book, Entry, Held},
    store::{Call, Data, MemoryStore},
};
use crate::ports::{
    Account, AccountChangeKind, AccountChanges, Accounts, AuditRecord, Ban, Claim, CredentialKind,
    CredentialRecord, Ending, Login, NewAccount, NewAudit, NewCredential, StoreError, TokenHash,
};

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

    async fn taken_names(&self, name_keys: &[String]) -> Result<Vec<String>, StoreError> {
        self.book(|book, _| {
            let taken = name_keys.iter().filter(|key| book.names.contains_key(*key));
            taken.cloned().collect()
        })
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
