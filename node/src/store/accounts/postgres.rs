//! Accounts in Postgres.

use sqlx::{PgPool, Transaction};

pub(super) type Db = sqlx::Postgres;
pub(super) use crate::store::postgres::PostgresStore as Adapter;

/// The store's clock.
macro_rules! now {
    () => {
        "unix_ms()"
    };
}

/// Whether the first text has the second in it.
macro_rules! holds {
    ($text:literal, $part:literal) => {
        concat!("strpos(", $text, ", ", $part, ") > 0")
    };
}

/// The texts of a JSON array, as rows.
macro_rules! texts {
    ($json:literal) => {
        concat!("SELECT json_array_elements_text(", $json, "::json)")
    };
}

/// The bytes in a JSON array of their hexadecimal forms, as rows.
macro_rules! bytes {
    ($json:literal) => {
        concat!(
            "SELECT decode(json_array_elements_text(",
            $json,
            "::json), 'hex')"
        )
    };
}

pub(super) fn reader(store: &Adapter) -> &PgPool {
    &store.pool
}

pub(super) fn writer(store: &Adapter) -> &PgPool {
    &store.pool
}

pub(super) async fn begin(store: &Adapter) -> Result<Transaction<'static, Db>, sqlx::Error> {
    Box::pin(store.pool.begin()).await
}

#[macro_use]
#[path = "steps.rs"]
mod steps;

#[path = "queries.rs"]
mod queries;
