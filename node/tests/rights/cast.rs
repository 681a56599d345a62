//! People, each signed up once, and rooms for them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use actors::{
    ports::{Append, Change, InviteLink, NewAudit, NewRoom, Outcome, RoomRecord},
    rights::{Membership, Role, Visibility},
};
use node::store::{self, Stores};
use protocol::RoomName;
use sha2::{Digest, Sha256};

use crate::support::*;

/// Everybody, and the store that they meet in.
pub(crate) struct Cast {
    people: BTreeMap<&'static str, (Person, protocol::Person)>,
    pub(crate) stores: Stores,
    rooms: AtomicU32,
}

/// What may be written of a room, to be compared.
#[derive(Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) record: RoomRecord,
    members: Vec<Membership>,
    links: Vec<InviteLink>,
}

impl Cast {
    /// Signs all of them up; whom they call `guest` comes with a name only, and whom they call `administrator` becomes
    /// one.
    pub(crate) async fn new(place: &Place, node: &Node, names: &[&'static str]) -> Self {
        let stores = Box::pin(store::open(&place.config(&[]))).await.unwrap();
        let mut people = BTreeMap::new();
        for &name in names {
            let person = match name {
                "guest" => guest(node).await,
                _ => sign_up(node, name).await,
            };
            if name == "administrator" {
                promote(node, &stores, &person).await;
            }
            let named = protocol::Person {
                id: person.id.as_str().into(),
                name: name.into(),
            };
            people.insert(name, (person, named));
        }
        Self {
            people,
            stores,
            rooms: AtomicU32::new(0),
        }
    }

    pub(crate) fn who(&self, name: &str) -> &Person {
        &self.people[name].0
    }

    pub(crate) fn person(&self, name: &str) -> protocol::Person {
        self.people[name].1.clone()
    }

    pub(crate) fn id(&self, name: &str) -> &str {
        &self.people[name].0.id
    }

    /// A new room with these people in it.
    pub(crate) async fn room(&self, visibility: Visibility, members: &[(&str, Role)]) -> RoomName {
        let number = self.rooms.fetch_add(1, Relaxed);
        let name = RoomName::new(&format!("room-{number}")).unwrap();
        let members = members.iter().map(|(name, role)| (self.person(name), *role));
        let room = NewRoom {
            name: name.clone(),
            title: format!("Room {number}").into(),
            visibility,
            members: members.collect(),
        };
        assert!(self.stores.log.create_room(&room).await.unwrap().1);
        name
    }

    /// Writes to a room's log past all rules; where that stands.
    pub(crate) async fn write(&self, room: &RoomName, entries: Vec<(&str, Change)>) -> Vec<u64> {
        let append = |(author, change): (&str, Change)| Append {
            room: room.clone(),
            author: self.person(author),
            cid: None,
            change,
        };
        let batch: Vec<Append> = entries.into_iter().map(append).collect();
        let outcomes = self.stores.log.append(&batch).await.unwrap();
        let seq = |outcome: &Outcome| match outcome {
            Outcome::Written { seq, .. } => *seq,
            other => panic!("{other:?}"),
        };
        outcomes.iter().map(seq).collect()
    }

    /// An invite link of the room: the token in it.
    pub(crate) async fn link(&self, room: &RoomName, by: &str) -> String {
        let token = format!("link-of-{room}");
        let link = InviteLink {
            id: token.as_str().into(),
            room: room.clone(),
            secret_hash: Sha256::digest(&token).into(),
            by: self.person(by),
            created_at: 0,
            expires_at: None,
            uses_left: None,
        };
        self.stores.log.add_invite(&link).await.unwrap();
        token
    }

    /// What is kept of the room now, but for the links' uses.
    pub(crate) async fn kept(&self, room: &RoomName) -> Kept {
        let log = &self.stores.log;
        Kept {
            record: log.room(room).await.unwrap().unwrap(),
            members: log.members(room).await.unwrap(),
            links: log.invites(room).await.unwrap(),
        }
    }
}

/// A message that is nothing special.
pub(crate) fn said(text: &str) -> Change {
    Change::Message {
        text: text.into(),
        reply_to: None,
    }
}

async fn guest(node: &Node) -> Person {
    let client = enter(&node.socket().guest("Gus")).await;
    let welcome = client.welcome().unwrap();
    Person {
        id: welcome.user.id.to_string(),
        token: welcome.token.clone().unwrap(),
    }
}

async fn promote(node: &Node, stores: &Stores, person: &Person) {
    let id: Arc<str> = person.id.as_str().into();
    let audit = NewAudit {
        actor: protocol::Person {
            id: Arc::clone(&id),
            name: "administrator".into(),
        },
        action: "user.administrator",
        target: Arc::clone(&id),
        room: None,
        details: "{}".to_owned(),
    };
    let made = stores
        .accounts
        .set_administrator(&id, true, &audit)
        .await
        .unwrap();
    assert!(made.is_some());
    until("the node knows the administrator", async || {
        person.get(node, "/audit").await.status == 200
    })
    .await;
}
