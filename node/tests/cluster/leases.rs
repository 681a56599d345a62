//! Nodes that know each other by their leases: who is where, and who carries how much.

use std::time::Duration;

use load_tests::client::{Client, Options};
use protocol::{Codec, ServerFrame, server::GoawayReason};
use tokio::time::{Instant, sleep};

use crate::{people::count_is, support::*};

/// Waits until the client is told that the person `id` has left.
async fn told_of_leaving(client: &mut Client, id: &str) {
    let left = client.wait_for("somebody has left", |frame| match frame {
        ServerFrame::Presence { left: Some(left), .. } => left.iter().find(|p| *p.id == *id).map(|_| ()),
        _ => None,
    });
    left.await.unwrap();
}

async fn nodes_are(node: &Node, count: f64) {
    until("the node knows the others", async || {
        node.metric("hubbub_cluster_nodes").await == count
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_on_a_node_that_is_killed_are_gone_within_its_lease() {
    const LEASE: Duration = Duration::from_secs(3);
    let servers = Servers::shared().await;
    let mut settings = servers.settings();
    settings.extend(crate::support::settings(&[("cluster.lease_seconds", "3")]));
    let (stays, mut dies) = tokio::join!(Process::start(&settings), Process::start(&settings));
    tokio::join!(stays.ready(), dies.ready());
    let room = room("presence");
    let mut ann = member(&stays.url(), Codec::Json, "Ann", &room).await;
    let ben = member(&dies.url(), Codec::Msgpack, "Ben", &room).await;
    let ben_id = ben.welcome().unwrap().user.id.clone();
    until("the nodes know each other", async || {
        stays.metric("hubbub_cluster_nodes").await == 2.0
    })
    .await;
    count_is(&mut ann, &room, 2).await;

    dies.kill().await;
    let killed = Instant::now();
    told_of_leaving(&mut ann, &ben_id).await;
    let took = killed.elapsed();
    // The rest is for a machine that is busy with other tests.
    assert!(took < LEASE + Duration::from_secs(2), "{took:?}");
    assert!(took > LEASE / 4, "a lease is no connection: {took:?}");
    let (count, users) = ann.presence(&room).await.unwrap();
    assert_eq!((count, users.len()), (1, 1));
    assert_eq!(stays.metric("hubbub_cluster_nodes").await, 1.0);
}

#[tokio::test]
async fn without_the_bus_a_node_knows_itself_and_nobody_leaves() {
    let cluster = Cluster::start(2, &settings(&[("cluster.lease_seconds", "1")])).await;
    let room = room("cut");
    let mut ann = member(&cluster.url(0), Codec::Json, "Ann", &room).await;
    let mut ben = member(&cluster.url(1), Codec::Msgpack, "Ben", &room).await;
    nodes_are(&cluster.nodes[0], 2.0).await;
    count_is(&mut ann, &room, 2).await;

    cluster.hub.set_up(false);
    for node in &cluster.nodes {
        nodes_are(node, 1.0).await;
        until("a renewal fails", async || {
            node.metric("hubbub_lease_renewals_failed_total").await > 0.0
        })
        .await;
    }
    ann.say(&room, "still here").await.unwrap();
    ben.take_events(&room, 1).await.unwrap();
    assert_eq!(ann.presence(&room).await.unwrap().0, 2, "Ben is where he was");

    // It comes back and has forgotten everything.
    cluster.hub.forget_heads();
    cluster.hub.set_up(true);
    nodes_are(&cluster.nodes[0], 2.0).await;
    for client in [&mut ann, &mut ben] {
        let left = so_far(client).await.into_iter().filter(
            |frame| matches!(frame, ServerFrame::Presence { left: Some(left), .. } if !left.is_empty()),
        );
        assert_eq!(left.count(), 0, "nobody has left");
        assert_eq!(client.presence(&room).await.unwrap().0, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_added_gets_its_share_and_who_stays_is_closed() {
    const CLIENTS: usize = 100;
    let fast = settings(&[
        ("cluster.lease_seconds", "1"),
        ("cluster.rebalance_per_second", "100"),
    ]);
    let mut cluster = Cluster::start(1, &fast).await;
    let room = room("moving");
    // The one that has been here for the longest is asked first, and does not know what that means.
    let options = Options::new(&cluster.url(0))
        .guest("Stays")
        .timeout(Duration::from_secs(30));
    let stays = tokio::spawn(stay(Client::connect(&options).await.unwrap()));
    let mut clients = Vec::new();
    for number in 1..CLIENTS {
        clients.push(guest(&cluster.url(0), Codec::Msgpack, &format!("Mover {number}")).await);
    }
    cluster.add(&fast).await;
    let mut moving = Movers::start(clients, &cluster.urls(), &room, GoawayReason::Rebalance).await;
    let begun = Instant::now();
    let mut speaker = member(&cluster.url(1), Codec::Json, "Speaker", &room).await;
    while cluster.nodes[1].metric("hubbub_connections").await < 40.0 {
        speaker.say(&room, "and on").await.unwrap();
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "the new node has its share"
        );
        sleep(Duration::from_millis(50)).await;
    }
    let shed = cluster.nodes[0].metric("hubbub_connections_shed_total").await;
    assert!((30.0..200.0).contains(&shed), "{shed} were asked");

    let (patience, code) = stays.await.unwrap();
    assert_eq!(code, Some(4004));
    assert!(
        patience > Duration::from_millis(14_000),
        "closed after {patience:?}"
    );
    let closed = cluster.nodes[0]
        .metric("hubbub_connections_shed_closed_total")
        .await;
    assert!(closed >= 1.0);
    let last = speaker.say(&room, "the end").await.unwrap();
    moving.have_seen(last.seq).await;
}

/// Does not do what it is asked. How long it was left alone after it should have moved, and the code that it was closed with.
async fn stay(mut client: Client) -> (Duration, Option<u16>) {
    let asked = client.wait_for("goaway", |frame| match frame {
        ServerFrame::Goaway { reason, after_ms } => Some((*reason, *after_ms)),
        _ => None,
    });
    let (reason, after_ms) = asked.await.unwrap();
    assert_eq!(reason, GoawayReason::Rebalance);
    let asked = Instant::now();
    let closed = client.wait_closed().await.unwrap();
    (asked.elapsed() - Duration::from_millis(after_ms), closed.code)
}
