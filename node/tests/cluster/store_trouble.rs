//! A store that is down, slow, or forgets to answer: nothing is shown that is not committed, and a repetition with the
//! same `cid` succeeds once.

use std::{collections::HashMap, time::Duration};

use actors::{
    memory::{Call, Fault},
    ports::{Store, StoreError},
};
use load_tests::client::Error;
use protocol::{Codec, Command, ErrorCode, JoinFrom, Page, ServerFrame, client::PageBound, server::Refused};

use crate::support::*;

fn down() -> StoreError {
    StoreError::Down("ordered".to_owned())
}

fn overloaded<T>(result: Result<T, Error>) -> Refused {
    let Err(Error::Refused(refused)) = result else {
        panic!("it was not refused")
    };
    assert_eq!(refused.code, ErrorCode::Overloaded);
    assert!(refused.retry_after_ms.is_some_and(|after| after > 0));
    refused
}

fn shown(frames: &[ServerFrame]) -> usize {
    frames
        .iter()
        .filter(|frame| matches!(frame, ServerFrame::Events { .. }))
        .count()
}

#[tokio::test]
async fn while_the_store_is_down_for_one_node_the_other_goes_on() {
    let cluster = Cluster::start(2, &settings(&[])).await;
    let room = room("down");
    let mut cut = member(&cluster.url(0), Codec::Json, "Cut", &room).await;
    let mut fine = member(&cluster.url(1), Codec::Msgpack, "Fine", &room).await;
    cluster.stores[0].fail_all(None, Fault::Refuse(down()));

    overloaded(cut.send(&room, "mine", "text", None).await);
    overloaded(
        cut.join(&crate::support::room("unknown"), JoinFrom::Newest(0))
            .await,
    );
    for client in [&mut cut, &mut fine] {
        assert_eq!(
            shown(&so_far(client).await),
            0,
            "what is not committed is not shown"
        );
    }
    assert_eq!(fine.say(&room, "on the other node").await.unwrap().seq, 1);
    for client in [&mut cut, &mut fine] {
        let events = client.take_events(&room, 1).await.unwrap();
        assert_eq!(events[0].seq, 1, "the bus brings it to the node without a store");
    }
    let page = |bound| Page { bound, limit: 50 };
    let (recent, more) = cut.history(&room, page(PageBound::Newest)).await.unwrap();
    assert_eq!((recent.len(), more), (1, false), "recent events are still read");
    overloaded(cut.history(&room, page(PageBound::Before(1))).await);

    cluster.stores[0].heal();
    let stored = cut.send(&room, "mine", "text", None).await.unwrap();
    assert_eq!(stored.seq, 2);
    assert_eq!(cut.send(&room, "mine", "text", None).await.unwrap(), stored);
    for client in [&mut cut, &mut fine] {
        assert_eq!(client.take_events(&room, 1).await.unwrap()[0].seq, 2);
        assert_eq!(shown(&so_far(client).await), 0);
    }
    assert_eq!(cluster.truth.heads(&[room]).await.unwrap(), [2]);
}

#[tokio::test]
async fn a_lost_answer_is_repeated_on_another_node_and_stored_once() {
    let cluster = Cluster::start(2, &settings(&[])).await;
    let room = room("lost");
    let mut ann = member(&cluster.url(0), Codec::Json, "Ann", &room).await;
    let options = load_tests::client::Options::new(&cluster.url(1)).token(&token(&ann));
    let mut again = load_tests::client::Client::connect(&options).await.unwrap();
    again.join(&room, JoinFrom::Newest(0)).await.unwrap();
    cluster.stores[0].fail_next(Call::Append, 1, Fault::LoseAnswer(down()));

    overloaded(ann.send(&room, "once", "text", None).await);
    assert_eq!(
        cluster.truth.heads(std::slice::from_ref(&room)).await.unwrap(),
        [1]
    );
    assert_eq!(again.send(&room, "once", "text", None).await.unwrap().seq, 1);
    assert_eq!(ann.send(&room, "once", "text", None).await.unwrap().seq, 1);
    for client in [&mut ann, &mut again] {
        assert_eq!(client.take_events(&room, 1).await.unwrap().len(), 1);
        assert_eq!(shown(&so_far(client).await), 0);
    }
    assert_eq!(again.say(&room, "next").await.unwrap().seq, 2);
}

#[tokio::test]
async fn what_was_committed_without_an_answer_is_shown_to_all() {
    let cluster = Cluster::start(2, &settings(&[])).await;
    let room = room("unanswered");
    let mut ann = member(&cluster.url(0), Codec::Json, "Ann", &room).await;
    let mut ben = member(&cluster.url(1), Codec::Msgpack, "Ben", &room).await;
    cluster.stores[0].fail_next(Call::Append, 1, Fault::LoseAnswer(down()));
    // The node does not know, tells nobody, and the sender does not come again.
    overloaded(ann.send(&room, "once", "text", None).await);
    for client in [&mut ann, &mut ben] {
        let events = client.take_events(&room, 1).await.unwrap();
        assert_eq!((events[0].seq, events[0].cid.as_deref()), (1, Some("once")));
    }
}

#[tokio::test]
async fn what_waits_for_a_slow_store_is_bounded() {
    let limits = [
        ("limits.pending_appends_room_bytes", "32768"),
        ("limits.sends_per_second_per_user", "0"),
    ];
    let cluster = Cluster::start(1, &settings(&limits)).await;
    let room = room("slow");
    let mut ann = member(&cluster.url(0), Codec::Json, "Ann", &room).await;
    cluster.stores[0].set_delay(Duration::from_millis(200), Duration::ZERO);
    let text = "x".repeat(4_000);
    let send = |n: usize| Command::Send {
        room: room.clone(),
        cid: n.to_string().into(),
        text: text.as_str().into(),
        reply_to: None,
    };
    let mut unanswered = HashMap::new();
    for n in 0..40 {
        unanswered.insert(ann.post(send(n)).await.unwrap(), n);
    }
    let (mut refused, mut stored, mut seen) = (0, HashMap::new(), Vec::new());
    while stored.len() < 40 || seen.len() < 40 {
        match tokio::time::timeout(PATIENCE, ann.next())
            .await
            .expect("an answer")
            .unwrap()
        {
            ServerFrame::Ok(done) => {
                let n = unanswered.remove(&done.id.unwrap()).unwrap();
                stored.insert(n, done.seq.unwrap());
            }
            ServerFrame::Error(error) => {
                let n = unanswered.remove(&error.id.unwrap()).unwrap();
                refused += 1;
                let after = overloaded::<()>(Err(Error::Refused(error)))
                    .retry_after_ms
                    .unwrap();
                tokio::time::sleep(Duration::from_millis(after.min(20))).await;
                unanswered.insert(ann.post(send(n)).await.unwrap(), n);
            }
            ServerFrame::Events { events, .. } => seen.extend(events),
            _ => {}
        }
    }
    assert!(refused > 0, "160 KB do not fit into 32 KiB");
    assert_eq!(seen.len(), 40, "each once");
    for event in &seen {
        let n: usize = event.cid.as_deref().unwrap().parse().unwrap();
        assert_eq!(stored[&n], event.seq);
    }
    until("what was reserved is given back", async || {
        cluster.nodes[0].metric("hubbub_pending_append_bytes").await == 0.0
    })
    .await;
}
