//! Promise 7: a slow client costs its own budget and no more, and is caught up from the log.

use std::time::{Duration, Instant};

use load_tests::client::{Client, Options};
use protocol::{CloseCode, Codec, Command, JoinFrom, RoomName, ServerFrame};

use crate::support::*;

const OUTBOX_BYTES: usize = 64 * 1024;
const TEXT_BYTES: usize = 14_000;
/// Together much more than the kernel keeps for a connection.
const MESSAGES: usize = 450;

async fn cluster() -> Cluster {
    let outbox = OUTBOX_BYTES.to_string();
    let limits = [
        ("limits.outbox_bytes", outbox.as_str()),
        ("limits.sends_per_second_per_user", "0"),
        ("limits.commands_per_second", "0"),
    ];
    Cluster::start(1, &settings(&limits)).await
}

/// A member whose kernel takes little before it must read.
async fn slow_member(url: &str, codec: Codec, room: &RoomName) -> Client {
    let options = Options::new(url).codec(codec).guest("Slow");
    let options = options.receive_buffer_bytes(4_096).timeout(PATIENCE);
    let mut slow = Client::connect(&options).await.unwrap();
    slow.join(room, JoinFrom::Newest(0)).await.unwrap();
    slow
}

/// Says so much that no kernel can hold it for somebody else, and sees it all itself.
async fn make_busy(fast: &mut Client, room: &RoomName) {
    let text = "x".repeat(TEXT_BYTES);
    for _ in 0..MESSAGES {
        fast.say(room, &text).await.unwrap();
    }
    assert_eq!(fast.take_events(room, MESSAGES).await.unwrap().len(), MESSAGES);
}

#[tokio::test]
async fn a_client_that_reads_nothing_costs_its_outbox_and_is_caught_up() {
    let cluster = cluster().await;
    let node = &cluster.nodes[0];
    let room = room("busy");
    let mut slow = [
        slow_member(&node.url(), Codec::Json, &room).await,
        slow_member(&node.url(), Codec::Msgpack, &room).await,
    ];
    let mut fast = member(&node.url(), Codec::Json, "Fast", &room).await;
    let begun = Instant::now();
    make_busy(&mut fast, &room).await;
    let took = begun.elapsed();
    assert!(
        took < Duration::from_secs(12),
        "the room is not slowed down: {took:?}"
    );

    assert!(node.metric("hubbub_outbox_overflows_total").await >= 2.0);
    let handed_over = node.metric("hubbub_deliveries_total").await * TEXT_BYTES as f64;
    let waiting = handed_over - node.metric("hubbub_socket_written_bytes_total").await;
    let bound = (2 * (OUTBOX_BYTES + TEXT_BYTES)) as f64;
    assert!(
        waiting <= bound,
        "{waiting} bytes wait for two slow clients, {bound} may"
    );
    assert!(handed_over < (3 * MESSAGES * TEXT_BYTES) as f64, "they lag");

    for client in &mut slow {
        let caught_up = client.take_events(&room, MESSAGES).await.unwrap();
        let seqs: Vec<u64> = caught_up.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (1..=MESSAGES as u64).collect::<Vec<_>>());
    }
    let next = fast.say(&room, "live again").await.unwrap();
    for client in &mut slow {
        assert_eq!(client.take_events(&room, 1).await.unwrap()[0].seq, next.seq);
        let gaps = so_far(client)
            .await
            .into_iter()
            .filter(|frame| matches!(frame, ServerFrame::Gap { .. }));
        assert_eq!(gaps.count(), 0);
    }
    assert_eq!(node.metric("hubbub_slow_consumers_total").await, 0.0);
}

/// Who lags is told no more who types; nothing of the log is left out for that.
#[tokio::test]
async fn typing_is_dropped_first_for_who_lags() {
    let cluster = cluster().await;
    let node = &cluster.nodes[0];
    let room = room("typing");
    let mut slow = slow_member(&node.url(), Codec::Json, &room).await;
    let mut watcher = member(&node.url(), Codec::Msgpack, "Watcher", &room).await;
    let mut fast = member(&node.url(), Codec::Json, "Fast", &room).await;
    make_busy(&mut fast, &room).await;
    assert!(node.metric("hubbub_outbox_overflows_total").await >= 1.0);
    watcher.take_events(&room, MESSAGES).await.unwrap();
    let typing = Command::Typing { room: room.clone() };
    fast.post(typing).await.unwrap();
    fast.ping().await.unwrap();
    let types = |frames: &[ServerFrame]| {
        frames
            .iter()
            .filter(|frame| matches!(frame, ServerFrame::Typing { .. }))
            .count()
    };
    assert_eq!(types(&so_far(&mut watcher).await), 1);
    let seqs: Vec<u64> = slow
        .take_events(&room, MESSAGES)
        .await
        .unwrap()
        .iter()
        .map(|event| event.seq)
        .collect();
    assert_eq!(seqs, (1..=MESSAGES as u64).collect::<Vec<_>>());
    assert_eq!(types(&so_far(&mut slow).await), 0);
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed_after_the_write_deadline_and_may_resume() {
    let cluster = cluster().await;
    let node = &cluster.nodes[0];
    let room = room("deaf");
    let mut slow = slow_member(&node.url(), Codec::Json, &room).await;
    let (token, epoch) = (token(&slow), slow.welcome().unwrap().epoch.to_string());
    let mut fast = member(&node.url(), Codec::Json, "Fast", &room).await;
    let begun = Instant::now();
    make_busy(&mut fast, &room).await;

    until("the slow client is given up", async || {
        node.metric("hubbub_slow_consumers_total").await == 1.0
    })
    .await;
    assert!(
        begun.elapsed() > Duration::from_secs(14),
        "not before 15 s: {:?}",
        begun.elapsed()
    );
    fast.say(&room, "the others go on").await.unwrap();
    let closed = slow.wait_closed().await.unwrap();
    assert_eq!(closed.known_code(), Some(CloseCode::SlowConsumer));

    // What came before the close was in order, and the rest comes on another connection.
    let read = slow.positions();
    let options = Options::new(&node.url())
        .token(&token)
        .resume(&epoch, &read)
        .timeout(PATIENCE);
    let mut back = Client::connect(&options).await.unwrap();
    let missed = MESSAGES + 1 - usize::try_from(read[0].1).unwrap();
    assert_eq!(back.take_events(&room, missed).await.unwrap().len(), missed);
}
