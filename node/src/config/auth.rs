//! Who may come in, and how rooms come to be.

use serde::{Deserialize, Serialize};

use super::{jwt::Jwt, values};

/// `auth.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Whether people may come in under a name alone, without an account. Default: `true` with SQLite, `false` with
    /// Postgres.
    #[serde(deserialize_with = "values::switch")]
    pub guests: bool,
    /// Whether anybody may make an account. Default `true`.
    #[serde(deserialize_with = "values::switch")]
    pub registration: bool,
    /// How long one stays signed in, in days: 1 to 3650. Default 30.
    #[serde(deserialize_with = "values::integer::<1, 3_650, _, _>")]
    pub session_days: u32,
    /// Tokens of another application.
    pub jwt: Jwt,
}

impl Auth {
    pub(super) fn with_guests(guests: bool) -> Self {
        Self {
            guests,
            registration: true,
            session_days: 30,
            jwt: Jwt::default(),
        }
    }
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
