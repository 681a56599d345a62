//! The store adapters: SQLite, embedded, and Postgres.

mod accounts;
mod errors;
mod loading;
mod password;
mod postgres;
mod postgres_append;
mod rows;
mod sqlite;
mod sqlite_append;
mod sqlite_rights;
mod sqlite_wal;

use std::{sync::Arc, time::Duration};

use actors::ports::{Accounts, Store, StoreError};
use anyhow::Context;
use tokio::time::Instant;

use crate::config::{Config, StoreUrl};

/// Pause between two attempts to reach the store.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// What one adapter on one database is for a node.
#[derive(Clone)]
pub struct Stores {
    /// The log of events.
    pub log: Arc<dyn Store>,
    /// Who there is.
    pub accounts: Arc<dyn Accounts>,
}

/// Both sides of one adapter.
impl<A: Store + Accounts> From<Arc<A>> for Stores {
    fn from(adapter: Arc<A>) -> Self {
        Self {
            log: Arc::clone(&adapter) as Arc<dyn Store>,
            accounts: adapter,
        }
    }
}

/// Opens the store that the configuration names and brings its schema up to date. Tries once.
///
/// # Errors
/// When it is not reached or not usable; the message says where and why, but no password.
pub async fn open(config: &Config) -> Result<Stores, StoreError> {
    Ok(match &config.store.url {
        StoreUrl::Sqlite(path) => Arc::new(sqlite::SqliteStore::open(path).await?).into(),
        StoreUrl::Postgres(url) => Arc::new(
            Box::pin(postgres::PostgresStore::open(
                url.expose(),
                config.store.password_file.clone(),
                config.store.pool_size,
            ))
            .await?,
        )
        .into(),
    })
}

/// As [`open`], trying again for `store.connect_timeout_seconds` while the store cannot be reached.
///
/// # Errors
/// With the last reason when the time is over, or at once with a reason that does not pass by itself.
pub async fn connect(config: &Config) -> anyhow::Result<Stores> {
    let patience = Duration::from_secs(config.store.connect_timeout_seconds);
    let give_up = Instant::now() + patience;
    loop {
        let error = match Box::pin(open(config)).await {
            Ok(stores) => return Ok(stores),
            Err(error) => error,
        };
        if !error.is_transient() {
            return Err(error).context("the store cannot be used; set store.url to one that can");
        }
        if Instant::now() + RETRY_EVERY > give_up {
            let advice = "start the store, or set store.url to where it is";
            return Err(error)
                .with_context(|| format!("the store was not reached within {patience:?}; {advice}"));
        }
        tracing::warn!(%error, "the store is not reached yet; trying again");
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

fn random_key() -> Result<[u8; 32], StoreError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| StoreError::Internal(format!("no randomness: {error}")))?;
    Ok(key)
}

fn key_of(name: &str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes
        .try_into()
        .map_err(|_| StoreError::Internal(format!("the shared key {name} has not 32 bytes")))
}
