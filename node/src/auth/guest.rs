//! Guests' tokens: signed, so that a guest costs no write and comes back on any node, also after all were restarted.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use protocol::{Person, limits::MAX_NAME_BYTES};
use sha2::Sha256;

/// Tells guests' tokens from other credentials, and this format from later ones.
const PREFIX: &str = super::GUEST_PREFIX;
/// Bytes of a guest's id: 128 random bits in hexadecimal, behind `g_`.
const ID_BYTES: usize = 34;

/// Makes and checks tokens of the form `hg1.BODY.MAC`: both parts in base64url; the body is id and name, the MAC is
/// HMAC-SHA256 over everything before it.
pub(super) struct GuestTokens {
    mac: Hmac<Sha256>,
}

impl GuestTokens {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        // Keys of any length are taken.
        let mac = Hmac::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        Self { mac }
    }

    /// A new guest of that name.
    ///
    /// # Errors
    /// When the operating system has no randomness to give: an id must not be guessable.
    pub(super) fn issue(&self, name: &str) -> Result<(Person, String), getrandom::Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let id = format!("g_{:032x}", u128::from_be_bytes(random));
        let body = URL_SAFE_NO_PAD.encode(format!("{id}{name}"));
        let signed = format!("{PREFIX}{body}");
        let mac = self.mac.clone().chain_update(&signed).finalize().into_bytes();
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac));
        Ok((
            Person {
                id: id.into(),
                name: name.into(),
            },
            token,
        ))
    }

    /// The guest that a token was made for; `None` if it was not made with this key.
    pub(super) fn verify(&self, token: &str) -> Option<Person> {
        let (signed, mac) = token.rsplit_once('.')?;
        let body = signed.strip_prefix(PREFIX)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        // Compares in constant time.
        self.mac.clone().chain_update(signed).verify_slice(&mac).ok()?;
        let body = String::from_utf8(URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        let (id, name) = body.split_at_checked(ID_BYTES)?;
        (name.len() <= MAX_NAME_BYTES).then(|| Person {
            id: id.into(),
            name: name.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_comes_back_as_the_same_person() {
        let tokens = GuestTokens::new(&[7; 32]);
        let (person, token) = tokens.issue("Ada Läufer").unwrap();
        assert_eq!(tokens.verify(&token), Some(person.clone()));
        assert_eq!(
            GuestTokens::new(&[7; 32]).verify(&token),
            Some(person),
            "another node, the same key"
        );
        assert_eq!(GuestTokens::new(&[8; 32]).verify(&token), None, "another key");
    }

    #[test]
    fn a_changed_token_is_refused() {
        let tokens = GuestTokens::new(&[7; 32]);
        let (_, token) = tokens.issue("Ada").unwrap();
        for position in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(tokens.verify(&changed), None, "position {position}");
        }
        for wrong in ["", ".", "hg1.", "hg1..", "hg1.AAAA", "hg2.AAAA.AAAA"] {
            assert_eq!(tokens.verify(wrong), None, "{wrong}");
        }
    }
}
