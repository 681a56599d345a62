//! A client's frame as a loose map: the step that decides whether a frame is decodable at all.
//!
//! A typed decoder cannot tell "not JSON" (closes the connection) from "`seq` is a string" (does not), and would
//! refuse what the wire says to ignore. So frames are read in two steps: bytes to [`Fields`], fields to
//! [`crate::Command`].

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{Codec, limits::MAX_DEPTH};

/// The bytes are no frame: not JSON or MessagePack, not one map, something behind it, or too deep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(String);

/// The top-level map of a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Fields<'a> {
    entries: Entries<'a>,
    foreign_key: bool,
}

/// A field's value, as far as any command needs it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// The same as an absent field.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer from 0.
    Uint(u64),
    /// Text.
    Str(Cow<'a, str>),
    /// A map directly within the frame whose keys are all text.
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
    /// Anything that no command takes: negative and fractional numbers, arrays, byte strings, text that is not UTF-8,
    /// extension types, maps with other keys, maps within maps.
    Other,
}

type Entries<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

impl<'a> Fields<'a> {
    /// Reads the payload of one frame. Strings are borrowed from `bytes` where they need no unescaping.
    ///
    /// # Errors
    /// When `bytes` are undecodable in the sense of the wire.
    pub fn decode(codec: Codec, bytes: &'a [u8]) -> Result<Self, Undecodable> {
        match codec {
            Codec::Json => {
                let mut json = serde_json::Deserializer::from_slice(bytes);
                let fields = json.deserialize_map(FrameVisitor).map_err(undecodable("JSON"))?;
                json.end().map_err(undecodable("JSON"))?;
                Ok(fields)
            }
            Codec::Msgpack => {
                let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
                let fields = reader
                    .deserialize_map(FrameVisitor)
                    .map_err(undecodable("MessagePack"))?;
                // The reader does not tell its position. A boolean is one marker without content, so that this very
                // error is the end of the bytes, and anything else is not.
                match bool::deserialize(&mut reader) {
                    Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(fields),
                    _ => Err(Undecodable(
                        "not one MessagePack map: something follows it".to_owned(),
                    )),
                }
            }
        }
    }

    /// The field's value; `None` where it is absent or null. Of a repeated field the last one counts.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        let (_, value) = self.entries.iter().rev().find(|(key, _)| key == name)?;
        (*value != Value::Null).then_some(value)
    }

    /// Whether a key of the map is no text, which only MessagePack can have.
    pub fn has_foreign_key(&self) -> bool {
        self.foreign_key
    }
}

fn undecodable<E: std::fmt::Display>(format: &'static str) -> impl Fn(E) -> Undecodable {
    move |error| Undecodable(format!("not one {format} map: {error}"))
}

struct FrameVisitor;

impl<'de> Visitor<'de> for FrameVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        // The largest ordinary command, an answer with `id`, has six fields.
        let (entries, foreign_key) = read_entries(map, ValueSeed { depth: 2 }, Vec::with_capacity(8))?;
        Ok(Fields { entries, foreign_key })
    }
}

fn read_entries<'de, A: MapAccess<'de>>(
    mut map: A,
    inner: ValueSeed,
    mut entries: Entries<'de>,
) -> Result<(Entries<'de>, bool), A::Error> {
    let mut foreign_key = false;
    while let Some((key, value)) = map.next_entry_seed(inner, inner)? {
        match key {
            Value::Str(key) => entries.push((key, value)),
            _ => foreign_key = true,
        }
    }
    Ok((entries, foreign_key))
}

/// Reads a value; a map or array would be at level `depth`, and above the limit it is an error.
#[derive(Clone, Copy)]
struct ValueSeed {
    depth: usize,
}

impl ValueSeed {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth > MAX_DEPTH {
            return Err(E::custom(format_args!("deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
        Ok(Value::Uint(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(v).map_or(Value::Other, Value::Uint))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Str(Cow::Borrowed(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Value::Str(Cow::Owned(v.to_owned())))
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        // A MessagePack extension: a type number and bytes.
        deserializer.deserialize_any(IgnoredAny)?;
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let inner = self.inner()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let inner = self.inner()?;
        if self.depth > 2 {
            // No command takes one: read for its form, not kept, so that a frame cannot make us hold much.
            while map.next_entry_seed(inner, inner)?.is_some() {}
            return Ok(Value::Other);
        }
        Ok(match read_entries(map, inner, Vec::new())? {
            (entries, false) => Value::Map(entries),
            (_, true) => Value::Other,
        })
    }
}
