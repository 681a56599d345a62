//! Rooms are read from the store when somebody opens them.

use std::{sync::Arc, time::Duration};

use actors::{
    Settings, System,
    memory::{Call, Fault, LocalHub, MemoryStore},
    metrics::Metrics,
    ports::{NewRoom, Store, StoreError},
};
use protocol::{ErrorCode, RoomName};
use tokio::time::Instant;

use crate::{
    client::{Client, room},
    store::{asked, write_elsewhere},
};

async fn node(store: &MemoryStore) -> System {
    let store = Arc::new(store.clone());
    let bus = Arc::new(LocalHub::new().connect());
    let settings = Settings {
        // Heads are read for who opens a room, and for nothing else.
        reconcile_every: Duration::from_secs(3600),
        ..Settings::default()
    };
    System::start(settings, store.clone(), store, bus, Metrics::noop())
        .await
        .unwrap()
}

/// So many rooms, each with a client that is about to open it.
async fn rooms(system: &System, store: &MemoryStore, count: usize) -> Vec<(RoomName, Client)> {
    let mut rooms = Vec::new();
    for n in 0..count {
        let name = RoomName::new(&format!("room{n}")).unwrap();
        store.create_room(&NewRoom::public(name.clone())).await.unwrap();
        write_elsewhere(store, &name, "1").await;
        rooms.push((name, Client::connect(system, &format!("c{n}")).await));
    }
    rooms
}

/// Opens all rooms at once; what each client is answered.
async fn open_all(rooms: &mut [(RoomName, Client)]) -> Vec<Result<u64, ErrorCode>> {
    let mut ids = Vec::new();
    for (name, client) in rooms.iter_mut() {
        ids.push(client.post_join(name.clone(), 0).await);
    }
    let mut answers = Vec::new();
    for ((_, client), id) in rooms.iter_mut().zip(ids) {
        answers.push(client.answer(id).await);
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn rooms_that_are_opened_at_once_are_read_together() {
    const ROOMS: usize = 200;
    let store = MemoryStore::new();
    let system = node(&store).await;
    let mut rooms = rooms(&system, &store, ROOMS).await;
    store.set_delay(Duration::from_millis(2), Duration::from_millis(2));
    assert_eq!(open_all(&mut rooms).await, vec![Ok(1); ROOMS]);
    for (_, client) in &mut rooms {
        client.shown(1).await;
    }
    let readings = store.calls(Call::LoadRooms) + store.calls(Call::Records);
    assert!(readings <= 8, "{readings} readings of {ROOMS} rooms");
    for call in [Call::Members, Call::Page] {
        assert_eq!(store.calls(call), 0, "{call:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crowd_in_rooms_that_nobody_made_keeps_nobody_waiting_who_reads() {
    const ROOMS: usize = 1_500;
    let store = MemoryStore::new();
    let system = node(&store).await;
    let mut rooms = rooms(&system, &store, 100).await;
    let mut new = Vec::new();
    for n in 0..ROOMS {
        let name = RoomName::new(&format!("new{n}")).unwrap();
        new.push((name, Client::connect(&system, &format!("n{n}")).await));
    }
    store.set_delay(Duration::from_millis(20), Duration::from_millis(20));
    let kinds = [Call::LoadRooms, Call::Records, Call::CreateRooms];
    let before = kinds.map(|call| store.calls(call));
    let since = Instant::now();
    for (name, client) in &mut new {
        client.post_join(name.clone(), 0).await;
    }
    assert_eq!(open_all(&mut rooms).await, vec![Ok(1); 100]);
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    for (call, before) in kinds.into_iter().zip(before) {
        let calls = store.calls(call) - before;
        assert!((1..=10).contains(&calls), "{call:?}: {calls}");
    }
    // Each is there now, and once.
    assert_eq!(open_all(&mut new).await, vec![Ok(0); ROOMS]);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_is_shown_the_rooms_that_are_there_while_none_can_be_made() {
    let store = MemoryStore::new();
    let system = node(&store).await;
    let mut new = Vec::new();
    for n in 0..200 {
        let name = RoomName::new(&format!("new{n}")).unwrap();
        new.push((name, Client::connect(&system, &format!("n{n}")).await));
    }
    let mut empty = Vec::new();
    for n in 0..200 {
        let name = RoomName::new(&format!("empty{n}")).unwrap();
        store.create_room(&NewRoom::public(name.clone())).await.unwrap();
        empty.push((name, Client::connect(&system, &format!("e{n}")).await));
    }
    store.set_delay(Duration::from_millis(20), Duration::from_millis(20));
    store.fail_all(
        Call::CreateRooms,
        Fault::Refuse(StoreError::Full("ordered".to_owned())),
    );
    let mut refused = Vec::new();
    for (name, client) in &mut new {
        refused.push(client.post_join(name.clone(), 0).await);
    }
    assert_eq!(open_all(&mut empty).await, vec![Ok(0); 200]);
    assert!(store.calls(Call::Records) > 0, "it was a crowd");
    for ((_, client), id) in new.iter_mut().zip(refused) {
        assert_eq!(client.answer(id).await, Err(ErrorCode::Overloaded));
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_alone_waits_for_the_store_only() {
    let store = MemoryStore::new();
    let system = node(&store).await;
    let mut rooms = rooms(&system, &store, 3).await;
    let delay = Duration::from_millis(20);
    store.set_delay(delay, Duration::ZERO);
    for (name, client) in &mut rooms {
        let since = Instant::now();
        let id = client.post_join(name.clone(), 0).await;
        assert_eq!(client.answer(id).await, Ok(1));
        let took = since.elapsed();
        assert!(took <= delay + Duration::from_millis(2), "{took:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_fails_is_answered_to_all_who_wait_for_it() {
    const ROOMS: usize = 30;
    let store = MemoryStore::new();
    let system = node(&store).await;
    let mut rooms = rooms(&system, &store, ROOMS).await;
    let down = StoreError::Down("ordered".to_owned());
    store.fail_next(Call::LoadRooms, 1, Fault::Refuse(down));
    store.fail_next(Call::LoadRooms, 1, Fault::Panic);
    assert_eq!(
        open_all(&mut rooms).await,
        vec![Err(ErrorCode::Overloaded); ROOMS]
    );
    assert_eq!(store.calls(Call::LoadRooms), 2);
    assert_eq!(open_all(&mut rooms).await, vec![Ok(1); ROOMS]);
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_hangs_holds_up_no_other_for_long() {
    let store = MemoryStore::new();
    let system = node(&store).await;
    let mut rooms = rooms(&system, &store, 2).await;
    let (second_room, mut second) = rooms.pop().unwrap();
    let (first_room, mut first) = rooms.pop().unwrap();
    store.set_delay(Duration::from_secs(3600), Duration::ZERO);
    let hanging = first.post_join(first_room, 0).await;
    asked(&store, Call::LoadRooms, 1).await;
    store.set_delay(Duration::ZERO, Duration::ZERO);
    let since = Instant::now();
    let id = second.post_join(second_room, 0).await;
    assert_eq!(second.answer(id).await, Ok(1));
    assert!(
        since.elapsed() < Duration::from_millis(1_500),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(first.answer(hanging).await, Err(ErrorCode::Overloaded));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_was_asked_for_before_the_room_was_read_again_opens_it_for_nobody() {
    let store = MemoryStore::new();
    store.create_room(&NewRoom::public(room())).await.unwrap();
    write_elsewhere(&store, &room(), "1").await;
    let elsewhere = store.another_node();
    let system = node(&store).await;

    // The second one waits for a head, which is read now and comes late.
    let mut first = Client::connect(&system, "first").await;
    first.join(0).await.unwrap();
    // That the room follows the bus now has its head read, too.
    asked(&store, Call::Heads, 1).await;
    store.set_delay(Duration::ZERO, Duration::from_millis(500));
    let mut second = Client::connect(&system, "second").await;
    second.post_join(room(), 0).await;
    asked(&store, Call::Heads, 2).await;
    // Neither waits for it: the room follows its log no longer.
    store.set_delay(Duration::ZERO, Duration::from_millis(50));
    drop((first, second));
    tokio::time::sleep(Duration::from_millis(10)).await;

    // So it is read again for the next, and before that is answered somebody else is acked elsewhere.
    let loads = store.calls(Call::LoadRooms);
    let mut third = Client::connect(&system, "third").await;
    third.post_join(room(), 0).await;
    asked(&store, Call::LoadRooms, loads + 1).await;
    let seq = write_elsewhere(&elsewhere, &room(), "2").await;
    let mut fourth = Client::connect(&system, "fourth").await;
    fourth.shown = seq;
    assert_eq!(
        fourth.join(seq).await,
        Ok(seq),
        "what was acked before is included"
    );
}
