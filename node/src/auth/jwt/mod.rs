//! Tokens of another application (RFC 7519): its people come in under the name that it gives them, without an account.

mod keys;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use actors::{Credential, Scopes, Standing, User, rights::Role};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Validation, decode, decode_header};
use protocol::{Person, RoomName, limits::MAX_NAME_BYTES};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use self::keys::{Key, KeyStore};
use super::Refused;
use crate::config;

/// Most rooms that a token may name.
const MAX_ROOMS: usize = 1_000;
/// Longest subject, in bytes.
const MAX_SUBJECT_BYTES: usize = 1_024;

/// Checks tokens against the keys and the claims that the configuration asks for.
pub(super) struct Jwt {
    keys: KeyStore,
    issuer: Option<String>,
    audience: Option<String>,
    name_claim: String,
    rooms_claim: String,
    leeway: Duration,
}

impl Jwt {
    /// `None`: the configuration names no keys, no such tokens are taken.
    ///
    /// # Errors
    /// When the keys cannot be read; the message names the key of the configuration.
    pub(super) async fn new(config: &config::Jwt) -> anyhow::Result<Option<Self>> {
        let Some(keys) = KeyStore::open(config).await? else {
            return Ok(None);
        };
        Ok(Some(Self {
            keys,
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            name_claim: config.name_claim.clone(),
            rooms_claim: config.rooms_claim.clone(),
            leeway: Duration::from_secs(config.leeway_seconds),
        }))
    }

    /// The person that a token speaks of.
    ///
    /// # Errors
    /// When it is not valid here, or there are no keys at the moment.
    pub(super) async fn verify(&self, token: &str) -> Result<User, Refused> {
        let header = decode_header(token).map_err(|_| Refused::Unauthenticated)?;
        let keys = self.keys.current(header.kid.as_deref()).await?;
        // A key fixes its algorithms, whatever the token says: no key is ever used for a kind that it is not of.
        let fitting = keys
            .iter()
            .filter(|key| key.fits(header.kid.as_deref(), header.alg));
        for key in fitting {
            if let Ok(data) = decode::<Map<String, Value>>(token, &key.decoding, &self.validation(key)) {
                return self.user(&data.claims).ok_or(Refused::Unauthenticated);
            }
        }
        Err(Refused::Unauthenticated)
    }

    fn validation(&self, key: &Key) -> Validation {
        let mut validation = Validation::default();
        validation.algorithms.clone_from(&key.algorithms);
        validation.leeway = self.leeway.as_secs();
        validation.validate_nbf = true;
        let mut required = vec!["exp", "sub"];
        if let Some(issuer) = &self.issuer {
            validation.iss = Some(HashSet::from([issuer.clone()]));
            required.push("iss");
        }
        if let Some(audience) = &self.audience {
            validation.aud = Some(HashSet::from([audience.clone()]));
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }

    fn user(&self, claims: &Map<String, Value>) -> Option<User> {
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
        let subject = text("sub").filter(|sub| !sub.is_empty() && sub.len() <= MAX_SUBJECT_BYTES)?;
        let issuer = match claims.get("iss") {
            None => "",
            Some(issuer) => issuer.as_str()?,
        };
        let name = text(&self.name_claim).map(shown).filter(|name| !name.is_empty());
        let expires_at = claims.get("exp")?.as_f64()?;
        // In milliseconds, and as long as the token is taken.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time in seconds"
        )]
        let expires_at = (expires_at.clamp(0.0, 9e12) as u64).saturating_add(self.leeway.as_secs()) * 1_000;
        Some(User {
            person: Person {
                id: id(issuer, subject).into(),
                name: name.unwrap_or_else(|| shown(subject)).into(),
            },
            standing: Standing::Registered,
            scopes: Scopes::ALL,
            credential: Credential {
                id: None,
                expires_at: Some(expires_at),
            },
            roles: Arc::new(roles(claims.get(&self.rooms_claim))?),
        })
    }
}

/// The rooms that a token lets its holder into: a list of names (as member), or a map of names to roles. `None`: the
/// claim is something else, so that nobody knows what it was to say.
fn roles(claim: Option<&Value>) -> Option<BTreeMap<RoomName, Role>> {
    let named = |name: &str, role| Some((RoomName::new(name).ok()?, role));
    match claim {
        None | Some(Value::Null) => Some(BTreeMap::new()),
        Some(Value::Array(names)) if names.len() <= MAX_ROOMS => names
            .iter()
            .map(|name| named(name.as_str()?, Role::Member))
            .collect(),
        Some(Value::Object(rooms)) if rooms.len() <= MAX_ROOMS => rooms
            .iter()
            .map(|(name, role)| named(name, Role::parse(role.as_str()?)?))
            .collect(),
        Some(_) => None,
    }
}

/// The same for the same subject of the same issuer, and for nobody else; at most 64 bytes.
fn id(issuer: &str, subject: &str) -> String {
    let mut hash = Sha256::new();
    hash.update((issuer.len() as u64).to_be_bytes());
    hash.update(issuer);
    hash.update(subject);
    format!("j_{}", URL_SAFE_NO_PAD.encode(hash.finalize()))
}

/// A name as the wire takes it: no control characters, cut at its longest.
fn shown(name: &str) -> String {
    let mut shown = String::new();
    for c in name.trim().chars().filter(|c| !c.is_control()) {
        if shown.len() + c.len_utf8() > MAX_NAME_BYTES {
            break;
        }
        shown.push(c);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_stable_and_nobody_elses() {
        assert_eq!(id("https://a", "1"), id("https://a", "1"));
        assert_ne!(id("https://a", "1"), id("https://a1", ""));
        assert_ne!(id("https://a", "1"), id("https://b", "1"));
        assert!(id(&"x".repeat(5_000), &"y".repeat(1_000)).len() <= 64);
    }

    #[test]
    fn rooms_are_a_list_or_a_map_of_roles() {
        let room = |name: &str| RoomName::new(name).unwrap();
        let read = |json: &str| roles(Some(&serde_json::from_str(json).unwrap()));
        assert_eq!(roles(None), Some(BTreeMap::new()));
        assert_eq!(read(r#"["ops"]"#), Some([(room("ops"), Role::Member)].into()));
        assert_eq!(
            read(r#"{"ops": "moderator", "all": "member"}"#),
            Some([(room("ops"), Role::Moderator), (room("all"), Role::Member)].into())
        );
        for wrong in [
            r#""ops""#,
            r#"["No Name"]"#,
            r#"{"ops": "emperor"}"#,
            r#"{"ops": true}"#,
            "[1]",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_are_cut_to_what_the_wire_takes() {
        assert_eq!(shown(" Ada\u{0}\n "), "Ada");
        assert_eq!(shown(&"ä".repeat(40)).len(), 64);
    }
}
