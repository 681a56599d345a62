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

/// The bytes are no frame: not JSON or MessagePack, not one map with text keys, something behind it, or too deep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(String);

/// The top-level map of a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

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
    /// A map whose keys are all text.
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
    /// Anything that no command takes: negative and fractional numbers, arrays, byte strings, extension types.
    Other,
}

impl<'a> Fields<'a> {
    /// Reads the payload of one frame. Strings are borrowed from `bytes` where they need no unescaping.
    ///
    /// # Errors
    /// When `bytes` are undecodable in the sense of the wire.
    pub fn decode(codec: Codec, bytes: &'a [u8]) -> Result<Self, Undecodable> {
        let seed = ValueSeed { depth: 1 };
        let value = match codec {
            Codec::Json => {
                let mut json = serde_json::Deserializer::from_slice(bytes);
                let value = seed.deserialize(&mut json).map_err(undecodable("JSON"))?;
                json.end().map_err(undecodable("JSON"))?;
                value
            }
            Codec::Msgpack => {
                let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
                let value = seed
                    .deserialize(&mut reader)
                    .map_err(undecodable("MessagePack"))?;
                // The reader does not tell its position; that no further marker can be read is the end.
                match IgnoredAny::deserialize(&mut reader) {
                    Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => {}
                    _ => {
                        return Err(Undecodable(
                            "not MessagePack: something follows the frame's map".to_owned(),
                        ));
                    }
                }
                value
            }
        };
        match value {
            Value::Map(entries) => Ok(Self(entries)),
            _ => Err(Undecodable("a frame is one map whose keys are text".to_owned())),
        }
    }

    /// The field's value; `None` where it is absent or null. Of a repeated field the last one counts.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        let (_, value) = self.0.iter().rev().find(|(key, _)| key == name)?;
        (*value != Value::Null).then_some(value)
    }
}

fn undecodable<E: std::fmt::Display>(format: &'static str) -> impl Fn(E) -> Undecodable {
    move |error| Undecodable(format!("not {format}: {error}"))
}

/// Reads a value at `depth` levels of nesting; a map or array at a depth above the limit is an error.
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

    fn visit_none<E>(self) -> Result<Self::Value, E> {
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

    fn visit_f32<E>(self, _: f32) -> Result<Self::Value, E> {
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
        let mut entries = Vec::with_capacity(8);
        let mut text_keys = true;
        while let Some(key) = map.next_key_seed(inner)? {
            let value = map.next_value_seed(inner)?;
            match key {
                Value::Str(key) => entries.push((key, value)),
                _ => text_keys = false,
            }
        }
        Ok(if text_keys {
            Value::Map(entries)
        } else {
            Value::Other
        })
    }
}
