//! What a node says of itself to all others, for as long as its lease lasts.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A node as the others know it. JSON, so that an operator can read it where it is kept; fields that a build does not
/// know are ignored, so that nodes of several versions know each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeLease {
    /// The node's name, unique in the cluster.
    pub node: Arc<str>,
    /// Where it serves clients, as it says itself.
    pub address: Arc<str>,
    /// What it runs.
    pub version: Arc<str>,
    /// When it started, in Unix milliseconds by the store's clock. A node that starts anew under its old name is told
    /// from the one before by it.
    pub since: u64,
    /// Connections that were welcomed and are open.
    pub connections: u64,
    /// Share of the machine's cores that the process uses, from 0 to 1.
    pub load: f64,
    /// It is leaving and takes no new connections.
    pub draining: bool,
}

impl NodeLease {
    /// The lease as text.
    ///
    /// # Errors
    /// Never for leases that this crate can build; the encoder's error is passed on all the same.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Reads a lease.
    ///
    /// # Errors
    /// When `text` is no lease.
    pub fn decode(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_of_later_versions_are_understood() {
        let lease = NodeLease {
            node: "n1".into(),
            address: "192.0.2.1:8080".into(),
            version: "1.2.3".into(),
            since: 1_700_000_000_000,
            connections: 7,
            load: 0.25,
            draining: false,
        };
        let text = String::from_utf8(lease.encode().unwrap()).unwrap();
        assert_eq!(NodeLease::decode(text.as_bytes()).unwrap(), lease);
        let later = text.replacen('{', "{\"mood\":[1],", 1);
        assert_eq!(NodeLease::decode(later.as_bytes()).unwrap(), lease);
        assert!(NodeLease::decode(b"{\"node\":\"n1\"}").is_err());
        assert!(NodeLease::decode(b"").is_err());
    }
}
