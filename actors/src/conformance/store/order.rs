//! One order for each room, without a hole.

use std::collections::HashSet;

use super::{Nodes, script::*};

/// Several writers on two nodes append to the same rooms: numbers are 1, 2, 3 … and each outcome names its own event.
pub async fn numbers_have_no_hole_under_concurrent_appends(nodes: Nodes) {
    const WRITERS: usize = 6;
    const BATCHES: usize = 8;
    let rooms = [make_room(&nodes.a, "one").await, make_room(&nodes.a, "two").await];
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = if writer % 2 == 0 { &nodes.a } else { &nodes.b }.clone();
            let mut rooms = rooms.to_vec();
            if writer % 3 == 0 {
                rooms.reverse();
            }
            tokio::spawn(async move {
                let mut mine = Vec::new();
                for n in 0..BATCHES {
                    let batch: Vec<_> = rooms
                        .iter()
                        .flat_map(|room| (0..3).map(move |i| (room, i)))
                        .map(|(room, i)| {
                            let label = format!("w{writer}-{n}-{i}");
                            Pen::new(room, &format!("writer{writer}")).message(&label, &label)
                        })
                        .collect();
                    let outcomes = append(&store, &batch).await;
                    mine.extend(batch.into_iter().zip(outcomes));
                }
                mine
            })
        })
        .collect();
    let mut answers = Vec::new();
    for writer in writers {
        answers.extend(writer.await.unwrap());
    }
    for room in &rooms {
        let log = log(&nodes.b, room).await;
        assert_eq!(log.len(), WRITERS * BATCHES * 3);
        for (entry, outcome) in answers.iter().filter(|(entry, _)| entry.room == *room) {
            let (seq, at) = written(*outcome);
            assert_eq!(*event_at(&log, seq), entry.to_event(seq, at));
        }
    }
}

/// A batch may mix rooms; each continues at its own head, in the batch's order.
pub async fn a_batch_may_hold_several_rooms(nodes: Nodes) {
    let (x, _) = room_with_two(&nodes, "x").await;
    let (y, _) = room_with_two(&nodes, "y").await;
    write(&nodes.a, y.message("0", "before")).await;
    let batch = [
        y.message("1", "y2"),
        x.message("1", "x1"),
        y.message("2", "y3"),
        x.message("2", "x2"),
    ];
    let outcomes = append(&nodes.b, &batch).await;
    let seqs: Vec<_> = outcomes.into_iter().map(|outcome| written(outcome).0).collect();
    assert_eq!(seqs, [2, 1, 3, 2]);
    let texts = |log: Vec<protocol::Event>| -> Vec<String> {
        log.iter()
            .map(|event| message_at(&log, event.seq).0.to_owned())
            .collect()
    };
    assert_eq!(texts(log(&nodes.a, &x.room).await), ["x1", "x2"]);
    assert_eq!(texts(log(&nodes.a, &y.room).await), ["before", "y2", "y3"]);
}

/// Rooms are locked in one order, whatever order the batches name them in.
pub async fn batches_over_the_same_rooms_do_not_deadlock(nodes: Nodes) {
    let mut rooms = Vec::new();
    for name in ["a", "b-1", "b_1", "b0", "z"] {
        rooms.push(make_room(&nodes.a, name).await);
    }
    let mut rng = chance();
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let store = if writer % 2 == 0 { &nodes.a } else { &nodes.b }.clone();
            let mut rooms = rooms.clone();
            let mut rng = rng.fork();
            tokio::spawn(async move {
                let author = format!("writer{writer}");
                for n in 0..10 {
                    rng.shuffle(&mut rooms);
                    let cid = n.to_string();
                    let entry = |room| Pen::new(room, &author).message(&cid, "hello");
                    let batch: Vec<_> = rooms.iter().map(entry).collect();
                    append(&store, &batch).await.into_iter().for_each(|outcome| {
                        written(outcome);
                    });
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for room in &rooms {
        assert_eq!(log(&nodes.a, room).await.len(), 80);
    }
}

/// `at` is by the store's clock and never goes back, also between nodes; outcomes say what the log says.
pub async fn time_never_goes_back_along_the_numbers(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    let before = nodes.a.status().await.unwrap().now_ms;
    let mut answers = Vec::new();
    for n in 0..10 {
        answers.push(write(&nodes.a, ann.message(&n.to_string(), "a")).await);
        answers.push(write(&nodes.b, bob.message(&n.to_string(), "b")).await);
    }
    let after = nodes.a.status().await.unwrap().now_ms;
    let log = log(&nodes.a, &ann.room).await;
    let stored: Vec<_> = log.iter().map(|event| (event.seq, event.at)).collect();
    assert_eq!(stored, answers);
    assert!(
        answers.iter().all(|(_, at)| (before..=after).contains(at)),
        "{before} {answers:?} {after}"
    );
}

/// An entry that is refused, or known, takes no number.
pub async fn refused_entries_leave_no_hole(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    let batch = [
        ann.message("1", "first"),
        bob.edit("1", 1, "not mine"),
        ann.delete("2", 99),
        ann.message("1", "again"),
        ann.react("3", 7, "👍", true),
        bob.message("2", "second"),
    ];
    let outcomes = append(&nodes.a, &batch).await;
    let first = written(outcomes[0]);
    assert_eq!(outcomes[1..5], [FORBIDDEN, NOT_FOUND, known(first), NOT_FOUND]);
    assert_eq!(written(outcomes[5]).0, 2);
    assert_eq!(append_one(&nodes.b, ann.edit("4", 3, "no such")).await, NOT_FOUND);
    assert_eq!(write(&nodes.b, ann.message("5", "third")).await.0, 3);
    let seqs: HashSet<u64> = log(&nodes.a, &ann.room)
        .await
        .iter()
        .map(|event| event.seq)
        .collect();
    assert_eq!(seqs, HashSet::from([1, 2, 3]));
}

/// An empty batch has no outcomes.
pub async fn an_empty_batch_is_nothing(nodes: Nodes) {
    assert_eq!(nodes.a.append(&[]).await.unwrap(), []);
}
