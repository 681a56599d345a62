//! A node that leaves while people talk.

use std::{sync::Arc, time::Duration};

use load_tests::client::Client;
use protocol::{Codec, Command, ServerFrame, server::GoawayReason};
use tokio::time::{Instant, sleep};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_moves_its_clients_and_ends_before_the_deadline() {
    const DRAIN: Duration = Duration::from_secs(12);
    // All are on one node, which would give some away before it leaves.
    let leaving = settings(&[("drain.seconds", "12"), ("cluster.rebalance_percent", "0")]);
    let mut cluster = Cluster::start(3, &leaving).await;
    let room = room("moving");
    let mut clients = Vec::new();
    for number in 0..60 {
        clients.push(guest(&cluster.url(0), Codec::Json, &format!("Mover {number}")).await);
    }
    // All three: the load balancer has not noticed yet.
    let mut moving = Movers::start(clients, &cluster.urls(), &room, GoawayReason::Drain).await;
    let mut speaker = member(&cluster.url(1), Codec::Msgpack, "Speaker", &room).await;
    speaker.say(&room, "before").await.unwrap();

    let begun = Instant::now();
    let leaving = tokio::spawn(cluster.nodes.remove(0).drain());
    let mut longest = Duration::ZERO;
    while !leaving.is_finished() {
        let said = Instant::now();
        let sent = speaker.say(&room, "meanwhile").await.unwrap();
        speaker.take_events(&room, 1).await.unwrap();
        longest = longest.max(said.elapsed());
        assert!(begun.elapsed() < DRAIN, "it has not ended at {}", sent.seq);
        // Below what one person may write.
        sleep(Duration::from_millis(30)).await;
    }
    leaving.await.unwrap();
    assert!(
        longest < Duration::from_secs(2),
        "somebody waited for {longest:?}"
    );
    let last = speaker.say(&room, "after").await.unwrap();
    moving.have_seen(last.seq).await;
    let on_others = async |node: &Node| node.metric("hubbub_connections").await;
    let total = on_others(&cluster.nodes[0]).await + on_others(&cluster.nodes[1]).await;
    assert!(total >= 61.0, "{total}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stays_until_the_deadline_loses_nothing() {
    let mut cluster = Cluster::start(3, &settings(&[("drain.seconds", "1")])).await;
    // These know no `goaway`: they talk on until they are closed, and come back elsewhere.
    let mut talk = Talk::new(cluster.urls(), "talking", 18, 40);
    talk.truth = Some(cluster.truth.clone());
    let talk = Arc::new(talk);
    let (seen, ()) = tokio::join!(talk.run(), async {
        talk.acked(0.1).await;
        cluster.nodes.remove(0).drain().await;
    });
    verify(&talk, &seen);
    let moved = seen.iter().filter(|seen| seen.reconnects > 0).count();
    assert_eq!(moved, 6, "a third of them was on it");
}

/// Reads up to the end of the connection: the answers, and the code.
async fn to_the_end(client: &mut Client) -> (Vec<ServerFrame>, Option<u16>) {
    let mut frames = Vec::new();
    loop {
        match client.next().await {
            Ok(frame) => frames.push(frame),
            Err(load_tests::client::Error::Closed(closed)) => return (frames, closed.code),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_is_answered_before_the_close() {
    let mut cluster = Cluster::start(2, &settings(&[("drain.seconds", "1")])).await;
    let room = room("slow");
    let mut ann = member(&cluster.url(0), Codec::Json, "Ann", &room).await;
    let mut ben = member(&cluster.url(1), Codec::Msgpack, "Ben", &room).await;
    // The store is still busy with it when the drain time is over.
    cluster.stores[0].set_delay(Duration::from_millis(1_800), Duration::ZERO);
    let send = |cid: &str| Command::Send {
        room: room.clone(),
        cid: cid.into(),
        text: "accepted".into(),
        reply_to: None,
    };
    let id = ann.post(send("c1")).await.unwrap();
    let leaving = tokio::spawn(cluster.nodes.remove(0).drain());
    let (frames, code) = to_the_end(&mut ann).await;
    assert_eq!(code, Some(1012));
    let answer = frames.iter().find_map(|frame| match frame {
        ServerFrame::Ok(done) if done.id == Some(id) => Some((done.seq, done.at)),
        ServerFrame::Error(refused) => panic!("{refused:?}"),
        _ => None,
    });
    let (seq, at) = answer.expect("an answer before the close");
    leaving.await.unwrap();
    let event = ben.take_events(&room, 1).await.unwrap().remove(0);
    assert_eq!((seq, at), (Some(event.seq), Some(event.at)));
}
