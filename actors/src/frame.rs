//! A frame that many connections get: encoded once per codec, then shared.

use std::{cell::OnceCell, sync::Arc};

use bytes::Bytes;
use protocol::{Codec, Event, RoomName};
use serde::Serialize;

/// A frame with its encodings, made when first asked for.
pub(crate) struct SharedFrame<T> {
    frame: T,
    json: OnceCell<Bytes>,
    msgpack: OnceCell<Bytes>,
}

impl<T: Serialize> SharedFrame<T> {
    pub(crate) fn new(frame: T) -> Self {
        Self {
            frame,
            json: OnceCell::new(),
            msgpack: OnceCell::new(),
        }
    }

    /// The payload in `codec`; the bytes are shared, not copied.
    pub(crate) fn payload(&self, codec: Codec) -> Bytes {
        let cell = match codec {
            Codec::Json => &self.json,
            Codec::Msgpack => &self.msgpack,
        };
        cell.get_or_init(|| match codec.encode(&self.frame) {
            // Who is behind may hold it for long: without what the encoder allocated too much.
            Ok(payload) => payload.into_boxed_slice().into(),
            Err(error) => {
                // No type of the protocol can fail to encode; an empty payload would break a client's decoder loudly.
                tracing::error!(%error, "a frame could not be encoded");
                Bytes::new()
            }
        })
        .clone()
    }
}

/// An `events` frame that shares its events with the ring.
#[derive(Serialize)]
pub(crate) struct EventsFrame {
    op: &'static str,
    room: RoomName,
    events: Vec<Arc<Event>>,
}

impl SharedFrame<EventsFrame> {
    /// A frame of `events`, which are not empty.
    pub(crate) fn events(room: &RoomName, events: Vec<Arc<Event>>) -> Self {
        Self::new(EventsFrame {
            op: "events",
            room: room.clone(),
            events,
        })
    }

    /// How many events are in it.
    pub(crate) fn len(&self) -> u64 {
        self.frame.events.len() as u64
    }

    /// The `seq` of the last one.
    pub(crate) fn last_seq(&self) -> u64 {
        self.frame.events.last().map_or(0, |event| event.seq)
    }
}
