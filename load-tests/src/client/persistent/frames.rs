//! What a persistent client makes of what it is told.

use std::{sync::Arc, time::Duration};

use protocol::{
    ErrorCode, Event, EventBody, JoinFrom, RoomName, ServerFrame,
    limits::DEFAULT_JOIN_EVENTS,
    server::{Done, Refused, Welcome},
};
use tokio::time::Instant;

use super::{
    life::{Join, Life, Which},
    link::Asked,
};
use crate::{journal::What, measure::Timing};

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
        if resumed.is_some_and(|rooms| !rooms.is_empty()) {
            self.count(|counts| counts.resumed += 1);
        }
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
                    let now = Instant::now();
                    self.joins.insert(room, Join::again(now + pause, now));
                }
            }
        }
        // Left since it was asked for: it is open there, and is left there too.
        for (name, position) in asked {
            let found = resumed.and_then(|rooms| rooms.get(name.as_str()));
            let room = name.parse::<RoomName>().ok();
            if let (Some(found), Some(room)) = (found, room)
                && !self.rooms.contains_key(&room)
            {
                let reset = found.reset == Some(true);
                self.opened(&room, JoinFrom::After(*position), found.head, reset);
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
        if let Some(place) = self.rooms.get_mut(room) {
            if reset || place.position.is_none() || place.missed_on_purpose {
                place.missed_on_purpose = false;
                place.head = head;
            }
            // While an old connection lives, events may have come meanwhile.
            let kept = if reset { None } else { place.position };
            let now = kept.map_or(after, |position| position.max(after));
            place.position = Some(now);
            self.status.opened(room, now);
        }
    }

    /// Takes a frame in.
    pub(super) fn take(&mut self, which: Which, frame: &ServerFrame) {
        let Some(link) = self.link(which) else { return };
        link.heard = Instant::now();
        link.pinged = None;
        let number = link.number;
        match frame {
            ServerFrame::Events { room, events } => {
                self.scribe.write_with(number, || What::received(room, events));
                self.shown(room, events);
            }
            ServerFrame::Gap { room, from, to } => {
                let gap = What::Gap {
                    room: room.to_string(),
                    from: *from,
                    to: *to,
                };
                self.scribe.write(number, gap);
                self.count(|counts| counts.gaps += 1);
                self.moved(room, *to, 0);
            }
            ServerFrame::Ok(done) => self.done(which, done),
            ServerFrame::Error(refused) => self.refused(which, refused),
            ServerFrame::Pong { id: Some(id), .. } => {
                self.link(which).and_then(|link| link.asked.remove(id));
            }
            ServerFrame::Goaway { after_ms, reason } => {
                let goaway = What::Goaway {
                    after_ms: *after_ms,
                    reason: format!("{reason:?}").to_lowercase(),
                };
                self.scribe.write(number, goaway);
                self.count(|counts| counts.goaways += 1);
                if which == Which::Current {
                    let at = Instant::now() + Duration::from_millis(*after_ms);
                    self.comeback.due = Some(self.comeback.due.map_or(at, |due| due.min(at)));
                }
            }
            _ => {}
        }
    }

    fn shown(&mut self, room: &RoomName, events: &[Event]) {
        let Some(place) = self.rooms.get(room).copied() else {
            return;
        };
        let known = place.position.unwrap_or(0);
        // What is known already is dropped: two connections live while one takes over from the other.
        let fresh = &events[events.partition_point(|event| event.seq <= known)..];
        let Some(last) = fresh.last() else { return };
        let shown = |event: &&Event| matches!(event.body, EventBody::Message { deleted: false, .. });
        if let Some(message) = fresh.iter().rev().find(shown) {
            self.writes.shown(room, message.seq);
        }
        self.delivered(fresh.iter(), place.head);
        self.moved(room, last.seq, fresh.len() as u64);
    }

    fn moved(&mut self, room: &RoomName, to: u64, fresh: u64) {
        if let Some(position) = self.rooms.get_mut(room).and_then(|place| place.position.as_mut())
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
            Some(Asked::Join(room, from, due)) => {
                self.time(Timing::Join, due);
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
                self.scribe.write_with(number, || What::Acked {
                    room: room.to_string(),
                    cid: cid.to_string(),
                    seq,
                    time,
                });
                if let Some(due) = self.writes.acked(&room, &cid, seq) {
                    self.status.answered(true);
                    self.count(|counts| counts.committed += 1);
                    self.time(Timing::Ack, due);
                }
            }
            Some(Asked::Ping | Asked::Note) => {}
            None => {
                self.broken(number, format!("an answer to nothing that was asked: {done:?}"));
            }
        }
    }

    fn refused(&mut self, which: Which, refused: &Refused) {
        let told = refused.retry_after_ms.map_or(RETRY, Duration::from_millis);
        let again = Instant::now() + told.mul_f64(1.0 + 0.5 * self.rng.f64());
        let Some(link) = self.link(which) else { return };
        let number = link.number;
        let asked = refused.id.and_then(|id| link.asked.remove(&id));
        if matches!(refused.code, ErrorCode::Overloaded | ErrorCode::RateLimited) {
            self.count(|counts| counts.pushed_back += 1);
        }
        match asked {
            Some(Asked::Join(room, _, due)) => {
                let again_later = matches!(
                    refused.code,
                    ErrorCode::Overloaded | ErrorCode::RateLimited | ErrorCode::Internal
                );
                let why = format!("joining a room: `{}`: {}", refused.code, refused.message);
                if again_later && which == Which::Current {
                    self.status.kept_out(&why);
                    self.joins.insert(room, Join::again(again, due));
                } else if !again_later {
                    let place = self.rooms.remove(&room);
                    if place.is_some_and(|place| place.position.is_some()) {
                        self.broken(
                            number,
                            format!("joining {room} again was refused: {}", refused.code),
                        );
                    } else {
                        // That nobody is let in is not against the wire's rules: it is how the server is set up.
                        self.count(|counts| counts.joins_refused += 1);
                        self.kept_out(&why);
                    }
                }
            }
            Some(Asked::Write(room, cid)) => self.write_refused(number, (&room, &cid), refused, again),
            Some(Asked::Leave(_) | Asked::Ping | Asked::Note) => {}
            None => {
                let what = format!("refused unasked: {}: {}", refused.code, refused.message);
                self.broken(number, what);
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
                    self.joins.insert(room.clone(), Join::now());
                }
            }
            code => {
                let what = What::Refused {
                    cid: cid.to_string(),
                    code: code.as_str().to_owned(),
                };
                self.scribe.write(number, what);
                if self.writes.refused(room, cid) {
                    self.count(|counts| counts.refused += 1);
                    self.status.answered(false);
                }
            }
        }
    }
}
