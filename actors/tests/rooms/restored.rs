//! After a backup was restored under a running node, nothing that was read or written before it is shown to anybody:
//! the same `seq` may be another event.

use std::{sync::Arc, time::Duration};

use actors::{
    Settings, System,
    memory::{Call, Fault, LocalHub, MemoryStore},
    metrics::Metrics,
    ports::{NewRoom, Store},
};

use crate::{
    client::{Client, room},
    store::{asked, write_elsewhere},
};

/// Calls that are held back take so long: more than until the node has noticed that the history is another one.
const LATE: Duration = Duration::from_secs(2);

/// A store whose room holds these messages.
async fn store(texts: &[&str]) -> MemoryStore {
    let store = MemoryStore::new();
    store.create_room(&NewRoom::public(room())).await.unwrap();
    for text in texts {
        write_elsewhere(&store, &room(), text).await;
    }
    store
}

async fn node(store: &MemoryStore) -> System {
    let store = Arc::new(store.clone());
    let bus = Arc::new(LocalHub::new().connect());
    let settings = Settings {
        ring_events: 2,
        ..Settings::default()
    };
    System::start(settings, store.clone(), store, bus, Metrics::noop())
        .await
        .unwrap()
}

/// Somebody who comes now, and writes behind the late answer, sees the history with `new 1` and nothing else.
async fn only_the_present_is_shown(system: &System) {
    let mut ben = Client::connect(system, "ben").await;
    assert_eq!(ben.join(0).await, Ok(1));
    tokio::time::sleep(LATE).await;
    assert_eq!(ben.send("new 2").await, 2);
    ben.shown(2).await;
    assert_eq!(ben.texts, ["new 1".into(), "new 2".into()]);
}

#[tokio::test(start_paused = true)]
async fn a_hole_that_was_read_before_is_not_filled_with_it() {
    let store = store(&["old 1"]).await;
    let system = node(&store).await;
    let mut ann = Client::connect(&system, "ann").await;
    ann.join(0).await.unwrap();
    store.fail_all(Call::Page, Fault::Late(LATE));
    write_elsewhere(&store, &room(), "old 2").await;
    asked(&store, Call::Page, 1).await;

    store.restore(&self::store(&["new 1"]).await);
    ann.sent_away().await;
    only_the_present_is_shown(&system).await;
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_was_read_before_is_shown_to_nobody() {
    let store = store(&["old 1", "old 2", "old 3"]).await;
    let system = node(&store).await;
    let mut ann = Client::connect(&system, "ann").await;
    store.fail_all(Call::Page, Fault::Late(LATE));
    ann.join(0).await.unwrap();
    asked(&store, Call::Page, 1).await;

    store.restore(&self::store(&["new 1", "new 2", "new 3"]).await);
    ann.sent_away().await;
    let mut ben = Client::connect(&system, "ben").await;
    assert_eq!(ben.join(0).await, Ok(3));
    ben.shown(3).await;
    assert_eq!(ben.texts, ["new 1".into(), "new 2".into(), "new 3".into()]);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_was_read_before_is_opened_for_nobody() {
    let store = store(&["old 1", "old 2"]).await;
    let system = node(&store).await;
    let mut ann = Client::connect(&system, "ann").await;
    store.fail_all(Call::LoadRooms, Fault::Late(LATE));
    ann.post_join(room(), 0).await;
    asked(&store, Call::LoadRooms, 1).await;

    store.restore(&self::store(&["new 1"]).await);
    ann.sent_away().await;
    let mut ben = Client::connect(&system, "ben").await;
    assert_eq!(ben.join(0).await, Ok(1));
    ben.shown(1).await;
    assert_eq!(ben.texts, ["new 1".into()]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_committed_before_is_shown_to_nobody_after() {
    let store = store(&["old 1"]).await;
    let system = node(&store).await;
    let mut ann = Client::connect(&system, "ann").await;
    ann.join(0).await.unwrap();
    store.fail_next(Call::Append, 1, Fault::Late(LATE));
    ann.post_send("old 2").await;
    asked(&store, Call::Append, 2).await;

    store.restore(&self::store(&["new 1"]).await);
    ann.sent_away().await;
    only_the_present_is_shown(&system).await;
}
