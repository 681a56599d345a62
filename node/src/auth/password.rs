//! Passwords: argon2id with the parameters that OWASP asks for, a bounded number at a time, on threads that give way to
//! all others: somebody who signs in is not to slow down those who chat.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version, password_hash::phc::PasswordHash,
};
use unicode_normalization::UnicodeNormalization;

use super::aside::{self, Aside};

/// Shortest password, in bytes.
pub(crate) const MIN_BYTES: usize = 8;
/// Longest password, in bytes.
pub(crate) const MAX_BYTES: usize = 256;
/// What a password must be like, for error messages.
const RULE: &str = "must be 8 to 256 bytes without control characters";
/// Memory for one hash, in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// A password that may be one, in the form that PRECIS OpaqueString (RFC 8265) gives it: composed, with plain spaces, so
/// that it is the same from every keyboard.
#[derive(Clone)]
pub(crate) struct Password(String);

/// Makes and checks hashes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    aside: Aside,
    /// Compared with where there is no such account, so that it takes as long.
    decoy: Arc<str>,
}

/// No hash was made or checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HashError {
    /// Too many wait already.
    Busy,
    /// A fault of this program, or no randomness.
    Failed,
}

impl From<aside::Refused> for HashError {
    fn from(refused: aside::Refused) -> Self {
        match refused {
            aside::Refused::Busy => Self::Busy,
            aside::Refused::Failed => Self::Failed,
        }
    }
}

impl Password {
    /// # Errors
    /// When it may not be one; the text says what is allowed.
    pub(crate) fn new(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_BYTES {
            return Err(RULE);
        }
        if text.chars().any(char::is_control) {
            return Err(RULE);
        }
        let plain = |c: char| if c.is_whitespace() { ' ' } else { c };
        let text: String = text.chars().map(plain).nfc().collect();
        if (MIN_BYTES..=MAX_BYTES).contains(&text.len()) {
            Ok(Self(text))
        } else {
            Err(RULE)
        }
    }
}

impl Passwords {
    /// # Errors
    /// When there is no randomness.
    pub(crate) fn new() -> Result<Self, HashError> {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|_| HashError::Failed)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = hash(&argon2, "nobody's password").ok_or(HashError::Failed)?;
        Ok(Self {
            argon2,
            aside: Aside::new("hash"),
            decoy: decoy.into(),
        })
    }

    /// The hash of a password as a PHC string.
    ///
    /// # Errors
    /// When too many wait already.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, HashError> {
        let argon2 = self.argon2.clone();
        let work = move || hash(&argon2, &password.0);
        self.aside.run(work).await?.ok_or(HashError::Failed)
    }

    /// Whether the password is the one that was hashed. Without either it takes as long, and is not.
    ///
    /// # Errors
    /// When too many wait already.
    pub(crate) async fn matches(
        &self,
        password: Option<Password>,
        hash: Option<String>,
    ) -> Result<bool, HashError> {
        let (argon2, decoy) = (self.argon2.clone(), Arc::clone(&self.decoy));
        let possible = password.is_some() && hash.is_some();
        let verify = move || {
            let hash = hash.as_deref().unwrap_or(&decoy);
            let password = password.as_ref().map_or("", |password| &password.0);
            let parsed = PasswordHash::new(hash).ok()?;
            Some(argon2.verify_password(password.as_bytes(), &parsed).is_ok())
        };
        let matches = self.aside.run(verify).await?.ok_or(HashError::Failed)?;
        Ok(matches && possible)
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Option<String> {
    let hashed: PasswordHash = argon2.hash_password(password.as_bytes()).ok()?;
    Some(hashed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text).ok().unwrap()
    }

    #[tokio::test]
    async fn a_hash_matches_its_password_alone() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash(password("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(
            hash,
            passwords.hash(password("correct horse")).await.unwrap(),
            "salted"
        );
        let matches = async |text: &str, hash: Option<&str>| {
            let given = Password::new(text).ok();
            passwords.matches(given, hash.map(str::to_owned)).await.unwrap()
        };
        assert!(matches("correct horse", Some(&hash)).await);
        assert!(!matches("correct horsf", Some(&hash)).await);
        assert!(!matches("correct horse", None).await);
        assert!(!matches("nobody's password", None).await);
        assert!(!matches("short", Some(&hash)).await);
    }

    #[test]
    fn what_a_password_may_be() {
        for good in [
            "12345678",
            "пароль",
            "correct horse battery",
            &"x".repeat(256),
            "🦀🦀",
        ] {
            assert!(Password::new(good).is_ok(), "{good}");
        }
        for bad in ["", "1234567", "1234567\n", &"x".repeat(257)] {
            assert!(Password::new(bad).is_err(), "{bad}");
        }
    }
}
