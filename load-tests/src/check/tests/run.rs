//! A run that is clean, as journals and store have it, to be spoilt.

use crate::{
    check::*,
    journal::{Entry, Lasting, Op, What, text_digest},
};

pub(super) const ROOM: &str = "lobby";
pub(super) const MS: u64 = 1_000;
/// Unix microseconds of the beginning.
pub(super) const START: u64 = 1_700_000_000_000_000;

/// A run: what was written down and what is stored.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) entries: Vec<Entry>,
    pub(super) ledger: Ledger,
}

pub(super) fn user(client: u32) -> String {
    format!("g_{client}")
}

pub(super) fn text(seq: u64) -> String {
    format!("text {seq}")
}

/// The time that event `seq` carries, in Unix milliseconds.
pub(super) fn at(seq: u64) -> u64 {
    START / MS + seq * 10
}

pub(super) fn author(seq: u64) -> u32 {
    if seq % 2 == 1 { 1 } else { 2 }
}

pub(super) fn cid(seq: u64) -> String {
    format!("c{seq}")
}

pub(super) fn digest(seq: u64) -> u64 {
    let (author, cid) = (user(author(seq)), cid(seq));
    let lasting = Lasting {
        seq,
        author: &author,
        cid: Some(&cid),
        at: at(seq),
        kind: "message",
        target: None,
        emoji: None,
        given: None,
    };
    lasting.digest()
}

pub(super) fn row(seq: u64) -> ledger::Row {
    ledger::Row {
        seq,
        author: user(author(seq)).into(),
        cid: Some(cid(seq).into()),
        at: at(seq),
        op: Some(Op::Send),
        digest: digest(seq),
        text: text_digest(&text(seq)),
        changed: false,
    }
}

pub(super) fn received(seqs: std::ops::RangeInclusive<u64>) -> What {
    What::Received {
        room: ROOM.into(),
        first: *seqs.start(),
        events: seqs.clone().map(digest).collect(),
        texts: seqs.map(|seq| text_digest(&text(seq))).collect(),
    }
}

pub(super) fn acked(seq: u64) -> What {
    What::Acked {
        room: ROOM.into(),
        cid: cid(seq),
        seq,
        time: at(seq),
    }
}

pub(super) fn sent(seq: u64) -> What {
    What::Sent {
        room: ROOM.into(),
        cid: cid(seq),
        op: Op::Send,
        text: text_digest(&text(seq)),
        target: 0,
        due: at(seq) * MS - 2 * MS,
    }
}

pub(super) fn opened(asked: u64, head: u64) -> What {
    What::Opened {
        room: ROOM.into(),
        asked: Some(asked),
        after: asked,
        head,
        reset: false,
    }
}

impl Run {
    /// Two people on two nodes write `events` messages in turn; the second one loses its connection behind event 4.
    pub(super) fn clean(events: u64) -> Self {
        let mut run = Self {
            entries: Vec::new(),
            ledger: Ledger::default(),
        };
        for client in [1, 2] {
            run.add(0, client, 0, What::Person { user: user(client) });
            run.connect(0, client, 1);
            run.add(0, client, 1, opened(0, 0));
        }
        for seq in 1..=events {
            let committed = at(seq) * MS;
            let conn = |client| if client == 2 && seq > 4 { 2 } else { 1 };
            run.add(committed - 2 * MS, author(seq), conn(author(seq)), sent(seq));
            run.add(committed + MS, author(seq), conn(author(seq)), acked(seq));
            for client in [1, 2] {
                run.add(committed + 2 * MS, client, conn(client), received(seq..=seq));
            }
            let look = What::Witnessed {
                room: ROOM.into(),
                head: seq,
                began: committed + 4 * MS,
            };
            run.add(committed + 5 * MS, 0, 0, look);
            if seq == 4 {
                let ended = What::Ended {
                    code: None,
                    own: false,
                    why: "cut".into(),
                };
                run.add(committed + 3 * MS, 2, 1, ended);
                run.connect(committed + 4 * MS, 2, 2);
                run.add(committed + 4 * MS, 2, 2, opened(4, 4));
            }
        }
        for client in [1, 2] {
            run.add(at(events + 1) * MS, client, 0, What::Finished);
        }
        let room = ledger::LedgerRoom {
            head: events,
            rows: (1..=events).map(row).collect(),
        };
        run.ledger.rooms.insert(ROOM.into(), room);
        run
    }

    pub(super) fn add(&mut self, time: u64, client: u32, conn: u32, what: What) {
        let entry = Entry {
            at: time.max(START),
            client,
            conn,
            what,
        };
        self.entries.push(entry);
    }

    pub(super) fn connect(&mut self, time: u64, client: u32, conn: u32) {
        let connected = What::Connected {
            node: format!("n{}", client + conn),
            epoch: "e".into(),
        };
        self.add(time, client, conn, connected);
    }

    pub(super) fn rows(&mut self) -> &mut Vec<ledger::Row> {
        &mut self.room().rows
    }

    pub(super) fn room(&mut self) -> &mut ledger::LedgerRoom {
        self.ledger.rooms.get_mut(ROOM).unwrap()
    }

    /// Where client 2 was shown event `seq`.
    pub(super) fn shown(&self, seq: u64) -> usize {
        let is_it = |entry: &Entry| {
            entry.client == 2 && matches!(&entry.what, What::Received { first, .. } if *first == seq)
        };
        self.entries.iter().position(is_it).unwrap()
    }

    pub(super) fn find(&self, wanted: &What) -> usize {
        self.entries
            .iter()
            .position(|entry| entry.what == *wanted)
            .unwrap()
    }

    pub(super) fn check(&self) -> Report {
        let entries = || self.entries.iter().cloned().map(Ok);
        check(entries, Some(&self.ledger), Vec::new(), &Settings::default()).unwrap()
    }
}

/// The kinds that are reported once `plant` has spoilt a clean run of eight events.
pub(super) fn kinds(plant: impl FnOnce(&mut Run)) -> Vec<Kind> {
    let mut run = Run::clean(8);
    plant(&mut run);
    let report = run.check();
    assert!(report.to_string().contains("VIOLATIONS") || report.is_clean());
    report.findings.counts.into_keys().collect()
}
