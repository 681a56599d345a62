//! Every kind of violation is planted, one at a time, into a run that is clean, and has to be reported by its name.

use std::collections::HashMap;

use super::*;
use crate::journal::{Journal, Lasting, Op, What, text_digest};

const ROOM: &str = "lobby";
const MS: u64 = 1_000;
/// Unix microseconds of the beginning.
const START: u64 = 1_700_000_000_000_000;

/// A run: what was written down and what is stored.
#[derive(Clone)]
struct Run {
    entries: Vec<Entry>,
    ledger: Ledger,
}

fn user(client: u32) -> String {
    format!("g_{client}")
}

fn text(seq: u64) -> String {
    format!("text {seq}")
}

/// The time that event `seq` carries, in Unix milliseconds.
fn at(seq: u64) -> u64 {
    START / MS + seq * 10
}

fn author(seq: u64) -> u32 {
    if seq % 2 == 1 { 1 } else { 2 }
}

fn cid(seq: u64) -> String {
    format!("c{seq}")
}

fn digest(seq: u64) -> u64 {
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

fn row(seq: u64) -> ledger::Row {
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

fn received(seqs: std::ops::RangeInclusive<u64>) -> What {
    What::Received {
        room: ROOM.into(),
        first: *seqs.start(),
        events: seqs.clone().map(digest).collect(),
        texts: seqs.map(|seq| text_digest(&text(seq))).collect(),
    }
}

fn acked(seq: u64) -> What {
    What::Acked {
        room: ROOM.into(),
        cid: cid(seq),
        seq,
        time: at(seq),
    }
}

fn sent(seq: u64) -> What {
    What::Sent {
        room: ROOM.into(),
        cid: cid(seq),
        op: Op::Send,
        text: text_digest(&text(seq)),
        target: 0,
        due: at(seq) * MS - 2 * MS,
    }
}

fn opened(asked: u64, head: u64) -> What {
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
    fn clean(events: u64) -> Self {
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

    fn add(&mut self, time: u64, client: u32, conn: u32, what: What) {
        let entry = Entry {
            at: time.max(START),
            client,
            conn,
            what,
        };
        self.entries.push(entry);
    }

    fn connect(&mut self, time: u64, client: u32, conn: u32) {
        let connected = What::Connected {
            node: format!("n{}", client + conn),
            epoch: "e".into(),
        };
        self.add(time, client, conn, connected);
    }

    fn rows(&mut self) -> &mut Vec<ledger::Row> {
        &mut self.room().rows
    }

    fn room(&mut self) -> &mut ledger::LedgerRoom {
        self.ledger.rooms.get_mut(ROOM).unwrap()
    }

    /// Where client 2 was shown event `seq`.
    fn shown(&self, seq: u64) -> usize {
        let is_it = |entry: &Entry| {
            entry.client == 2 && matches!(&entry.what, What::Received { first, .. } if *first == seq)
        };
        self.entries.iter().position(is_it).unwrap()
    }

    fn find(&self, wanted: &What) -> usize {
        self.entries
            .iter()
            .position(|entry| entry.what == *wanted)
            .unwrap()
    }

    fn check(&self) -> Report {
        let entries = || self.entries.iter().cloned().map(Ok);
        check(entries, Some(&self.ledger), Vec::new(), &Settings::default()).unwrap()
    }
}

/// The kinds that are reported once `plant` has spoilt a clean run of eight events.
fn kinds(plant: impl FnOnce(&mut Run)) -> Vec<Kind> {
    let mut run = Run::clean(8);
    plant(&mut run);
    let report = run.check();
    assert!(report.to_string().contains("VIOLATIONS") || report.is_clean());
    report.findings.counts.into_keys().collect()
}

#[test]
fn a_clean_run_is_clean_and_counted() {
    let report = Run::clean(8).check();
    assert!(report.is_clean(), "{report}");
    let expected = Counts {
        clients: 2,
        sent: 8,
        acked: 8,
        committed: 8,
        delivered: 16,
        connections: 3,
        lost_connections: 1,
        resumes: 1,
        ..Counts::default()
    };
    assert_eq!(report.counts, expected);
    let ack = report.waits_of("", Phase::All, Wait::Ack).unwrap();
    assert_eq!(ack.count, 8);
    assert!((2.9..3.1).contains(&ack.max_ms), "{ack:?}");
    assert_eq!(report.waits_of("", Phase::All, Wait::Delivery).unwrap().count, 16);
    assert_eq!(report.waits_of("", Phase::All, Wait::Back).unwrap().count, 1);
}

#[test]
fn a_lost_ack_is_reported() {
    // The last event is gone from the store, as if the node had answered too early and was killed.
    let found = kinds(|run| {
        run.rows().pop();
        run.room().head = 7;
        run.entries.retain(|entry| {
            !matches!(
                &entry.what,
                What::Received { first: 8, .. } | What::Witnessed { head: 8, .. }
            )
        });
    });
    assert_eq!(found, [Kind::LostAck]);
}

#[test]
fn an_answer_with_another_place_or_time_is_reported() {
    for (seq, time) in [(6, at(5)), (5, at(5) + 1)] {
        let found = kinds(|run| {
            let place = run.find(&acked(5));
            run.entries[place].what = What::Acked {
                room: ROOM.into(),
                cid: cid(5),
                seq,
                time,
            };
        });
        assert!(found.contains(&Kind::AckMismatch), "{found:?}");
    }
}

#[test]
fn two_different_answers_to_one_command_are_reported() {
    let found = kinds(|run| {
        let again = What::Acked {
            room: ROOM.into(),
            cid: cid(5),
            seq: 4,
            time: at(4),
        };
        run.add(at(9) * MS, 1, 1, again);
    });
    assert_eq!(found, [Kind::AckMismatch]);
}

#[test]
fn a_command_that_is_stored_twice_is_reported() {
    let found = kinds(|run| {
        let mut again = row(5);
        (again.seq, again.at) = (9, at(9));
        run.rows().push(again);
        run.room().head = 9;
    });
    assert!(found.contains(&Kind::StoredTwice), "{found:?}");
}

#[test]
fn what_nobody_sent_is_reported() {
    let found = kinds(|run| {
        let place = run.find(&sent(6));
        run.entries.remove(place);
        let place = run.find(&acked(6));
        run.entries.remove(place);
    });
    assert_eq!(found, [Kind::NeverSent]);
}

#[test]
fn holes_and_heads_of_the_store_are_reported() {
    let found = kinds(|run| drop(run.rows().remove(5)));
    assert!(found.contains(&Kind::StoreHole), "{found:?}");
    assert_eq!(
        kinds(|run| run.room().head = 9),
        [Kind::StoreHead, Kind::NotConverged]
    );
    let found = kinds(|run| {
        let rows = run.rows();
        rows[3].at = at(8);
    });
    assert!(found.contains(&Kind::StoreTime), "{found:?}");
}

#[test]
fn a_hole_is_reported() {
    let found = kinds(|run| {
        let place = run.shown(6);
        run.entries.remove(place);
    });
    assert_eq!(found, [Kind::Hole]);
}

#[test]
fn a_hole_across_a_resume_is_reported() {
    let found = kinds(|run| {
        let place = run.find(&opened(4, 4));
        run.entries[place].what = opened(5, 5);
        let place = run.shown(5);
        run.entries.remove(place);
    });
    assert!(found.contains(&Kind::Hole), "{found:?}");
}

#[test]
fn a_repeat_is_reported() {
    let found = kinds(|run| {
        let place = run.shown(6);
        let again = run.entries[place].clone();
        run.entries.insert(place, again);
    });
    assert_eq!(found, [Kind::Repeat]);
}

#[test]
fn disorder_is_reported() {
    let found = kinds(|run| {
        let (one, two) = (run.shown(6), run.shown(7));
        let (first, second) = (run.entries[one].what.clone(), run.entries[two].what.clone());
        run.entries[one].what = second;
        run.entries[two].what = first;
    });
    assert!(
        found.contains(&Kind::Reorder) && !found.contains(&Kind::Hole),
        "{found:?}"
    );
}

#[test]
fn early_visibility_is_reported() {
    // Shown before a look into the store that did not find it.
    let found = kinds(|run| {
        let place = run.shown(6);
        run.entries[place].at = at(5) * MS + 3 * MS;
    });
    assert_eq!(found, [Kind::EarlyEvent]);
    // Shown before its own time.
    let found = kinds(|run| {
        run.entries
            .retain(|entry| !matches!(entry.what, What::Witnessed { .. }));
        let place = run.shown(8);
        run.entries[place].at = at(1) * MS;
    });
    assert_eq!(found, [Kind::EarlyEvent]);
    // A head that was told too early.
    let found = kinds(|run| {
        let place = run.find(&opened(4, 4));
        run.entries[place].what = opened(4, 8);
    });
    assert!(found.contains(&Kind::EarlyEvent), "{found:?}");
}

#[test]
fn an_answer_before_the_commit_is_reported() {
    let found = kinds(|run| {
        let place = run.find(&acked(6));
        run.entries[place].at = at(5) * MS + 3 * MS;
    });
    assert_eq!(found, [Kind::EarlyAck]);
}

#[test]
fn an_event_that_is_not_stored_is_reported() {
    let found = kinds(|run| {
        let phantom = received(9..=9);
        run.add(at(9) * MS + MS, 2, 2, phantom);
    });
    assert_eq!(found, [Kind::Phantom]);
}

#[test]
fn divergence_is_reported_with_and_without_the_store() {
    let mut run = Run::clean(8);
    let place = run.shown(6);
    if let What::Received { events, .. } = &mut run.entries[place].what {
        events[0] ^= 1;
    }
    let found: Vec<Kind> = run.check().findings.counts.into_keys().collect();
    assert_eq!(found, [Kind::Divergence, Kind::WrongContent]);
    let entries = || run.entries.iter().cloned().map(Ok);
    let report = check(entries, None, Vec::new(), &Settings::default()).unwrap();
    assert_eq!(
        report.findings.counts.into_keys().collect::<Vec<_>>(),
        [Kind::Divergence]
    );
}

#[test]
fn wrong_content_is_reported() {
    // One client is shown another text.
    let found = kinds(|run| {
        let place = run.shown(6);
        if let What::Received { texts, .. } = &mut run.entries[place].what {
            texts[0] ^= 1;
        }
    });
    assert_eq!(found, [Kind::WrongContent]);
    // Everybody is shown what is stored, but it is not what was sent.
    let found = kinds(|run| {
        let changed = text_digest("something else");
        run.rows()[5].text = changed;
        for entry in &mut run.entries {
            if let What::Received { first: 6, texts, .. } = &mut entry.what {
                texts[0] = changed;
            }
        }
    });
    assert_eq!(found, [Kind::WrongContent]);
}

#[test]
fn an_edited_text_is_right_if_somebody_sent_it() {
    let edit = |run: &mut Run, shown: &str| {
        let edit = What::Sent {
            room: ROOM.into(),
            cid: "edit".into(),
            op: Op::Edit,
            text: text_digest("new"),
            target: 6,
            due: START,
        };
        run.add(at(8) * MS, 2, 2, edit);
        let refused = What::Refused {
            cid: "edit".into(),
            code: "forbidden".into(),
        };
        run.add(at(8) * MS, 2, 2, refused);
        let row = &mut run.rows()[5];
        (row.text, row.changed) = (text_digest("new"), true);
        let place = run.shown(6);
        if let What::Received { texts, .. } = &mut run.entries[place].what {
            texts[0] = text_digest(shown);
        }
    };
    assert_eq!(kinds(|run| edit(run, "new")), []);
    assert_eq!(kinds(|run| edit(run, "text 6")), []);
    assert_eq!(kinds(|run| edit(run, "forged")), [Kind::WrongContent]);
}

#[test]
fn who_lacks_events_at_the_end_is_reported() {
    let found = kinds(|run| {
        let place = run.shown(8);
        run.entries.remove(place);
    });
    assert_eq!(found, [Kind::NotConverged]);
}

#[test]
fn what_was_never_answered_is_reported() {
    let found = kinds(|run| {
        let place = run.find(&acked(8));
        run.entries.remove(place);
    });
    assert_eq!(found, [Kind::Unanswered]);
}

#[test]
fn who_does_not_finish_is_reported() {
    let found = kinds(|run| drop(run.entries.pop()));
    assert_eq!(found, [Kind::NotFinished]);
}

#[test]
fn resets_are_judged() {
    let reset = |asked: u64, head: u64, reset: bool| {
        kinds(|run| {
            let place = run.find(&opened(4, 4));
            run.entries[place].what = What::Opened {
                room: ROOM.into(),
                asked: Some(asked),
                after: 4,
                head,
                reset,
            };
        })
    };
    assert_eq!(reset(4, 4, true), [Kind::NeedlessReset]);
    assert_eq!(reset(9, 4, false), [Kind::MissingReset]);
    // In another history it is right.
    let found = kinds(|run| {
        let place = run.find(&opened(4, 4));
        if let What::Connected { epoch, .. } = &mut run.entries[place - 1].what {
            *epoch = "another".into();
        }
        if let What::Opened { reset, .. } = &mut run.entries[place].what {
            *reset = true;
        }
    });
    assert_eq!(found, []);
}

#[test]
fn gaps_are_judged() {
    let gap = |from: u64, to: u64| What::Gap {
        room: ROOM.into(),
        from,
        to,
    };
    // Few enough are missing to be replayed.
    let found = kinds(|run| {
        let place = run.shown(6);
        run.entries[place].what = gap(6, 6);
    });
    assert_eq!(found, [Kind::NeedlessGap]);
    // It does not follow what came before.
    let found = kinds(|run| run.add(at(9) * MS, 2, 2, gap(3, 4)));
    assert!(found.contains(&Kind::Broken), "{found:?}");

    // 1,001 are missing, of which the first is left out: as it should be.
    let mut run = Run::clean(1_005);
    let mut first = None;
    run.entries.retain(|entry| {
        let behind = entry.client == 2 && matches!(entry.what, What::Received { first, .. } if first > 4);
        first = first.or_else(|| behind.then_some(entry.at));
        !behind
    });
    let finished = run.entries.len() - 2;
    let end = run.entries[finished].at;
    for (place, what) in [gap(5, 5), received(6..=1_005)].into_iter().enumerate() {
        let entry = Entry {
            at: end,
            client: 2,
            conn: 2,
            what,
        };
        run.entries.insert(finished + place, entry);
    }
    let report = run.check();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.counts.gaps, 1);
}

#[test]
fn what_a_client_itself_saw_is_reported() {
    let found = kinds(|run| {
        run.add(
            at(9) * MS,
            1,
            1,
            What::Broken {
                what: "nonsense".into(),
            },
        )
    });
    assert_eq!(found, [Kind::Broken]);
    // Events of a room that is not open.
    let found = kinds(|run| run.add(at(9) * MS, 1, 7, received(1..=1)));
    assert_eq!(found, [Kind::Broken]);
}

#[test]
fn waits_are_put_to_the_faults_that_they_touch() {
    let run = Run::clean(8);
    let window = |name: &str, from: u64, to: u64, after: u64| Window {
        name: name.into(),
        target: "all".into(),
        from_us: at(from) * MS,
        to_us: at(to) * MS - 3 * MS,
        after_us: at(after) * MS,
    };
    let windows = vec![window("kill", 3, 5, 7), window("pause", 3, 4, 5)];
    let entries = || run.entries.iter().cloned().map(Ok);
    let report = check(entries, Some(&run.ledger), windows, &Settings::default()).unwrap();
    let acks = |fault: &str, phase| report.waits_of(fault, phase, Wait::Ack).map_or(0, |of| of.count);
    assert_eq!(acks("kill", Phase::During), 2);
    assert_eq!(acks("kill", Phase::After), 3);
    assert_eq!(acks("pause", Phase::During), 1);
    assert_eq!(acks("", Phase::Quiet), 3);
    assert_eq!(acks("", Phase::All), 8);
    assert!(report.to_string().contains("kill"));
}

#[test]
fn journals_in_a_folder_are_checked_together() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::clean(8);
    let mut journals: HashMap<u32, Journal> = HashMap::new();
    for entry in &run.entries {
        let journal = journals
            .entry(entry.client)
            .or_insert_with(|| Journal::create(folder.path(), &format!("client-{}", entry.client)).unwrap());
        // Dated anew, all within a moment: what looks into the store found would not fit.
        if !matches!(entry.what, What::Witnessed { .. }) {
            journal.scribe(entry.client).write(entry.conn, entry.what.clone());
        }
    }
    for journal in journals.values() {
        journal.close().unwrap();
    }
    let report = super::folder(folder.path(), Some(&run.ledger), &Settings::default()).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.counts.delivered, 16);
    let error = super::folder(&folder.path().join("none"), None, &Settings::default()).unwrap_err();
    assert!(format!("{error:#}").contains("none"));
}

#[tokio::test]
async fn a_store_of_either_kind_is_read() {
    const TABLES: &[&str] = &[
        "CREATE TABLE rooms (name TEXT, head BIGINT)",
        "CREATE TABLE events (room TEXT, seq BIGINT, author TEXT, cid TEXT, at BIGINT, kind TEXT, text TEXT, reply_to BIGINT, \
         edited_at BIGINT, deleted_by BIGINT, target BIGINT, emoji TEXT, given BOOLEAN)",
        "INSERT INTO rooms VALUES ('lobby', 3)",
        "INSERT INTO events VALUES ('lobby', 1, 'g_1', 'c1', 1700000000010, 'message', 'text 1', NULL, NULL, NULL, NULL, NULL, NULL)",
        "INSERT INTO events VALUES ('lobby', 2, 'g_1', 'x', 5, 'react', NULL, NULL, NULL, NULL, 1, '+1', TRUE)",
        "INSERT INTO events VALUES ('lobby', 3, 'g_1', NULL, 6, 'room', NULL, NULL, 9, NULL, NULL, NULL, NULL)",
    ];
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}", folder.path().join("store.db").display());
    let postgres = crate::lab::postgres_for_tests().await.unwrap();
    let lite = sqlx::SqlitePool::connect(&format!("{sqlite}?mode=rwc"))
        .await
        .unwrap();
    let post = Box::pin(sqlx::PgPool::connect(postgres.url())).await.unwrap();
    for statement in TABLES {
        sqlx::query(*statement).execute(&lite).await.unwrap();
        sqlx::query(*statement).execute(&post).await.unwrap();
    }
    for url in [&sqlite, postgres.url()] {
        let ledger = Ledger::read(url).await.unwrap();
        let room = &ledger.rooms["lobby"];
        assert_eq!((room.head, ledger.events()), (3, 3));
        let first = room.row(1).unwrap();
        assert_eq!(
            (first.digest, first.text, first.op),
            (digest(1), text_digest("text 1"), Some(Op::Send))
        );
        let reaction = Lasting {
            seq: 2,
            author: "g_1",
            cid: Some("x"),
            at: 5,
            kind: "react",
            target: Some(1),
            emoji: Some("+1"),
            given: Some(true),
        };
        assert_eq!(room.row(2).unwrap().digest, reaction.digest());
        assert_eq!(
            (room.row(3).unwrap().op, room.row(3).unwrap().changed),
            (None, true)
        );
        assert!(room.row(4).is_none());
    }
    let error = Ledger::read("mysql://x").await.map(drop).unwrap_err();
    assert!(format!("{error:#}").contains("postgres://"));
}
