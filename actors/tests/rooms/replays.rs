//! Events that are replayed from the store are in their present state.

use std::{sync::Arc, time::Duration};

use actors::{
    Settings, System,
    memory::{Call, Fault, LocalHub, MemoryStore},
    metrics::Metrics,
};
use protocol::Command;

use crate::{
    client::{Client, room},
    store::asked,
};

#[tokio::test(start_paused = true)]
async fn what_was_deleted_while_a_replay_was_read_is_shown_to_nobody_who_comes_after() {
    let store = MemoryStore::new();
    let settings = Settings {
        ring_events: 2,
        ..Settings::default()
    };
    let shared = Arc::new(store.clone());
    let bus = Arc::new(LocalHub::new().connect());
    let system = System::start(settings, shared.clone(), shared, bus, Metrics::noop())
        .await
        .unwrap();
    let mut ann = Client::connect(&system, "ann").await;
    ann.join(0).await.unwrap();
    for text in ["1", "2", "3"] {
        ann.send(text).await;
    }
    store.fail_next(Call::Page, 1, Fault::Late(Duration::from_secs(1)));
    let mut ben = Client::connect(&system, "ben").await;
    ben.join(0).await.unwrap();
    asked(&store, Call::Page, 1).await;
    let delete = Command::Delete {
        room: room(),
        cid: "4".into(),
        seq: 1,
    };
    let id = ann.post(delete).await;
    assert_eq!(ann.answer(id).await, Ok(4));

    // While it is under way, and when it has ended.
    let mut cem = Client::connect(&system, "cem").await;
    cem.join(0).await.unwrap();
    cem.shown(4).await;
    ben.shown(4).await;
    let mut dee = Client::connect(&system, "dee").await;
    dee.join(0).await.unwrap();
    dee.shown(4).await;
    for client in [cem, dee] {
        assert_eq!(client.texts, ["".into(), "2".into(), "3".into()]);
    }
}
