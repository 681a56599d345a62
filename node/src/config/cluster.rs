//! How nodes find each other and share the load.

use serde::{Deserialize, Serialize};

use super::values;

/// `cluster.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// A node that gives no sign of life for so long is gone for the others, and the people on it, in seconds: 1 to
    /// 300. Default 5.
    #[serde(deserialize_with = "values::integer::<1, 300, _, _>")]
    pub lease_seconds: u64,
    /// How far some node's connections are off the mean before connections are asked to move, in percent: 0 to 100; 0:
    /// never. Default 10.
    #[serde(deserialize_with = "values::integer::<0, 100, _, _>")]
    pub rebalance_percent: u32,
    /// Connections that one node asks to move, a second: 1 to 10000. Default 30.
    #[serde(deserialize_with = "values::integer::<1, 10_000, _, _>")]
    pub rebalance_per_second: u32,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            lease_seconds: 5,
            rebalance_percent: 10,
            rebalance_per_second: 30,
        }
    }
}
