//! Accounts whose calls always end, as [`crate::guarded`] sees to for the log.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    guarded::{CALL_TIMEOUT, guard},
    ports::{
        Account, AccountChanges, Accounts, AuditRecord, Ban, Claim, CredentialKind, CredentialRecord, Ending,
        Login, NewAccount, NewAudit, NewCredential, StoreError, TokenHash,
    },
};

/// See [`crate::guarded::Guarded`].
pub(crate) struct GuardedAccounts(pub(crate) Arc<dyn Accounts>);

#[async_trait]
impl Accounts for GuardedAccounts {
    async fn create_account(&self, account: &NewAccount, audit: &NewAudit) -> Result<Claim, StoreError> {
        guard(CALL_TIMEOUT, self.0.create_account(account, audit)).await
    }

    async fn account(&self, id: &str) -> Result<Option<Account>, StoreError> {
        guard(CALL_TIMEOUT, self.0.account(id)).await
    }

    async fn login(&self, name_key: &str) -> Result<Option<Login>, StoreError> {
        guard(CALL_TIMEOUT, self.0.login(name_key)).await
    }

    async fn password(&self, id: &str) -> Result<Option<String>, StoreError> {
        guard(CALL_TIMEOUT, self.0.password(id)).await
    }

    async fn taken_names(&self, name_keys: &[String]) -> Result<Vec<String>, StoreError> {
        guard(CALL_TIMEOUT, self.0.taken_names(name_keys)).await
    }

    async fn accounts(
        &self,
        search: Option<&str>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Account>, StoreError> {
        guard(CALL_TIMEOUT, self.0.accounts(search, after, limit)).await
    }

    async fn rename(
        &self,
        id: &str,
        name: &str,
        name_keys: &[String],
        audit: &NewAudit,
    ) -> Result<Claim, StoreError> {
        guard(CALL_TIMEOUT, self.0.rename(id, name, name_keys, audit)).await
    }

    async fn set_password(
        &self,
        id: &str,
        password: &str,
        keep: Option<&str>,
        audit: &NewAudit,
    ) -> Result<bool, StoreError> {
        guard(CALL_TIMEOUT, self.0.set_password(id, password, keep, audit)).await
    }

    async fn set_administrator(
        &self,
        id: &str,
        administrator: bool,
        audit: &NewAudit,
    ) -> Result<Option<Account>, StoreError> {
        guard(CALL_TIMEOUT, self.0.set_administrator(id, administrator, audit)).await
    }

    async fn create_credential(
        &self,
        credential: &NewCredential,
        audit: Option<&NewAudit>,
    ) -> Result<Option<CredentialRecord>, StoreError> {
        guard(CALL_TIMEOUT, self.0.create_credential(credential, audit)).await
    }

    async fn find_credentials(
        &self,
        tokens: &[(CredentialKind, TokenHash)],
    ) -> Result<Vec<Option<CredentialRecord>>, StoreError> {
        guard(CALL_TIMEOUT, self.0.find_credentials(tokens)).await
    }

    async fn credentials(
        &self,
        kind: CredentialKind,
        account: Option<&str>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<CredentialRecord>, StoreError> {
        guard(CALL_TIMEOUT, self.0.credentials(kind, account, after, limit)).await
    }

    async fn living(&self, credentials: &[Arc<str>]) -> Result<Vec<Arc<str>>, StoreError> {
        guard(CALL_TIMEOUT, self.0.living(credentials)).await
    }

    async fn touch(&self, credentials: &[Arc<str>]) -> Result<(), StoreError> {
        guard(CALL_TIMEOUT, self.0.touch(credentials)).await
    }

    async fn end_credentials(&self, which: Ending<'_>, audit: Option<&NewAudit>) -> Result<u64, StoreError> {
        guard(CALL_TIMEOUT, self.0.end_credentials(which, audit)).await
    }

    async fn ban(&self, ban: &Ban, audit: &NewAudit) -> Result<Ban, StoreError> {
        guard(CALL_TIMEOUT, self.0.ban(ban, audit)).await
    }

    async fn unban(&self, id: &str, audit: &NewAudit) -> Result<bool, StoreError> {
        guard(CALL_TIMEOUT, self.0.unban(id, audit)).await
    }

    async fn bans(&self, after: Option<&str>, limit: u64) -> Result<Vec<Ban>, StoreError> {
        guard(CALL_TIMEOUT, self.0.bans(after, limit)).await
    }

    async fn record(&self, audit: &NewAudit) -> Result<(), StoreError> {
        guard(CALL_TIMEOUT, self.0.record(audit)).await
    }

    async fn audit(&self, before: Option<u64>, limit: u64) -> Result<Vec<AuditRecord>, StoreError> {
        guard(CALL_TIMEOUT, self.0.audit(before, limit)).await
    }

    async fn changes_since(&self, version: Option<u64>) -> Result<AccountChanges, StoreError> {
        guard(CALL_TIMEOUT, self.0.changes_since(version)).await
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        guard(CALL_TIMEOUT, self.0.tidy()).await
    }
}
