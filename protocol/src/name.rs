//! Room names.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};

use crate::limits::MAX_ROOM_NAME_BYTES;

/// A room's name: `[a-z0-9][a-z0-9_-]{0,63}`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(Arc<str>);

/// What a room name must look like, for error messages.
pub const ROOM_NAME_RULE: &str = "1 to 64 of a-z, 0-9, _ and -, beginning with a letter or a digit";

/// The text is no room name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a room name is {ROOM_NAME_RULE}")]
pub struct InvalidRoomName;

impl RoomName {
    /// Checks `name` and wraps it.
    ///
    /// # Errors
    /// When `name` breaks the rule of [`ROOM_NAME_RULE`].
    pub fn new(name: &str) -> Result<Self, InvalidRoomName> {
        let bytes = name.as_bytes();
        let first_ok = bytes
            .first()
            .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let all_ok = bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_' || *b == b'-');
        if first_ok && all_ok && bytes.len() <= MAX_ROOM_NAME_BYTES {
            Ok(Self(name.into()))
        } else {
            Err(InvalidRoomName)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl FromStr for RoomName {
    type Err = InvalidRoomName;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::new(s)
    }
}

impl Serialize for RoomName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RoomName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

/// Spares the copy that `String::deserialize` would make.
struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = RoomName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ROOM_NAME_RULE)
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<RoomName, E> {
        RoomName::new(name).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_holds_at_its_edges() {
        for good in ["a", "0", "a-b_c", &"x".repeat(64)] {
            assert!(RoomName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "-a", "_a", "a b", "ä", "a/b", "a\0", &"x".repeat(65)] {
            assert_eq!(RoomName::new(bad), Err(InvalidRoomName), "{bad}");
        }
    }
}
