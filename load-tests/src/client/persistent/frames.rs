//! What a persistent client makes of what it is told.

use std::{sync::Arc, time::Duration};

use protocol::{
    ErrorCode, Event, EventBody, JoinFrom, RoomName, ServerFrame,
    limits::DEFAULT_JOIN_EVENTS,
    server::{Done, Refused, Welcome},
};
use tokio::time::Instant;

use super::{
    life::{Life, Which},
    link::Asked,
};
use crate::journal::What;

/// Where the node does not say when to try again.
const RETRY: Duration = Duration::from_secs(1);

impl Life {
    /// The rooms of a `welcome`; those that it does not have are joined.
    pub(super) fn resumed(&mut self, welcome: &Welcome, asked: &[(String, u64)]) {
        self.joins.clear();
        if self.epoch.is_none() {
            self.epoch = Some(welcome.epoch.to_string());
        }
        let resumed = welcome.rooms.as_ref();
        let rooms: Vec<RoomName> = self.rooms.keys().cloned().collect();
        for room in rooms {
            let position = asked
                .iter()
                .find(|(name, _)| name == room.as_str())
                .map(|(_, position)| *position);
            let found = resumed.and_then(|rooms| rooms.get(room.as_str()));
            match (found, position) {
                (Some(found), Some(position)) => {
                    let reset = found.reset == Some(true);
                    self.opened(&room, JoinFrom::After(position), found.head, reset);
                }
                _ => {
                    let refused = welcome.refused.as_ref();
                    let refused = refused.is_some_and(|refused| refused.contains_key(room.as_str()));
                    let pause = if refused {
                        RETRY.mul_f64(0.5 + self.rng.f64())
                    } else {
                        Duration::ZERO
                    };
                    self.joins.insert(room, Instant::now() + pause);
                }
            }
        }
        // After a restored backup the positions have the new name from here on: those rooms were reset.
        self.epoch = Some(welcome.epoch.to_string());
    }

    fn opened(&mut self, room: &RoomName, from: JoinFrom, head: u64, reset: bool) {
        let Some(link) = &mut self.current else { return };
        link.open.insert(room.clone());
        let after = match from {
            _ if reset => head.saturating_sub(DEFAULT_JOIN_EVENTS),
            JoinFrom::After(after) => after,
            JoinFrom::Newest(count) => head.saturating_sub(count),
        };
        let asked = match from {
            JoinFrom::After(after) => Some(after),
            JoinFrom::Newest(_) => None,
        };
        let opened = What::Opened {
            room: room.to_string(),
            asked,
            after,
            head,
            reset,
        };
        self.scribe.write(link.number, opened);
        if let Some((_, position)) = self.rooms.get_mut(room) {
            // While an old connection lives, events may have come meanwhile.
            let kept = if reset { None } else { *position };
            let now = kept.map_or(after, |position| position.max(after));
            *position = Some(now);
            self.status.opened(room, now);
        }
    }

    /// Takes a frame in.
    pub(super) fn take(&mut self, which: Which, frame: ServerFrame) {
        let Some(link) = self.link(which) else { return };
        link.heard = Instant::now();
        link.pinged = None;
        let number = link.number;
        match frame {
            ServerFrame::Events { room, events } => {
                self.scribe.write(number, What::received(&room, &events));
                self.shown(&room, &events);
            }
            ServerFrame::Gap { room, from, to } => {
                let gap = What::Gap {
                    room: room.to_string(),
                    from,
                    to,
                };
                self.scribe.write(number, gap);
                self.moved(&room, to, 0);
            }
            ServerFrame::Ok(done) => self.done(which, &done),
            ServerFrame::Error(refused) => self.refused(which, &refused),
            ServerFrame::Pong { id: Some(id), .. } => {
                self.link(which).and_then(|link| link.asked.remove(&id));
            }
            ServerFrame::Goaway { after_ms, reason } => {
                let goaway = What::Goaway {
                    after_ms,
                    reason: format!("{reason:?}").to_lowercase(),
                };
                self.scribe.write(number, goaway);
                if which == Which::Current {
                    let at = Instant::now() + Duration::from_millis(after_ms);
                    self.comeback.due = Some(self.comeback.due.map_or(at, |due| due.min(at)));
                }
            }
            _ => {}
        }
    }

    fn shown(&mut self, room: &RoomName, events: &[Event]) {
        let known = self
            .rooms
            .get(room)
            .and_then(|(_, position)| *position)
            .unwrap_or(0);
        let Some(last) = events.last() else { return };
        for event in events.iter().filter(|event| event.seq > known) {
            if matches!(event.body, EventBody::Message { deleted: false, .. }) {
                self.writes.shown(room, event.seq);
            }
        }
        // What is known already is dropped: two connections live while one takes over from the other.
        let fresh = last.seq.saturating_sub(known).min(events.len() as u64);
        self.moved(room, last.seq, fresh);
    }

    fn moved(&mut self, room: &RoomName, to: u64, fresh: u64) {
        if let Some((_, Some(position))) = self.rooms.get_mut(room)
            && *position < to
        {
            *position = to;
            self.status.moved(room, to, fresh);
        }
    }

    fn done(&mut self, which: Which, done: &Done) {
        let Some(link) = self.link(which) else { return };
        let number = link.number;
        match done.id.and_then(|id| link.asked.remove(&id)) {
            Some(Asked::Join(room, from)) => {
                if self.rooms.contains_key(&room) && which == Which::Current {
                    self.opened(&room, from, done.head.unwrap_or(0), done.reset == Some(true));
                }
            }
            Some(Asked::Leave(room)) => self.scribe.write(
                number,
                What::Left {
                    room: room.to_string(),
                },
            ),
            Some(Asked::Write(room, cid)) => {
                let (seq, time) = (done.seq.unwrap_or(0), done.at.unwrap_or(0));
                let acked = What::Acked {
                    room: room.to_string(),
                    cid: cid.to_string(),
                    seq,
                    time,
                };
                self.scribe.write(number, acked);
                if self.writes.acked(&room, &cid, seq) {
                    self.status.answered(true);
                }
            }
            Some(Asked::Ping) => {}
            None => {
                let what = format!("an answer to nothing that was asked: {done:?}");
                self.scribe.write(number, What::Broken { what });
            }
        }
    }

    fn refused(&mut self, which: Which, refused: &Refused) {
        let told = refused.retry_after_ms.map_or(RETRY, Duration::from_millis);
        let again = Instant::now() + told.mul_f64(1.0 + 0.5 * self.rng.f64());
        let Some(link) = self.link(which) else { return };
        let number = link.number;
        match refused.id.and_then(|id| link.asked.remove(&id)) {
            Some(Asked::Join(room, _)) => {
                let again_later = matches!(
                    refused.code,
                    ErrorCode::Overloaded | ErrorCode::RateLimited | ErrorCode::Internal
                );
                if again_later && which == Which::Current {
                    self.joins.insert(room, again);
                } else if !again_later {
                    let what = format!("joining {room} was refused: {}", refused.code);
                    self.scribe.write(number, What::Broken { what });
                    self.rooms.remove(&room);
                }
            }
            Some(Asked::Write(room, cid)) => self.write_refused(number, (&room, &cid), refused, again),
            Some(Asked::Leave(_) | Asked::Ping) => {}
            None => {
                let what = format!("refused unasked: {}: {}", refused.code, refused.message);
                self.scribe.write(number, What::Broken { what });
            }
        }
    }

    fn write_refused(
        &mut self,
        number: u32,
        (room, cid): (&RoomName, &Arc<str>),
        refused: &Refused,
        again: Instant,
    ) {
        match refused.code {
            ErrorCode::Overloaded | ErrorCode::RateLimited | ErrorCode::Internal => {
                let pushed_back = What::PushedBack {
                    cid: cid.to_string(),
                    code: refused.code.as_str().to_owned(),
                    retry_after_ms: refused.retry_after_ms.unwrap_or(0),
                };
                self.scribe.write(number, pushed_back);
                self.writes.retry(room, cid, again);
            }
            // The room's part of the node began anew, and this connection's place in it is gone.
            ErrorCode::NotJoined if self.rooms.contains_key(room) => {
                self.writes.retry(room, cid, again);
                if let Some(link) = &mut self.current
                    && link.open.remove(room)
                {
                    self.joins.insert(room.clone(), Instant::now());
                }
            }
            code => {
                let what = What::Refused {
                    cid: cid.to_string(),
                    code: code.as_str().to_owned(),
                };
                self.scribe.write(number, what);
                if self.writes.refused(room, cid) {
                    self.status.answered(false);
                }
            }
        }
    }
}
