//! URLs of store and bus, and how passwords are kept out of sight.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Serialize, Serializer};
use url::Url;

/// A URL that may hold a password. `Debug`, `Display` and `Serialize` show `***` in its place.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// The URL with its password, for the library that connects.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", mask(&self.0))
    }
}

/// Where the log of events is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// One file on this machine.
    Sqlite(PathBuf),
    /// A database that the nodes share.
    Postgres(SecretUrl),
}

impl StoreUrl {
    /// Reads `sqlite://PATH` or `postgres://…`.
    ///
    /// # Errors
    /// When it is anything else; the text says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        const RULE: &str = "must be sqlite://PATH or postgres://USER:PASSWORD@HOST[:PORT]/DATABASE";
        if let Some(rest) = text.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            // The one option that people know by heart asks for what is done anyway.
            let path = path.strip_suffix("?mode=rwc").unwrap_or(path);
            if path.is_empty() || path.contains(['?', '#']) || path == ":memory:" {
                return Err(format!("{RULE}; PATH is that of a file, without options"));
            }
            return Ok(Self::Sqlite(path.into()));
        }
        let url = Url::parse(text).map_err(|e| format!("{RULE} ({e})"))?;
        match url.scheme() {
            "postgres" | "postgresql" if text.contains("://") => {
                Ok(Self::Postgres(SecretUrl(text.to_owned())))
            }
            _ => Err(RULE.to_owned()),
        }
    }

    /// Whether it holds a password.
    pub(super) fn has_password(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(url) => Url::parse(url.expose()).is_ok_and(|url| {
                url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password")
            }),
        }
    }

    /// The embedded store's file in the data folder.
    pub(super) fn in_folder(data_dir: &Path) -> Self {
        Self::Sqlite(data_dir.join("hubbub.db"))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl Serialize for StoreUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What connects the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusUrl {
    /// Nothing: the node is on its own, or shares its process with the others.
    Local,
    /// A Redis server or cluster.
    Redis(SecretUrl),
}

impl BusUrl {
    /// Reads `local://`, `redis://…` or `rediss://…`.
    ///
    /// # Errors
    /// When it is anything else; the text says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        const RULE: &str = "must be local://, redis://[USER:PASSWORD@]HOST[:PORT] or rediss://… (with TLS)";
        if text == "local://" {
            return Ok(Self::Local);
        }
        let url = Url::parse(text).map_err(|e| format!("{RULE} ({e})"))?;
        match url.scheme() {
            "redis" | "rediss" if url.has_host() => Ok(Self::Redis(SecretUrl(text.to_owned()))),
            _ => Err(RULE.to_owned()),
        }
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Redis(url) if url.expose().starts_with("rediss:"))
    }
}

impl fmt::Display for BusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local://"),
            Self::Redis(url) => url.fmt(f),
        }
    }
}

impl Serialize for BusUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `text` without the passwords in it. What cannot be read as a URL but might hold one is hidden as a whole.
pub(super) fn mask(text: &str) -> String {
    let suspicious = text.contains('@') || text.to_ascii_lowercase().contains("password");
    match Url::parse(text) {
        Ok(mut url) if text.contains("://") && (url.has_host() || !text.contains('@')) => {
            if url.password().is_some() {
                // Fails only without a host, and then there is no password.
                let _ = url.set_password(Some("***"));
            }
            mask_query(&mut url);
            // What was not changed is shown as it was written, not as the parser would write it.
            if suspicious {
                url.to_string()
            } else {
                text.to_owned()
            }
        }
        _ if suspicious => "***".to_owned(),
        _ => text.to_owned(),
    }
}

fn mask_query(url: &mut Url) {
    let Some(query) = url.query() else { return };
    let masked: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("password") => format!("{name}=***"),
            _ => pair.to_owned(),
        })
        .collect();
    let masked = masked.join("&");
    url.set_query(Some(&masked));
}
