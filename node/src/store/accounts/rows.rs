//! Rows of the accounts' tables, and what they mean.

use std::sync::Arc;

use actors::{
    Scopes,
    ports::{Account, AccountChange, AccountChangeKind, AuditRecord, Ban, CredentialRecord, StoreError},
};
use protocol::Person;

use crate::store::rows::{signed, unsigned};

/// A row of `users`.
#[derive(sqlx::FromRow)]
pub(super) struct AccountRow {
    user_id: String,
    name: String,
    administrator: bool,
    bot: bool,
    user_created_at: i64,
}

/// A row of `users` with the password.
#[derive(sqlx::FromRow)]
pub(super) struct LoginRow {
    #[sqlx(flatten)]
    pub(super) account: AccountRow,
    pub(super) password: Option<String>,
}

/// A row of `credentials` and `users`.
#[derive(sqlx::FromRow)]
pub(super) struct CredentialRow {
    id: String,
    label: String,
    scopes: String,
    created_at: i64,
    last_used_at: i64,
    expires_at: Option<i64>,
    #[sqlx(flatten)]
    account: AccountRow,
}

/// A row of `credentials` with what it was found by.
#[derive(sqlx::FromRow)]
pub(super) struct FoundRow {
    hash: Vec<u8>,
    kind: String,
    #[sqlx(flatten)]
    credential: CredentialRow,
}

impl FoundRow {
    /// What it was found by, and what it is.
    pub(super) fn into_pair(self) -> ((String, Vec<u8>), CredentialRecord) {
        ((self.kind, self.hash), self.credential.into())
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// A row of `bans`.
#[derive(sqlx::FromRow)]
pub(super) struct BanRow {
    user_id: String,
    name: String,
    until: Option<i64>,
    reason: String,
    at: i64,
}

/// A row of `audit`.
#[derive(sqlx::FromRow)]
pub(super) struct AuditRow {
    id: i64,
    at: i64,
    actor: String,
    actor_name: String,
    action: String,
    target: String,
    room: Option<String>,
    details: String,
}

/// A row of `account_changes`.
#[derive(sqlx::FromRow)]
pub(super) struct ChangeRow {
    version: i64,
    user_id: String,
    kind: String,
    credential_id: Option<String>,
    name: Option<String>,
    until: Option<i64>,
}

/// The columns of a change that is to be written: kind, credential, name, end of the ban.
pub(super) type ChangeColumns<'a> = (&'static str, Option<&'a str>, Option<&'a str>, Option<i64>);

pub(super) fn change_columns(kind: &AccountChangeKind) -> ChangeColumns<'_> {
    match kind {
        AccountChangeKind::Ended(credential) => ("ended", Some(credential), None, None),
        AccountChangeKind::Banned { name, until } => ("banned", None, Some(name), until.map(signed)),
        AccountChangeKind::Unbanned => ("unbanned", None, None, None),
        AccountChangeKind::Standing => ("standing", None, None, None),
        AccountChangeKind::Renamed => ("renamed", None, None, None),
    }
}

pub(super) fn scopes_to_text(scopes: Scopes) -> String {
    scopes.names().join(",")
}

fn scopes_of_text(text: &str) -> Scopes {
    text.split(',')
        .filter_map(Scopes::parse)
        .fold(Scopes::NONE, Scopes::or)
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        Self {
            person: person(row.user_id, row.name),
            administrator: row.administrator,
            bot: row.bot,
            created_at: unsigned(row.user_created_at),
        }
    }
}

impl From<CredentialRow> for CredentialRecord {
    fn from(row: CredentialRow) -> Self {
        Self {
            id: row.id.into(),
            account: row.account.into(),
            label: row.label.into(),
            scopes: scopes_of_text(&row.scopes),
            created_at: unsigned(row.created_at),
            last_used_at: unsigned(row.last_used_at),
            expires_at: row.expires_at.map(unsigned),
        }
    }
}

impl From<BanRow> for Ban {
    fn from(row: BanRow) -> Self {
        Self {
            person: person(row.user_id, row.name),
            until: row.until.map(unsigned),
            reason: row.reason.into(),
            at: unsigned(row.at),
        }
    }
}

impl From<AuditRow> for AuditRecord {
    fn from(row: AuditRow) -> Self {
        Self {
            id: unsigned(row.id),
            at: unsigned(row.at),
            actor: person(row.actor, row.actor_name),
            action: row.action.into(),
            target: row.target.into(),
            room: row.room.map(Arc::from),
            details: row.details.into(),
        }
    }
}

impl TryFrom<ChangeRow> for AccountChange {
    type Error = StoreError;

    fn try_from(row: ChangeRow) -> Result<Self, StoreError> {
        let version = unsigned(row.version);
        let kind = match (row.kind.as_str(), row.credential_id) {
            ("ended", Some(credential)) => AccountChangeKind::Ended(credential.into()),
            ("banned", _) => AccountChangeKind::Banned {
                name: row.name.unwrap_or_default().into(),
                until: row.until.map(unsigned),
            },
            ("unbanned", _) => AccountChangeKind::Unbanned,
            ("standing", _) => AccountChangeKind::Standing,
            ("renamed", _) => AccountChangeKind::Renamed,
            (kind, _) => {
                let text = format!("account change {version} is of the unknown kind `{kind}`");
                return Err(StoreError::Internal(text));
            }
        };
        Ok(Self {
            version,
            account: row.user_id.into(),
            kind,
        })
    }
}

fn person(id: String, name: String) -> Person {
    Person {
        id: id.into(),
        name: name.into(),
    }
}
