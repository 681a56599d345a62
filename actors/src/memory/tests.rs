//! The store in memory is a store, and fails as ordered.

use std::{sync::Arc, time::Duration};

use protocol::{Person, RoomName};

use super::{Call, Fault, MemoryStore};
use crate::{
    conformance::store::Nodes,
    ports::{Append, Change, NewRoom, Outcome, Store, StoreError},
};

async fn nodes() -> ((), Nodes) {
    let store = MemoryStore::new();
    let b = Arc::new(store.another_node());
    (
        (),
        Nodes {
            a: Arc::new(store),
            b,
        },
    )
}

mod conformance {
    crate::store_conformance!(super::nodes);
}

async fn accounts() -> ((), crate::conformance::accounts::Nodes) {
    let store = MemoryStore::new();
    let b = Arc::new(store.another_node());
    let a = Arc::new(store);
    ((), crate::conformance::accounts::Nodes { a, b })
}

mod accounts_conformance {
    crate::accounts_conformance!(super::accounts);
}

fn hello() -> Append {
    Append {
        room: RoomName::new("room").unwrap(),
        author: Person {
            id: "ann".into(),
            name: "Ann".into(),
        },
        cid: Some("1".into()),
        change: Change::Message {
            text: "hello".into(),
            reply_to: None,
        },
    }
}

async fn store_with_room() -> MemoryStore {
    let store = MemoryStore::new();
    store.create_room(&NewRoom::public(hello().room)).await.unwrap();
    store
}

#[tokio::test]
async fn a_refused_call_does_nothing_and_a_lost_answer_does() {
    let store = store_with_room().await;
    let down = StoreError::Down("ordered".to_owned());
    store.fail_next(Call::Append, 1, Fault::Refuse(down.clone()));
    assert!(matches!(store.append(&[hello()]).await, Err(StoreError::Down(_))));
    assert_eq!(store.heads(&[hello().room]).await.unwrap(), [0]);

    store.fail_next(Call::Append, 1, Fault::LoseAnswer(down));
    assert!(matches!(store.append(&[hello()]).await, Err(StoreError::Down(_))));
    assert_eq!(store.heads(&[hello().room]).await.unwrap(), [1]);
    let outcomes = store.append(&[hello()]).await.unwrap();
    assert!(matches!(outcomes[..], [Outcome::Known { seq: 1, .. }]));
    assert_eq!(store.calls(Call::Append), 3);
}

#[tokio::test]
async fn faults_hold_until_healed_and_for_one_node_only() {
    let store = store_with_room().await;
    let other = store.another_node();
    store.fail_all(None, Fault::Refuse(StoreError::Timeout("ordered".to_owned())));
    for _ in 0..3 {
        assert!(matches!(store.status().await, Err(StoreError::Timeout(_))));
        assert!(other.status().await.is_ok());
    }
    store.heal();
    assert!(store.status().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn delays_come_before_and_after_the_effect() {
    let store = store_with_room().await;
    store.set_delay(Duration::from_secs(5), Duration::from_secs(5));
    let started = tokio::time::Instant::now();
    let early = tokio::time::timeout(Duration::from_secs(4), store.append(&[hello()])).await;
    assert!(early.is_err());
    let late = tokio::time::timeout(Duration::from_secs(6), store.append(&[hello()])).await;
    assert!(late.is_err());
    assert_eq!(started.elapsed(), Duration::from_secs(10));
    store.heal();
    let outcomes = store.append(&[hello()]).await.unwrap();
    assert!(
        matches!(outcomes[..], [Outcome::Known { seq: 1, .. }]),
        "the second was committed, the first was not"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_late_tells_what_was_so_before() {
    let store = store_with_room().await;
    store.fail_next(Call::Heads, 1, Fault::Late(Duration::from_secs(5)));
    let started = tokio::time::Instant::now();
    let room = [hello().room];
    let hello = [hello()];
    let (heads, outcomes) = tokio::join!(store.heads(&room), store.append(&hello));
    assert_eq!(heads.unwrap(), [0]);
    assert!(matches!(outcomes.unwrap()[..], [Outcome::Written { .. }]));
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    assert_eq!(store.heads(&room).await.unwrap(), [1]);
}

#[tokio::test]
async fn a_backup_takes_the_place_of_all_with_another_epoch() {
    let store = store_with_room().await;
    let other = store.another_node();
    store.append(&[hello()]).await.unwrap();
    let epoch = store.status().await.unwrap().epoch;
    store.restore(&store_with_room().await);
    assert_eq!(other.heads(&[hello().room]).await.unwrap(), [0]);
    assert_ne!(other.status().await.unwrap().epoch, epoch);
}

#[tokio::test]
async fn a_clock_that_goes_back_does_not_show_in_the_log() {
    let store = store_with_room().await;
    let mut times = Vec::new();
    for (cid, now) in [("1", 2_000), ("2", 1_000), ("3", 3_000)] {
        store.set_clock(Some(now));
        let mut entry = hello();
        entry.cid = Some(cid.into());
        match store.append(&[entry]).await.unwrap()[0] {
            Outcome::Written { at, .. } => times.push(at),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(times, [2_000, 2_000, 3_000]);
}
