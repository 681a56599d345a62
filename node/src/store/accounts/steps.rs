//! The steps that several statements share, built once for each database as they are.

use actors::ports::{
    Account, AccountChange, AccountChangeKind, AccountChanges, MAX_SESSIONS, NewAudit, NewCredential,
    StoreError,
};
use sqlx::Transaction;

use super::{
    super::rows::{AccountRow, ChangeRow, change_columns},
    Adapter, Db, reader,
};
use crate::store::{
    errors::classify,
    rows::{signed, unsigned},
};

/// Changes that are handed out at once.
const CHANGES_AT_ONCE: i64 = 1_000;

/// The columns of an [`AccountRow`].
macro_rules! account {
    () => {
        "users.id AS user_id, users.name, users.administrator, users.bot, users.created_at AS user_created_at"
    };
}

pub(super) async fn add_audit(
    transaction: &mut Transaction<'_, Db>,
    audit: &NewAudit,
) -> Result<(), StoreError> {
    sqlx::query(concat!(
        "INSERT INTO audit (at, actor, actor_name, action, target, room, details) VALUES (",
        now!(),
        ", $1, $2, $3, $4, $5, $6)"
    ))
    .bind(&*audit.actor.id)
    .bind(&*audit.actor.name)
    .bind(audit.action)
    .bind(&*audit.target)
    .bind(audit.room.as_deref())
    .bind(audit.details.as_str())
    .execute(&mut **transaction)
    .await
    .map_err(classify)?;
    Ok(())
}

/// Takes the next version, which locks the feed until the transaction ends: so it comes last.
pub(super) async fn add_change(
    transaction: &mut Transaction<'_, Db>,
    account: &str,
    kind: &AccountChangeKind,
) -> Result<(), StoreError> {
    let version: i64 = sqlx::query_scalar("UPDATE account_feed SET version = version + 1 RETURNING version")
        .fetch_one(&mut **transaction)
        .await
        .map_err(classify)?;
    let (kind, credential, name, until) = change_columns(kind);
    sqlx::query(concat!(
        "INSERT INTO account_changes (version, user_id, kind, credential_id, name, until, at)
         VALUES ($1, $2, $3, $4, $5, $6, ",
        now!(),
        ")"
    ))
    .bind(version)
    .bind(account)
    .bind(kind)
    .bind(credential)
    .bind(name)
    .bind(until)
    .execute(&mut **transaction)
    .await
    .map_err(classify)?;
    Ok(())
}

/// Enters the name keys. Returns whether all of them were free, or the account's already.
pub(super) async fn claim(
    transaction: &mut Transaction<'_, Db>,
    id: &str,
    name_keys: &[String],
) -> Result<bool, StoreError> {
    // Always in the same order, so that two claims to the same names do not wait for each other.
    let mut keys: Vec<&String> = name_keys.iter().collect();
    keys.sort_unstable();
    for key in keys {
        let sql = "INSERT INTO name_keys (name_key, user_id) VALUES ($1, $2)
                   ON CONFLICT (name_key) DO UPDATE SET user_id = name_keys.user_id RETURNING user_id";
        let owner: String = sqlx::query_scalar(sql)
            .bind(key.as_str())
            .bind(id)
            .fetch_one(&mut **transaction)
            .await
            .map_err(classify)?;
        if owner != id {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) async fn find_account(
    transaction: &mut Transaction<'_, Db>,
    id: &str,
) -> Result<Option<Account>, StoreError> {
    let row: Option<AccountRow> =
        sqlx::query_as(concat!("SELECT ", account!(), " FROM users WHERE users.id = $1"))
            .bind(id)
            .fetch_optional(&mut **transaction)
            .await
            .map_err(classify)?;
    Ok(row.map(Account::from))
}

/// Ends the credentials that were deleted, as far as the nodes have to know.
pub(super) async fn end(
    transaction: &mut Transaction<'_, Db>,
    ended: &[(String, String)],
) -> Result<(), StoreError> {
    for (id, account) in ended {
        let kind = AccountChangeKind::Ended(id.as_str().into());
        add_change(transaction, account, &kind).await?;
    }
    Ok(())
}

pub(super) async fn end_sessions(
    transaction: &mut Transaction<'_, Db>,
    account: &str,
    but: Option<&str>,
) -> Result<Vec<(String, String)>, StoreError> {
    sqlx::query_as(concat!(
        "DELETE FROM credentials WHERE user_id = $1 AND kind = 'session' AND id <> $2
         AND (expires_at IS NULL OR expires_at > ",
        now!(),
        ") RETURNING id, user_id"
    ))
    .bind(account)
    .bind(but.unwrap_or_default())
    .fetch_all(&mut **transaction)
    .await
    .map_err(classify)
}

pub(super) fn json(texts: &[impl serde::Serialize]) -> Result<String, StoreError> {
    serde_json::to_string(texts).map_err(|error| StoreError::Internal(error.to_string()))
}

/// Ends the sessions above the limit, those that were unused for longest; `new` stays.
pub(super) async fn make_room(
    transaction: &mut Transaction<'_, Db>,
    new: &NewCredential,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM credentials WHERE id IN (
                           SELECT id FROM credentials WHERE user_id = $1 AND kind = 'session' AND id <> $2
                           ORDER BY last_used_at DESC, id DESC LIMIT 1000 OFFSET $3)
                       RETURNING id, user_id";
    let ended: Vec<(String, String)> = sqlx::query_as(sql)
        .bind(&*new.account)
        .bind(&*new.id)
        .bind(signed(MAX_SESSIONS - 1))
        .fetch_all(&mut **transaction)
        .await
        .map_err(classify)?;
    end(transaction, &ended).await
}

/// See [`actors::ports::Accounts::changes_since`].
pub(super) async fn changes_since(
    store: &Adapter,
    version: Option<u64>,
) -> Result<AccountChanges, StoreError> {
    let last: i64 = sqlx::query_scalar("SELECT version FROM account_feed")
        .fetch_one(reader(store))
        .await
        .map_err(classify)?;
    let last = unsigned(last);
    let mut found = AccountChanges {
        version: last,
        ..AccountChanges::default()
    };
    let since = version.unwrap_or(last);
    if since == last {
        return Ok(found);
    }
    let sql = "SELECT version, user_id, kind, credential_id, name, until FROM account_changes
                   WHERE version > $1 ORDER BY version LIMIT $2";
    let rows: Vec<ChangeRow> = sqlx::query_as(sql)
        .bind(signed(since))
        .bind(CHANGES_AT_ONCE)
        .fetch_all(reader(store))
        .await
        .map_err(classify)?;
    found.changes = rows
        .into_iter()
        .map(AccountChange::try_from)
        .collect::<Result<_, _>>()?;
    let unbroken = found
        .changes
        .first()
        .is_some_and(|first| first.version == since + 1);
    if !unbroken {
        found.lost = true;
        found.changes.clear();
    }
    Ok(found)
}
