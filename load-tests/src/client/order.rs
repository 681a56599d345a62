//! The promise of order, checked on every frame of one connection: a room's events come by `seq` without a hole or a
//! repeat, beginning where the answer to `join` or the `welcome` says, and only while the room is open.

use std::collections::HashMap;

use protocol::{
    ClientFrame, Command, Event, JoinFrom, RoomName, ServerFrame,
    limits::DEFAULT_JOIN_EVENTS,
    server::{Done, Welcome},
};

/// Rooms and the last `seq` that was received of each, in the order of their names.
pub type Positions = Vec<(String, u64)>;

/// The server broke the promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Something was left out, repeated or reordered.
    #[error("in room {room} the next event is {expected}, but {got} came in `{op}`")]
    Sequence {
        /// Where.
        room: RoomName,
        /// `events` or `gap`.
        op: &'static str,
        /// The `seq` that continues the room.
        expected: u64,
        /// The `seq` that came.
        got: u64,
    },
    /// `at` went back.
    #[error("in room {room} event {seq} is from {at}, earlier than the one before it ({before})")]
    Time {
        /// Where.
        room: RoomName,
        /// The event.
        seq: u64,
        /// Its time, in Unix milliseconds.
        at: u64,
        /// The time of the event before it.
        before: u64,
    },
    /// An `events` frame without events, or a `gap` that ends before it begins.
    #[error("in room {room} a frame `{op}` is empty")]
    Empty {
        /// Where.
        room: RoomName,
        /// `events` or `gap`.
        op: &'static str,
    },
    /// A frame of a room that is not open on this connection.
    #[error("a frame `{op}` of room {room}, which is not open here")]
    NotOpen {
        /// Where.
        room: RoomName,
        /// The frame.
        op: &'static str,
    },
    /// The `welcome` does not say exactly once what became of a room that was to be resumed.
    #[error("the `welcome` has room `{room}` {times} times in `rooms` and `refused`")]
    Resume {
        /// The name as it was sent.
        room: String,
        /// In how many of the two it is.
        times: usize,
    },
}

/// What one connection may expect next.
#[derive(Debug, Default)]
pub struct Order {
    rooms: HashMap<RoomName, Room>,
    asked: HashMap<u32, Asked>,
    resume: Positions,
}

#[derive(Debug)]
enum Room {
    /// The next event is `last + 1`.
    Open { last: u64, at: u64 },
    /// Opened or closed by a command without `id`: nobody says when that took effect.
    Unsure,
}

#[derive(Debug)]
enum Asked {
    Join(RoomName, JoinFrom),
    Leave(RoomName),
}

impl Order {
    /// The last `seq` of each open room.
    pub fn positions(&self) -> Positions {
        let open = self.rooms.iter().filter_map(|(room, state)| match state {
            Room::Open { last, .. } => Some((room.to_string(), *last)),
            Room::Unsure => None,
        });
        let mut positions: Positions = open.collect();
        positions.sort();
        positions
    }

    /// Takes note of a command that is about to be sent.
    pub fn sent(&mut self, frame: ClientFrame) {
        let asked = match frame.command {
            Command::Hello(hello) => {
                self.resume = hello.resume.unwrap_or_default();
                return;
            }
            Command::Join { room, from } => Asked::Join(room, from),
            Command::Leave { room } => Asked::Leave(room),
            _ => return,
        };
        match (frame.id, asked) {
            (Some(id), asked) => {
                self.asked.insert(id, asked);
            }
            (None, Asked::Join(room, _) | Asked::Leave(room)) => {
                self.rooms.insert(room, Room::Unsure);
            }
        }
    }

    /// Checks a frame that arrived.
    ///
    /// # Errors
    /// When it breaks the promise. The checks go on behind what came.
    pub fn received(&mut self, frame: &ServerFrame) -> Result<(), Violation> {
        match frame {
            ServerFrame::Events { room, events } => self.events(room, events),
            ServerFrame::Gap { room, from, to } => self.gap(room, *from, *to),
            ServerFrame::Presence { room, .. } => self.open(room, "presence").map(drop),
            ServerFrame::Typing { room, .. } => self.open(room, "typing").map(drop),
            ServerFrame::Read { room, .. } => self.open(room, "read").map(drop),
            ServerFrame::Welcome(welcome) => self.resumed(welcome),
            ServerFrame::Ok(done) => {
                self.done(done);
                Ok(())
            }
            ServerFrame::Error(refused) => {
                if let Some(id) = refused.id {
                    self.asked.remove(&id);
                }
                Ok(())
            }
            ServerFrame::Pong { .. } | ServerFrame::Goaway { .. } | ServerFrame::Unknown => Ok(()),
        }
    }

    fn done(&mut self, done: &Done) {
        match done.id.and_then(|id| self.asked.remove(&id)) {
            Some(Asked::Join(room, from)) => {
                let head = done.head.unwrap_or(0);
                let last = match from {
                    _ if done.reset == Some(true) => before_newest(head, DEFAULT_JOIN_EVENTS),
                    JoinFrom::After(after) => after,
                    JoinFrom::Newest(count) => before_newest(head, count),
                };
                self.rooms.insert(room, Room::Open { last, at: 0 });
            }
            Some(Asked::Leave(room)) => {
                self.rooms.remove(&room);
            }
            None => {}
        }
    }

    fn resumed(&mut self, welcome: &Welcome) -> Result<(), Violation> {
        for (name, position) in std::mem::take(&mut self.resume) {
            let resumed = welcome.rooms.as_ref().and_then(|rooms| rooms.get(&name));
            let refused = welcome.refused.as_ref().and_then(|rooms| rooms.get(&name));
            let times = usize::from(resumed.is_some()) + usize::from(refused.is_some());
            if times != 1 {
                return Err(Violation::Resume { room: name, times });
            }
            if let (Some(resumed), Ok(room)) = (resumed, RoomName::new(&name)) {
                let last = match resumed.reset {
                    Some(true) => before_newest(resumed.head, DEFAULT_JOIN_EVENTS),
                    _ => position,
                };
                self.rooms.insert(room, Room::Open { last, at: 0 });
            }
        }
        Ok(())
    }

    fn events(&mut self, room: &RoomName, events: &[Event]) -> Result<(), Violation> {
        let state = self.open(room, "events")?;
        if events.is_empty() {
            return Err(Violation::Empty {
                room: room.clone(),
                op: "events",
            });
        }
        let mut broken = None;
        for event in events {
            broken = broken.or(state.advance(room, "events", event.seq, event.seq).err());
            broken = broken.or(state.pass_time(room, event).err());
        }
        broken.map_or(Ok(()), Err)
    }

    fn gap(&mut self, room: &RoomName, from: u64, to: u64) -> Result<(), Violation> {
        let state = self.open(room, "gap")?;
        if to < from {
            return Err(Violation::Empty {
                room: room.clone(),
                op: "gap",
            });
        }
        state.advance(room, "gap", from, to)
    }

    fn open(&mut self, room: &RoomName, op: &'static str) -> Result<&mut Room, Violation> {
        self.rooms.get_mut(room).ok_or_else(|| Violation::NotOpen {
            room: room.clone(),
            op,
        })
    }
}

impl Room {
    fn advance(&mut self, room: &RoomName, op: &'static str, from: u64, to: u64) -> Result<(), Violation> {
        let Self::Open { last, .. } = self else {
            return Ok(());
        };
        let expected = *last + 1;
        *last = to;
        if from == expected {
            Ok(())
        } else {
            Err(Violation::Sequence {
                room: room.clone(),
                op,
                expected,
                got: from,
            })
        }
    }

    fn pass_time(&mut self, room: &RoomName, event: &Event) -> Result<(), Violation> {
        let Self::Open { at, .. } = self else {
            return Ok(());
        };
        let before = std::mem::replace(at, event.at);
        if event.at >= before {
            Ok(())
        } else {
            Err(Violation::Time {
                room: room.clone(),
                seq: event.seq,
                at: event.at,
                before,
            })
        }
    }
}

/// The `seq` in front of the newest `count` events.
fn before_newest(head: u64, count: u64) -> u64 {
    head.saturating_sub(count)
}
