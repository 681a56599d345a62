//! What one node takes on. Rates and counts may be switched off with 0, budgets in bytes may not.

use serde::{Deserialize, Serialize};

use super::values;

/// `limits.*`, all per node. A rate holds over its burst: short peaks pass, what lasts does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Most connections; above it a new one is refused with 503. Default 0: off.
    #[serde(deserialize_with = "values::integer::<0, 10_000_000, _, _>")]
    pub connections: u32,
    /// Most connections from one address; above it a new one is refused with 429. Default 0: off, since many people
    /// may share one address.
    #[serde(deserialize_with = "values::integer::<0, 10_000_000, _, _>")]
    pub connections_per_address: u32,
    /// Most connections of one person; above it `hello` is answered with `overloaded`. 0: off. Default 100.
    #[serde(deserialize_with = "values::integer::<0, 10_000_000, _, _>")]
    pub connections_per_user: u32,
    /// New connections a second, burst of one second; above it 503. 0: off. Default 2000.
    #[serde(deserialize_with = "values::integer::<0, 1_000_000, _, _>")]
    pub handshakes_per_second: u32,
    /// New connections a second from one address, burst of one second; above it 429. 0: off. Default 200.
    #[serde(deserialize_with = "values::integer::<0, 1_000_000, _, _>")]
    pub handshakes_per_second_per_address: u32,
    /// Commands a second on one connection, burst of five seconds; above it the connection is read more slowly and
    /// nothing is refused. 0: off. Default 200.
    #[serde(deserialize_with = "values::integer::<0, 1_000_000, _, _>")]
    pub commands_per_second: u32,
    /// Events that one person may write a second, burst of ten seconds; above it `rate_limited`. 0: off. Default 50.
    #[serde(deserialize_with = "values::integer::<0, 1_000_000, _, _>")]
    pub sends_per_second_per_user: u32,
    /// People in a room up to which everybody is told who comes, goes and reads; above it only how many there are.
    /// 0: off, everybody is always told. Default 200.
    #[serde(deserialize_with = "values::integer::<0, 1_000_000, _, _>")]
    pub presence_people: u32,
    /// Members and invited people of a room, and twice as many with those who are banned or muted there; above it
    /// `conflict`. 0: off. Default 10000.
    #[serde(deserialize_with = "values::integer::<0, 1_000_000, _, _>")]
    pub room_members: usize,
    /// What may wait for one slow client, in bytes: 4096 to 1 GiB; above it the client is caught up from the log.
    /// Default 262144 (256 KiB).
    #[serde(deserialize_with = "values::integer::<4_096, 1_073_741_824, _, _>")]
    pub outbox_bytes: usize,
    /// What may wait to be committed for one room, in bytes: 32768 to 1 GiB; above it `overloaded`. Default 4194304
    /// (4 MiB).
    #[serde(deserialize_with = "values::integer::<32_768, 1_073_741_824, _, _>")]
    pub pending_appends_room_bytes: usize,
    /// What may wait to be committed for all rooms together, in bytes: 32768 to 64 GiB, not below
    /// `limits.pending_appends_room_bytes`; above it `overloaded`. Default 67108864 (64 MiB).
    #[serde(deserialize_with = "values::integer::<32_768, 68_719_476_736, _, _>")]
    pub pending_appends_node_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 0,
            connections_per_address: 0,
            connections_per_user: 100,
            handshakes_per_second: 2_000,
            handshakes_per_second_per_address: 200,
            commands_per_second: 200,
            sends_per_second_per_user: 50,
            presence_people: 200,
            room_members: 10_000,
            outbox_bytes: 256 * 1024,
            pending_appends_room_bytes: 4 * 1024 * 1024,
            pending_appends_node_bytes: 64 * 1024 * 1024,
        }
    }
}
