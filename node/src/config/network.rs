//! The listeners, and whose word about an address or an origin is taken.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::rules;

/// `http.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Address and port for clients: page, WebSocket and API. Port 0 takes any free one. Default `0.0.0.0:8080`.
    #[serde(deserialize_with = "rules::address")]
    pub listen: SocketAddr,
    /// Address and port for operators: metrics and health. Keep it away from the public. Default `127.0.0.1:9090`.
    #[serde(deserialize_with = "rules::address")]
    pub private_listen: SocketAddr,
    /// Web pages on other hosts that may connect, each as `scheme://host[:port]`. The node's own page always may.
    /// Default: none.
    #[serde(deserialize_with = "rules::origins")]
    pub allowed_origins: Vec<Origin>,
    /// Networks or single addresses of proxies whose `X-Forwarded-For` is believed. Default: none.
    #[serde(deserialize_with = "rules::networks")]
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 8080).into(),
            private_listen: (Ipv4Addr::LOCALHOST, 9090).into(),
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// A web origin as browsers send it: lower case, without the scheme's own port, without a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Origin(String);

impl Origin {
    /// Reads `scheme://host[:port]`, in any case.
    ///
    /// # Errors
    /// When it is anything else; the text says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        const RULE: &str =
            "must be an origin, scheme://host[:port], without a path, such as https://chat.example.org";
        let origin = text.to_ascii_lowercase();
        let (scheme, host) = origin.split_once("://").ok_or(RULE)?;
        if host.is_empty() || host.contains(['/', '?', '#', '@', '*']) {
            return Err(RULE.to_owned());
        }
        let url = url::Url::parse(&origin).map_err(|e| format!("{RULE} ({e})"))?;
        // Only the web's own schemes have an origin by the book; apps (`capacitor://localhost`) send theirs as it is.
        Ok(Self(match scheme {
            "http" | "https" => url.origin().ascii_serialization(),
            _ => origin,
        }))
    }

    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
