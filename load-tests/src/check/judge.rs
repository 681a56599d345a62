//! The second reading of the journals: every client's view is held against the store and against all others'.

use std::collections::HashMap;

use super::{
    Settings,
    facts::Facts,
    ledger::{Ledger, LedgerRoom},
    view::{RoomView, Step, View},
    violation::{Findings, Kind},
    waits::{Wait, Waits},
};
use crate::journal::{Entry, Op, What};

/// Events behind which nothing is replayed (docs/protocol.md).
const REPLAYED: u64 = protocol::limits::MAX_REPLAY_EVENTS;

pub(super) struct Judge<'a> {
    pub(super) facts: &'a mut Facts,
    pub(super) ledger: Option<&'a Ledger>,
    pub(super) settings: &'a Settings,
    pub(super) findings: &'a mut Findings,
    pub(super) waits: &'a mut Waits,
    pub(super) views: HashMap<u32, View>,
}

impl Judge<'_> {
    /// Judges an entry; those of one client must come in their order.
    pub(super) fn judge(&mut self, entry: &Entry) {
        let Entry { at, client, conn, .. } = *entry;
        match &entry.what {
            What::Connected { epoch, .. } => self.connected(entry, epoch),
            What::Opened {
                room,
                asked,
                after,
                head,
                reset,
            } => self.opened(entry, room, (*asked, *after, *head, *reset)),
            What::Left { room } => {
                let room = self.facts.room(room);
                let view = self.view(client);
                if let Some((_, targets)) = &mut view.catching_up {
                    targets.remove(&room);
                }
                let holes = view.leave(conn, room);
                self.holes(client, holes.into_iter().map(|(from, to)| (room, from, to)));
            }
            What::Acked { room, cid, seq, time } => self.acked(entry, room, cid, (*seq, *time)),
            What::Refused { cid, .. } => self.refused(client, cid),
            What::Received {
                room,
                first,
                events,
                texts,
            } => {
                let room = self.facts.room(room);
                for ((seq, digest), text) in (*first..).zip(events).zip(texts) {
                    self.shown(entry, room, seq, *digest, *text);
                }
                self.caught_up(entry, room);
            }
            What::Gap { room, from, to } => self.gap(entry, room, *from, *to),
            What::Ended { own, .. } => self.ended(entry, *own),
            What::Broken { what } => self
                .findings
                .add(Kind::Broken, || format!("client {client}: {what}")),
            What::Stalled { on: true } => self.view(client).stalled_since = Some(at),
            What::Stalled { on: false } => {
                let view = self.view(client);
                view.stalled = view.stalled_since.take().map(|since| (since, at));
            }
            What::Finished => self.view(client).finished = true,
            What::Person { .. } => drop(self.view(client)),
            _ => {}
        }
    }

    fn view(&mut self, client: u32) -> &mut View {
        self.views.entry(client).or_default()
    }

    fn stored(&self, room: u32) -> Option<&LedgerRoom> {
        self.ledger?.rooms.get(&self.facts.rooms[room as usize].name)
    }

    fn name(&self, room: u32) -> &str {
        &self.facts.rooms[room as usize].name
    }

    fn connected(&mut self, entry: &Entry, epoch: &str) {
        let view = self.view(entry.client);
        view.live.push(entry.conn);
        view.epochs.insert(entry.conn, epoch.to_owned());
        if let Some(since) = view.lost_since.take() {
            // What is there to catch up with is said when the room is opened.
            let rooms = view.rooms.keys().map(|room| (*room, u64::MAX));
            view.catching_up = Some((since, rooms.collect()));
        }
    }

    fn ended(&mut self, entry: &Entry, own: bool) {
        let view = self.view(entry.client);
        let was_live = view.live.contains(&entry.conn);
        view.live.retain(|conn| *conn != entry.conn);
        if was_live && view.live.is_empty() && !own && view.lost_since.is_none() {
            // Who is cut off again while catching up has been waiting since the first time.
            let since = view.catching_up.take().map_or(entry.at, |(since, _)| since);
            view.lost_since = Some(since);
        }
        let holes = view.end(entry.conn);
        self.holes(entry.client, holes);
    }

    fn holes(&mut self, client: u32, holes: impl IntoIterator<Item = (u32, u64, u64)>) {
        for (room, from, to) in holes {
            let name = self.facts.rooms[room as usize].name.clone();
            self.findings.add(Kind::Hole, || {
                format!("client {client} was never shown {from} to {to} of room {name}")
            });
        }
    }

    fn opened(
        &mut self,
        entry: &Entry,
        room: &str,
        (asked, after, head, reset): (Option<u64>, u64, u64, bool),
    ) {
        let client = entry.client;
        let room = self.facts.room(room);
        self.visible(entry, room, head, Kind::EarlyEvent);
        let view = self.view(client);
        let epoch = view.epochs.get(&entry.conn).cloned();
        let new_history = view.last_epoch.is_some() && view.last_epoch != epoch;
        view.last_epoch = epoch;
        let had = view.rooms.get(&room).copied();
        let holes = view.open(entry.conn, room, after);
        let anew = reset || asked.is_none();
        let position = match had {
            Some(had) if !anew => had.position,
            _ => after,
        };
        let since = had.map_or(entry.at, |had| had.since);
        view.rooms.insert(room, RoomView { position, since });
        if let Some((_, targets)) = &mut view.catching_up {
            targets.insert(room, head);
        }
        self.holes(client, holes.into_iter().map(|(from, to)| (room, from, to)));

        let name = self.name(room).to_owned();
        if asked.is_some() && had.is_some() {
            self.facts.counts.resumes += 1;
        }
        if reset {
            self.facts.counts.resets += 1;
            if !new_history && asked.is_none_or(|asked| asked <= head) {
                self.findings.add(Kind::NeedlessReset, || {
                    format!("client {client} asked for room {name} behind {asked:?} of {head} and was reset")
                });
            }
        } else if asked.is_some_and(|asked| asked > head) {
            self.findings.add(Kind::MissingReset, || {
                format!("client {client} asked for room {name} behind {asked:?} of {head} and was not reset")
            });
        } else if !anew && had.is_some_and(|had| had.position < after) {
            self.findings.add(Kind::Hole, || {
                format!("client {client} has room {name} up to {position} and is served from {after}")
            });
        }
        self.caught_up(entry, room);
    }

    /// A client was told that `seq` is there: so it has to be, in every look into the store that begins later.
    fn visible(&mut self, entry: &Entry, room: u32, seq: u64, kind: Kind) {
        let facts = &self.facts.rooms[room as usize];
        if let Some(head) = facts.was_missing(seq, entry.at) {
            let (client, name) = (entry.client, &facts.name);
            self.findings.add(kind, || {
                format!(
                    "client {client} was told of {seq} in room {name} at {}; later the store's head was {head}",
                    entry.at
                )
            });
        }
    }

    fn acked(&mut self, entry: &Entry, room: &str, cid: &str, (seq, time): (u64, u64)) {
        let client = entry.client;
        let room = self.facts.room(room);
        self.visible(entry, room, seq, Kind::EarlyAck);
        let name = self.name(room).to_owned();
        let Some(sent) = self
            .facts
            .sends
            .get_mut(&(client, room))
            .and_then(|sends| sends.get_mut(cid))
        else {
            self.findings.add(Kind::Broken, || {
                format!("client {client} was answered {cid} in room {name}, which it never sent")
            });
            return;
        };
        let (op, due) = (sent.op, sent.due);
        match sent.acked.replace((seq, time)) {
            None => {
                self.facts.counts.acked += 1;
                if !self.own_fault(client, due, entry.at) {
                    let what = || format!("client {client}: {op:?} {cid} in room {name}");
                    self.waits.add(Wait::Ack, due, entry.at, what);
                }
            }
            Some(before) if before == (seq, time) => {}
            Some(before) => self.findings.add(Kind::AckMismatch, || {
                format!(
                    "client {client}: {cid} in room {name} was answered {before:?}, then {:?}",
                    (seq, time)
                )
            }),
        }
        let Some(stored) = self.ledger.map(|ledger| ledger.rooms.get(&name)) else {
            return;
        };
        let user = self.facts.people.get(&client).cloned().unwrap_or_default();
        let key = (user, cid.to_owned());
        let place = self.facts.rooms[room as usize].stored.get(&key).copied();
        // A reaction that is already so, and a message that is deleted already, are answered with the event that made it so.
        let shared = matches!(op, Op::React | Op::Delete)
            && stored
                .and_then(|stored| stored.row(seq))
                .is_some_and(|row| row.op == Some(op));
        let row = match place {
            Some(place) => stored.and_then(|stored| stored.row(place)),
            None if shared => stored.and_then(|stored| stored.row(seq)),
            None => None,
        };
        match row {
            None => self.findings.add(Kind::LostAck, || {
                format!("client {client}: {cid} was answered with {seq} of room {name} and is not stored")
            }),
            Some(row) if (row.seq, row.at) != (seq, time) => self.findings.add(Kind::AckMismatch, || {
                format!(
                    "client {client}: {cid} in room {name} was answered {:?} and is stored as {:?}",
                    (seq, time),
                    (row.seq, row.at)
                )
            }),
            Some(_) => {}
        }
    }

    fn refused(&mut self, client: u32, cid: &str) {
        let of_client = self.facts.sends.iter_mut().filter(|((of, _), _)| *of == client);
        let sent = of_client.filter_map(|(_, sends)| sends.get_mut(cid)).next();
        if let Some(sent) = sent
            && !std::mem::replace(&mut sent.refused, true)
        {
            self.facts.counts.refused += 1;
        }
    }

    fn shown(&mut self, entry: &Entry, room: u32, seq: u64, digest: u64, text: u32) {
        let (client, conn) = (entry.client, entry.conn);
        let step = self.view(client).step(conn, room, seq);
        let name = self.name(room).to_owned();
        let place = || format!("client {client}, connection {conn}: event {seq} of room {name}");
        match step {
            Step::Next | Step::Ahead => {}
            Step::Late => self
                .findings
                .add(Kind::Reorder, || format!("{} came late", place())),
            Step::Again => self
                .findings
                .add(Kind::Repeat, || format!("{} came again", place())),
            Step::NotOpen => self.findings.add(Kind::Broken, || {
                format!("{} came of a room that is not open", place())
            }),
        }
        self.visible(entry, room, seq, Kind::EarlyEvent);
        self.content(entry, room, seq, digest, text);
        self.delivered(entry, room, seq);
    }

    fn content(&mut self, entry: &Entry, room: u32, seq: u64, digest: u64, text: u32) {
        let client = entry.client;
        let facts = &self.facts.rooms[room as usize];
        let name = &facts.name;
        if facts
            .event(seq)
            .is_some_and(|event| event.digest != 0 && event.digest != digest)
        {
            self.findings.add(Kind::Divergence, || {
                format!("client {client} was shown another event {seq} of room {name} than somebody else")
            });
        }
        if self.ledger.is_none() {
            return;
        }
        let stored = self.ledger.and_then(|ledger| ledger.rooms.get(name));
        let Some(row) = stored.and_then(|stored| stored.row(seq)) else {
            self.findings.add(Kind::Phantom, || {
                format!("client {client} was shown event {seq} of room {name}, which is not stored")
            });
            return;
        };
        let at_us = row.at.saturating_mul(1000);
        if entry.at.saturating_add(self.settings.clock_tolerance_us) < at_us {
            self.findings.add(Kind::EarlyEvent, || {
                format!(
                    "client {client} was shown event {seq} of room {name} before the time that it carries"
                )
            });
        }
        let original = self.facts.sent_as(room, row).map(|sent| sent.text);
        let right_text = text == 0
            || text == row.text
            || original == Some(text)
            || (original.is_none() && row.changed)
            || facts.was_edited_to(seq, text);
        let changed_in_store = !row.changed && original.is_some_and(|sent| sent != row.text && row.text != 0);
        if row.digest != digest || !right_text || changed_in_store {
            self.findings.add(Kind::WrongContent, || {
                format!("client {client} was shown event {seq} of room {name} otherwise than it was sent or is stored")
            });
        }
    }

    fn delivered(&mut self, entry: &Entry, room: u32, seq: u64) {
        let client = entry.client;
        let view = self.view(client);
        let Some(of_room) = view.rooms.get_mut(&room) else {
            return;
        };
        if seq <= of_room.position {
            return;
        }
        of_room.position = seq;
        let since = of_room.since;
        self.facts.counts.delivered += 1;
        let Some(event) = self.facts.rooms[room as usize].event(seq).copied() else {
            return;
        };
        // What was said before it came in is no wait of its.
        if event.known_at < since || self.own_fault(client, event.known_at, entry.at) {
            return;
        }
        let name = self.name(room).to_owned();
        let what = || format!("client {client}: event {seq} of room {name}");
        self.waits.add(Wait::Delivery, event.known_at, entry.at, what);
        if event.node != 0 && event.node != self.facts.node_of(client, entry.conn) {
            self.waits.add(Wait::CrossNode, event.known_at, entry.at, what);
        }
    }

    /// Whether the client itself did not read at some time between these two.
    fn own_fault(&mut self, client: u32, from: u64, to: u64) -> bool {
        let view = self.view(client);
        view.stalled_since.is_some_and(|since| since <= to)
            || view
                .stalled
                .is_some_and(|(began, ended)| began <= to && from <= ended)
    }

    fn gap(&mut self, entry: &Entry, room: &str, from: u64, to: u64) {
        let client = entry.client;
        let room = self.facts.room(room);
        self.facts.counts.gaps += 1;
        self.visible(entry, room, to, Kind::EarlyEvent);
        let head = self.stored(room).map(|stored| stored.head);
        let view = self.view(client);
        let step = view.gap(entry.conn, room, from, to);
        if let Some(of_room) = view.rooms.get_mut(&room) {
            of_room.position = of_room.position.max(to);
        }
        let name = self.name(room).to_owned();
        if step != Step::Next && step != Step::Ahead || to < from {
            self.findings.add(Kind::Broken, || {
                format!("client {client}: a gap {from} to {to} in room {name} that does not follow what came before")
            });
        }
        if head.is_some_and(|head| head < to.saturating_add(REPLAYED)) {
            self.findings.add(Kind::NeedlessGap, || {
                format!("client {client}: {from} to {to} of room {name} were left out, the head is {head:?}")
            });
        }
        self.caught_up(entry, room);
    }

    /// Whether a client that came back has all that had been said by then.
    fn caught_up(&mut self, entry: &Entry, room: u32) {
        let view = self.view(entry.client);
        let Some((since, targets)) = &mut view.catching_up else {
            return;
        };
        if let Some(target) = targets.get(&room)
            && view
                .rooms
                .get(&room)
                .is_some_and(|of_room| of_room.position >= *target)
        {
            targets.remove(&room);
        }
        let since = *since;
        if targets.is_empty() {
            view.catching_up = None;
            let client = entry.client;
            if !self.own_fault(client, since, entry.at) {
                self.waits.add(Wait::Back, since, entry.at, || {
                    format!("client {client} was cut off")
                });
            }
        }
    }
}
