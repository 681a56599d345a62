//! Events and texts in a few bytes: equal where all that may not differ is equal.

use protocol::{Event, EventBody};

/// FNV-1a with 64 bits: the same in every build, so that a journal can be checked by another one.
#[derive(Debug, Clone, Copy)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// Adds a field; fields do not run into one another.
    #[must_use]
    pub fn field(self, bytes: &[u8]) -> Self {
        let length = (bytes.len() as u64).to_le_bytes();
        length.iter().chain(bytes).fold(self, |digest, byte| {
            Self((digest.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
        })
    }

    /// Adds a number.
    #[must_use]
    pub fn number(self, number: u64) -> Self {
        self.field(&number.to_le_bytes())
    }

    /// The digest.
    pub fn value(self) -> u64 {
        self.0
    }
}

/// What of an event never changes, whoever is shown it whenever: all but texts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lasting<'a> {
    pub(crate) seq: u64,
    pub(crate) author: &'a str,
    pub(crate) cid: Option<&'a str>,
    pub(crate) at: u64,
    pub(crate) kind: &'a str,
    /// What an edit, a delete or a reaction is about, or a message replies to.
    pub(crate) target: Option<u64>,
    pub(crate) emoji: Option<&'a str>,
    pub(crate) given: Option<bool>,
}

impl Lasting<'_> {
    pub(crate) fn digest(&self) -> u64 {
        let option = |digest: Digest, value: Option<&str>| match value {
            Some(value) => digest.number(1).field(value.as_bytes()),
            None => digest.number(0),
        };
        let digest = Digest::default().number(self.seq).field(self.author.as_bytes());
        let digest = option(digest, self.cid)
            .number(self.at)
            .field(self.kind.as_bytes());
        let digest = option(digest.number(self.target.unwrap_or(0)), self.emoji);
        digest.number(self.given.map_or(2, u64::from)).value()
    }
}

/// Of an event's place, author, `cid`, time and what it is about; not of its text, which may be edited.
pub fn event_digest(event: &Event) -> u64 {
    let (target, emoji, given) = match &event.body {
        EventBody::Message { reply_to, .. } => (*reply_to, None, None),
        EventBody::Edit { target, .. } | EventBody::Delete { target } => (Some(*target), None, None),
        EventBody::React { target, emoji, on } => (Some(*target), Some(&**emoji), Some(*on)),
        EventBody::Member { .. } | EventBody::Room { .. } | EventBody::Unknown => (None, None, None),
    };
    let lasting = Lasting {
        seq: event.seq,
        author: &event.user.id,
        cid: event.cid.as_deref(),
        at: event.at,
        kind: event.body.kind(),
        target,
        emoji,
        given,
    };
    lasting.digest()
}

/// Of a text; 0 for none.
pub fn text_digest(text: &str) -> u32 {
    if text.is_empty() {
        return 0;
    }
    let digest = Digest::default().field(text.as_bytes()).value();
    let [a, b, c, d, e, f, g, h] = digest.to_le_bytes();
    (u32::from_le_bytes([a, b, c, d]) ^ u32::from_le_bytes([e, f, g, h])).max(1)
}

/// Of the text that an event shows.
pub(super) fn shown_text(event: &Event) -> u32 {
    match &event.body {
        EventBody::Message { text, .. } => text_digest(text),
        EventBody::Edit { text: Some(text), .. } => text_digest(text),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lasting_field_counts() {
        let one = Lasting {
            seq: 1,
            author: "a",
            cid: Some("c"),
            at: 5,
            kind: "react",
            target: Some(2),
            emoji: Some("+"),
            given: Some(true),
        };
        let others = [
            Lasting { seq: 2, ..one },
            Lasting { author: "b", ..one },
            Lasting { cid: None, ..one },
            Lasting { at: 6, ..one },
            Lasting { kind: "edit", ..one },
            Lasting { target: None, ..one },
            Lasting { emoji: None, ..one },
            Lasting {
                given: Some(false),
                ..one
            },
        ];
        for other in others {
            assert_ne!(one.digest(), other.digest(), "{other:?}");
        }
        assert_eq!(one.digest(), one.digest());
    }

    #[test]
    fn texts_differ_and_none_is_zero() {
        assert_eq!(text_digest(""), 0);
        assert_ne!(text_digest("a"), text_digest("b"));
    }
}
