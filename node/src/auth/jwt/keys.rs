//! The keys that tokens are checked with: one of the configuration, or a set that changes.

use std::{path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse},
};
use parking_lot::RwLock;
use tokio::time::Instant;

use super::Refused;
use crate::config;

/// Keys are fetched anew when they are older; the old ones serve meanwhile.
const MAX_AGE_URL: Duration = Duration::from_secs(600);
const MAX_AGE_FILE: Duration = Duration::from_secs(10);
/// After so long without success the old ones are not used any more.
const USELESS_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Shortest pause between two attempts, whatever tokens name: nobody can make the node ask more often.
const PAUSE: Duration = Duration::from_secs(5);
/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest set, in bytes.
const MAX_SET_BYTES: usize = 256 * 1024;
/// Most keys of a set that are used.
const MAX_KEYS: usize = 64;

/// A key and the only algorithms that it is ever used with, all of one family.
pub(super) struct Key {
    id: Option<String>,
    pub(super) decoding: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

pub(super) struct KeyStore {
    allowed: Vec<Algorithm>,
    source: Source,
    held: RwLock<Held>,
    fetching: tokio::sync::Mutex<()>,
}

enum Source {
    Fixed,
    File(PathBuf),
    Url { url: String, client: reqwest::Client },
}

#[derive(Clone, Default)]
struct Held {
    keys: Arc<Vec<Key>>,
    /// When they were read; `None`: never.
    read_at: Option<Instant>,
    tried_at: Option<Instant>,
}

impl Key {
    /// `None`: the key is of no use with the algorithms that are allowed.
    fn new(
        id: Option<String>,
        decoding: DecodingKey,
        algorithms: &[Algorithm],
        allowed: &[Algorithm],
    ) -> Option<Self> {
        let family = decoding.family();
        let algorithms: Vec<Algorithm> = algorithms
            .iter()
            .filter(|algorithm| allowed.contains(algorithm) && algorithm.family() == family)
            .copied()
            .collect();
        (!algorithms.is_empty()).then_some(Self {
            id,
            decoding,
            algorithms,
        })
    }

    /// Whether a token that names this key and algorithm may be checked with it.
    pub(super) fn fits(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        let named = id.is_none() || self.id.is_none() || self.id.as_deref() == id;
        named && self.algorithms.contains(&algorithm)
    }
}

impl KeyStore {
    /// `None`: the configuration names none.
    ///
    /// # Errors
    /// When a file cannot be read or holds no key. An address that does not answer yet is asked again later.
    pub(super) async fn open(config: &config::Jwt) -> anyhow::Result<Option<Self>> {
        let fixed = |key: Option<Key>| key.context("auth.jwt.algorithms: none of them fits the key");
        let (source, keys) = if let Some(secret) = &config.secret {
            let allowed = allowed(config, &[Algorithm::HS256])?;
            let decoding = DecodingKey::from_secret(secret.expose().as_bytes());
            let key = Key::new(None, decoding, AlgorithmFamily::Hmac.algorithms(), &allowed);
            (Source::Fixed, vec![fixed(key)?])
        } else if let Some(file) = &config.public_key_file {
            let pem = tokio::fs::read(file)
                .await
                .with_context(|| format!("auth.jwt.public_key_file: {} cannot be read", file.display()))?;
            let allowed = public(config)?;
            (Source::Fixed, vec![fixed(pem_key(&pem, &allowed)?)?])
        } else if let Some(file) = &config.jwks_file {
            (Source::File(file.clone()), Vec::new())
        } else if let Some(url) = &config.jwks_url {
            let client = reqwest::Client::builder()
                .timeout(TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .context("auth.jwt.jwks_url: no client could be made")?;
            let url = url.clone();
            (Source::Url { url, client }, Vec::new())
        } else {
            return Ok(None);
        };
        let store = Self {
            allowed: match source {
                Source::Fixed => Vec::new(),
                Source::File(_) | Source::Url { .. } => public(config)?,
            },
            source,
            held: RwLock::new(Held {
                keys: Arc::new(keys),
                ..Held::default()
            }),
            fetching: tokio::sync::Mutex::default(),
        };
        match &store.source {
            Source::Fixed => {}
            Source::File(_) => store.read().await.context("auth.jwt.jwks_file")?,
            Source::Url { url, .. } => {
                if let Err(error) = store.read().await {
                    tracing::warn!(%url, error = format!("{error:#}"), "auth.jwt.jwks_url does not answer yet");
                }
            }
        }
        Ok(Some(store))
    }

    /// The keys to check a token with that names the key `id`.
    ///
    /// # Errors
    /// When there are none at the moment.
    pub(super) async fn current(&self, id: Option<&str>) -> Result<Arc<Vec<Key>>, Refused> {
        let max_age = match self.source {
            Source::Fixed => return Ok(Arc::clone(&self.held.read().keys)),
            Source::File(_) => MAX_AGE_FILE,
            Source::Url { .. } => MAX_AGE_URL,
        };
        let known = |held: &Held| {
            held.keys
                .iter()
                .any(|key| id.is_none() || key.id.as_deref() == id)
        };
        let is_due = |held: &Held| {
            let paused = held.tried_at.is_some_and(|at| at.elapsed() < PAUSE);
            let old = held.read_at.is_none_or(|at| at.elapsed() >= max_age);
            !paused && (old || !known(held))
        };
        let held = self.held.read().clone();
        if is_due(&held) {
            // Who comes while another one asks is served when that is done.
            let _one_at_a_time = self.fetching.lock().await;
            if is_due(&self.held.read().clone())
                && let Err(error) = self.read().await
            {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the keys for tokens could not be read; the old ones serve"
                );
            }
        }
        let held = self.held.read();
        match held.read_at {
            Some(at) if at.elapsed() < USELESS_AFTER => Ok(Arc::clone(&held.keys)),
            _ => Err(Refused::Unavailable),
        }
    }

    async fn read(&self) -> anyhow::Result<()> {
        self.held.write().tried_at = Some(Instant::now());
        let bytes = match &self.source {
            Source::Fixed => return Ok(()),
            Source::File(path) => tokio::fs::read(path)
                .await
                .with_context(|| format!("{} cannot be read", path.display()))?,
            Source::Url { url, client } => fetch(client, url).await?,
        };
        let set: JwkSet = serde_json::from_slice(&bytes).context("this is no JSON Web Key Set")?;
        let keys: Vec<Key> = set
            .keys
            .iter()
            .take(MAX_KEYS)
            .filter_map(|jwk| jwk_key(jwk, &self.allowed))
            .collect();
        if keys.is_empty() {
            bail!("the key set holds no public key for the algorithms that are allowed");
        }
        let mut held = self.held.write();
        held.keys = Arc::new(keys);
        held.read_at = Some(Instant::now());
        Ok(())
    }
}

async fn fetch(client: &reqwest::Client, url: &str) -> anyhow::Result<Vec<u8>> {
    let mut response = client.get(url).send().await?.error_for_status()?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_SET_BYTES {
            bail!("the key set is larger than {MAX_SET_BYTES} bytes");
        }
    }
    Ok(bytes)
}

/// A public key of a set. Shared secrets are not taken from sets: who can read one could sign.
fn jwk_key(jwk: &Jwk, allowed: &[Algorithm]) -> Option<Key> {
    if jwk
        .common
        .public_key_use
        .as_ref()
        .is_some_and(|of| *of != PublicKeyUse::Signature)
    {
        return None;
    }
    let fitting: Vec<Algorithm> = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms().to_vec(),
        AlgorithmParameters::EllipticCurve(of) => match of.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(of) if of.curve == EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
        _ => return None,
    };
    let fitting = match jwk.common.key_algorithm {
        None => fitting,
        Some(named) => {
            let named = Algorithm::from_str(&named.to_string()).ok()?;
            fitting
                .into_iter()
                .filter(|algorithm| *algorithm == named)
                .collect()
        }
    };
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    Key::new(jwk.common.key_id.clone(), decoding, &fitting, allowed)
}

fn pem_key(pem: &[u8], allowed: &[Algorithm]) -> anyhow::Result<Option<Key>> {
    let read = [
        DecodingKey::from_rsa_pem,
        DecodingKey::from_ec_pem,
        DecodingKey::from_ed_pem,
    ];
    let decoding = read.into_iter().find_map(|read| read(pem).ok()).ok_or_else(|| {
        anyhow!("auth.jwt.public_key_file: this is no public key (PEM) of RSA, P-256, P-384 or Ed25519")
    })?;
    let family = decoding.family();
    Ok(Key::new(None, decoding, family.algorithms(), allowed))
}

/// The algorithms of the configuration, or `default`.
fn allowed(config: &config::Jwt, default: &[Algorithm]) -> anyhow::Result<Vec<Algorithm>> {
    if config.algorithms.is_empty() {
        return Ok(default.to_vec());
    }
    let read = config.algorithms.iter().map(|name| Algorithm::from_str(name));
    read.collect::<Result<_, _>>().context("auth.jwt.algorithms")
}

fn public(config: &config::Jwt) -> anyhow::Result<Vec<Algorithm>> {
    allowed(config, &[Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA])
}
