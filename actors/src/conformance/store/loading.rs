//! Reading many rooms at once.

use std::sync::Arc;

use protocol::{MemberChange, RoomChange, RoomName, client::PageBound, event::RoomValue};

use super::{Nodes, script::*};
use crate::ports::{Change, EventPage, LoadedRoom, PageRequest, RoomToLoad, Store};

fn asked(name: &RoomName, recent: bool) -> RoomToLoad {
    RoomToLoad {
        name: name.clone(),
        recent,
    }
}

fn newest(limit: u64, max_bytes: usize) -> PageRequest {
    PageRequest {
        bound: PageBound::Newest,
        limit,
        max_bytes,
    }
}

fn member(pen: &Pen, who: &str, change: MemberChange, role: Option<&str>) -> crate::ports::Append {
    let change = Change::Member {
        change,
        who: person(who),
        role: role.map(Into::into),
        until: None,
        reason: None,
    };
    pen.entry("", change)
}

/// What [`Store::load_rooms`] must give for a room that comes with its events, read in parts.
async fn in_parts(store: &Arc<dyn Store>, name: &RoomName, recent: PageRequest) -> Option<LoadedRoom> {
    Some(LoadedRoom {
        record: store.room(name).await.unwrap()?,
        recent: store.page(name, recent).await.unwrap(),
        members: store.members(name).await.unwrap(),
    })
}

/// Each room stands where it was asked for, also twice, and nothing where there is none.
pub async fn rooms_are_loaded_in_the_order_asked_for(nodes: Nodes) {
    let mut rooms = vec![asked(&room_name("nowhere"), true)];
    for n in 0..4 {
        let (ann, _) = room_with_two(&nodes, &format!("room{n}")).await;
        let batch: Vec<_> = (0..n).map(|i| ann.message(&i.to_string(), "x")).collect();
        append(&nodes.a, &batch).await;
        rooms.push(asked(&ann.room, n % 2 == 0));
    }
    rooms.reverse();
    rooms.push(asked(&rooms[0].name, true));
    let loaded = nodes.b.load_rooms(&rooms, newest(10, 10_000)).await.unwrap();
    let found: Vec<_> = loaded
        .iter()
        .map(|room| {
            let room = room.as_ref()?;
            Some((
                room.record.name.as_str(),
                room.record.head,
                room.recent.events.len(),
            ))
        })
        .collect();
    let expected = [
        Some(("room3", 3, 0)),
        Some(("room2", 2, 2)),
        Some(("room1", 1, 0)),
        Some(("room0", 0, 0)),
        None,
        Some(("room3", 3, 3)),
    ];
    assert_eq!(found, expected);
    assert_eq!(nodes.b.load_rooms(&[], newest(10, 0)).await.unwrap(), []);
    let nowhere = [asked(&room_name("nowhere"), true)];
    assert_eq!(nodes.b.load_rooms(&nowhere, newest(10, 0)).await.unwrap(), [None]);
}

/// Record, newest events and members are those of the calls that read one of them, whatever the limits; a room in slow
/// mode has its events even if they are not asked for.
pub async fn a_loaded_room_is_what_it_is_read_alone(nodes: Nodes) {
    let mut rng = chance();
    let mut rooms = Vec::new();
    for n in 0..3 {
        let (ann, bob) = room_with_two(&nodes, &format!("room{n}")).await;
        let mut batch = vec![
            member(&ann, "carol", MemberChange::Joined, Some("owner")),
            member(&ann, "bob", MemberChange::Invited, None),
            member(&ann, "dave", MemberChange::Banned, None),
        ];
        for cid in 0..rng.u32(20..40) {
            let text = "ä".repeat(rng.usize(..200));
            batch.push(match rng.u8(..4) {
                0 => bob.react("", 4, "👍", rng.bool()),
                1 => ann.edit(&cid.to_string(), 4, &text),
                2 => bob.message("", &text),
                _ => ann.message(&cid.to_string(), &text),
            });
        }
        batch.insert(3, ann.message("first", "x"));
        append(&nodes.a, &batch).await;
        rooms.push(ann);
    }
    for round in 0..60 {
        let recent = newest(rng.u64(1..50), rng.usize(..4_000));
        let asked: Vec<_> = rooms.iter().map(|pen| asked(&pen.room, true)).collect();
        let loaded = nodes.b.load_rooms(&asked, recent).await.unwrap();
        for (pen, loaded) in rooms.iter().zip(loaded) {
            let expected = in_parts(&nodes.a, &pen.room, recent).await;
            assert_eq!(loaded, expected, "round {round}: {recent:?}");
        }
    }
    let slow = Change::Room {
        change: RoomChange::SlowMode,
        value: RoomValue::Number(5),
    };
    write(&nodes.a, rooms[0].entry("", slow)).await;
    let asked: Vec<_> = rooms.iter().map(|pen| asked(&pen.room, false)).collect();
    let recent = newest(5, usize::MAX);
    let loaded = nodes.b.load_rooms(&asked, recent).await.unwrap();
    let pages: Vec<_> = loaded
        .iter()
        .map(|room| room.as_ref().unwrap().recent.clone())
        .collect();
    let expected = nodes.a.page(&rooms[0].room, recent).await.unwrap();
    assert_eq!(expected.events.len(), 5);
    assert_eq!(pages, [expected, EventPage::default(), EventPage::default()]);
}

/// However many are asked for, none has what is another's.
pub async fn many_rooms_are_loaded_each_with_its_own(nodes: Nodes) {
    const ROOMS: usize = 100;
    let mut rooms = Vec::new();
    let mut batch = Vec::new();
    for n in 0..ROOMS {
        let room = make_room(&nodes.a, &format!("room{n}")).await;
        let own = Pen::new(&room, &format!("owner{n}"));
        batch.push(member(
            &own,
            &format!("owner{n}"),
            MemberChange::Joined,
            Some("owner"),
        ));
        batch.extend((0..n % 7).map(|i| own.message(&i.to_string(), &format!("{i} of {n}"))));
        rooms.push(asked(&room, true));
    }
    append(&nodes.a, &batch).await;
    let recent = newest(4, 10_000);
    let loaded = nodes.b.load_rooms(&rooms, recent).await.unwrap();
    for (room, loaded) in rooms.iter().zip(loaded) {
        assert_eq!(
            loaded,
            in_parts(&nodes.a, &room.name, recent).await,
            "{}",
            room.name
        );
    }
}
