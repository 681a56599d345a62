//! Scenarios in which a server or a node is gone for a while.

use std::time::Duration;

use anyhow::Context;
use tokio::time::sleep;

use super::{Act, Figure, probe::Probe};
use crate::proxy::{BusFaults, Network};

/// Talk before anything is done, and after.
const QUIET: Duration = Duration::from_secs(5);

impl Act<'_> {
    /// Each node once, one after the other.
    pub(super) async fn kill_nodes(&mut self) -> anyhow::Result<()> {
        let talk = self.crowd.talk(self.topic());
        sleep(QUIET).await;
        for place in self.stage.places() {
            let from_us = self.clock.now_us();
            place.node.lock().await.kill().await?;
            sleep(self.setup.hold).await;
            place.node.lock().await.start().await?;
            place.ready().await?;
            self.window("kill-node", &place.name, from_us, QUIET).await;
        }
        talk.stop().await;
        Ok(())
    }

    pub(super) async fn redis_gone(&mut self) -> anyhow::Result<()> {
        let talk = self.crowd.talk(self.topic());
        sleep(QUIET).await;
        let from_us = self.clock.now_us();
        self.stage.redis(|redis| Ok(redis.stop()?)).await?;
        sleep(self.setup.hold).await;
        self.stage.redis(|redis| redis.restart()).await?;
        self.window("redis-gone", "redis", from_us, QUIET).await;
        talk.stop().await;
        Ok(())
    }

    pub(super) async fn bus_drops(&mut self) -> anyhow::Result<()> {
        let talk = self.crowd.talk(self.topic());
        sleep(QUIET).await;
        let from_us = self.clock.now_us();
        let bus = BusFaults {
            drop: 1.0,
            ..BusFaults::default()
        };
        self.stage.set_redis_network(Network {
            bus,
            ..Network::default()
        });
        sleep(self.setup.hold).await;
        self.stage.set_redis_network(Network::default());
        self.window("bus-drops", "bus", from_us, QUIET).await;
        talk.stop().await;
        let dropped = self
            .stage
            .places()
            .iter()
            .map(|place| place.to_redis.bus_counts().dropped)
            .sum();
        self.figures
            .push(Figure::above("messages of the bus lost", dropped, "", 1));
        Ok(())
    }

    pub(super) async fn postgres_gone(&mut self) -> anyhow::Result<()> {
        let talk = self.crowd.talk(self.topic());
        sleep(QUIET).await;
        let member = self.crowd.members().first().context("nobody is there")?;
        let room = member.rooms.first().context("a room")?.clone();
        let targets = self.stage.targets().all();
        let probe = Probe::start(targets.first().context("no node")?, &room).await?;
        sleep(Duration::from_secs(1)).await;

        let (asked_before, served_before) = probe.counts();
        let acked_before = self.acked();
        let from_us = self.clock.now_us();
        self.stage.postgres.lock().await.stop().await?;
        let (asked_begun, served_begun) = probe.counts();
        sleep(self.setup.hold).await;
        let (asked, served) = probe.counts();
        let acked_during = self.acked();
        Box::pin(self.stage.postgres.lock().await.restart()).await?;
        self.window("postgres-gone", "postgres", from_us, QUIET).await;
        talk.stop().await;
        let took = self.settled().await;

        anyhow::ensure!(
            served_before > 0 && asked_before > 0,
            "the probe read nothing while all was well"
        );
        let (asked, served) = (asked - asked_begun, served - served_begun);
        self.figures
            .push(Figure::above("reads of recent events asked for", asked, "", 1));
        // The last one may still be under way.
        self.figures.push(Figure::above(
            "reads of recent events served",
            served,
            "",
            asked.saturating_sub(1).max(1),
        ));
        #[allow(clippy::cast_precision_loss, reason = "for people, who read three digits")]
        let acked = acked_during.saturating_sub(acked_before) as f64;
        self.figures
            .push(Figure::note("acked while it was gone", acked, ""));
        self.figures.push(Figure::note(
            "everybody had everything after",
            took.as_secs_f64(),
            "s",
        ));
        Ok(())
    }

    fn acked(&self) -> u64 {
        self.crowd
            .members()
            .iter()
            .map(|member| member.client.status().acked())
            .sum()
    }
}
