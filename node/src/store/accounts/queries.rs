//! The statements, built once for each database over the names that the module above gives: `now!`, `holds!`,
//! `texts!`, `bytes!` and the functions.

use std::{collections::HashMap, sync::Arc};

use actors::ports::{
    Account, AccountChangeKind, AccountChanges, Accounts, AuditRecord, Ban, Claim, CredentialKind,
    CredentialRecord, Ending, KEEP_CHANGES_MS, Login, NewAccount, NewAudit, NewCredential, StoreError,
    TokenHash,
};
use async_trait::async_trait;

use super::{
    super::rows::{AccountRow, AuditRow, BanRow, CredentialRow, FoundRow, LoginRow, hex, scopes_to_text},
    Adapter, begin, reader,
    steps::{add_audit, add_change, changes_since, claim, end, end_sessions, find_account, json, make_room},
    writer,
};
use crate::store::{
    errors::classify,
    rows::{signed, unsigned},
};

/// The columns of a [`CredentialRow`], from both tables; only what has not expired. Conditions may follow.
macro_rules! credential {
    () => {
        concat!(
            "c.id, c.label, c.scopes, c.created_at, c.last_used_at, c.expires_at, ",
            account!(),
            " FROM credentials AS c JOIN users ON users.id = c.user_id
              WHERE (c.expires_at IS NULL OR c.expires_at > ",
            now!(),
            ")"
        )
    };
}

/// The credentials that fulfil a condition.
macro_rules! credentials {
    ($condition:literal) => {
        concat!("SELECT ", credential!(), " AND ", $condition)
    };
}

#[async_trait]
impl Accounts for Adapter {
    async fn create_account(&self, account: &NewAccount, audit: &NewAudit) -> Result<Claim, StoreError> {
        let mut transaction = begin(self).await.map_err(classify)?;
        let sql = concat!(
            "INSERT INTO users (id, name, name_key, password, administrator, bot, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, ",
            now!(),
            ") ON CONFLICT DO NOTHING"
        );
        let made = sqlx::query(sql)
            .bind(&*account.person.id)
            .bind(&*account.person.name)
            .bind(account.name_keys.first().map_or("", String::as_str))
            .bind(account.password.as_deref())
            .bind(account.administrator)
            .bind(account.bot)
            .execute(&mut *transaction)
            .await
            .map_err(classify)?;
        // Not committed, the transaction is undone.
        if made.rows_affected() == 0
            || !claim(&mut transaction, &account.person.id, &account.name_keys).await?
        {
            return Ok(Claim::Taken);
        }
        add_audit(&mut transaction, audit).await?;
        let made = find_account(&mut transaction, &account.person.id).await?;
        transaction.commit().await.map_err(classify)?;
        Ok(made.map_or(Claim::NoAccount, Claim::Given))
    }

    async fn account(&self, id: &str) -> Result<Option<Account>, StoreError> {
        let row: Option<AccountRow> =
            sqlx::query_as(concat!("SELECT ", account!(), " FROM users WHERE users.id = $1"))
                .bind(id)
                .fetch_optional(reader(self))
                .await
                .map_err(classify)?;
        Ok(row.map(Account::from))
    }

    async fn login(&self, name_key: &str) -> Result<Option<Login>, StoreError> {
        let sql = concat!("SELECT password, ", account!(), " FROM users WHERE name_key = $1");
        let row: Option<LoginRow> = sqlx::query_as(sql)
            .bind(name_key)
            .fetch_optional(reader(self))
            .await
            .map_err(classify)?;
        Ok(row.map(|row| Login {
            account: row.account.into(),
            password: row.password,
        }))
    }

    async fn password(&self, id: &str) -> Result<Option<String>, StoreError> {
        let password: Option<Option<String>> = sqlx::query_scalar("SELECT password FROM users WHERE id = $1")
            .bind(id)
            .fetch_optional(reader(self))
            .await
            .map_err(classify)?;
        Ok(password.flatten())
    }

    async fn taken_names(&self, name_keys: &[String]) -> Result<Vec<String>, StoreError> {
        let sql = concat!(
            "SELECT name_key FROM name_keys WHERE name_key IN (",
            texts!("$1"),
            ")"
        );
        sqlx::query_scalar(sql)
            .bind(json(name_keys)?)
            .fetch_all(reader(self))
            .await
            .map_err(classify)
    }

    async fn accounts(
        &self,
        search: Option<&str>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Account>, StoreError> {
        let sql = concat!(
            "SELECT ",
            account!(),
            " FROM users WHERE ",
            holds!("name_key", "$1"),
            " AND ($2 = '' OR name_key > (SELECT name_key FROM users WHERE id = $2)) ORDER BY name_key LIMIT $3"
        );
        let rows: Vec<AccountRow> = sqlx::query_as(sql)
            .bind(search.unwrap_or_default())
            .bind(after.unwrap_or_default())
            .bind(signed(limit))
            .fetch_all(reader(self))
            .await
            .map_err(classify)?;
        Ok(rows.into_iter().map(Account::from).collect())
    }

    async fn rename(
        &self,
        id: &str,
        name: &str,
        name_keys: &[String],
        audit: &NewAudit,
    ) -> Result<Claim, StoreError> {
        let mut transaction = begin(self).await.map_err(classify)?;
        if find_account(&mut transaction, id).await?.is_none() {
            return Ok(Claim::NoAccount);
        }
        if !claim(&mut transaction, id, name_keys).await? {
            return Ok(Claim::Taken);
        }
        let sql = concat!(
            "DELETE FROM name_keys WHERE user_id = $1 AND name_key NOT IN (",
            texts!("$2"),
            ")"
        );
        sqlx::query(sql)
            .bind(id)
            .bind(json(name_keys)?)
            .execute(&mut *transaction)
            .await
            .map_err(classify)?;
        sqlx::query("UPDATE users SET name = $2, name_key = $3 WHERE id = $1")
            .bind(id)
            .bind(name)
            .bind(name_keys.first().map_or("", String::as_str))
            .execute(&mut *transaction)
            .await
            .map_err(classify)?;
        let account = find_account(&mut transaction, id).await?;
        add_audit(&mut transaction, audit).await?;
        add_change(&mut transaction, id, &AccountChangeKind::Renamed).await?;
        transaction.commit().await.map_err(classify)?;
        Ok(account.map_or(Claim::NoAccount, Claim::Given))
    }

    async fn set_password(
        &self,
        id: &str,
        password: &str,
        keep: Option<&str>,
        audit: &NewAudit,
    ) -> Result<bool, StoreError> {
        let mut transaction = begin(self).await.map_err(classify)?;
        let changed = sqlx::query("UPDATE users SET password = $2 WHERE id = $1")
            .bind(id)
            .bind(password)
            .execute(&mut *transaction)
            .await
            .map_err(classify)?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        let ended = end_sessions(&mut transaction, id, keep).await?;
        add_audit(&mut transaction, audit).await?;
        end(&mut transaction, &ended).await?;
        transaction.commit().await.map_err(classify)?;
        Ok(true)
    }

    async fn set_administrator(
        &self,
        id: &str,
        administrator: bool,
        audit: &NewAudit,
    ) -> Result<Option<Account>, StoreError> {
        let mut transaction = begin(self).await.map_err(classify)?;
        let changed =
            sqlx::query("UPDATE users SET administrator = $2 WHERE id = $1 AND administrator <> $2")
                .bind(id)
                .bind(administrator)
                .execute(&mut *transaction)
                .await
                .map_err(classify)?;
        let account = find_account(&mut transaction, id).await?;
        if changed.rows_affected() > 0 {
            add_audit(&mut transaction, audit).await?;
            add_change(&mut transaction, id, &AccountChangeKind::Standing).await?;
        }
        transaction.commit().await.map_err(classify)?;
        Ok(account)
    }

    async fn create_credential(
        &self,
        new: &NewCredential,
        audit: Option<&NewAudit>,
    ) -> Result<Option<CredentialRecord>, StoreError> {
        let mut transaction = begin(self).await.map_err(classify)?;
        // One reading of the clock for both columns: Postgres reads it again at each mention.
        let sql = concat!(
            "INSERT INTO credentials
                 (id, kind, hash, user_id, label, scopes, created_at, last_used_at, expires_at)
             SELECT $1, $2, $3, users.id, $5, $6, moment.at, moment.at, $7
             FROM users, (SELECT ",
            now!(),
            " AS at) AS moment WHERE users.id = $4"
        );
        let made = sqlx::query(sql)
            .bind(&*new.id)
            .bind(new.kind.as_str())
            .bind(new.hash.as_slice())
            .bind(&*new.account)
            .bind(&*new.label)
            .bind(scopes_to_text(new.scopes))
            .bind(new.expires_at.map(signed))
            .execute(&mut *transaction)
            .await
            .map_err(classify)?;
        if made.rows_affected() == 0 {
            return Ok(None);
        }
        let row: Option<CredentialRow> = sqlx::query_as(credentials!("c.id = $1"))
            .bind(&*new.id)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(classify)?;
        if let Some(audit) = audit {
            add_audit(&mut transaction, audit).await?;
        }
        if new.kind == CredentialKind::Session {
            make_room(&mut transaction, new).await?;
        }
        transaction.commit().await.map_err(classify)?;
        Ok(row.map(CredentialRecord::from))
    }

    async fn find_credentials(
        &self,
        tokens: &[(CredentialKind, TokenHash)],
    ) -> Result<Vec<Option<CredentialRecord>>, StoreError> {
        let sql = concat!(
            "SELECT c.hash, c.kind, ",
            credential!(),
            " AND c.hash IN (",
            bytes!("$1"),
            ")"
        );
        let hashes: Vec<String> = tokens.iter().map(|(_, hash)| hex(hash)).collect();
        let rows: Vec<FoundRow> = sqlx::query_as(sql)
            .bind(json(&hashes)?)
            .fetch_all(reader(self))
            .await
            .map_err(classify)?;
        let found: HashMap<(String, Vec<u8>), CredentialRecord> =
            rows.into_iter().map(FoundRow::into_pair).collect();
        Ok(tokens
            .iter()
            .map(|(kind, hash)| found.get(&(kind.as_str().to_owned(), hash.to_vec())).cloned())
            .collect())
    }

    async fn credentials(
        &self,
        kind: CredentialKind,
        account: Option<&str>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<CredentialRecord>, StoreError> {
        let sql =
            credentials!("c.kind = $1 AND ($2 = '' OR c.user_id = $2) AND c.id > $3 ORDER BY c.id LIMIT $4");
        let rows: Vec<CredentialRow> = sqlx::query_as(sql)
            .bind(kind.as_str())
            .bind(account.unwrap_or_default())
            .bind(after.unwrap_or_default())
            .bind(signed(limit))
            .fetch_all(reader(self))
            .await
            .map_err(classify)?;
        Ok(rows.into_iter().map(CredentialRecord::from).collect())
    }

    async fn living(&self, credentials: &[Arc<str>]) -> Result<Vec<Arc<str>>, StoreError> {
        let sql = concat!(
            "SELECT id FROM credentials WHERE (expires_at IS NULL OR expires_at > ",
            now!(),
            ") AND id IN (",
            texts!("$1"),
            ")"
        );
        let ids: Vec<String> = sqlx::query_scalar(sql)
            .bind(json(credentials)?)
            .fetch_all(reader(self))
            .await
            .map_err(classify)?;
        Ok(ids.into_iter().map(Arc::from).collect())
    }

    async fn touch(&self, credentials: &[Arc<str>]) -> Result<(), StoreError> {
        let sql = concat!(
            "UPDATE credentials SET last_used_at = ",
            now!(),
            " WHERE id IN (",
            texts!("$1"),
            ")"
        );
        sqlx::query(sql)
            .bind(json(credentials)?)
            .execute(writer(self))
            .await
            .map_err(classify)?;
        Ok(())
    }

    async fn end_credentials(&self, which: Ending<'_>, audit: Option<&NewAudit>) -> Result<u64, StoreError> {
        let mut transaction = begin(self).await.map_err(classify)?;
        let ended = match which {
            Ending::SessionsOf { account, but } => end_sessions(&mut transaction, account, but).await?,
            Ending::One { kind, id, account } => {
                let sql = concat!(
                    "DELETE FROM credentials WHERE id = $1 AND kind = $2 AND ($3 = '' OR user_id = $3)
                     AND (expires_at IS NULL OR expires_at > ",
                    now!(),
                    ") RETURNING id, user_id"
                );
                sqlx::query_as(sql)
                    .bind(id)
                    .bind(kind.as_str())
                    .bind(account.unwrap_or_default())
                    .fetch_all(&mut *transaction)
                    .await
                    .map_err(classify)?
            }
        };
        if let Some(audit) = audit
            && !ended.is_empty()
        {
            add_audit(&mut transaction, audit).await?;
        }
        end(&mut transaction, &ended).await?;
        transaction.commit().await.map_err(classify)?;
        Ok(ended.len() as u64)
    }

    async fn ban(&self, ban: &Ban, audit: &NewAudit) -> Result<Ban, StoreError> {
        let mut transaction = begin(self).await.map_err(classify)?;
        let sql = concat!(
            "INSERT INTO bans (user_id, name, until, reason, at) VALUES ($1, $2, $3, $4, ",
            now!(),
            ") ON CONFLICT (user_id) DO UPDATE SET
                 name = excluded.name, until = excluded.until, reason = excluded.reason, at = excluded.at
             RETURNING at"
        );
        let at: i64 = sqlx::query_scalar(sql)
            .bind(&*ban.person.id)
            .bind(&*ban.person.name)
            .bind(ban.until.map(signed))
            .bind(&*ban.reason)
            .fetch_one(&mut *transaction)
            .await
            .map_err(classify)?;
        add_audit(&mut transaction, audit).await?;
        let kind = AccountChangeKind::Banned {
            name: Arc::clone(&ban.person.name),
            until: ban.until,
        };
        add_change(&mut transaction, &ban.person.id, &kind).await?;
        transaction.commit().await.map_err(classify)?;
        Ok(Ban {
            at: unsigned(at),
            ..ban.clone()
        })
    }

    async fn unban(&self, id: &str, audit: &NewAudit) -> Result<bool, StoreError> {
        let mut transaction = begin(self).await.map_err(classify)?;
        let sql = concat!(
            "DELETE FROM bans WHERE user_id = $1 AND (until IS NULL OR until > ",
            now!(),
            ")"
        );
        let ended = sqlx::query(sql)
            .bind(id)
            .execute(&mut *transaction)
            .await
            .map_err(classify)?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        add_audit(&mut transaction, audit).await?;
        add_change(&mut transaction, id, &AccountChangeKind::Unbanned).await?;
        transaction.commit().await.map_err(classify)?;
        Ok(true)
    }

    async fn bans(&self, after: Option<&str>, limit: u64) -> Result<Vec<Ban>, StoreError> {
        let sql = concat!(
            "SELECT user_id, name, until, reason, at FROM bans WHERE user_id > $1
             AND (until IS NULL OR until > ",
            now!(),
            ") ORDER BY user_id LIMIT $2"
        );
        let rows: Vec<BanRow> = sqlx::query_as(sql)
            .bind(after.unwrap_or_default())
            .bind(signed(limit))
            .fetch_all(reader(self))
            .await
            .map_err(classify)?;
        Ok(rows.into_iter().map(Ban::from).collect())
    }

    async fn record(&self, audit: &NewAudit) -> Result<(), StoreError> {
        let mut transaction = begin(self).await.map_err(classify)?;
        add_audit(&mut transaction, audit).await?;
        transaction.commit().await.map_err(classify)
    }

    async fn audit(&self, before: Option<u64>, limit: u64) -> Result<Vec<AuditRecord>, StoreError> {
        let sql = "SELECT id, at, actor, actor_name, action, target, room, details FROM audit
                   WHERE id < $1 ORDER BY id DESC LIMIT $2";
        let rows: Vec<AuditRow> = sqlx::query_as(sql)
            .bind(before.map_or(i64::MAX, signed))
            .bind(signed(limit))
            .fetch_all(reader(self))
            .await
            .map_err(classify)?;
        Ok(rows.into_iter().map(AuditRecord::from).collect())
    }

    async fn changes_since(&self, version: Option<u64>) -> Result<AccountChanges, StoreError> {
        changes_since(self, version).await
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        let expired = concat!("DELETE FROM credentials WHERE expires_at <= ", now!());
        let over = concat!("DELETE FROM bans WHERE until <= ", now!());
        for sql in [expired, over] {
            sqlx::query(sql).execute(writer(self)).await.map_err(classify)?;
        }
        sqlx::query(concat!(
            "DELETE FROM account_changes WHERE at <= ",
            now!(),
            " - $1"
        ))
        .bind(signed(KEEP_CHANGES_MS))
        .execute(writer(self))
        .await
        .map_err(classify)?;
        Ok(())
    }
}
