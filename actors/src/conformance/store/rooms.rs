//! Rooms.

use super::{Nodes, script::*};
use crate::{
    ports::{NewRoom, RoomQuery},
    rights::Role,
};

fn new_room(name: &str, title: &str) -> NewRoom {
    NewRoom {
        title: title.into(),
        ..NewRoom::public(room_name(name))
    }
}

/// Making a room again changes nothing.
pub async fn a_room_is_made_once(nodes: Nodes) {
    assert_eq!(nodes.a.room(&room_name("room")).await.unwrap(), None);
    let before = nodes.a.status().await.unwrap().now_ms;
    let (first, made) = nodes
        .a
        .create_room(&new_room("room", "First 'title' 🦀"))
        .await
        .unwrap();
    let after = nodes.a.status().await.unwrap().now_ms;
    assert!(made);
    assert_eq!(
        (&*first.title, &*first.topic, first.head),
        ("First 'title' 🦀", "", 0)
    );
    assert!((before..=after).contains(&first.created_at));
    write(&nodes.a, Pen::new(&first.name, "ann").message("1", "x")).await;
    let (second, made) = nodes.b.create_room(&new_room("room", "Second")).await.unwrap();
    assert!(!made);
    assert_eq!(
        (second.head, &second.title, second.created_at),
        (1, &first.title, first.created_at)
    );
    assert_eq!(nodes.b.room(&first.name).await.unwrap(), Some(second));
}

/// Of many rooms only those are made that are not there, and all are answered in the order asked for.
pub async fn many_rooms_are_made_at_once(nodes: Nodes) {
    let (ann, _) = room_with_two(&nodes, "there").await;
    write(&nodes.a, ann.message("1", "x")).await;
    let there = nodes.a.room(&ann.room).await.unwrap().unwrap();
    let with_members = NewRoom {
        members: vec![(person("eve"), Role::Owner), (person("dan"), Role::Member)],
        ..new_room("members", "With members")
    };
    let rooms = [
        new_room("z", "Z"),
        new_room("there", "Another"),
        with_members,
        new_room("a", ""),
    ];
    let answers = nodes.b.create_rooms(&rooms).await.unwrap();
    let made: Vec<bool> = answers.iter().map(|(_, made)| *made).collect();
    assert_eq!(made, [true, false, true, true]);
    let heads: Vec<u64> = answers.iter().map(|(record, _)| record.head).collect();
    assert_eq!(heads, [0, 1, 2, 0]);
    assert_eq!(answers[1].0, there);
    for (room, (record, made)) in rooms.iter().zip(answers) {
        assert_eq!(record.name, room.name);
        assert!(!made || record.title == room.title, "{record:?}");
        assert_eq!(nodes.a.room(&room.name).await.unwrap(), Some(record));
    }
    let members = nodes.a.members(&room_name("members")).await.unwrap();
    let roles = members.iter().map(|member| (&**member.id(), member.role));
    assert_eq!(
        roles.collect::<Vec<_>>(),
        [("dan", Some(Role::Member)), ("eve", Some(Role::Owner))]
    );
    assert_eq!(nodes.a.members(&room_name("z")).await.unwrap(), []);
    assert_eq!(nodes.a.create_rooms(&[]).await.unwrap(), []);
}

/// Of several nodes that make the same rooms at once, whatever the order they name them in, all get the same ones.
pub async fn concurrent_nodes_make_each_room_once(nodes: Nodes) {
    for round in 0..5 {
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let store = if n % 2 == 0 { &nodes.a } else { &nodes.b }.clone();
                let name = |k| format!("room{round}-{k:02}");
                let mut rooms: Vec<_> = (0..40)
                    .map(|k| new_room(&name(k), &format!("title {n}")))
                    .collect();
                // Both ways, and from different places on.
                rooms.rotate_left(n * 5);
                if n % 4 >= 2 {
                    rooms.reverse();
                }
                tokio::spawn(async move { store.create_rooms(&rooms).await.unwrap() })
            })
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            let mut answers = task.await.unwrap();
            answers.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
            all.push(answers);
        }
        for place in 0..40 {
            let answers: Vec<_> = all.iter().map(|answers| &answers[place]).collect();
            assert!(
                answers.iter().all(|(room, _)| *room == answers[0].0),
                "{answers:?}"
            );
            assert_eq!(answers.iter().filter(|(_, made)| *made).count(), 1, "{answers:?}");
        }
    }
}

/// Names are ordered by their bytes; a page begins behind `after`, which need not exist.
pub async fn rooms_come_in_the_order_of_their_names(nodes: Nodes) {
    let mut names = ["b", "a-b", "a_b", "ab", "a", "0", "a0", "a-", "zz"]
        .map(room_name)
        .to_vec();
    for name in &names {
        make_room(&nodes.a, name.as_str()).await;
    }
    names.sort();
    let list = async |after: Option<&str>, limit: u64| {
        let query = RoomQuery {
            after: after.map(room_name),
            limit,
            ..RoomQuery::default()
        };
        let rooms = nodes.b.rooms(&query).await.unwrap();
        rooms.into_iter().map(|room| room.name).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 100).await, names);
    assert_eq!(list(None, 2).await, names[..2]);
    assert_eq!(list(Some(names[2].as_str()), 3).await, names[3..6]);
    assert_eq!(
        list(Some("aa"), 100).await,
        names[names.partition_point(|name| name.as_str() <= "aa")..]
    );
    assert_eq!(list(Some("zz"), 100).await, []);
    let query = RoomQuery {
        limit: 1,
        ..RoomQuery::default()
    };
    let first = nodes.a.rooms(&query).await.unwrap();
    assert_eq!(first.first(), nodes.a.room(&names[0]).await.unwrap().as_ref());
}

/// Heads are answered in the order asked for, also twice, and 0 where there is nothing.
pub async fn heads_come_in_the_order_asked_for(nodes: Nodes) {
    let mut rooms = vec![room_name("nowhere")];
    for n in 0..4 {
        let (ann, _) = room_with_two(&nodes, &format!("room{n}")).await;
        let batch: Vec<_> = (0..n).map(|i| ann.message(&i.to_string(), "x")).collect();
        append(&nodes.a, &batch).await;
        rooms.push(ann.room);
    }
    rooms.reverse();
    rooms.push(rooms[0].clone());
    assert_eq!(nodes.b.heads(&rooms).await.unwrap(), [3, 2, 1, 0, 0, 3]);
    assert!(nodes.b.heads(&[]).await.unwrap().is_empty());
}

/// The record's head is the last committed `seq`.
pub async fn a_record_follows_its_head(nodes: Nodes) {
    let (ann, _) = room_with_two(&nodes, "room").await;
    for n in 1..=3 {
        write(&nodes.a, ann.message(&n.to_string(), "x")).await;
        assert_eq!(nodes.b.room(&ann.room).await.unwrap().unwrap().head, n);
    }
}
