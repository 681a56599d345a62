//! Who there is: accounts, what they sign in with, who is banned, and what was done to whom.

use std::sync::Arc;

use async_trait::async_trait;
use protocol::Person;

use super::StoreError;
use crate::Scopes;

/// SHA-256 of a secret token. The token itself is never stored.
pub type TokenHash = [u8; 32];

/// Most credentials of one kind that one account has; a further session ends the one that was unused for longest.
pub const MAX_SESSIONS: u64 = 100;

/// Changes are kept for so many milliseconds; who was away for longer has to look at everything anew.
pub const KEEP_CHANGES_MS: u64 = 60 * 60 * 1_000;

/// An account, of a person or a bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Id (at most 64 bytes, never reused) and name.
    pub person: Person,
    /// Whether it runs the server.
    pub administrator: bool,
    /// Whether it is a program, which has API keys in place of a password.
    pub bot: bool,
    /// Unix milliseconds by the store's clock.
    pub created_at: u64,
}

/// An account to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Id and name.
    pub person: Person,
    /// What the name is unique by; at least one. The first is what one signs in with and what pages are sorted by.
    pub name_keys: Vec<String>,
    /// The password's hash as a PHC string; none for a bot.
    pub password: Option<String>,
    /// As of [`Account`].
    pub administrator: bool,
    /// As of [`Account`].
    pub bot: bool,
}

/// What a name was found to belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Whose name it is.
    pub account: Account,
    /// The password's hash as a PHC string; none for a bot.
    pub password: Option<String>,
}

/// What became of a claim to a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The name is the account's.
    Given(Account),
    /// Somebody else has the name, or one that is too much like it. Nothing was written.
    Taken,
    /// There is no such account.
    NoAccount,
}

/// What a credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A person who signed in on a device.
    Session,
    /// A bot's key.
    ApiKey,
}

impl CredentialKind {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::ApiKey => "key",
        }
    }
}

/// A session or an API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRecord {
    /// Names it without giving it away; at most 64 bytes.
    pub id: Arc<str>,
    /// Whose it is.
    pub account: Account,
    /// A session's device, a key's label.
    pub label: Arc<str>,
    /// What it is good for.
    pub scopes: Scopes,
    /// Unix milliseconds by the store's clock, as all times here.
    pub created_at: u64,
    /// When it was last seen; at most a few minutes behind.
    pub last_used_at: u64,
    /// When it ends by itself.
    pub expires_at: Option<u64>,
}

/// A session or an API key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// As of [`CredentialRecord`].
    pub id: Arc<str>,
    /// What it is.
    pub kind: CredentialKind,
    /// The token's hash.
    pub hash: TokenHash,
    /// The id of the account; it must exist.
    pub account: Arc<str>,
    /// As of [`CredentialRecord`].
    pub label: Arc<str>,
    /// As of [`CredentialRecord`].
    pub scopes: Scopes,
    /// As of [`CredentialRecord`].
    pub expires_at: Option<u64>,
}

/// Which credentials are to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending<'a> {
    /// That of this kind and id, if it belongs to this account (`None`: whoever's it is).
    One {
        /// Its kind.
        kind: CredentialKind,
        /// Its id.
        id: &'a str,
        /// Whose it must be.
        account: Option<&'a str>,
    },
    /// All sessions of an account but one.
    SessionsOf {
        /// Whose.
        account: &'a str,
        /// The one that stays.
        but: Option<&'a str>,
    },
}

/// Somebody who may not come in: an account, a guest, or somebody that another application vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Id, and the name when it was imposed.
    pub person: Person,
    /// When it ends by itself, in Unix milliseconds by the store's clock.
    pub until: Option<u64>,
    /// Why; may be empty.
    pub reason: Arc<str>,
    /// Since when.
    pub at: u64,
}

/// Something that was done, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAudit {
    /// Who did it.
    pub actor: Person,
    /// What, such as `user.ban`.
    pub action: &'static str,
    /// To whom or what: an id.
    pub target: Arc<str>,
    /// In which room.
    pub room: Option<Arc<str>>,
    /// The rest, a JSON object as text.
    pub details: String,
}

/// An entry of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Ascending.
    pub id: u64,
    /// When.
    pub at: u64,
    /// Who, with the name of then.
    pub actor: Person,
    /// As of [`NewAudit`].
    pub action: Arc<str>,
    /// As of [`NewAudit`].
    pub target: Arc<str>,
    /// As of [`NewAudit`].
    pub room: Option<Arc<str>>,
    /// As of [`NewAudit`].
    pub details: Arc<str>,
}

/// A change that all nodes have to act upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountChange {
    /// Its place among all changes: 1, 2, 3 … without a hole.
    pub version: u64,
    /// Whom it concerns.
    pub account: Arc<str>,
    /// What it is.
    pub kind: AccountChangeKind,
}

/// The kind of an [`AccountChange`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountChangeKind {
    /// The credential of this id has ended.
    Ended(Arc<str>),
    /// The person may not come in.
    Banned {
        /// The name when the ban was imposed.
        name: Arc<str>,
        /// As of [`Ban`].
        until: Option<u64>,
    },
    /// The person may come in again.
    Unbanned,
    /// The account became administrator, or is it no longer.
    Standing,
    /// The account has another name.
    Renamed,
}

/// What has changed since a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountChanges {
    /// The last version that there is; 0 if there was never a change.
    pub version: u64,
    /// The changes in order, a limited number of them.
    pub changes: Vec<AccountChange>,
    /// Some of the changes asked for are no longer kept: `changes` is empty, everything has to be looked at anew.
    pub lost: bool,
}

/// Accounts and all that belongs to them.
///
/// Every method may be called concurrently. What changes something does so in one transaction, together with its entry
/// in the record and its [`AccountChange`]s, and may have done so when it fails with [`StoreError::Down`] or
/// [`StoreError::Timeout`], or is cancelled.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Makes an account, unless one of its name keys is another's. Never [`Claim::NoAccount`].
    async fn create_account(&self, account: &NewAccount, audit: &NewAudit) -> Result<Claim, StoreError>;

    /// The account of that id.
    async fn account(&self, id: &str) -> Result<Option<Account>, StoreError>;

    /// Whose name it is, by the first of its keys, for who wants to sign in.
    async fn login(&self, name_key: &str) -> Result<Option<Login>, StoreError>;

    /// The hash of an account's password.
    async fn password(&self, id: &str) -> Result<Option<String>, StoreError>;

    /// Those of the name keys that are an account's, in any order.
    async fn taken_names(&self, name_keys: &[String]) -> Result<Vec<String>, StoreError>;

    /// Accounts in the order of their first name keys, those behind that of the account `after`, at most `limit`.
    /// `search`: only those whose first name key has it somewhere.
    async fn accounts(
        &self,
        search: Option<&str>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Account>, StoreError>;

    /// Gives an account another name.
    async fn rename(
        &self,
        id: &str,
        name: &str,
        name_keys: &[String],
        audit: &NewAudit,
    ) -> Result<Claim, StoreError>;

    /// Gives an account another password and ends its sessions but `keep`. Returns whether there is such an account.
    async fn set_password(
        &self,
        id: &str,
        password: &str,
        keep: Option<&str>,
        audit: &NewAudit,
    ) -> Result<bool, StoreError>;

    /// Makes an account administrator, or no longer. `None`: there is none. What is so already changes nothing.
    async fn set_administrator(
        &self,
        id: &str,
        administrator: bool,
        audit: &NewAudit,
    ) -> Result<Option<Account>, StoreError>;

    /// Makes a session or an API key. `None`: there is no such account. Above [`MAX_SESSIONS`] of an account the
    /// session that was unused for longest ends.
    async fn create_credential(
        &self,
        credential: &NewCredential,
        audit: Option<&NewAudit>,
    ) -> Result<Option<CredentialRecord>, StoreError>;

    /// The credentials with those tokens, in their order; `None` for what has ended, expired or never was.
    async fn find_credentials(
        &self,
        tokens: &[(CredentialKind, TokenHash)],
    ) -> Result<Vec<Option<CredentialRecord>>, StoreError>;

    /// Credentials of a kind, by id, those behind `after`, at most `limit`; expired ones are left out. Only those of
    /// one account, if it is given.
    async fn credentials(
        &self,
        kind: CredentialKind,
        account: Option<&str>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<CredentialRecord>, StoreError>;

    /// Those of the ids whose credentials have neither ended nor expired, in any order.
    async fn living(&self, credentials: &[Arc<str>]) -> Result<Vec<Arc<str>>, StoreError>;

    /// Records that the credentials of these ids are in use now.
    async fn touch(&self, credentials: &[Arc<str>]) -> Result<(), StoreError>;

    /// Ends credentials. Returns how many.
    async fn end_credentials(&self, which: Ending<'_>, audit: Option<&NewAudit>) -> Result<u64, StoreError>;

    /// Bans somebody, or changes a ban. Whether there is such a person is not looked at. `at` is ignored.
    async fn ban(&self, ban: &Ban, audit: &NewAudit) -> Result<Ban, StoreError>;

    /// Ends a ban. Returns whether there was one.
    async fn unban(&self, id: &str, audit: &NewAudit) -> Result<bool, StoreError>;

    /// Bans in force by the store's clock, in the order of ids, those behind `after`, at most `limit`.
    async fn bans(&self, after: Option<&str>, limit: u64) -> Result<Vec<Ban>, StoreError>;

    /// Adds to the record.
    async fn record(&self, audit: &NewAudit) -> Result<(), StoreError>;

    /// The record, the newest first, those with an id below `before`, at most `limit`.
    async fn audit(&self, before: Option<u64>, limit: u64) -> Result<Vec<AuditRecord>, StoreError>;

    /// The changes behind `version`. `None`: only which version is the last.
    async fn changes_since(&self, version: Option<u64>) -> Result<AccountChanges, StoreError>;

    /// Forgets changes older than [`KEEP_CHANGES_MS`], credentials that have expired and bans that are over.
    async fn tidy(&self) -> Result<(), StoreError>;
}
