//! What nodes tell each other over the bus, always in MessagePack.
//!
//! The bus is only a hint: whatever is in a node frame can be lost, and is then read from the store.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Event, EventBody, Person, RoomName,
    codec::{EncodeError, from_msgpack},
};

/// The version that this build writes. Frames of a later version are ignored.
pub const NODE_FRAME_VERSION: u8 = 1;

/// One message from one node to all others that listen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFrame {
    /// [`NODE_FRAME_VERSION`] of the sender.
    pub v: u8,
    /// The sending node, so that it ignores its own frames.
    pub node: Arc<str>,
    /// The content.
    pub message: NodeMessage,
}

/// The content of a [`NodeFrame`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeMessage {
    /// Committed events of one room, ascending, `seq` without a hole.
    Events {
        /// The room.
        room: RoomName,
        /// At least one.
        events: Vec<Event>,
    },
    /// Somebody types.
    Typing {
        /// The room.
        room: RoomName,
        /// Who.
        user: Person,
    },
    /// Somebody has read up to `seq`.
    Read {
        /// The room.
        room: RoomName,
        /// Who.
        user: Person,
        /// The last `seq` read.
        seq: u64,
    },
    /// Who is in the room on the sending node: the whole picture.
    Presence {
        /// The room.
        room: RoomName,
        /// Which of the sender's pictures of the room this is.
        version: u64,
        /// People, not connections.
        count: u64,
        /// All of them, or none where `count` is above the limit for naming people.
        users: Vec<Person>,
        /// The sender has just opened the room and asks the others for their picture.
        ask: bool,
    },
    /// Who came and who went in the room on the sending node since one of its pictures. Without either the picture is
    /// only renewed. Who does not know picture `base` asks for the whole.
    PresenceChange {
        /// The room.
        room: RoomName,
        /// The picture that changed.
        base: u64,
        /// What it is called now.
        version: u64,
        /// People who came.
        joined: Vec<Person>,
        /// Ids of people who went.
        left: Vec<Arc<str>>,
    },
    /// A node is asked for its whole picture of the room.
    PresenceAsk {
        /// The room.
        room: RoomName,
        /// The node that is asked.
        of: Arc<str>,
    },
    /// Something was taken away from somebody: a session, a right to come in.
    Accounts {
        /// The last change in the store that the sending node knows.
        version: u64,
    },
}

impl NodeFrame {
    /// A frame of this build's version.
    pub fn new(node: Arc<str>, message: NodeMessage) -> Self {
        Self {
            v: NODE_FRAME_VERSION,
            node,
            message,
        }
    }

    /// The frame as MessagePack.
    ///
    /// # Errors
    /// Never for frames that this crate can build; the encoder's error is passed on all the same.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        Self::encode_message(&self.node, &self.message)
    }

    /// The frame of `message` from `node` as MessagePack, without taking them over.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_message(node: &str, message: &NodeMessage) -> Result<Vec<u8>, EncodeError> {
        #[derive(Serialize)]
        struct Borrowed<'a> {
            v: u8,
            node: &'a str,
            message: &'a NodeMessage,
        }
        crate::codec::to_msgpack(&Borrowed {
            v: NODE_FRAME_VERSION,
            node,
            message,
        })
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// When `bytes` are no node frame, or one of a later version.
    pub fn decode(bytes: &[u8]) -> Result<Self, NodeFrameError> {
        let malformed = |e: rmp_serde::decode::Error| NodeFrameError::Malformed(e.to_string());
        match from_msgpack::<Self>(bytes) {
            Ok(frame) if frame.v != NODE_FRAME_VERSION => Err(NodeFrameError::Version(frame.v)),
            Ok(frame) if frame.has_unknown_event() => Err(NodeFrameError::Malformed(
                "an event of an unknown kind".to_owned(),
            )),
            Ok(frame) => Ok(frame),
            Err(error) => match from_msgpack::<Version>(bytes).map_err(malformed)?.v {
                NODE_FRAME_VERSION => Err(malformed(error)),
                other => Err(NodeFrameError::Version(other)),
            },
        }
    }

    fn has_unknown_event(&self) -> bool {
        match &self.message {
            NodeMessage::Events { events, .. } => events.iter().any(|event| event.body == EventBody::Unknown),
            _ => false,
        }
    }
}

/// What every version's frame begins with.
#[derive(Deserialize)]
struct Version {
    v: u8,
}

/// The bytes are no node frame that this build reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeFrameError {
    /// Another version wrote it.
    #[error("node frame of version {0}, this build reads version {NODE_FRAME_VERSION}")]
    Version(u8),
    /// Not a node frame at all.
    #[error("not a node frame: {0}")]
    Malformed(String),
}
