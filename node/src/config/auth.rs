//! Who may come in, and how rooms come to be.

use serde::{Deserialize, Serialize};

use super::values;

/// `auth.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Whether people may come in under a name alone, without an account. Default: `true` with SQLite, `false` with
    /// Postgres.
    #[serde(deserialize_with = "values::switch")]
    pub guests: bool,
}

/// `rooms.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rooms {
    /// Whether joining a room that does not exist makes it, open to everybody. Default: `true` with SQLite, `false`
    /// with Postgres.
    #[serde(deserialize_with = "values::switch")]
    pub create_on_join: bool,
}
