//! The two codecs. Both carry the same maps with the same field names.

use serde::{Serialize, de::DeserializeOwned};

use crate::limits::MAX_DEPTH;

/// How frames are written on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Text frames of JSON.
    Json,
    /// Binary frames of MessagePack.
    Msgpack,
}

/// A value could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode: {0}")]
pub struct EncodeError(String);

/// Bytes are not what the receiver expects.
#[derive(Debug, thiserror::Error)]
#[error("cannot decode: {0}")]
pub struct DecodeError(String);

impl Codec {
    /// Both codecs.
    pub const ALL: [Self; 2] = [Self::Json, Self::Msgpack];

    /// The WebSocket subprotocol that selects the codec.
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "hubbub.v1.json",
            Self::Msgpack => "hubbub.v1.msgpack",
        }
    }

    /// The codec that `subprotocol` selects.
    pub fn from_subprotocol(subprotocol: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.subprotocol() == subprotocol)
    }

    /// Writes one frame's payload.
    ///
    /// # Errors
    /// When `value` has a shape that the codec cannot write; no type of this crate has.
    pub fn encode<T: Serialize>(self, value: &T) -> Result<Vec<u8>, EncodeError> {
        match self {
            Self::Json => serde_json::to_vec(value).map_err(|e| EncodeError(e.to_string())),
            Self::Msgpack => to_msgpack(value),
        }
    }

    /// Reads one frame's payload, as a client does. A server reads with [`crate::fields::Fields`], which tells apart
    /// what closes a connection from what does not.
    ///
    /// # Errors
    /// When `bytes` are no such value.
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, DecodeError> {
        match self {
            Self::Json => serde_json::from_slice(bytes).map_err(|e| DecodeError(e.to_string())),
            Self::Msgpack => from_msgpack(bytes).map_err(|e| DecodeError(e.to_string())),
        }
    }
}

/// MessagePack with field names.
pub(crate) fn to_msgpack<T: Serialize>(value: &T) -> Result<Vec<u8>, EncodeError> {
    rmp_serde::to_vec_named(value).map_err(|e| EncodeError(e.to_string()))
}

/// One value of MessagePack; what follows it is not looked at.
pub(crate) fn from_msgpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    // The reader's own limit is deeper than a small stack.
    reader.set_max_depth(4 * MAX_DEPTH);
    T::deserialize(&mut reader)
}
