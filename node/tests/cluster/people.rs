//! What is not in the log, over several nodes: who is there, who types, who has read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actors::memory::Faults;
use load_tests::client::{Client, Options};
use protocol::{Codec, JoinFrom, ServerFrame};
use tokio::time::sleep;

use crate::support::*;

#[tokio::test]
async fn typing_reaches_other_nodes_and_not_the_one_who_types() {
    let cluster = Cluster::start(3, &settings(&[])).await;
    let room = room("typing");
    let mut ann = member(&cluster.url(0), Codec::Json, "Ann", &room).await;
    let again = Options::new(&cluster.url(2)).token(&token(&ann));
    let mut ann_elsewhere = Client::connect(&again).await.unwrap();
    ann_elsewhere.join(&room, JoinFrom::Newest(0)).await.unwrap();
    let mut ben = member(&cluster.url(1), Codec::Msgpack, "Ben", &room).await;
    let mut cem = member(&cluster.url(2), Codec::Json, "Cem", &room).await;

    let begun = Instant::now();
    ann.typing(&room).await.unwrap();
    ann.typing(&room).await.unwrap();
    ann_elsewhere.typing(&room).await.unwrap();
    let user = ann.welcome().unwrap().user.clone();
    for other in [&mut ben, &mut cem] {
        let typed = other.wait_for("typing", |frame| match frame {
            ServerFrame::Typing { user, .. } => Some(user.clone()),
            _ => None,
        });
        assert_eq!(typed.await.unwrap(), user);
    }
    // The message goes the same way, behind whatever else was passed on.
    ann.say(&room, "at last").await.unwrap();
    for client in [&mut ann, &mut ann_elsewhere, &mut ben, &mut cem] {
        client.take_events(&room, 1).await.unwrap();
        let typing = so_far(client)
            .await
            .into_iter()
            .filter(|f| matches!(f, ServerFrame::Typing { .. }));
        let more = usize::try_from(begun.elapsed().as_secs() / 2).unwrap();
        assert!(
            typing.count() <= more,
            "once in two seconds, and never to who types"
        );
    }
}

#[tokio::test]
async fn read_markers_reach_other_nodes_and_never_go_back() {
    let cluster = Cluster::start(2, &settings(&[])).await;
    let room = room("reading");
    let mut ann = member(&cluster.url(0), Codec::Json, "Ann", &room).await;
    let mut ben = member(&cluster.url(1), Codec::Msgpack, "Ben", &room).await;
    for text in ["1", "2", "3"] {
        ann.say(&room, text).await.unwrap();
    }
    ben.take_events(&room, 3).await.unwrap();
    for seq in [2, 1, 3] {
        ben.mark_read(&room, seq).await.unwrap();
    }
    let mut markers = Vec::new();
    while markers.last() != Some(&3) {
        let marker = ann.wait_for("a marker", |frame| match frame {
            ServerFrame::Read { user, seq, .. } => Some((user.name.clone(), *seq)),
            _ => None,
        });
        let (name, seq) = marker.await.unwrap();
        assert_eq!(&*name, "Ben");
        markers.push(seq);
    }
    assert_eq!(markers, [2, 3]);
}

/// Waits until so many people are in the room.
pub(crate) async fn count_is(client: &mut Client, room: &protocol::RoomName, count: u64) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (counted, users) = client.presence(room).await.unwrap();
        assert_eq!(counted, users.len() as u64);
        if counted == count {
            return;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{counted} people instead of {count}"
        );
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn presence_counts_people_over_the_cluster() {
    let cluster = Cluster::start(3, &settings(&[])).await;
    let room = room("presence");
    let mut ann = member(&cluster.url(0), Codec::Json, "Ann", &room).await;
    let mut first = guest(&cluster.url(1), Codec::Json, "Eve").await;
    let joined = first.join(&room, JoinFrom::Newest(0)).await.unwrap();
    assert_eq!(
        joined.members,
        Some(2),
        "the first on a node is told of the other nodes, too"
    );
    drop(first);
    let mut more = Vec::new();
    for node in [0, 1, 2] {
        let options = Options::new(&cluster.url(node)).token(&token(&ann));
        let mut again = Client::connect(&options).await.unwrap();
        again.join(&room, JoinFrom::Newest(0)).await.unwrap();
        more.push(again);
    }
    let mut ben = member(&cluster.url(1), Codec::Msgpack, "Ben", &room).await;
    let mut cem = member(&cluster.url(2), Codec::Json, "Cem", &room).await;
    for client in [&mut ann, &mut ben, &mut cem] {
        count_is(client, &room, 3).await;
    }
    let mut late = guest(&cluster.url(2), Codec::Json, "Dee").await;
    assert_eq!(
        late.join(&room, JoinFrom::Newest(0)).await.unwrap().members,
        Some(4)
    );

    let gone = cem.welcome().unwrap().user.clone();
    drop((cem, late));
    let left = ann.wait_for("Cem has left", |frame| match frame {
        ServerFrame::Presence {
            left: Some(left),
            count,
            ..
        } if left.contains(&gone) => Some(*count),
        _ => None,
    });
    assert!(left.await.unwrap() <= 3);
    for client in [&mut ann, &mut ben] {
        count_is(client, &room, 2).await;
    }
}

#[tokio::test]
async fn of_many_people_changes_are_told_and_a_lost_one_is_made_good() {
    let cluster = Cluster::start(2, &settings(&[])).await;
    let room = room("many");
    let mut ann = member(&cluster.url(1), Codec::Json, "Ann", &room).await;
    let mut there = Vec::new();
    for number in 0..24 {
        there.push(member(&cluster.url(0), Codec::Msgpack, &format!("P{number}"), &room).await);
    }
    count_is(&mut ann, &room, 25).await;
    let id = |client: &Client| client.welcome().unwrap().user.id.clone();
    let gone = id(&there.remove(3));
    there.push(member(&cluster.url(0), Codec::Json, "New", &room).await);
    let new = id(&there[23]);
    let told = ann.wait_for("one has gone", |frame| match frame {
        ServerFrame::Presence { left: Some(left), .. } => left.iter().find(|p| p.id == gone).map(|_| ()),
        _ => None,
    });
    told.await.unwrap();
    count_is(&mut ann, &room, 25).await;

    // What changes now, nobody hears of; with the next change it is noticed.
    let lose_all = Faults {
        drop: 1.0,
        ..Faults::default()
    };
    cluster.hub.set_faults(1, lose_all);
    there.truncate(22);
    there.push(member(&cluster.url(0), Codec::Json, "Unheard", &room).await);
    sleep(Duration::from_millis(1_500)).await;
    cluster.hub.set_faults(1, Faults::default());
    there.push(member(&cluster.url(0), Codec::Json, "Heard", &room).await);
    until_named(&mut ann, &room, &[id(&there[22]), id(&there[23])], &[new, gone]).await;
    count_is(&mut ann, &room, 25).await;
}

/// Waits until these people are in the room, and those are not.
async fn until_named(client: &mut Client, room: &protocol::RoomName, here: &[Arc<str>], gone: &[Arc<str>]) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (_, users) = client.presence(room).await.unwrap();
        let named = |id: &Arc<str>| users.iter().any(|person| person.id == *id);
        if here.iter().all(named) && !gone.iter().any(named) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{users:?}");
        sleep(Duration::from_millis(50)).await;
    }
}
