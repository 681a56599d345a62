//! Tokens of sessions and API keys: random, opaque, known to the store by their hash only.

use actors::ports::{CredentialKind, TokenHash};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// Random bytes of a token: they cannot be guessed, so that a fast hash is enough to keep them by.
const TOKEN_BYTES: usize = 32;
/// The same in base64url.
const TOKEN_CHARS: usize = 43;

/// What tells the kinds apart, and leaked ones in what people publish.
fn prefix(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Session => "hs1_",
        CredentialKind::ApiKey => "hk1_",
    }
}

/// A new token and its hash.
///
/// # Errors
/// When the operating system has no randomness to give.
pub(crate) fn issue(kind: CredentialKind) -> Result<(String, TokenHash), getrandom::Error> {
    let mut random = [0; TOKEN_BYTES];
    getrandom::fill(&mut random)?;
    let token = format!("{}{}", prefix(kind), URL_SAFE_NO_PAD.encode(random));
    let hash = Sha256::digest(&token).into();
    Ok((token, hash))
}

/// The kind and the hash of a token; `None` if it is none of ours.
pub(crate) fn read(token: &str) -> Option<(CredentialKind, TokenHash)> {
    let kinds = [CredentialKind::Session, CredentialKind::ApiKey];
    let kind = kinds.into_iter().find(|kind| token.starts_with(prefix(*kind)))?;
    (token.len() == prefix(kind).len() + TOKEN_CHARS).then(|| (kind, Sha256::digest(token).into()))
}

/// A new id that cannot be guessed: `prefix` and 128 random bits.
///
/// # Errors
/// When the operating system has no randomness to give.
pub(crate) fn new_id(prefix: &str) -> Result<String, getrandom::Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    Ok(format!("{prefix}{:032x}", u128::from_be_bytes(random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_issued() {
        for kind in [CredentialKind::Session, CredentialKind::ApiKey] {
            let (token, hash) = issue(kind).unwrap();
            assert_eq!(read(&token), Some((kind, hash)));
            assert_eq!(read(&token[1..]), None);
            assert_eq!(read(&format!("{token}x")), None);
            assert_ne!(issue(kind).unwrap().0, token);
        }
        assert_eq!(read(""), None);
        assert!(new_id("u_").unwrap().len() <= 64);
    }
}
