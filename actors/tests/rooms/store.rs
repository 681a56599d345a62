//! What tests do to the store, beside the node.

use std::time::Duration;

use actors::{
    memory::{Call, MemoryStore},
    ports::{Append, Change, Outcome, Store},
};
use protocol::{Person, RoomName};

/// Writes a message, whose text is its `cid`, as another node does that the bus does not reach, and returns its place.
pub(crate) async fn write_elsewhere(store: &MemoryStore, room: &RoomName, cid: &str) -> u64 {
    let entry = Append {
        room: room.clone(),
        author: Person {
            id: "else".into(),
            name: "Else".into(),
        },
        cid: Some(cid.into()),
        change: Change::Message {
            text: cid.into(),
            reply_to: None,
        },
    };
    match store.append(&[entry]).await.unwrap()[..] {
        [Outcome::Written { seq, .. }] => seq,
        ref other => panic!("{other:?}"),
    }
}

/// Waits, in virtual time, until the store was asked so often.
pub(crate) async fn asked(store: &MemoryStore, call: Call, times: u64) {
    while store.calls(call) < times {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
