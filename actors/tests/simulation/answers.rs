//! What a client is told, and whether it may be.

use std::sync::Arc;

use actors::ports::Change;
use protocol::{
    ErrorCode, JoinFrom, ServerFrame,
    server::{Done, Refused, Welcome},
};

use crate::{
    client::{Client, State},
    view::{Status, Write},
};

/// A command that is to be answered.
#[derive(Debug)]
pub(crate) enum Asked {
    Hello,
    Join {
        room: usize,
        from: JoinFrom,
        at_ms: u64,
        /// What was committed when it was asked.
        head: u64,
    },
    Leave {
        room: usize,
    },
    Write {
        cid: Arc<str>,
        while_open: bool,
    },
}

type Checked = Result<(), String>;

impl Client {
    /// Takes a frame.
    ///
    /// # Errors
    /// With the promise that it breaks.
    pub(crate) fn hear(&self, frame: ServerFrame) -> Checked {
        let now_ms = self.world.now_ms();
        let mut state = self.state.lock();
        let Some(connected) = &state.connected else {
            return Ok(());
        };
        if !connected.is_welcome && !matches!(frame, ServerFrame::Welcome(_)) {
            return Err(format!("before the welcome comes {frame:?}"));
        }
        match frame {
            ServerFrame::Welcome(welcome) => self.welcomed(&mut state, &welcome, now_ms),
            ServerFrame::Ok(done) => {
                let asked = state.answered(done.id)?;
                self.done(&mut state, asked, &done, now_ms)
            }
            ServerFrame::Error(refused) => {
                let asked = state.answered(refused.id)?;
                self.refused(&mut state, asked, &refused, now_ms)
            }
            ServerFrame::Events { room, events } => {
                let (first, last) = (&events[0], &events[events.len() - 1]);
                self.world.note(format_args!(
                    "{} is shown {room} {}-{}",
                    self.id(),
                    first.seq,
                    last.seq
                ));
                let truth = self.world.truth.lock();
                let State { rooms, writes, .. } = &mut *state;
                let index = rooms.iter().position(|view| view.name == room).unwrap();
                rooms[index].take(self.id(), &events, &truth, now_ms)?;
                if !rooms[index].wanted {
                    // Removed: what was not written yet will not be.
                    writes.retain(|write| write.room != index || write.in_flight);
                }
                Ok(())
            }
            ServerFrame::Gap { room, from, to } => {
                self.world.note(format_args!(
                    "{} is told of a gap in {room}: {from}-{to}",
                    self.id()
                ));
                self.world.count(|counts| counts.gaps += 1);
                let truth = self.world.truth.lock();
                let view = state.rooms.iter_mut().find(|view| view.name == room).unwrap();
                view.skip(from, to, &truth, now_ms)
            }
            ServerFrame::Presence { room, .. }
            | ServerFrame::Typing { room, .. }
            | ServerFrame::Read { room, .. } => {
                let view = state.rooms.iter().find(|view| view.name == room).unwrap();
                view.check_open("presence")
            }
            ServerFrame::Pong { .. } | ServerFrame::Goaway { .. } | ServerFrame::Unknown => Ok(()),
        }
    }

    fn welcomed(&self, state: &mut State, welcome: &Welcome, now_ms: u64) -> Checked {
        state.answered(welcome.id)?;
        if let Some(connected) = &mut state.connected {
            connected.is_welcome = true;
        }
        let (rooms, refused) = (&welcome.rooms, &welcome.refused);
        self.world.note(format_args!(
            "{} is welcome: {rooms:?}, refused {refused:?}",
            self.id()
        ));
        state.epoch = Some(welcome.epoch.to_string());
        for view in &mut state.rooms {
            if view.status != (Status::Opening { again: false }) {
                continue;
            }
            let name = view.name.as_str();
            let resumed = welcome.rooms.as_ref().and_then(|rooms| rooms.get(name));
            let refused = welcome.refused.as_ref().and_then(|rooms| rooms.get(name));
            let cursor = view.cursor.unwrap_or(0);
            match (resumed, refused) {
                (Some(resumed), None) => {
                    self.check_head(name, resumed.head)?;
                    if resumed.reset.is_some() || resumed.head < cursor {
                        return Err(format!("{name} is resumed behind {cursor} as {resumed:?}"));
                    }
                    self.world.count(|counts| counts.resumed += 1);
                    view.open(cursor, resumed.head, now_ms);
                }
                (None, Some(ErrorCode::Overloaded)) => {
                    view.status = Status::Closed;
                    view.retry_at_ms = now_ms + 200;
                }
                (None, Some(ErrorCode::NotFound)) if view.private => {
                    view.status = Status::Closed;
                    view.wanted = false;
                }
                other => return Err(format!("{name} is resumed as {other:?}")),
            }
        }
        let State { rooms, writes, .. } = state;
        writes.retain(|write| rooms[write.room].wanted);
        Ok(())
    }

    fn done(&self, state: &mut State, asked: Asked, done: &Done, now_ms: u64) -> Checked {
        match asked {
            Asked::Hello => Err("hello is answered with ok".to_owned()),
            Asked::Leave { room } => {
                let view = &mut state.rooms[room];
                self.world
                    .note(format_args!("{} has left {}", self.id(), view.name));
                if view.status == Status::Leaving {
                    view.status = Status::Closed;
                    view.wanted = false;
                }
                Ok(())
            }
            Asked::Join {
                room,
                from,
                at_ms,
                head,
            } => {
                let name = state.rooms[room].name.clone();
                let Some(told) = done.head else {
                    return Err(format!("a join of {name} is answered without a head"));
                };
                self.world
                    .note(format_args!("{} has joined {name} at {told}", self.id()));
                self.check_head(name.as_str(), told)?;
                let healthy_since_ms = state
                    .connected
                    .as_ref()
                    .and_then(|c| c.node.link.lock().healthy_since_ms());
                if told < head && healthy_since_ms.is_some_and(|since_ms| since_ms <= at_ms) {
                    return Err(format!(
                        "a join of {name} is told {told}, and {head} was committed before"
                    ));
                }
                let cursor = match from {
                    JoinFrom::After(after) if done.reset.is_some() => {
                        return Err(format!("a join of {name} behind {after} is reset"));
                    }
                    JoinFrom::After(after) => after,
                    JoinFrom::Newest(count) => told.saturating_sub(count),
                };
                state.rooms[room].open(cursor, told, now_ms);
                Ok(())
            }
            Asked::Write { cid, .. } => {
                let Some(position) = state.writes.iter().position(|write| write.cid == cid) else {
                    return Ok(());
                };
                let write = state.writes.remove(position);
                self.written(state, &write, done)
            }
        }
    }

    /// A write is acked: what the ack says must be committed by now.
    fn written(&self, state: &mut State, write: &Write, done: &Done) -> Checked {
        let room = &state.rooms[write.room].name;
        let (Some(seq), Some(_)) = (done.seq, done.at) else {
            return Err(format!("{} is acked with {done:?}", write.cid));
        };
        self.world.note(format_args!(
            "{} is told that {} is {seq} of {room}",
            self.id(),
            write.cid
        ));
        self.world.count(|counts| counts.acked += 1);
        let truth = self.world.truth.lock();
        let log = truth.log(room);
        let Some(stored) = log.and_then(|log| log.get(seq)) else {
            return Err(format!(
                "acked is kept: {} is acked as {seq}, which is not committed",
                write.cid
            ));
        };
        let found = log.and_then(|log| log.find(self.id(), &write.cid));
        let same = match (&write.change, &stored.change) {
            (Change::Message { .. } | Change::Edit { .. }, _) => found == Some(seq),
            (Change::Delete { target, .. }, Change::Delete { target: other, .. }) => target == other,
            (Change::React { .. }, _) => {
                found.is_none_or(|found| found == seq) && write.change == stored.change
            }
            _ => false,
        };
        if !same {
            return Err(format!(
                "retry is safe: {} is acked as {seq}, which is {:?} of {}, and it is stored as {found:?}",
                write.cid, stored.change, stored.author
            ));
        }
        if let (Change::Message { .. }, 1, Some(connected)) =
            (&write.change, write.attempts, &mut state.connected)
        {
            let order = &mut connected.in_order;
            let place = (write.room, write.order);
            let before = order.range((write.room, 0)..place).next_back();
            let behind = order.range(place..(write.room + 1, 0)).next();
            if before.is_some_and(|(_, other)| *other > seq) || behind.is_some_and(|(_, other)| *other < seq)
            {
                return Err(format!("in the order sent: {} is {seq} of {room}", write.cid));
            }
            order.insert(place, seq);
        }
        Ok(())
    }

    fn refused(&self, state: &mut State, asked: Asked, refused: &Refused, now_ms: u64) -> Checked {
        self.world.note(format_args!(
            "{} is refused {asked:?}: {:?}",
            self.id(),
            refused.code
        ));
        let for_now = match (refused.code, refused.retry_after_ms) {
            (ErrorCode::Overloaded | ErrorCode::RateLimited, Some(after_ms)) => Some(now_ms + after_ms),
            (ErrorCode::Overloaded | ErrorCode::RateLimited, None) => {
                return Err(format!("{refused:?} does not say when to try again"));
            }
            _ => None,
        };
        match asked {
            Asked::Hello | Asked::Leave { .. } => Err(format!("{asked:?} is refused: {refused:?}")),
            Asked::Join { room, .. } => {
                let view = &mut state.rooms[room];
                match for_now {
                    Some(at_ms) => view.retry_at_ms = at_ms,
                    None if view.private && refused.code == ErrorCode::NotFound => view.wanted = false,
                    None => return Err(format!("a join of {} is refused: {refused:?}", view.name)),
                }
                view.status = Status::Closed;
                Ok(())
            }
            Asked::Write { cid, while_open } => {
                let Some(position) = state.writes.iter().position(|write| write.cid == cid) else {
                    return Ok(());
                };
                let write = &mut state.writes[position];
                let view = &state.rooms[write.room];
                write.in_flight = false;
                if let Some(at_ms) = for_now {
                    write.ready_at_ms = at_ms;
                } else if refused.code == ErrorCode::NotJoined && !while_open {
                    write.ready_at_ms = now_ms;
                } else {
                    let of_target = !matches!(write.change, Change::Message { .. })
                        && matches!(refused.code, ErrorCode::NotFound | ErrorCode::Forbidden);
                    let of_rights =
                        view.private && matches!(refused.code, ErrorCode::NotFound | ErrorCode::NotJoined);
                    if !of_target && !of_rights {
                        return Err(format!("{cid} is refused: {refused:?}"));
                    }
                    state.writes.remove(position);
                }
                if let Some(write) = state.writes.iter().find(|write| write.cid == cid)
                    && !state.rooms[write.room].wanted
                {
                    state.writes.retain(|write| write.cid != cid);
                }
                Ok(())
            }
        }
    }

    /// A head that a client is told is committed.
    fn check_head(&self, room: &str, told: u64) -> Checked {
        let truth = self.world.truth.lock();
        let head = truth
            .rooms()
            .find(|(name, _)| name.as_str() == room)
            .map_or(0, |(_, log)| log.head());
        if told > head {
            return Err(format!(
                "durable before visible: {room} is said to be at {told}, and is at {head}"
            ));
        }
        Ok(())
    }
}

impl State {
    /// Which command an answer is for.
    ///
    /// # Errors
    /// If there is none: every command is answered once.
    fn answered(&mut self, id: Option<u32>) -> Result<Asked, String> {
        let asked = id.and_then(|id| self.connected.as_mut()?.asked.remove(&id));
        asked.ok_or_else(|| format!("one answer: {id:?} is answered, and not asked or answered before"))
    }
}
