//! Accounts in SQLite.

use sqlx::{SqlitePool, Transaction};

pub(super) type Db = sqlx::Sqlite;
pub(super) use crate::store::sqlite::SqliteStore as Adapter;

/// The store's clock.
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    };
}

/// Whether the first text has the second in it.
macro_rules! holds {
    ($text:literal, $part:literal) => {
        concat!("instr(", $text, ", ", $part, ") > 0")
    };
}

/// The texts of a JSON array, as rows.
macro_rules! texts {
    ($json:literal) => {
        concat!("SELECT value FROM json_each(", $json, ")")
    };
}

/// The bytes in a JSON array of their hexadecimal forms, as rows.
macro_rules! bytes {
    ($json:literal) => {
        concat!("SELECT unhex(value) FROM json_each(", $json, ")")
    };
}

pub(super) fn reader(store: &Adapter) -> &SqlitePool {
    &store.readers
}

pub(super) fn writer(store: &Adapter) -> &SqlitePool {
    &store.writer
}

pub(super) async fn begin(store: &Adapter) -> Result<Transaction<'static, Db>, sqlx::Error> {
    store.writer.begin_with("BEGIN IMMEDIATE").await
}

#[macro_use]
#[path = "steps.rs"]
#[allow(
    clippy::duplicate_mod,
    reason = "built once for each database, over the names above"
)]
mod steps;

#[path = "queries.rs"]
#[allow(
    clippy::duplicate_mod,
    reason = "built once for each database, over the names above"
)]
mod queries;
