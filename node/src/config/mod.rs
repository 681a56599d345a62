//! The configuration: a typed tree, put together from defaults, a file, the environment and flags, and checked as a
//! whole before anything is opened.
//!
//! `docs/configuration.md` is the same tree for operators; a test holds the two together.

mod auth;
mod cluster;
mod jwt;
mod limits;
mod load;
mod network;
mod print;
mod problem;
mod rules;
mod service;
mod urls;
mod values;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use auth::{Auth, Rooms};
pub use cluster::Cluster;
pub use jwt::{Jwt, Secret};
pub use limits::Limits;
pub use load::{Assignment, Sources, load};
pub use network::{Http, Origin};
pub use problem::{Problem, Problems};
pub use service::{Bus, Drain, Log, LogFormat, Node, Store};
pub use urls::{BusUrl, SecretUrl, StoreUrl};

/// The whole configuration, with every value in force: what was not given holds its default.
///
/// Made by [`load`]; [`Config::default`] is what an empty configuration gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder for what a node keeps on disk: the SQLite file, where that is the store. Made when it is missing.
    /// Default `./hubbub-data`.
    #[serde(deserialize_with = "rules::path")]
    pub data_dir: PathBuf,
    /// The two listeners and what they trust.
    pub http: Http,
    /// Where the log of events is kept.
    pub store: Store,
    /// What connects the nodes.
    pub bus: Bus,
    /// How nodes know each other.
    pub cluster: Cluster,
    /// Who may come in.
    pub auth: Auth,
    /// How rooms come to be.
    pub rooms: Rooms,
    /// Leaving quietly.
    pub drain: Drain,
    /// The node's log.
    pub log: Log,
    /// The node itself.
    pub node: Node,
    /// What one node takes on.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        let data_dir = Path::new("./hubbub-data");
        Self::derived(data_dir, &StoreUrl::in_folder(data_dir))
    }
}

impl Config {
    /// The defaults, where some follow from others: the embedded store lies in the data folder and invites to try
    /// things out; a shared store is somebody's service, where nobody comes in unasked.
    fn derived(data_dir: &Path, store: &StoreUrl) -> Self {
        let embedded = matches!(store, StoreUrl::Sqlite(_));
        Self {
            data_dir: data_dir.to_owned(),
            http: Http::default(),
            store: Store::with_url(store.clone()),
            bus: Bus::default(),
            cluster: Cluster::default(),
            auth: Auth::with_guests(embedded),
            rooms: Rooms {
                create_on_join: embedded,
            },
            drain: Drain::default(),
            log: Log::default(),
            node: Node::default(),
            limits: Limits::default(),
        }
    }
}
