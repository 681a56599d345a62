//! Replies, edits, deletes, records; and the present state that pages show.

use std::sync::Arc;

use protocol::{EventBody, MemberChange, RoomChange, event::RoomValue};

use super::{Nodes, script::*};
use crate::ports::Change;

/// A reply may answer a message, also a deleted one, and nothing else.
pub async fn replies_need_a_message_of_the_room(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    write(&nodes.a, ann.message("1", "hello")).await;
    let (reply, _) = write(&nodes.b, bob.reply("2", 1)).await;
    let (delete, _) = write(&nodes.a, ann.delete("3", 1)).await;
    assert_eq!(write(&nodes.b, bob.reply("4", 1)).await.0, 4, "a deleted message");
    for no_message in [0, delete, 5, 6, u64::MAX] {
        let outcome = append_one(&nodes.b, bob.reply("5", no_message)).await;
        assert_eq!(outcome, NOT_FOUND, "{no_message}");
    }
    let log = log(&nodes.a, &ann.room).await;
    let body = &event_at(&log, reply).body;
    assert!(
        matches!(
            body,
            EventBody::Message {
                reply_to: Some(1),
                ..
            }
        ),
        "{body:?}"
    );
    assert_eq!(log.len(), 4);
}

/// An edit replaces the message's text; an edit event whose text is no longer the present one has none.
pub async fn an_edit_replaces_the_text(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    write(&nodes.a, ann.message("1", "first")).await;
    write(&nodes.a, bob.message("1", "of bob")).await;
    let (one, at_one) = write(&nodes.b, ann.edit("2", 1, "second")).await;
    let now = log(&nodes.a, &ann.room).await;
    assert_eq!(message_at(&now, 1), ("second", Some(at_one), false));
    assert_eq!(edit_at(&now, one), Some("second"));
    let (two, at_two) = write(&nodes.a, ann.edit("3", 1, "third")).await;
    let now = log(&nodes.a, &ann.room).await;
    assert_eq!(message_at(&now, 1), ("third", Some(at_two), false));
    assert_eq!((edit_at(&now, one), edit_at(&now, two)), (None, Some("third")));
    assert_eq!(message_at(&now, 2), ("of bob", None, false));
    assert_eq!(event_at(&now, two).at, at_two);
}

/// What is no living message is not found; somebody else's is forbidden.
pub async fn an_edit_is_refused_where_it_must_be(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    write(&nodes.a, ann.message("1", "hello")).await;
    let (edit, _) = write(&nodes.a, ann.edit("2", 1, "hello!")).await;
    assert_eq!(append_one(&nodes.b, bob.edit("1", 1, "hacked")).await, FORBIDDEN);
    for no_message in [0, edit, 3, u64::MAX] {
        let outcome = append_one(&nodes.a, ann.edit("3", no_message, "x")).await;
        assert_eq!(outcome, NOT_FOUND, "{no_message}");
    }
    let (far, _) = room_with_two(&nodes, "far").await;
    assert_eq!(
        append_one(&nodes.a, far.edit("3", 1, "other room")).await,
        NOT_FOUND
    );
    write(&nodes.a, ann.delete("4", 1)).await;
    assert_eq!(
        append_one(&nodes.a, ann.edit("5", 1, "too late")).await,
        NOT_FOUND
    );
    assert_eq!(
        append_one(&nodes.a, bob.edit("5", 1, "too late")).await,
        NOT_FOUND
    );
    assert_eq!(message_at(&log(&nodes.b, &ann.room).await, 1).0, "");
}

/// A deleted message keeps its place without text, and so do all its edit events.
pub async fn a_delete_takes_the_text_away(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    write(&nodes.a, ann.message("1", "one")).await;
    write(&nodes.a, bob.message("1", "two")).await;
    write(&nodes.a, ann.edit("2", 1, "one!")).await;
    write(&nodes.b, ann.edit("3", 1, "one!!")).await;
    write(&nodes.b, bob.edit("2", 2, "two!")).await;
    let (delete, _) = write(&nodes.b, ann.delete("4", 1)).await;
    let (by_moderator, _) = write(&nodes.b, ann.delete_any("5", 2)).await;
    let log = log(&nodes.a, &ann.room).await;
    for seq in [1, 2] {
        let (text, _, deleted) = message_at(&log, seq);
        assert_eq!((text, deleted), ("", true));
    }
    for seq in [3, 4, 5] {
        assert_eq!(edit_at(&log, seq), None);
    }
    assert_eq!(event_at(&log, delete).body, EventBody::Delete { target: 1 });
    assert_eq!(event_at(&log, by_moderator).body, EventBody::Delete { target: 2 });
    assert_eq!(event_at(&log, 1).cid.as_deref(), Some("1"), "the cid stays");
}

/// What is no message is not found; somebody else's is forbidden unless any author's may be deleted.
pub async fn a_delete_is_refused_where_it_must_be(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    write(&nodes.a, ann.message("1", "hello")).await;
    let (edit, _) = write(&nodes.a, ann.edit("2", 1, "hello!")).await;
    assert_eq!(append_one(&nodes.b, bob.delete("1", 1)).await, FORBIDDEN);
    for no_message in [0, edit, 3, u64::MAX] {
        let batch = [bob.delete("2", no_message), bob.delete_any("3", no_message)];
        assert_eq!(append(&nodes.b, &batch).await, [NOT_FOUND; 2], "{no_message}");
    }
    assert_eq!(message_at(&log(&nodes.a, &ann.room).await, 1).0, "hello!");
}

/// Deleting again is answered with the first delete, whoever asks, and the later `cid` is not kept.
pub async fn a_second_delete_is_known(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    write(&nodes.a, ann.message("1", "hello")).await;
    let first = write(&nodes.a, ann.delete("2", 1)).await;
    write(&nodes.a, ann.message("3", "more")).await;
    assert_eq!(append_one(&nodes.b, ann.delete("4", 1)).await, known(first));
    assert_eq!(append_one(&nodes.b, bob.delete_any("4", 1)).await, known(first));
    assert_eq!(append_one(&nodes.b, bob.delete("5", 1)).await, known(first));
    assert_eq!(write(&nodes.b, ann.message("4", "new")).await.0, 4);
}

/// An entry sees what stands before it in the batch.
pub async fn dependent_changes_stand_in_one_batch(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    let batch = [
        ann.message("1", "draft"),
        ann.edit("2", 1, "better"),
        ann.edit("3", 1, "best"),
        bob.reply("1", 1),
        ann.delete("4", 1),
        ann.delete("5", 1),
        ann.edit("6", 1, "too late"),
        ann.message("7", "kept"),
        ann.edit("8", 6, "kept!"),
    ];
    let outcomes = append(&nodes.a, &batch).await;
    let delete = written(outcomes[4]);
    assert_eq!(delete.0, 5);
    assert_eq!(outcomes[5..7], [known(delete), NOT_FOUND]);
    let edit = written(outcomes[8]);
    assert_eq!(edit.0, 7);
    let log = log(&nodes.b, &ann.room).await;
    assert_eq!(message_at(&log, 1).0, "");
    assert_eq!((edit_at(&log, 2), edit_at(&log, 3)), (None, None));
    assert_eq!(message_at(&log, 6), ("kept!", Some(edit.1), false));
    assert_eq!(edit_at(&log, 7), Some("kept!"));
}

/// Nothing can be written where there is no room; the rest of the batch is not affected.
pub async fn a_room_that_does_not_exist_refuses_everything(nodes: Nodes) {
    let (ann, _) = room_with_two(&nodes, "room").await;
    let nowhere = Pen::new(&room_name("nowhere"), "ann");
    let batch = [
        nowhere.message("1", "hello"),
        ann.message("1", "hello"),
        nowhere.edit("2", 1, "x"),
        nowhere.delete("3", 1),
        nowhere.react("4", 1, "👍", true),
    ];
    let outcomes = append(&nodes.a, &batch).await;
    written(outcomes[1]);
    for n in [0, 2, 3, 4] {
        assert_eq!(outcomes[n], NOT_FOUND);
    }
    assert_eq!(nodes.b.room(&nowhere.room).await.unwrap(), None);
}

/// Membership and room changes come back field by field; title and topic show in the record.
pub async fn members_and_rooms_are_recorded_as_they_are(nodes: Nodes) {
    let (ann, _) = room_with_two(&nodes, "room").await;
    let mut batch = Vec::new();
    for change in MemberChange::ALL {
        for (role, until, reason) in [
            (None, None, None),
            (Some("owner"), Some(u64::MAX), Some("a \"reason\"\n")),
        ] {
            let who = person("carol");
            let (change, role, reason) = (*change, role.map(Arc::from), reason.map(Arc::from));
            let change = Change::Member {
                change,
                who,
                role,
                until,
                reason,
            };
            batch.push(ann.entry("", change));
        }
    }
    for change in RoomChange::ALL.iter().copied() {
        for value in [
            RoomValue::Switch(true),
            RoomValue::Number(30),
            RoomValue::Text("a ‘text’".into()),
        ] {
            batch.push(ann.entry(&format!("{change:?}{value:?}"), Change::Room { change, value }));
        }
    }
    let outcomes = append(&nodes.a, &batch).await;
    let log = log(&nodes.b, &ann.room).await;
    for (entry, outcome) in batch.iter().zip(outcomes) {
        let (seq, at) = written(outcome);
        assert_eq!(*event_at(&log, seq), entry.to_event(seq, at));
    }
    let record = nodes.b.room(&ann.room).await.unwrap().unwrap();
    assert_eq!((&*record.title, &*record.topic), ("a ‘text’", "a ‘text’"));
    assert_eq!(
        append_one(&nodes.a, ann.delete_any("d", 1)).await,
        NOT_FOUND,
        "no message"
    );
}

/// Texts come back byte for byte.
pub async fn every_character_comes_back(nodes: Nodes) {
    let (ann, _) = room_with_two(&nodes, "room").await;
    let texts = [
        "'; DROP TABLE events; --",
        r#"{"a": "\"\\ \u0000"}, {NULL}, "",\N"#,
        "tab\tnewline\nreturn\r\u{1}\u{7f}\u{80}",
        "👩‍👩‍👧‍👦 🏳️‍🌈 e\u{301} é \u{202e}rtl\u{202c} שלום العربية",
        "\u{feff}\u{fffd}\u{ffff}\u{10ffff}\u{2028}",
        "$1 ?1 :name %s ${x} \\x00",
        "NULL",
        &"🦀".repeat(4096),
        &"'\"\\\n".repeat(4096),
    ];
    let mut batch: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| ann.message(&n.to_string(), text))
        .collect();
    batch.push(ann.message("'\"\\ 🦀{},NULL", "an odd cid"));
    batch.push(ann.react("react", 1, "'\"🏳️‍🌈\\{}", true));
    for (n, text) in texts.iter().enumerate() {
        batch.push(ann.edit(&format!("edit{n}"), 10, text));
    }
    let outcomes = append(&nodes.a, &batch).await;
    let log = log(&nodes.b, &ann.room).await;
    for (entry, outcome) in batch.iter().zip(outcomes).take(texts.len()) {
        let (seq, at) = written(outcome);
        assert_eq!(*event_at(&log, seq), entry.to_event(seq, at));
    }
    assert_eq!(event_at(&log, 10).cid.as_deref(), Some("'\"\\ 🦀{},NULL"));
    assert_eq!(message_at(&log, 10).0, texts[texts.len() - 1]);
    let EventBody::React { emoji, .. } = &event_at(&log, 11).body else {
        panic!("11 is a reaction");
    };
    assert_eq!(&**emoji, "'\"🏳️‍🌈\\{}");
    assert_eq!(
        append_one(&nodes.b, ann.message("'\"\\ 🦀{},NULL", "")).await,
        known((10, event_at(&log, 10).at))
    );
}
