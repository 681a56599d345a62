//! What clients were shown.

use super::run::*;
use crate::{
    check::*,
    journal::{Entry, Op, What, text_digest},
};

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
