//! Private servers that tests and rehearsals run against.

mod account;
mod postgres;
mod shared_postgres;

pub use postgres::{Postgres, PostgresOptions};
pub use shared_postgres::{TestPostgres, postgres_for_tests};
