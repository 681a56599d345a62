//! Tokens of another application, whose people come in without an account here.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

use super::{rules, values};

/// Shortest secret that tokens are signed with, in bytes: as long as the hash.
const MIN_SECRET_BYTES: usize = 32;
/// Longest name of an issuer, an audience or a claim, in bytes.
const MAX_TEXT_BYTES: usize = 1_024;

/// `auth.jwt.*`. At most one of `secret`, `public_key_file`, `jwks_file` and `jwks_url`; without any, no such tokens are
/// taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// Which algorithms are taken, of those that fit the key. Default none: `HS256` with a secret, `RS256`, `ES256` and
    /// `EdDSA` with public keys.
    #[serde(deserialize_with = "algorithms")]
    pub algorithms: Vec<String>,
    /// What the other application signs with (HMAC), at least 32 bytes. Default: none.
    #[serde(deserialize_with = "secret")]
    pub secret: Option<Secret>,
    /// File with a public key (PEM): RSA, P-256, P-384 or Ed25519. Default: none.
    #[serde(deserialize_with = "rules::optional_path")]
    pub public_key_file: Option<PathBuf>,
    /// File with public keys (JSON Web Key Set), read again when it changes. Default: none.
    #[serde(deserialize_with = "rules::optional_path")]
    pub jwks_file: Option<PathBuf>,
    /// Where public keys (JSON Web Key Set) are fetched, `https://…`, or `http://` on this machine. Default: none.
    #[serde(deserialize_with = "jwks_url")]
    pub jwks_url: Option<String>,
    /// What `iss` must be. Default: none, anything.
    #[serde(deserialize_with = "word")]
    pub issuer: Option<String>,
    /// What `aud` must be or contain. Default: none, and then tokens that are for a certain audience are refused.
    #[serde(deserialize_with = "word")]
    pub audience: Option<String>,
    /// The claim that holds a person's name. Default `name`.
    #[serde(deserialize_with = "claim")]
    pub name_claim: String,
    /// The claim that gives roles in rooms: a list of names, or a map of names to roles. Default `rooms`.
    #[serde(deserialize_with = "claim")]
    pub rooms_claim: String,
    /// How far the clocks may differ, in seconds: 0 to 300. Default 30.
    #[serde(deserialize_with = "values::integer::<0, 300, _, _>")]
    pub leeway_seconds: u64,
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            algorithms: Vec::new(),
            secret: None,
            public_key_file: None,
            jwks_file: None,
            jwks_url: None,
            issuer: None,
            audience: None,
            name_claim: "name".to_owned(),
            rooms_claim: "rooms".to_owned(),
            leeway_seconds: 30,
        }
    }
}

impl Jwt {
    /// The keys of those that name a source of keys.
    pub(super) fn sources(&self) -> Vec<&'static str> {
        let sources = [
            ("auth.jwt.secret", self.secret.is_some()),
            ("auth.jwt.public_key_file", self.public_key_file.is_some()),
            ("auth.jwt.jwks_file", self.jwks_file.is_some()),
            ("auth.jwt.jwks_url", self.jwks_url.is_some()),
        ];
        sources
            .into_iter()
            .filter(|(_, given)| *given)
            .map(|(key, _)| key)
            .collect()
    }
}

/// A text that is not shown: `Debug` and `Serialize` give `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

fn algorithms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    values::list(deserializer, |text| {
        jsonwebtoken::Algorithm::from_str(text)
            .map(|_| text.to_owned())
            .map_err(|_| "must be one of HS256, RS256, PS256, ES256, EdDSA and their kin".to_owned())
    })
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    values::optional(deserializer, |text| {
        if text.len() < MIN_SECRET_BYTES {
            return Err(format!("must be a text of at least {MIN_SECRET_BYTES} bytes"));
        }
        Ok(Secret(text.to_owned()))
    })
}

fn jwks_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    values::optional(deserializer, |text| {
        let rule = "must be https://…, or http://… on this machine";
        let url = Url::parse(text).map_err(|error| format!("{rule} ({error})"))?;
        let here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        match url.scheme() {
            "https" => Ok(text.to_owned()),
            "http" if here => Ok(text.to_owned()),
            _ => Err(rule.to_owned()),
        }
    })
}

fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    values::optional(deserializer, read_word)
}

fn claim<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    values::text(deserializer, read_word)
}

fn read_word(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > MAX_TEXT_BYTES {
        return Err(format!("must be a text of 1 to {MAX_TEXT_BYTES} bytes"));
    }
    Ok(text.to_owned())
}
