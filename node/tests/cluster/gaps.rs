//! Promise 9: what is too far back to be replayed is said to be so, and nothing else is left out.

use actors::ports::{Append, Change, NewRoom, Store};
use load_tests::client::{Client, Options};
use protocol::{Codec, Event, JoinFrom, Person, RoomName, ServerFrame};

use crate::support::*;

/// Fills a room with so many messages.
async fn fill(store: &impl Store, room: &RoomName, count: u64) {
    store.create_room(&NewRoom::public(room.clone())).await.unwrap();
    let append = |n| Append {
        room: room.clone(),
        author: Person {
            id: "old".into(),
            name: "Old".into(),
        },
        cid: None,
        change: Change::Message {
            text: format!("{n}").into(),
            reply_to: None,
        },
    };
    let batch: Vec<_> = (1..=count).map(append).collect();
    store.append(&batch).await.unwrap();
}

/// What came of the room: gaps, and the `seq` of events.
fn came(frames: &[ServerFrame]) -> (Vec<(u64, u64)>, Vec<u64>) {
    let (mut gaps, mut seqs) = (Vec::new(), Vec::new());
    for frame in frames {
        match frame {
            ServerFrame::Gap { from, to, .. } => gaps.push((*from, *to)),
            ServerFrame::Events { events, .. } => seqs.extend(events.iter().map(|event: &Event| event.seq)),
            _ => {}
        }
    }
    (gaps, seqs)
}

async fn everything(client: &mut Client, head: u64) -> (Vec<(u64, u64)>, Vec<u64>) {
    let mut frames = Vec::new();
    loop {
        let frame = tokio::time::timeout(PATIENCE, client.next())
            .await
            .expect("the replay goes on")
            .unwrap();
        frames.push(frame);
        let (gaps, seqs) = came(&frames);
        if seqs.last() == Some(&head) {
            return (gaps, seqs);
        }
    }
}

#[tokio::test]
async fn a_thousand_are_replayed_and_one_more_is_a_gap() {
    let cluster = Cluster::start(2, &settings(&[])).await;
    let (fits, over) = (room("fits"), room("over"));
    fill(&cluster.truth, &fits, 1_000).await;
    fill(&cluster.truth, &over, 1_001).await;
    for codec in [Codec::Json, Codec::Msgpack] {
        let mut client = guest(&cluster.url(0), codec, "Ann").await;
        client.join(&fits, JoinFrom::After(0)).await.unwrap();
        assert_eq!(
            everything(&mut client, 1_000).await,
            (vec![], (1..=1_000).collect())
        );
        client.join(&over, JoinFrom::After(0)).await.unwrap();
        assert_eq!(
            everything(&mut client, 1_001).await,
            (vec![(1, 1)], (2..=1_001).collect())
        );
        client.join(&over, JoinFrom::After(1)).await.unwrap();
        assert_eq!(
            everything(&mut client, 1_001).await,
            (vec![], (2..=1_001).collect())
        );
        client.join(&over, JoinFrom::Newest(1_000)).await.unwrap();
        assert_eq!(
            everything(&mut client, 1_001).await,
            (vec![], (2..=1_001).collect())
        );
    }
}

#[tokio::test]
async fn resume_draws_the_same_line_on_another_node() {
    let cluster = Cluster::start(2, &settings(&[])).await;
    let room = room("resumed");
    fill(&cluster.truth, &room, 1_500).await;
    let ann = member(&cluster.url(0), Codec::Json, "Ann", &room).await;
    let epoch = ann.welcome().unwrap().epoch.to_string();
    for (position, gaps) in [
        (500, vec![]),
        (499, vec![(500, 500)]),
        (0, vec![(1, 500)]),
        (1_400, vec![]),
    ] {
        let positions = [(room.to_string(), position)];
        let options = Options::new(&cluster.url(1))
            .token(&token(&ann))
            .resume(&epoch, &positions);
        let mut back = Client::connect(&options).await.unwrap();
        let begin = position.max(500) + 1;
        assert_eq!(
            everything(&mut back, 1_500).await,
            (gaps, (begin..=1_500).collect())
        );
        assert!(came(&so_far(&mut back).await).1.is_empty(), "nothing twice");
    }
}

#[tokio::test]
async fn a_connection_that_lags_by_more_than_a_thousand_gets_a_gap_and_goes_on() {
    let limits = [
        ("limits.outbox_bytes", "16384"),
        ("limits.sends_per_second_per_user", "0"),
        ("limits.commands_per_second", "0"),
    ];
    let cluster = Cluster::start(1, &settings(&limits)).await;
    let room = room("lagging");
    let options = Options::new(&cluster.url(0))
        .guest("Slow")
        .receive_buffer_bytes(4_096);
    let mut slow = Client::connect(&options).await.unwrap();
    slow.join(&room, JoinFrom::Newest(0)).await.unwrap();
    let mut fast = member(&cluster.url(0), Codec::Msgpack, "Fast", &room).await;

    let text = "x".repeat(6_000);
    let mut head = 0;
    let send = async |fast: &mut Client, count: u64| {
        for _ in 0..count {
            fast.say(&room, &text).await.unwrap();
        }
        fast.take_events(&room, usize::try_from(count).unwrap())
            .await
            .unwrap();
        count
    };
    // The kernel takes some for the slow one; from the overflow on nothing more is queued.
    while cluster.nodes[0].metric("hubbub_outbox_overflows_total").await < 1.0 {
        head += send(&mut fast, 50).await;
        assert!(head < 3_000, "the outbox is bounded");
    }
    head += send(&mut fast, 1_200).await;

    let (gaps, seqs) = everything(&mut slow, head).await;
    let [(from, to)] = gaps[..] else {
        panic!("{gaps:?}")
    };
    assert_eq!(to, head - 1_000);
    assert_eq!(seqs, (1..from).chain(to + 1..=head).collect::<Vec<_>>());
    assert!(cluster.nodes[0].metric("hubbub_gaps_total").await >= 1.0);

    fast.say(&room, "live again").await.unwrap();
    assert_eq!(slow.take_events(&room, 1).await.unwrap()[0].seq, head + 1);
}
