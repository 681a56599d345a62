//! Short ways to say what the cases do.

use std::sync::Arc;

use protocol::{Event, EventBody, Person, RoomName, client::PageBound};

use super::Nodes;
use crate::ports::{Append, Change, NewRoom, Outcome, PageRequest, Refusal, Store};

pub(super) const NOT_FOUND: Outcome = Outcome::Refused(Refusal::NotFound);
pub(super) const FORBIDDEN: Outcome = Outcome::Refused(Refusal::Forbidden);

/// Writes entries of one author into one room.
#[derive(Clone)]
pub(super) struct Pen {
    pub(super) room: RoomName,
    pub(super) author: Person,
}

pub(super) fn room_name(name: &str) -> RoomName {
    RoomName::new(name).unwrap()
}

pub(super) fn person(id: &str) -> Person {
    Person {
        id: id.into(),
        name: format!("{id} the person").into(),
    }
}

pub(super) async fn make_room(store: &Arc<dyn Store>, name: &str) -> RoomName {
    let name = room_name(name);
    let room = NewRoom {
        title: format!("About {name}").into(),
        ..NewRoom::public(name.clone())
    };
    store.create_room(&room).await.unwrap();
    name
}

/// A new room, and the pens of Ann and Bob in it.
pub(super) async fn room_with_two(nodes: &Nodes, name: &str) -> (Pen, Pen) {
    let room = make_room(&nodes.a, name).await;
    (Pen::new(&room, "ann"), Pen::new(&room, "bob"))
}

impl Pen {
    pub(super) fn new(room: &RoomName, author: &str) -> Self {
        Self {
            room: room.clone(),
            author: person(author),
        }
    }

    pub(super) fn entry(&self, cid: &str, change: Change) -> Append {
        Append {
            room: self.room.clone(),
            author: self.author.clone(),
            cid: (!cid.is_empty()).then(|| cid.into()),
            change,
        }
    }

    pub(super) fn message(&self, cid: &str, text: &str) -> Append {
        let change = Change::Message {
            text: text.into(),
            reply_to: None,
        };
        self.entry(cid, change)
    }

    pub(super) fn reply(&self, cid: &str, reply_to: u64) -> Append {
        let change = Change::Message {
            text: "a reply".into(),
            reply_to: Some(reply_to),
        };
        self.entry(cid, change)
    }

    pub(super) fn edit(&self, cid: &str, target: u64, text: &str) -> Append {
        let text = text.into();
        self.entry(cid, Change::Edit { target, text })
    }

    pub(super) fn delete(&self, cid: &str, target: u64) -> Append {
        let any_author = false;
        self.entry(cid, Change::Delete { target, any_author })
    }

    pub(super) fn delete_any(&self, cid: &str, target: u64) -> Append {
        let any_author = true;
        self.entry(cid, Change::Delete { target, any_author })
    }

    pub(super) fn react(&self, cid: &str, target: u64, emoji: &str, on: bool) -> Append {
        let emoji = emoji.into();
        self.entry(cid, Change::React { target, emoji, on })
    }
}

/// Appends a batch that must be taken.
pub(super) async fn append(store: &Arc<dyn Store>, batch: &[Append]) -> Vec<Outcome> {
    let outcomes = store.append(batch).await.unwrap();
    assert_eq!(outcomes.len(), batch.len(), "one outcome for each entry");
    outcomes
}

pub(super) async fn append_one(store: &Arc<dyn Store>, entry: Append) -> Outcome {
    append(store, &[entry]).await[0]
}

/// Appends an entry that must be written as new.
pub(super) async fn write(store: &Arc<dyn Store>, entry: Append) -> (u64, u64) {
    written(append_one(store, entry).await)
}

pub(super) fn written(outcome: Outcome) -> (u64, u64) {
    match outcome {
        Outcome::Written { seq, at } => (seq, at),
        other => panic!("expected a new event, got {other:?}"),
    }
}

/// The place and time of an event that is stored, be it new or not.
pub(super) fn stored(outcome: Outcome) -> (u64, u64) {
    match outcome {
        Outcome::Written { seq, at } | Outcome::Known { seq, at } => (seq, at),
        Outcome::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

pub(super) fn known((seq, at): (u64, u64)) -> Outcome {
    Outcome::Known { seq, at }
}

pub(super) fn request(bound: PageBound, limit: u64) -> PageRequest {
    PageRequest {
        bound,
        limit,
        max_bytes: usize::MAX,
    }
}

/// The whole log of a room; checks that it has no hole and that time does not go back.
pub(super) async fn log(store: &Arc<dyn Store>, room: &RoomName) -> Vec<Event> {
    let page = store
        .page(room, request(PageBound::After(0), 100_000))
        .await
        .unwrap();
    assert!(!page.more);
    for (event, seq) in page.events.iter().zip(1..) {
        assert_eq!(event.seq, seq, "{room} has a hole or a repeat");
    }
    assert!(
        page.events.is_sorted_by_key(|event| event.at),
        "time goes back in {room}"
    );
    let head = store.heads(std::slice::from_ref(room)).await.unwrap()[0];
    assert_eq!(head, page.events.len() as u64, "the head of {room}");
    page.events
}

/// The message at `seq`: text, `edited_at`, `deleted`.
pub(super) fn message_at(log: &[Event], seq: u64) -> (&str, Option<u64>, bool) {
    match &event_at(log, seq).body {
        EventBody::Message {
            text,
            edited_at,
            deleted,
            ..
        } => (text, *edited_at, *deleted),
        other => panic!("{seq} is no message: {other:?}"),
    }
}

/// The text of the edit event at `seq`.
pub(super) fn edit_at(log: &[Event], seq: u64) -> Option<&str> {
    match &event_at(log, seq).body {
        EventBody::Edit { text, .. } => text.as_deref(),
        other => panic!("{seq} is no edit: {other:?}"),
    }
}

pub(super) fn event_at(log: &[Event], seq: u64) -> &Event {
    log.iter().find(|event| event.seq == seq).unwrap()
}

/// A source of chance whose seed is printed; `HUBBUB_TEST_SEED` sets it.
pub(super) fn chance() -> fastrand::Rng {
    let given = std::env::var("HUBBUB_TEST_SEED").ok();
    let seed = given
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("HUBBUB_TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}
