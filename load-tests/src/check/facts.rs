//! The first reading of the journals: who is who, what was sent and answered, and by when each event was committed.

use std::collections::HashMap;

use super::{
    ledger::{Ledger, Row},
    violation::{Findings, Kind},
};
use crate::journal::{Entry, Op, What};

/// Above this a `seq` is not kept track of: no run writes so many events into a room.
const MAX_SEQ: u64 = 1 << 28;

/// What is known of all clients together.
#[derive(Debug, Default)]
pub(super) struct Facts {
    names: HashMap<String, u32>,
    pub(super) rooms: Vec<RoomFacts>,
    nodes: HashMap<String, u32>,
    /// The node that serves a connection.
    pub(super) served_by: HashMap<(u32, u32), u32>,
    /// The person that a client is.
    pub(super) people: HashMap<u32, String>,
    /// The clients of a person.
    authors: HashMap<String, Vec<u32>>,
    pub(super) sends: HashMap<(u32, u32), HashMap<String, Sent>>,
    pub(super) counts: Counts,
}

/// How much of what there was.
#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Simulated people.
    pub clients: u64,
    /// Commands that write an event; repetitions do not count.
    pub sent: u64,
    /// Sent again, with the same `cid`.
    pub repeated: u64,
    /// Of the commands: answered with `ok`.
    pub acked: u64,
    /// Answers `overloaded` or `rate_limited`.
    pub pushed_back: u64,
    /// Of the commands: refused for good.
    pub refused: u64,
    /// Events in the store, in rooms that the clients were in.
    pub committed: u64,
    /// Events shown, over all clients; what a client was shown again after it came back does not count.
    pub delivered: u64,
    /// Connections that were welcomed.
    pub connections: u64,
    /// Attempts to connect that failed.
    pub unreachable: u64,
    /// Connections that ended against the client's will.
    pub lost_connections: u64,
    /// Rooms that a client came back to with a position.
    pub resumes: u64,
    /// Rooms that began anew.
    pub resets: u64,
    /// Gaps that were told.
    pub gaps: u64,
    /// Requests to move.
    pub goaways: u64,
}

/// A command that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) op: Op,
    pub(super) text: u32,
    /// Unix microseconds.
    pub(super) due: u64,
    pub(super) acked: Option<(u64, u64)>,
    pub(super) refused: bool,
}

/// What is known of a room.
#[derive(Debug, Default)]
pub(super) struct RoomFacts {
    pub(super) name: String,
    events: Vec<EventFacts>,
    /// Looks into the store: when begun, and the head. Sorted by [`Facts::ready`].
    looks: Vec<(u64, u64)>,
    /// Texts that edits gave to a message.
    edits: HashMap<u64, Vec<u32>>,
    /// Where a person's command is stored.
    pub(super) stored: HashMap<(String, String), u64>,
}

/// What is known of an event from what clients saw.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventFacts {
    /// Unix microseconds by which it was surely committed.
    pub(super) known_at: u64,
    /// The first digest that was shown; 0: none.
    pub(super) digest: u64,
    /// The node that answered the command, from 1; 0: not known.
    pub(super) node: u32,
}

impl Facts {
    pub(super) fn room(&mut self, name: &str) -> u32 {
        if let Some(room) = self.names.get(name) {
            return *room;
        }
        let room = u32::try_from(self.rooms.len()).unwrap_or(u32::MAX);
        self.names.insert(name.to_owned(), room);
        self.rooms.push(RoomFacts {
            name: name.to_owned(),
            ..RoomFacts::default()
        });
        room
    }

    /// Takes note of an entry.
    pub(super) fn note(&mut self, entry: &Entry) {
        let from = (entry.client, entry.conn);
        match &entry.what {
            What::Person { user } => self.person(entry.client, user),
            What::Connected { node, .. } => {
                let next = u32::try_from(self.nodes.len())
                    .unwrap_or(u32::MAX)
                    .saturating_add(1);
                let node = *self.nodes.entry(node.clone()).or_insert(next);
                self.served_by.insert(from, node);
                self.counts.connections += 1;
            }
            What::Sent {
                room,
                cid,
                op,
                text,
                target,
                due,
            } => self.sent(entry.client, room, cid, (*op, *text, *target, *due)),
            What::Acked { room, seq, .. } => {
                let node = self.served_by.get(&from).copied().unwrap_or(0);
                let room = self.room(room);
                if let Some(event) = self.rooms[room as usize].event_mut(*seq) {
                    event.known_at = event.known_at.min(entry.at);
                    event.node = node;
                }
            }
            What::Received {
                room, first, events, ..
            } => {
                let room = self.room(room);
                for (seq, digest) in (*first..).zip(events) {
                    if let Some(event) = self.rooms[room as usize].event_mut(seq) {
                        event.known_at = event.known_at.min(entry.at);
                        if event.digest == 0 {
                            event.digest = *digest;
                        }
                    }
                }
            }
            What::Witnessed { room, head, began } => {
                let room = self.room(room);
                self.rooms[room as usize].witnessed(*began, *head, entry.at);
            }
            What::PushedBack { .. } => self.counts.pushed_back += 1,
            What::Unreachable { .. } => self.counts.unreachable += 1,
            What::Ended { own: false, .. } => self.counts.lost_connections += 1,
            What::Goaway { .. } => self.counts.goaways += 1,
            _ => {}
        }
    }

    fn person(&mut self, client: u32, user: &str) {
        if self.people.insert(client, user.to_owned()).is_none() {
            self.counts.clients += 1;
            self.authors.entry(user.to_owned()).or_default().push(client);
        }
    }

    fn sent(&mut self, client: u32, room: &str, cid: &str, (op, text, target, due): (Op, u32, u64, u64)) {
        let room = self.room(room);
        if op == Op::Edit {
            let texts = self.rooms[room as usize].edits.entry(target).or_default();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let sends = self.sends.entry((client, room)).or_default();
        if sends.contains_key(cid) {
            self.counts.repeated += 1;
            return;
        }
        self.counts.sent += 1;
        let sent = Sent {
            op,
            text,
            due,
            acked: None,
            refused: false,
        };
        sends.insert(cid.to_owned(), sent);
    }

    /// To be called between the two readings.
    pub(super) fn ready(&mut self, ledger: Option<&Ledger>, findings: &mut Findings) {
        for room in &mut self.rooms {
            room.looks.sort_unstable();
            let Some(stored) = ledger.and_then(|ledger| ledger.rooms.get(&room.name)) else {
                continue;
            };
            self.counts.committed += stored.rows.len() as u64;
            for row in &stored.rows {
                let Some(cid) = &row.cid else { continue };
                let key = (row.author.to_string(), cid.to_string());
                if let Some(first) = room.stored.insert(key, row.seq) {
                    findings.add(Kind::StoredTwice, || {
                        format!(
                            "room {}: {cid} is stored as {first} and as {}",
                            room.name, row.seq
                        )
                    });
                }
            }
        }
    }

    /// What was sent that is now the stored event `row` of `room`.
    pub(super) fn sent_as(&self, room: u32, row: &Row) -> Option<&Sent> {
        let cid = row.cid.as_deref()?;
        let clients = self.authors.get(&*row.author)?;
        let mut sends = clients
            .iter()
            .filter_map(|client| self.sends.get(&(*client, room)));
        sends.find_map(|sends| sends.get(cid))
    }

    /// Whether the person is one of the simulated ones.
    pub(super) fn is_simulated(&self, author: &str) -> bool {
        self.authors.contains_key(author)
    }

    /// The node that serves a connection; 0: not known.
    pub(super) fn node_of(&self, client: u32, conn: u32) -> u32 {
        self.served_by.get(&(client, conn)).copied().unwrap_or(0)
    }
}

impl RoomFacts {
    fn event_mut(&mut self, seq: u64) -> Option<&mut EventFacts> {
        if seq == 0 || seq > MAX_SEQ {
            return None;
        }
        let place = usize::try_from(seq).ok()?;
        if self.events.len() <= place {
            let unknown = EventFacts {
                known_at: u64::MAX,
                digest: 0,
                node: 0,
            };
            self.events.resize(place + 1, unknown);
        }
        self.events.get_mut(place)
    }

    pub(super) fn event(&self, seq: u64) -> Option<&EventFacts> {
        self.events.get(usize::try_from(seq).ok()?)
    }

    fn witnessed(&mut self, began: u64, head: u64, ended: u64) {
        let last = self.looks.last().map_or(0, |look| look.1);
        for seq in last.saturating_add(1)..=head.min(MAX_SEQ) {
            if let Some(event) = self.event_mut(seq) {
                event.known_at = event.known_at.min(ended);
            }
        }
        self.looks.push((began, head));
    }

    /// The head that a look into the store found which began after `time`, if it was below `seq`: so `seq` was not
    /// committed at `time`.
    pub(super) fn was_missing(&self, seq: u64, time: u64) -> Option<u64> {
        let next = self.looks.partition_point(|look| look.0 <= time);
        self.looks.get(next).map(|look| look.1).filter(|head| *head < seq)
    }

    /// Whether an edit gave this text to a message.
    pub(super) fn was_edited_to(&self, seq: u64, text: u32) -> bool {
        self.edits.get(&seq).is_some_and(|texts| texts.contains(&text))
    }
}
