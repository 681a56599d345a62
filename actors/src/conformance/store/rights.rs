//! Members, what a room is like, and invite links.

use protocol::{MemberChange, RoomChange, RoomName, client::PageBound, event::RoomValue};

use super::{Nodes, script::*};
use crate::{
    ports::{Change, InviteLink, NewRoom, Outcome, PageRequest, Refusal, RoomQuery},
    rights::{Membership, Role, RoomRights, Roster, Visibility},
};

fn random_change(rng: &mut fastrand::Rng) -> Change {
    if rng.u8(..8) == 0 {
        let values = [
            RoomValue::Switch(rng.bool()),
            RoomValue::Number(rng.u64(..100)),
            RoomValue::Text("private".into()),
            RoomValue::Text("public".into()),
            RoomValue::Text("a title".into()),
        ];
        return Change::Room {
            change: *rng.choice(RoomChange::ALL).unwrap(),
            value: rng.choice(values).unwrap(),
        };
    }
    let roles = [
        None,
        Some("member"),
        Some("moderator"),
        Some("owner"),
        Some("emperor"),
    ];
    let ends = [None, Some(rng.u64(..1_000_000)), Some(u64::MAX)];
    Change::Member {
        change: *rng.choice(MemberChange::ALL).unwrap(),
        who: person(rng.choice(["carol", "dave", "eve"]).unwrap()),
        role: rng.choice(roles).unwrap().map(Into::into),
        until: rng.choice(ends).unwrap(),
        reason: None,
    }
}

/// What is known of people and the room is what its log says, whichever node asks.
pub async fn members_and_rights_follow_the_log(nodes: Nodes) {
    let mut rng = chance();
    let (ann, _) = room_with_two(&nodes, "room").await;
    let mut roster = Roster::default();
    for round in 0..60 {
        let batch: Vec<_> = (0..rng.usize(1..4))
            .map(|_| ann.entry("", random_change(&mut rng)))
            .collect();
        for (entry, outcome) in batch.iter().zip(append(&nodes.a, &batch).await) {
            let conflict = outcome == Outcome::Refused(Refusal::Conflict);
            assert_eq!(conflict, roster.would_lose_its_owner(&entry.change), "{entry:?}");
            if !conflict {
                roster.apply(&entry.to_event(1, 1));
            }
        }
        let mut expected: Vec<Membership> = roster.members().cloned().collect();
        expected.sort_by(|a, b| a.id().cmp(b.id()));
        assert_eq!(
            nodes.b.members(&ann.room).await.unwrap(),
            expected,
            "round {round}: {batch:?}"
        );
        let record = nodes.b.room(&ann.room).await.unwrap().unwrap();
        assert_eq!(record.rights, roster.rights(), "round {round}: {batch:?}");
    }
    assert_eq!(nodes.b.members(&room_name("nowhere")).await.unwrap(), []);
}

/// A room can begin with members, which its log says; making it again changes nothing.
pub async fn a_room_begins_with_its_members(nodes: Nodes) {
    let room = NewRoom {
        visibility: Visibility::Private,
        members: vec![(person("ann"), Role::Owner), (person("bob"), Role::Member)],
        ..NewRoom::public(room_name("room"))
    };
    let (record, made) = nodes.a.create_room(&room).await.unwrap();
    let rights = RoomRights {
        visibility: Visibility::Private,
        ..RoomRights::default()
    };
    assert_eq!((made, record.head, record.rights), (true, 2, rights));
    let again = NewRoom {
        members: vec![(person("eve"), Role::Owner)],
        ..NewRoom::public(room_name("room"))
    };
    assert_eq!(nodes.b.create_room(&again).await.unwrap(), (record, false));
    let members = nodes.b.members(&room.name).await.unwrap();
    let roles: Vec<_> = members
        .iter()
        .map(|member| (&**member.id(), member.role))
        .collect();
    assert_eq!(roles, [("ann", Some(Role::Owner)), ("bob", Some(Role::Member))]);
    let log = nodes
        .b
        .page(
            &room.name,
            PageRequest {
                bound: PageBound::Newest,
                limit: 10,
                max_bytes: usize::MAX,
            },
        )
        .await
        .unwrap();
    let expected = room.first_entries();
    assert_eq!(log.events.len(), expected.len());
    for (event, entry) in log.events.iter().zip(expected) {
        assert_eq!(*event, entry.to_event(event.seq, event.at));
        assert_eq!(event.user, person("ann"));
    }
}

/// A list holds what somebody can see, and of that what they search for.
pub async fn rooms_are_listed_to_who_can_see_them(nodes: Nodes) {
    let make = async |name: &str, visibility, members: &[&str]| {
        let members = members.iter().map(|id| (person(id), Role::Member)).collect();
        let room = NewRoom {
            title: format!("The {} Room 100%", name.to_uppercase()).into(),
            visibility,
            members,
            ..NewRoom::public(room_name(name))
        };
        nodes.a.create_room(&room).await.unwrap();
    };
    make("direct", Visibility::Direct, &["ann", "bob"]).await;
    make("hidden", Visibility::Private, &["ann"]).await;
    make("lobby", Visibility::Public, &[]).await;
    let invited = Change::Member {
        change: MemberChange::Invited,
        who: person("carol"),
        role: None,
        until: None,
        reason: None,
    };
    let ann = Pen::new(&room_name("hidden"), "ann");
    write(&nodes.a, ann.entry("", invited)).await;
    let list = async |seen_by: Option<&str>, search: Option<&str>| {
        let query = RoomQuery {
            seen_by: seen_by.map(Into::into),
            search: search.map(Into::into),
            after: None,
            limit: 10,
        };
        let rooms = nodes.b.rooms(&query).await.unwrap();
        rooms
            .into_iter()
            .map(|room| room.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(list(Some("ann"), None).await, ["direct", "hidden", "lobby"]);
    assert_eq!(list(Some("bob"), None).await, ["direct", "lobby"]);
    assert_eq!(list(Some("carol"), None).await, ["hidden", "lobby"]);
    assert_eq!(list(Some("eve"), None).await, ["lobby"]);
    assert_eq!(list(None, None).await, ["hidden", "lobby"]);
    assert_eq!(list(Some("ann"), Some("LOB")).await, ["lobby"]);
    assert_eq!(list(Some("ann"), Some("the h")).await, ["hidden"]);
    assert_eq!(
        list(Some("ann"), Some("0%")).await.len(),
        3,
        "no character is a pattern"
    );
    assert_eq!(list(Some("ann"), Some("_")).await.len(), 0);
}

/// Large and small letters are the same in a search, whatever their script, also after a room was renamed.
pub async fn a_search_knows_every_letters_case(nodes: Nodes) {
    let room = NewRoom {
        title: "Großer ÄRGER, Ελλάδα".into(),
        ..NewRoom::public(room_name("room"))
    };
    nodes.a.create_room(&room).await.unwrap();
    let finds = async |search: &str| {
        let query = RoomQuery {
            search: Some(search.into()),
            limit: 10,
            ..RoomQuery::default()
        };
        nodes.b.rooms(&query).await.unwrap().len() == 1
    };
    for text in ["ÄRGER", "ärger", "Ärger", "GROßER", "ΕΛΛΆΔΑ", "ROOM"] {
        assert!(finds(text).await, "{text}");
    }
    assert!(!finds("жук").await);
    let title = Change::Room {
        change: RoomChange::Title,
        value: RoomValue::Text("ЖУК".into()),
    };
    write(&nodes.a, Pen::new(&room.name, "ann").entry("", title)).await;
    assert!(finds("жук").await);
    assert!(!finds("ärger").await, "that was the old title");
}

/// Who wrote is known by the name of then, also when they are gone.
pub async fn authors_are_known_by_their_last_name(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    write(&nodes.a, ann.message("1", "x")).await;
    write(&nodes.a, bob.message("1", "x")).await;
    let mut renamed = ann.message("2", "x");
    renamed.author.name = "Annabel".into();
    write(&nodes.a, renamed.clone()).await;
    write(&nodes.a, bob.message("2", "x")).await;
    let author = async |room: &RoomName, id: &str| nodes.b.author(room, id).await.unwrap();
    assert_eq!(author(&ann.room, "ann").await, Some(renamed.author));
    assert_eq!(author(&ann.room, "bob").await, Some(person("bob")));
    assert_eq!(author(&ann.room, "eve").await, None);
    assert_eq!(author(&room_name("nowhere"), "ann").await, None);
}

/// A link lets in as many as it says, as long as it says, also when all come at once.
pub async fn invite_links_count_and_end(nodes: Nodes) {
    let room = make_room(&nodes.a, "room").await;
    let link = |id: &str, expires_at, uses_left| InviteLink {
        id: id.into(),
        room: room.clone(),
        secret_hash: std::array::from_fn(|_| id.as_bytes()[0]),
        by: person("ann"),
        created_at: 1_000 + u64::from(id.as_bytes()[0]),
        expires_at,
        uses_left,
    };
    let (a, b, c) = (
        link("a", None, Some(3)),
        link("b", Some(5_000), None),
        link("c", None, None),
    );
    for link in [&a, &b, &c] {
        nodes.a.add_invite(link).await.unwrap();
    }
    assert_eq!(
        nodes.b.invites(&room).await.unwrap(),
        [c.clone(), b.clone(), a.clone()]
    );
    assert_eq!(
        nodes.b.invite(&a.secret_hash, 2_000).await.unwrap(),
        Some(a.clone())
    );
    assert_eq!(nodes.b.invite(&[9; 32], 2_000).await.unwrap(), None);
    let uses: Vec<_> = (0..8)
        .map(|n| {
            let store = if n % 2 == 0 { &nodes.a } else { &nodes.b }.clone();
            tokio::spawn(async move { store.use_invite("a", 2_000).await.unwrap() })
        })
        .collect();
    let mut used = 0;
    for one in uses {
        used += usize::from(one.await.unwrap());
    }
    assert_eq!(used, 3);
    nodes.b.return_invite("a").await.unwrap();
    assert!(nodes.a.use_invite("a", 2_000).await.unwrap(), "given back");
    assert!(!nodes.b.use_invite("a", 2_000).await.unwrap());
    for id in ["b", "nothing"] {
        nodes.b.return_invite(id).await.unwrap();
    }
    assert_eq!(
        nodes.a.invite(&b.secret_hash, 2_000).await.unwrap(),
        Some(b.clone())
    );
    assert_eq!(
        nodes.b.invite(&a.secret_hash, 2_000).await.unwrap(),
        None,
        "used up"
    );
    assert!(nodes.a.use_invite("b", 4_999).await.unwrap());
    assert!(!nodes.a.use_invite("b", 5_000).await.unwrap(), "ended");
    assert_eq!(
        nodes.b.invite(&b.secret_hash, 5_000).await.unwrap(),
        None,
        "ended"
    );
    assert!(nodes.a.use_invite("c", u64::MAX >> 12).await.unwrap());
    assert!(!nodes.a.remove_invite(&room_name("elsewhere"), "c").await.unwrap());
    assert!(nodes.a.remove_invite(&room, "c").await.unwrap());
    assert!(!nodes.a.remove_invite(&room, "c").await.unwrap());
    assert_eq!(
        nodes.b.invite(&c.secret_hash, 2_000).await.unwrap(),
        None,
        "removed"
    );
}
