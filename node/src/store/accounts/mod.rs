//! Accounts in both databases. The statements are the same (`queries`), built once for each; what the databases call
//! differently is in `postgres` and `sqlite`.

mod postgres;
mod rows;
mod sqlite;
