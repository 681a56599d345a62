//! Promises 1, 2 and 5 over a bus that does its worst.

use std::{sync::Arc, time::Duration};

use actors::{
    memory::{Call, Fault, Faults},
    ports::StoreError,
};

use crate::support::*;

/// Everybody has everything this long after the last ack, on a machine that is busy with other tests.
const CONVERGED: Duration = Duration::from_secs(6);

async fn talk_over(cluster: &Cluster, name: &str, clients: usize, trouble: impl AsyncFn(&Talk)) {
    let mut talk = Talk::new(cluster.urls(), name, clients, 12);
    talk.truth = Some(cluster.truth.another_node());
    let talk = Arc::new(talk);
    let (seen, ()) = tokio::join!(talk.run(), trouble(&talk));
    let (_, lag) = verify(&talk, &seen);
    assert!(
        lag < CONVERGED,
        "the last one had everything {lag:?} after the last ack"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_show_one_order() {
    let cluster = Cluster::start(2, &settings(&[])).await;
    talk_over(&cluster, "quiet", 20, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_loses_repeats_and_reorders_changes_nothing() {
    let cluster = Cluster::start(3, &settings(&[])).await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let faults = Faults {
        drop: 0.4,
        duplicate: 0.4,
        reorder: 0.4,
    };
    cluster.hub.set_faults(seed, faults);
    talk_over(&cluster, "noisy", 24, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_loses_everything_changes_nothing() {
    let cluster = Cluster::start(3, &settings(&[])).await;
    let faults = Faults {
        drop: 1.0,
        ..Faults::default()
    };
    cluster.hub.set_faults(1, faults);
    talk_over(&cluster, "silent", 18, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_commits_that_is_cut_off_reaches_the_others() {
    let cluster = Cluster::start(3, &settings(&[])).await;
    cluster.buses[0].set_reachable(false);
    talk_over(&cluster, "cut-off", 18, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_goes_down_and_comes_back_empty_changes_nothing() {
    let cluster = Cluster::start(3, &settings(&[])).await;
    talk_over(&cluster, "cut", 18, async |talk| {
        talk.acked(0.2).await;
        cluster.hub.set_up(false);
        talk.acked(0.5).await;
        cluster.hub.forget_heads();
        cluster.hub.set_up(true);
        talk.acked(0.8).await;
        cluster.hub.set_up(false);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_shown_what_a_slow_store_has_not_committed() {
    let cluster = Cluster::start(2, &settings(&[])).await;
    for store in &cluster.stores {
        store.set_delay(Duration::from_millis(60), Duration::from_millis(20));
    }
    talk_over(&cluster, "waiting", 12, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_now_and_then_makes_nobody_see_anything_twice() {
    let cluster = Cluster::start(3, &settings(&[])).await;
    talk_over(&cluster, "failing", 12, async |talk| {
        for (share, node) in [(0.1, 0), (0.3, 1), (0.5, 2)] {
            talk.acked(share).await;
            let lost = StoreError::Timeout("ordered".to_owned());
            cluster.stores[node].fail_next(Call::Append, 2, Fault::LoseAnswer(lost.clone()));
            cluster.stores[node].fail_next(Call::Append, 2, Fault::Refuse(lost.clone()));
            cluster.stores[node].fail_next(Call::Page, 2, Fault::Refuse(lost.clone()));
            cluster.stores[node].fail_next(Call::Heads, 2, Fault::Refuse(lost));
        }
    })
    .await;
    for node in 0..3 {
        assert!(cluster.nodes[node].metric("hubbub_commits_failed_total").await >= 4.0);
    }
}
