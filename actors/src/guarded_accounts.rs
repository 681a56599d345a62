//! Accounts whose calls always end, as [`crate::guarded`] sees to for the log.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::runtime::Handle;

use crate::{
    guarded::{CALL_TIMEOUT, guard},
    ports::{
        Account, AccountChanges, Accounts, AuditRecord, Ban, Claim, CredentialKind, CredentialRecord, Ending,
        Login, NewAccount, NewAudit, NewCredential, StoreError, TokenHash,
    },
};

/// See [`crate::guarded::Guarded`].
pub(crate) struct GuardedAccounts {
    pub(crate) store: Arc<dyn Accounts>,
    pub(crate) io: Handle,
}

#[async_trait]
impl Accounts for GuardedAccounts {
    async fn create_account(&self, account: &NewAccount, audit: &NewAudit) -> Result<Claim, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.create_account(account, audit)).await
    }

    async fn account(&self, id: &str) -> Result<Option<Account>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.account(id)).await
    }

    async fn login(&self, name_key: &str) -> Result<Option<Login>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.login(name_key)).await
    }

    async fn password(&self, id: &str) -> Result<Option<String>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.password(id)).await
    }

    async fn taken_names(&self, name_keys: &[String]) -> Result<Vec<String>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.taken_names(name_keys)).await
    }

    async fn accounts(
        &self,
        search: Option<&str>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Account>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.accounts(search, after, limit)).await
    }

    async fn rename(
        &self,
        id: &str,
        name: &str,
        name_keys: &[String],
        audit: &NewAudit,
    ) -> Result<Claim, StoreError> {
        guard(
            &self.io,
            CALL_TIMEOUT,
            self.store.rename(id, name, name_keys, audit),
        )
        .await
    }

    async fn set_password(
        &self,
        id: &str,
        password: &str,
        keep: Option<&str>,
        audit: &NewAudit,
    ) -> Result<bool, StoreError> {
        guard(
            &self.io,
            CALL_TIMEOUT,
            self.store.set_password(id, password, keep, audit),
        )
        .await
    }

    async fn set_administrator(
        &self,
        id: &str,
        administrator: bool,
        audit: &NewAudit,
    ) -> Result<Option<Account>, StoreError> {
        guard(
            &self.io,
            CALL_TIMEOUT,
            self.store.set_administrator(id, administrator, audit),
        )
        .await
    }

    async fn create_credential(
        &self,
        credential: &NewCredential,
        audit: Option<&NewAudit>,
    ) -> Result<Option<CredentialRecord>, StoreError> {
        guard(
            &self.io,
            CALL_TIMEOUT,
            self.store.create_credential(credential, audit),
        )
        .await
    }

    async fn find_credentials(
        &self,
        tokens: &[(CredentialKind, TokenHash)],
    ) -> Result<Vec<Option<CredentialRecord>>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.find_credentials(tokens)).await
    }

    async fn credentials(
        &self,
        kind: CredentialKind,
        account: Option<&str>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<CredentialRecord>, StoreError> {
        guard(
            &self.io,
            CALL_TIMEOUT,
            self.store.credentials(kind, account, after, limit),
        )
        .await
    }

    async fn living(&self, credentials: &[Arc<str>]) -> Result<Vec<Arc<str>>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.living(credentials)).await
    }

    async fn touch(&self, credentials: &[Arc<str>]) -> Result<(), StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.touch(credentials)).await
    }

    async fn end_credentials(&self, which: Ending<'_>, audit: Option<&NewAudit>) -> Result<u64, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.end_credentials(which, audit)).await
    }

    async fn ban(&self, ban: &Ban, audit: &NewAudit) -> Result<Ban, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.ban(ban, audit)).await
    }

    async fn unban(&self, id: &str, audit: &NewAudit) -> Result<bool, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.unban(id, audit)).await
    }

    async fn bans(&self, after: Option<&str>, limit: u64) -> Result<Vec<Ban>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.bans(after, limit)).await
    }

    async fn record(&self, audit: &NewAudit) -> Result<(), StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.record(audit)).await
    }

    async fn audit(&self, before: Option<u64>, limit: u64) -> Result<Vec<AuditRecord>, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.audit(before, limit)).await
    }

    async fn changes_since(&self, version: Option<u64>) -> Result<AccountChanges, StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.changes_since(version)).await
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        guard(&self.io, CALL_TIMEOUT, self.store.tidy()).await
    }
}
