//! Rooms.

use super::{Nodes, script::*};
use crate::ports::{NewRoom, RoomQuery};

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

/// Of several nodes that make a room at once, all get the same one.
pub async fn concurrent_nodes_make_one_room(nodes: Nodes) {
    for round in 0..5 {
        let name = format!("room{round}");
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let store = if n % 2 == 0 { &nodes.a } else { &nodes.b }.clone();
                let room = new_room(&name, &format!("title {n}"));
                tokio::spawn(async move { store.create_room(&room).await.unwrap() })
            })
            .collect();
        let mut made = Vec::new();
        for task in tasks {
            made.push(task.await.unwrap());
        }
        assert!(made.iter().all(|(room, _)| *room == made[0].0), "{made:?}");
        assert_eq!(made.iter().filter(|(_, made)| *made).count(), 1, "{made:?}");
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
