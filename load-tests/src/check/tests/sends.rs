//! What was sent, answered and stored.

use super::run::*;
use crate::{check::*, journal::What};

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
fn an_answer_before_the_commit_is_reported() {
    let found = kinds(|run| {
        let place = run.find(&acked(6));
        run.entries[place].at = at(5) * MS + 3 * MS;
    });
    assert_eq!(found, [Kind::EarlyAck]);
}

#[test]
fn what_was_never_answered_is_reported() {
    let found = kinds(|run| {
        let place = run.find(&acked(8));
        run.entries.remove(place);
    });
    assert_eq!(found, [Kind::Unanswered]);
}
