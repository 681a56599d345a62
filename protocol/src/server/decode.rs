//! Reading a server's frame, as a client does.
//!
//! A node writes `op` first, and then the fields are read straight into place. Serde's own tagged enums would buffer every
//! frame, which costs a fleet of test clients more than all the rest.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;

use super::{Done, GoawayReason, Refused, ServerFrame, Welcome};
use crate::{Event, Person, RoomName};

impl<'de> Deserialize<'de> for ServerFrame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FrameVisitor)
    }
}

struct FrameVisitor;

impl<'de> Visitor<'de> for FrameVisitor {
    type Value = ServerFrame;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with `op`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ServerFrame, A::Error> {
        match map.next_key::<Key>()? {
            Some(Key::Op) => {
                let op = map.next_value::<Op>()?;
                read_body(op, MapAccessDeserializer::new(map))
            }
            Some(Key::Other(first)) => {
                let mut fields = serde_json::Map::new();
                fields.insert(first, map.next_value()?);
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    fields.insert(key, value);
                }
                let op = fields.remove("op").ok_or_else(|| A::Error::missing_field("op"))?;
                let op = Op::deserialize(op).map_err(A::Error::custom)?;
                read_body(op, Value::Object(fields)).map_err(A::Error::custom)
            }
            None => Err(A::Error::missing_field("op")),
        }
    }
}

/// The first key of a frame.
enum Key {
    Op,
    Other(String),
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        Ok(match key {
            "op" => Key::Op,
            other => Key::Other(other.to_owned()),
        })
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    Welcome,
    Ok,
    Error,
    Pong,
    Events,
    Gap,
    Presence,
    Typing,
    Read,
    Goaway,
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct Pong {
    id: Option<u32>,
    time: u64,
}

#[derive(Deserialize)]
struct Events {
    room: RoomName,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Gap {
    room: RoomName,
    from: u64,
    to: u64,
}

#[derive(Deserialize)]
struct Presence {
    room: RoomName,
    count: u64,
    joined: Option<Vec<Person>>,
    left: Option<Vec<Person>>,
}

#[derive(Deserialize)]
struct Typing {
    room: RoomName,
    user: Person,
}

#[derive(Deserialize)]
struct Read {
    room: RoomName,
    user: Person,
    seq: u64,
}

#[derive(Deserialize)]
struct Goaway {
    after_ms: u64,
    reason: GoawayReason,
}

fn read_body<'de, D: Deserializer<'de>>(op: Op, body: D) -> Result<ServerFrame, D::Error> {
    Ok(match op {
        Op::Welcome => ServerFrame::Welcome(Welcome::deserialize(body)?),
        Op::Ok => ServerFrame::Ok(Done::deserialize(body)?),
        Op::Error => ServerFrame::Error(Refused::deserialize(body)?),
        Op::Pong => {
            let Pong { id, time } = Pong::deserialize(body)?;
            ServerFrame::Pong { id, time }
        }
        Op::Events => {
            let Events { room, events } = Events::deserialize(body)?;
            ServerFrame::Events { room, events }
        }
        Op::Gap => {
            let Gap { room, from, to } = Gap::deserialize(body)?;
            ServerFrame::Gap { room, from, to }
        }
        Op::Presence => {
            let Presence {
                room,
                count,
                joined,
                left,
            } = Presence::deserialize(body)?;
            ServerFrame::Presence {
                room,
                count,
                joined,
                left,
            }
        }
        Op::Typing => {
            let Typing { room, user } = Typing::deserialize(body)?;
            ServerFrame::Typing { room, user }
        }
        Op::Read => {
            let Read { room, user, seq } = Read::deserialize(body)?;
            ServerFrame::Read { room, user, seq }
        }
        Op::Goaway => {
            let Goaway { after_ms, reason } = Goaway::deserialize(body)?;
            ServerFrame::Goaway { after_ms, reason }
        }
        Op::Unknown => {
            IgnoredAny::deserialize(body)?;
            ServerFrame::Unknown
        }
    })
}
