//! Whole runs: what is counted, how long people waited, folders and stores.

use std::collections::HashMap;

use super::run::*;
use crate::{
    check::*,
    journal::{Journal, Lasting, Op, What, text_digest},
};

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
fn who_does_not_read_on_purpose_does_not_wait() {
    let mut run = Run::clean(8);
    let place = run.shown(7);
    let late = at(8) * MS;
    run.entries[place].at = late;
    for (on, time) in [(false, late - MS), (true, at(7) * MS + 3 * MS)] {
        let entry = Entry {
            at: time,
            client: 2,
            conn: 0,
            what: What::Stalled { on },
        };
        run.entries.insert(place, entry);
    }
    let report = run.check();
    assert!(report.is_clean(), "{report}");
    let delivery = report.waits_of("", Phase::All, Wait::Delivery).unwrap();
    assert_eq!(delivery.count, 15);
    assert!(delivery.max_ms < 5.0, "{delivery:?}");
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
    let report = crate::check::folder(folder.path(), Some(&run.ledger), &Settings::default()).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.counts.delivered, 16);
    let error = crate::check::folder(&folder.path().join("none"), None, &Settings::default()).unwrap_err();
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
