//! What a node needs beside its listeners: store, bus, drain, log, its own name.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    rules,
    urls::{BusUrl, StoreUrl},
    values,
};

/// `store.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`. Default: `sqlite://` with `hubbub.db` in
    /// [`data_dir`](super::Config::data_dir).
    #[serde(deserialize_with = "rules::store_url")]
    pub url: StoreUrl,
    /// File with the password for Postgres, in place of one in the URL. It is read again every second, so that the
    /// password can be changed while nodes run. Default: none.
    #[serde(deserialize_with = "rules::optional_path")]
    pub password_file: Option<PathBuf>,
    /// How long a node that starts waits for the store before it gives up, in seconds: 1 to 3600. Default 60.
    #[serde(deserialize_with = "values::integer::<1, 3600, _, _>")]
    pub connect_timeout_seconds: u64,
    /// Most connections that one node holds to Postgres: 2 to 1000. Default 10, so that five nodes, and twice as many
    /// while they are replaced, stay below the about 112 connections of a small database.
    #[serde(deserialize_with = "values::integer::<2, 1000, _, _>")]
    pub pool_size: u32,
    /// How many batches one node commits side by side: 1 to 64. Default 4.
    #[serde(deserialize_with = "values::integer::<1, 64, _, _>")]
    pub shards: usize,
}

impl Store {
    pub(super) fn with_url(url: StoreUrl) -> Self {
        Self {
            url,
            password_file: None,
            connect_timeout_seconds: 60,
            pool_size: 10,
            shards: 4,
        }
    }
}

/// `bus.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bus {
    /// `local://` for a node on its own, `redis://…` or `rediss://…` (TLS) for several. Default `local://`.
    #[serde(deserialize_with = "rules::bus_url")]
    pub url: BusUrl,
    /// First part of every key and channel in Redis, so that clusters can share one: 1 to 64 of letters, digits, `-`,
    /// `_`, `.`. Default `hubbub`.
    #[serde(deserialize_with = "rules::prefix")]
    pub prefix: String,
    /// File of certificates (PEM) that a `rediss://` server is checked against in place of the system's. Default:
    /// none.
    #[serde(deserialize_with = "rules::optional_path")]
    pub ca_file: Option<PathBuf>,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            url: BusUrl::Local,
            prefix: "hubbub".to_owned(),
            ca_file: None,
        }
    }
}

/// `drain.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// How long a node that was told to end takes at most to move its clients elsewhere, in seconds: 0 to 3600.
    /// Default 60.
    #[serde(deserialize_with = "values::integer::<0, 3600, _, _>")]
    pub seconds: u64,
}

impl Default for Drain {
    fn default() -> Self {
        Self { seconds: 60 }
    }
}

/// `log.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `text` for people or `json` for machines, a line each. Default `text`.
    #[serde(deserialize_with = "rules::log_format")]
    pub format: LogFormat,
    /// What is logged: `off`, `error`, `warn`, `info`, `debug` or `trace`, or a list of those by target, such as
    /// `info,node::http=debug`. Default `info`.
    #[serde(deserialize_with = "rules::log_level")]
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
        }
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// Lines of JSON for machines.
    Json,
}

/// `node.*`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// What the node is called towards clients, other nodes and in metrics, unique in the cluster: 1 to 64 of letters,
    /// digits, `-`, `_`, `.`. Default: a new one at each start.
    #[serde(deserialize_with = "rules::node_name")]
    pub name: Option<String>,
    /// Where the node is, for the list of nodes that administrators see: 1 to 255 visible characters of ASCII. Default:
    /// what `http.listen` got, with the machine's own address where that is `0.0.0.0` or `[::]`.
    #[serde(deserialize_with = "rules::node_address")]
    pub address: Option<String>,
}
