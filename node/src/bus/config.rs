//! How a node reaches the bus.

use std::{fmt, path::PathBuf, time::Duration};

use actors::memory::REPORTS_CAPACITY;

/// Which bus, and its limits. Printing it never shows a password.
#[derive(Clone, PartialEq, Eq)]
pub struct BusConfig {
    /// `local://` for a node on its own, `redis://[user:password@]host[:port]`, or `rediss://…` with TLS. Whether the
    /// Redis is a cluster is found out by asking it.
    ///
    /// A user with few rights needs the keys `~PREFIX:*`, the channels `&PREFIX:*` and the commands `+get +set +mget
    /// +del +expire +pttl +sadd +srem +smembers +evalsha +script|load +publish +subscribe +unsubscribe +ping +hello
    /// +info`, in a cluster also `+spublish +ssubscribe +sunsubscribe +cluster|slots`.
    pub url: String,
    /// What every channel and key begins with, so that several Hubbubs can share one Redis: 1 to 64 of letters,
    /// digits, `_`, `-`, `.` and `:`.
    pub prefix: String,
    /// A PEM file with the authorities that may vouch for a `rediss://` server, instead of the public ones.
    pub tls_ca_file: Option<PathBuf>,
    /// How many bytes of frames may wait to be published, each counted with a little overhead. What comes on top is
    /// dropped.
    pub queue_bytes: usize,
    /// How many reports may wait for the node. Frames that come on top are dropped.
    pub events_capacity: usize,
    /// How long opening one connection may take.
    pub connect_timeout: Duration,
    /// How long Redis may take to answer before the connection counts as lost.
    pub response_timeout: Duration,
    /// How often each connection is tried out, so that a dead one is noticed after at most this and
    /// `response_timeout`.
    pub ping_interval: Duration,
    /// How long closing may take to publish what was handed over.
    pub close_timeout: Duration,
}

/// The configuration of the bus cannot work.
#[derive(Debug, thiserror::Error)]
pub enum BusConfigError {
    /// No adapter for this kind of URL.
    #[error("bus.url begins with `{0}`: it must begin with local://, redis:// or rediss://")]
    Scheme(String),
    /// The URL names no server.
    #[error("bus.url is no address of a Redis ({0}): it looks like redis://user:password@host:6379")]
    Url(String),
    /// The prefix holds other characters, or is too short or too long.
    #[error("bus.prefix must be 1 to 64 of a-z, A-Z, 0-9, _, -, . and :")]
    Prefix,
    /// The file with the authorities cannot be used.
    #[error("bus.tls_ca_file {path}: {problem}")]
    CaFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl BusConfig {
    /// The defaults for a bus at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: "hubbub".into(),
            tls_ca_file: None,
            queue_bytes: 8 * 1024 * 1024,
            events_capacity: REPORTS_CAPACITY,
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::from_secs(2),
            ping_interval: Duration::from_secs(3),
            close_timeout: Duration::from_secs(5),
        }
    }

    /// The part of the URL before `://`.
    pub(super) fn scheme(&self) -> &str {
        // What is no URL at all might be a password.
        self.url
            .split_once("://")
            .map_or("something else", |(scheme, _)| scheme)
    }

    pub(super) fn check_prefix(&self) -> Result<(), BusConfigError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.:".contains(&b);
        if (1..=64).contains(&self.prefix.len()) && self.prefix.bytes().all(allowed) {
            Ok(())
        } else {
            Err(BusConfigError::Prefix)
        }
    }
}

impl fmt::Debug for BusConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.rsplit_once('@').map_or_else(
            || self.url.split_once("://").map_or("", |(_, rest)| rest),
            |(_, host)| host,
        );
        f.debug_struct("BusConfig")
            .field("url", &format_args!("{}://{host}", self.scheme()))
            .field("prefix", &self.prefix)
            .field("tls_ca_file", &self.tls_ca_file)
            .field("queue_bytes", &self.queue_bytes)
            .field("events_capacity", &self.events_capacity)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("ping_interval", &self.ping_interval)
            .field("close_timeout", &self.close_timeout)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_printed() {
        for url in [
            "redis://u:hidden@host:1",
            "rediss://:hid@hidden@host",
            "hidden",
            "redis://u:hidden@",
        ] {
            let printed = format!("{:?}", BusConfig::new(url));
            assert!(!printed.contains("hidden"), "{printed}");
        }
        assert!(format!("{:?}", BusConfig::new("redis://host:1")).contains("redis://host:1"));
    }

    #[test]
    fn prefixes_cannot_break_the_hash_tags() {
        let with = |prefix: &str| BusConfig {
            prefix: prefix.into(),
            ..BusConfig::new("local://")
        };
        assert!(with("team-1:hubbub").check_prefix().is_ok());
        for bad in ["", "a{b}", "a b", &"x".repeat(65)] {
            assert!(with(bad).check_prefix().is_err(), "{bad}");
        }
    }
}
