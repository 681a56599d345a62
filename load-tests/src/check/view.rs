//! What one client saw: its rooms, its connections, and what it may be shown next.

use std::collections::{BTreeMap, HashMap};

/// A client, while its journal is read.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) rooms: HashMap<u32, RoomView>,
    conns: HashMap<(u32, u32), Run>,
    pub(super) epochs: HashMap<u32, String>,
    pub(super) last_epoch: Option<String>,
    pub(super) finished: bool,
    /// Reads nothing on purpose, since when.
    pub(super) stalled_since: Option<u64>,
    /// The last time that it did so: from, to.
    pub(super) stalled: Option<(u64, u64)>,
    /// Connections that are welcomed and have not ended.
    pub(super) live: Vec<u32>,
    /// Without any connection, against its will, since when.
    pub(super) lost_since: Option<u64>,
    /// Came back; what it then has to catch up with, by room.
    pub(super) catching_up: Option<(u64, HashMap<u32, u64>)>,
}

/// What a client has of a room.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoomView {
    /// The last event that it has, without a hole behind where it began.
    pub(super) position: u64,
    /// When it first opened it, in Unix microseconds.
    pub(super) since: u64,
}

/// A room on one connection: a run of events without a hole.
#[derive(Debug)]
struct Run {
    /// The next `seq` that is due.
    next: u64,
    /// Left out so far: first and last.
    holes: BTreeMap<u64, u64>,
}

/// How a `seq` follows what came before it on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// As it should.
    Next,
    /// Behind a hole, which may still be filled.
    Ahead,
    /// It fills a hole: it came too late.
    Late,
    /// It was there before.
    Again,
    /// The room is not open on this connection.
    NotOpen,
}

impl View {
    pub(super) fn open(&mut self, conn: u32, room: u32, after: u64) -> Vec<(u64, u64)> {
        let run = Run {
            next: after + 1,
            holes: BTreeMap::new(),
        };
        let before = self.conns.insert((conn, room), run);
        before.map(Run::left_out).unwrap_or_default()
    }

    pub(super) fn leave(&mut self, conn: u32, room: u32) -> Vec<(u64, u64)> {
        self.rooms.remove(&room);
        let before = self.conns.remove(&(conn, room));
        before.map(Run::left_out).unwrap_or_default()
    }

    /// Ends a connection; the holes that stayed, by room.
    pub(super) fn end(&mut self, conn: u32) -> Vec<(u32, u64, u64)> {
        let ended: Vec<(u32, u32)> = self.conns.keys().filter(|key| key.0 == conn).copied().collect();
        let mut holes = Vec::new();
        for key in ended {
            let run = self.conns.remove(&key);
            let left_out = run.map(Run::left_out).unwrap_or_default();
            holes.extend(left_out.into_iter().map(|(from, to)| (key.1, from, to)));
        }
        holes
    }

    /// Ends all connections.
    pub(super) fn end_all(&mut self) -> Vec<(u32, u64, u64)> {
        let mut conns: Vec<u32> = self.conns.keys().map(|key| key.0).collect();
        conns.sort_unstable();
        conns.dedup();
        conns.into_iter().flat_map(|conn| self.end(conn)).collect()
    }

    pub(super) fn step(&mut self, conn: u32, room: u32, seq: u64) -> Step {
        let Some(run) = self.conns.get_mut(&(conn, room)) else {
            return Step::NotOpen;
        };
        run.step(seq, seq)
    }

    pub(super) fn gap(&mut self, conn: u32, room: u32, from: u64, to: u64) -> Step {
        let Some(run) = self.conns.get_mut(&(conn, room)) else {
            return Step::NotOpen;
        };
        run.step(from, to)
    }
}

impl Run {
    fn step(&mut self, seq: u64, to: u64) -> Step {
        if seq == self.next {
            self.next = to + 1;
            return Step::Next;
        }
        if seq > self.next {
            self.holes.insert(self.next, seq - 1);
            self.next = to + 1;
            return Step::Ahead;
        }
        let hole = self
            .holes
            .range(..=seq)
            .next_back()
            .map(|(from, to)| (*from, *to));
        match hole {
            Some((from, last)) if seq <= last => {
                self.holes.remove(&from);
                if from < seq {
                    self.holes.insert(from, seq - 1);
                }
                if seq < last {
                    self.holes.insert(seq + 1, last);
                }
                Step::Late
            }
            _ => Step::Again,
        }
    }

    fn left_out(self) -> Vec<(u64, u64)> {
        self.holes.into_iter().collect()
    }
}
