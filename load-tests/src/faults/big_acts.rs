//! Scenarios with thousands of connections.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use protocol::JoinFrom;
use tokio::time::{Instant, sleep};

use super::{Act, Figure};
use crate::{
    chaos::{Crowd, CrowdOptions, say},
    client::persistent::Order,
    stage::Place,
};

/// Talk before anything is done, and after.
const QUIET: Duration = Duration::from_secs(5);
/// Postgres counts what an idle connection has done within this.
const COUNTED_WITHIN: Duration = Duration::from_secs(11);
/// What one client's outbox may hold (`limits.outbox_bytes`), in bytes.
const OUTBOX_BYTES: u64 = 256 * 1024;
/// Numbers of clients beyond those of the crowd.
const APART: u32 = 20_000;

impl Act<'_> {
    /// The last node leaves.
    pub(super) async fn drain(&mut self) -> anyhow::Result<()> {
        let talk = self.crowd.talk(self.topic());
        sleep(QUIET).await;
        let place = self.stage.places().pop().context("no node")?;
        let connections = place.node.lock().await.metric("hubbub_connections").await?;
        let from_us = self.clock.now_us();
        let begun = Instant::now();
        let status = {
            let mut node = place.node.lock().await;
            node.terminate()?;
            node.ended(self.drain + Duration::from_secs(20)).await?
        };
        let took = begun.elapsed();
        self.window("drain", &place.name, from_us, QUIET).await;
        talk.stop().await;
        ensure!(status.success(), "the node ended with {status}");
        self.figures
            .push(Figure::note("connections of the node", connections, ""));
        let limit = self.drain.as_secs_f64();
        self.figures
            .push(Figure::below("left after", Some(took.as_secs_f64()), "s", limit));
        Ok(())
    }

    pub(super) async fn fourth_node(&mut self) -> anyhow::Result<()> {
        let talk = self.crowd.talk(self.topic());
        sleep(QUIET).await;
        let from_us = self.clock.now_us();
        let place = Box::pin(self.stage.add_node()).await?;
        place.ready().await?;
        self.stage.publish();
        let begun = Instant::now();
        let mut balanced = None;
        let mut farthest = 1.0;
        while begun.elapsed() < self.setup.hold && balanced.is_none() {
            sleep(Duration::from_secs(1)).await;
            let counts = connections(&self.stage.places()).await?;
            farthest = farthest_from_mean(&counts);
            say(&format!("{:6.1} s  {counts:?}", begun.elapsed().as_secs_f64()));
            balanced = (farthest <= 0.1).then(|| begun.elapsed());
        }
        self.window("fourth-node", &place.name, from_us, QUIET).await;
        talk.stop().await;
        let seconds = balanced.map(|took| took.as_secs_f64());
        let limit = self.setup.hold.as_secs_f64();
        self.figures.push(Figure::below(
            "within 10 % of the mean after",
            seconds,
            "s",
            limit,
        ));
        self.figures.push(Figure::note(
            "farthest from the mean at last",
            farthest * 100.0,
            "%",
        ));
        Ok(())
    }

    /// Nobody talks meanwhile, so that what the database does is done for those who come back.
    pub(super) async fn restart_all(&mut self) -> anyhow::Result<()> {
        let talk = self.crowd.talk(self.topic());
        sleep(QUIET).await;
        talk.stop().await;
        self.settled().await;
        sleep(COUNTED_WITHIN).await;
        let idle_from = self.witness.transactions().await?;
        let idle = Instant::now();
        sleep(COUNTED_WITHIN).await;
        let before = self.witness.transactions().await?;
        let idle_a_second = count(before - idle_from) / idle.elapsed().as_secs_f64();

        let places = self.stage.places();
        let from_us = self.clock.now_us();
        let begun = Instant::now();
        for place in &places {
            place.node.lock().await.kill().await?;
        }
        for place in &places {
            place.node.lock().await.start().await?;
        }
        try_join_all(places.iter().map(|place| place.ready())).await?;
        let serving = begun.elapsed();
        self.wait_until_all_are_back().await?;
        let back = begun.elapsed();
        self.window("restart-all", "all nodes", from_us, COUNTED_WITHIN)
            .await;
        let after = self.witness.transactions().await?;
        let idled = idle_a_second * begun.elapsed().as_secs_f64();
        let reads = (count(after - before) - idled).max(0.0);
        self.figures
            .push(Figure::note("all nodes served after", serving.as_secs_f64(), "s"));
        self.figures.push(Figure::note(
            "all clients were back after",
            back.as_secs_f64(),
            "s",
        ));
        self.figures
            .push(Figure::note("database reads beyond idling", reads, ""));
        let each = reads / f64::from(self.setup.clients);
        self.figures.push(Figure::below(
            "database reads per resumed client",
            Some(each),
            "",
            0.1,
        ));
        self.reads_of_nodes(&places).await
    }

    /// What the nodes, all of them new, count themselves.
    async fn reads_of_nodes(&mut self, places: &[Arc<Place>]) -> anyhow::Result<()> {
        let mut replays = 0.0;
        for place in places {
            replays += place
                .node
                .lock()
                .await
                .metric("hubbub_replay_reads_total")
                .await?;
        }
        self.figures
            .push(Figure::note("of them replays, as nodes count", replays, ""));
        Ok(())
    }

    async fn wait_until_all_are_back(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let missing = self
                .crowd
                .members()
                .iter()
                .filter(|member| member.client.status().connections() < 2);
            let missing = missing.count();
            if missing == 0 {
                return self.crowd.wait_in_rooms(Duration::from_secs(60)).await;
            }
            ensure!(
                begun.elapsed() < Duration::from_secs(180),
                "{missing} clients did not come back"
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The first half is without, the second with a client that reads nothing; it has a small buffer of its own.
    pub(super) async fn stalled_reader(&mut self) -> anyhow::Result<()> {
        let place = self.stage.places().pop().context("no node")?;
        let talk = self.crowd.talk(self.topic());
        // Until the node's memory has stopped to grow by itself.
        sleep(self.setup.hold * 4).await;
        let (grown_before, overflows_before) = self.half("control", &place).await?;
        let options = CrowdOptions {
            clients: 1,
            first: APART,
            receive_buffer_bytes: Some(4 * 1024),
            // What it was sent would teach the kernel to buffer more for it.
            from: JoinFrom::Newest(0),
            ..self.setup.crowd(APART.into())
        };
        let apart = Crowd::gather(&self.stage.targets(), self.journal, &options, QUIET * 4).await?;
        let reader = apart.members().first().context("the reader")?;
        reader.client.order(Order::Stall(true));
        let (grown, overflows) = self.half("stalled-reader", &place).await?;
        reader.client.order(Order::Stall(false));
        let begun = Instant::now();
        talk.stop().await;
        self.settled().await;
        apart
            .settle(self.witness, QUIET * 6)
            .await
            .map_err(anyhow::Error::msg)?;
        self.figures.push(Figure::note(
            "it had everything after",
            begun.elapsed().as_secs_f64(),
            "s",
        ));
        let lagged = overflows - overflows_before;
        self.figures
            .push(Figure::at_least("times that a client lagged", lagged, "", 1.0));
        self.figures.push(Figure::note(
            "memory grew without it",
            grown_before / 1024.0,
            "KiB",
        ));
        self.figures
            .push(Figure::note("memory grew beside it", grown / 1024.0, "KiB"));
        let more = ((grown - grown_before) / 1024.0).max(0.0);
        let outbox = count(OUTBOX_BYTES) / 1024.0;
        self.figures.push(Figure::below(
            "of that more than without it",
            Some(more),
            "KiB",
            outbox,
        ));
        ensure!(apart.finish().await == 0, "the reader did not end");
        Ok(())
    }

    /// One half: by how many bytes the node's memory grew, and how many outboxes had overflowed by its end.
    async fn half(&mut self, name: &str, place: &Place) -> anyhow::Result<(f64, f64)> {
        let before = place.node.lock().await.resident_bytes()?;
        let from_us = self.clock.now_us();
        sleep(self.setup.hold).await;
        let node = place.node.lock().await;
        let after = node.resident_bytes()?;
        let overflows = node.metric("hubbub_outbox_overflows_total").await?;
        drop(node);
        self.window(name, &place.name, from_us, Duration::ZERO).await;
        Ok((count(after) - count(before), overflows))
    }
}

async fn connections(places: &[Arc<Place>]) -> anyhow::Result<Vec<f64>> {
    let mut counts = Vec::new();
    for place in places {
        counts.push(place.node.lock().await.metric("hubbub_connections").await?);
    }
    Ok(counts)
}

/// As a share of the mean.
fn farthest_from_mean(counts: &[f64]) -> f64 {
    let mean = counts.iter().sum::<f64>() / count(counts.len() as u64).max(1.0);
    counts
        .iter()
        .map(|count| (count - mean).abs() / mean.max(1.0))
        .fold(0.0, f64::max)
}

#[allow(clippy::cast_precision_loss, reason = "for people, who read three digits")]
fn count(count: u64) -> f64 {
    count as f64
}
