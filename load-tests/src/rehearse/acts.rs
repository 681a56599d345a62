//! The rehearsal itself, act by act.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Act, Crew, Deployment, People, RehearseArgs, Watch, judge, sizes::Shares, until};
use crate::{
    check::{self, Ledger},
    client::persistent::Targets,
    group::{Member, Metric},
    journal::Journal,
    measure::Meter,
    proxy::{BusFaults, Network},
    report::{Check, Report, Run},
    rolling::probes::{Probe, Probes, Seen},
    stage::Witness,
};

/// What starting a node and finding out takes on a busy machine, beside all that is counted.
const ROOM: Duration = Duration::from_secs(10);
/// How long everybody may take to have everything at the end.
const SETTLE_WITHIN: Duration = Duration::from_secs(20);
/// A wave of people comes within this time, at the stack's pace.
const WAVE: Duration = Duration::from_secs(80);
/// How long the bus loses messages, at the stack's pace, and how many of them.
const LOSSY: (Duration, f64) = (Duration::from_secs(120), 0.3);
struct Rehearsal<'a> {
    args: &'a RehearseArgs,
    deployment: &'a Deployment,
    people: People,
    watch: Watch,
    checks: Vec<Check>,
    /// When something was lost on purpose, until it was replaced.
    losses: Vec<Loss>,
    /// How soon the instances had their shares, act by act, and where one had not.
    shares: Vec<String>,
    no_share: Vec<String>,
}

struct Loss {
    from: Instant,
    to: Instant,
}

/// Starts a deployment and plays everything on it. Journals are left in `folder`.
pub(super) async fn play(args: &RehearseArgs, folder: &Path) -> anyhow::Result<Report> {
    let deployment = Box::pin(Deployment::start(&args.deployment, args.without)).await?;
    let meter = Meter::default();
    let witness = Witness::start(&deployment.postgres.url(), Journal::create(folder, "witness")?)?;
    let crew = Crew {
        targets: Targets::new([deployment.url()]),
        journal: Journal::create(folder, "people")?,
        meter: meter.clone(),
        rooms: args.rooms,
        prefix: "room".to_owned(),
        tokens: std::sync::Arc::default(),
        tls: None,
        local: true,
        seed: args.seed,
    };
    let sight = (
        std::sync::Arc::clone(&deployment.group),
        deployment.readings.clone(),
    );
    let mut rehearsal = Rehearsal {
        args,
        deployment: &deployment,
        people: People::new(crew),
        watch: Watch::start(run(args, &deployment), "rest", &meter, Some(sight)),
        checks: Vec::new(),
        losses: Vec::new(),
        shares: Vec::new(),
        no_share: Vec::new(),
    };
    let probes = Probes::start(deployment.group.address());
    if let Err(error) = Box::pin(rehearsal.all()).await {
        let detail = format!("{error:#}");
        rehearsal.watch.mark("fault", &detail);
        rehearsal
            .checks
            .push(Check::new("played to its end", false, detail));
    }
    let probed = probes.stop().await;
    rehearsal.probes(&probed);

    rehearsal.watch.phase("settle");
    let begun = Instant::now();
    let settled = Box::pin(rehearsal.people.settle(&witness, SETTLE_WITHIN)).await;
    rehearsal.checks.push(judge::converged(settled, begun.elapsed()));
    let Rehearsal {
        people,
        watch,
        mut checks,
        ..
    } = rehearsal;
    if let Err(error) = people.finish().await {
        checks.push(Check::new(
            "everybody ended in good order",
            false,
            format!("{error:#}"),
        ));
    }
    witness.stop().await?;
    watch.look();
    let ledger = Box::pin(Ledger::read(&deployment.postgres.url())).await?;
    let folder = folder.to_owned();
    let checked = tokio::task::spawn_blocking(move || {
        check::folder(&folder, Some(&ledger), &check::Settings::default())
    });
    let checked = checked.await??;
    checks.insert(0, judge::nothing_lost(&checked));
    Ok(watch.finish(checks, Some(serde_json::to_value(&checked)?)))
}

impl Rehearsal<'_> {
    async fn all(&mut self) -> anyhow::Result<()> {
        let settings = self.deployment.group.settings();
        let shares = Shares::of(settings.min);
        self.people
            .come(self.persons(shares.at_rest), self.wave())
            .await?;
        self.people.talk(self.args.rate).await;
        sleep(2 * settings.scaling.period).await;
        self.crowd(self.persons(shares.crowded)).await?;
        self.spread("spread after the crowd").await;
        if self.args.plays(Act::Busy) {
            self.busy().await?;
            self.spread("spread after the talk").await;
            let full = Shares::full(self.deployment.group.desired());
            let more = self.persons(full).saturating_sub(self.people.count());
            self.people.come(more, self.wave()).await?;
        }
        if self.args.plays(Act::Update) {
            self.update().await?;
            self.spread("spread after the update").await;
        }
        if self.args.plays(Act::Instance) {
            self.instance().await?;
            self.spread("spread after the instance").await;
        }
        if self.args.plays(Act::Zone) {
            self.zone().await?;
            self.spread("spread after the zone").await;
        }
        self.share_checked();
        self.watch.phase("ramp down");
        self.people.go().await?;
        self.scale_in().await;
        self.waits_checked();
        self.lossy_bus().await;
        Ok(())
    }

    /// As many people as so many full instances have.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of people"
    )]
    fn persons(&self, instances: f64) -> u32 {
        (self.args.deployment.connections_per_instance * instances) as u32
    }

    fn wave(&self) -> Duration {
        WAVE / self.args.deployment.time_scale
    }

    /// So many people that the group has to grow by their connections.
    async fn crowd(&mut self, people: u32) -> anyhow::Result<()> {
        self.watch.phase("crowd");
        let before = self.deployment.group.desired();
        let more = people.saturating_sub(self.people.count());
        self.people.come(more, self.wave()).await?;
        self.grown("scaled out on connections in time", before).await;
        Ok(())
    }

    /// So many messages that the group has to grow by its use of processors.
    async fn busy(&mut self) -> anyhow::Result<()> {
        let group = &self.deployment.group;
        let settings = group.settings().clone();
        self.watch.phase("busy");
        let before = group.desired();
        let mut rate = self.args.rate;
        let target = settings.scaling.target(&Metric::Processor).unwrap_or(100.0);
        while self.processor() < target * 1.1 && group.desired() == before && rate < self.args.busy_rate {
            rate = (rate * 1.5).min(self.args.busy_rate);
            self.watch.mark("load", &format!("{rate:.0} messages a second"));
            self.people.talk(rate).await;
            sleep(settings.scaling.period).await;
        }
        self.grown("scaled out on processors in time", before).await;
        self.watch
            .mark("load", &format!("{:.0} messages a second", self.args.rate));
        self.people.talk(self.args.rate).await;
        Ok(())
    }

    /// Waits until the group has grown, from now on.
    async fn grown(&mut self, name: &str, before: u32) {
        let group = &self.deployment.group;
        let settings = group.settings();
        let datapoints = u32::try_from(settings.scaling.high_datapoints).unwrap_or(u32::MAX);
        let limit = settings.scaling.period * (datapoints + 1) + self.launch_limit();
        let grown = || group.desired() > before && self.serving().len() >= group.desired() as usize;
        let took = until(limit, grown).await;
        let what = format!(
            "from {before} to {} instances in service ({})",
            self.serving().len(),
            judge::people(self.watch.so_far())
        );
        self.checks.push(judge::in_time(name, took, limit, &what));
    }

    /// Waits until every instance has its share of the people.
    async fn spread(&mut self, phase: &str) {
        self.watch.phase(phase);
        let limit = if self.no_share.is_empty() {
            self.args.share_within()
        } else {
            // It has failed already; what follows need not take as long.
            Duration::from_secs(1)
        };
        let even = || judge::is_even(&self.watch.by_node(), &self.serving());
        match until(limit, even).await {
            Some(took) => self.shares.push(format!(
                "{phase}: {} instances in {:.1} s ({})",
                self.serving().len(),
                took.as_secs_f64(),
                judge::people(self.watch.so_far())
            )),
            None => self.no_share.push(format!("{phase}: {:?}", self.watch.by_node())),
        }
        let spread = format!("{:?}", self.watch.by_node());
        self.watch.mark("people", &spread);
    }

    /// Every instance is replaced as the stack does it: so many as its batches have end, then as many begin.
    async fn update(&mut self) -> anyhow::Result<()> {
        self.watch.phase("update");
        let group = &self.deployment.group;
        let (old, begun) = (group.names(), Instant::now());
        let mut in_order = 0;
        group.suspend(true);
        for batch in old.chunks(group.settings().batch.max(1) as usize) {
            in_order += group.replace(batch).await?;
        }
        group.suspend(false);
        let counts = self.watch.so_far();
        let took = begun.elapsed();
        let check = judge::moved("update lost nobody", counts, old.len(), Some(in_order), took);
        self.checks.push(check);
        Ok(())
    }

    /// An instance ends without a word.
    async fn instance(&mut self) -> anyhow::Result<()> {
        self.watch.phase("instance lost");
        let from = Instant::now();
        if let Some(name) = self.serving().first() {
            self.deployment.group.destroy(name).await?;
        }
        self.replaced("lost instance replaced in time", from).await;
        Ok(())
    }

    /// The zone with the most instances ends without a word.
    async fn zone(&mut self) -> anyhow::Result<()> {
        self.watch.phase("zone lost");
        let mut sizes = BTreeMap::new();
        for member in self.deployment.group.members() {
            *sizes.entry(member.zone).or_insert(0) += 1;
        }
        let from = Instant::now();
        if let Some((zone, _)) = sizes.into_iter().max_by_key(|(_, size)| *size) {
            self.deployment.group.lose_zone(zone).await?;
        }
        self.replaced("lost zone replaced in time", from).await;
        self.deployment.group.restore_zones();
        Ok(())
    }

    /// Waits until as many instances are in service as there should be, none of them one that is gone.
    async fn replaced(&mut self, name: &str, from: Instant) {
        let group = &self.deployment.group;
        let settings = group.settings();
        let limit = settings.check_interval * (settings.unhealthy_threshold + 1) + self.launch_limit();
        let replaced = || {
            let members = group.members();
            members.len() == group.desired() as usize && members.iter().all(Member::serves)
        };
        let took = until(limit, replaced).await;
        let what = format!(
            "{} instances in service again ({})",
            self.serving().len(),
            judge::people(self.watch.so_far())
        );
        self.checks.push(judge::in_time(name, took, limit, &what));
        self.losses.push(Loss {
            from,
            to: Instant::now(),
        });
    }

    /// Waits until the group has shrunk to what it is at rest.
    async fn scale_in(&mut self) {
        self.watch.phase("scale in");
        let group = &self.deployment.group;
        let settings = group.settings();
        let from = group.activities(0).len();
        let datapoints = u32::try_from(settings.scaling.low_datapoints).unwrap_or(u32::MAX);
        let by_one = settings.deregistration_delay + settings.scaling.period * 2 + ROOM / 4;
        let limit = settings.scaling.warmup
            + settings.scaling.period * (datapoints + 1)
            + by_one * settings.max.saturating_sub(settings.min);
        let least = settings.min as usize;
        let shrunk = || group.members().len() == least && self.serving().len() == least;
        let (begun, before) = (Instant::now(), self.serving().len());
        let took = until(limit, shrunk).await;
        self.watch.look();
        let check = judge::in_time(
            "scaled in in time",
            took,
            limit,
            &format!("from {before} to {least} instances"),
        );
        self.checks.push(check);
        let gone = group.activities(from).into_iter();
        let gone: Vec<bool> = gone
            .filter_map(|(_, activity)| activity.left_in_order())
            .collect();
        let in_order = gone.iter().filter(|in_order| **in_order).count();
        let counts = self
            .watch
            .in_phases(|phase| phase == "ramp down" || phase == "scale in");
        let took = begun.elapsed();
        let check = judge::moved("scale-in lost nobody", counts, gone.len(), Some(in_order), took);
        self.checks.push(check);
    }

    /// The bus loses messages: nodes find out and read them from the store.
    async fn lossy_bus(&mut self) {
        self.watch.phase("lossy bus");
        let (how_long, drop) = LOSSY;
        self.deployment.bus.set(Network {
            bus: BusFaults {
                drop,
                ..BusFaults::default()
            },
            ..Network::default()
        });
        sleep(how_long / self.args.deployment.time_scale).await;
        self.deployment.bus.heal();
        let dropped = self.deployment.bus.bus_counts().dropped;
        let detail =
            format!("{dropped} messages of the bus were lost; everybody was to have them all the same");
        self.watch.mark("fault", &detail);
        self.checks
            .push(Check::new("the bus lost messages", dropped > 0, detail));
    }

    fn share_checked(&mut self) {
        let limit = self.args.share_within_seconds;
        let detail = if self.no_share.is_empty() {
            format!(
                "each was near the mean: {}; limit {limit:.0} s",
                self.shares.join("; ")
            )
        } else {
            format!("not within {limit:.0} s: {}", self.no_share.join("; "))
        };
        let passed = self.no_share.is_empty();
        self.checks
            .push(Check::new("new instances took their share", passed, detail));
    }

    fn waits_checked(&mut self) {
        self.watch.look();
        let phases = self.watch.phases(|phase| !phase.ends_with("lost"));
        self.checks.push(judge::waits_held(&phases, self.args.p99_ms));
    }

    /// What somebody saw who looked all the time whether the service is there.
    fn probes(&mut self, seen: &Seen) {
        let losses = &self.losses;
        let in_a_loss = |probe: &Probe| losses.iter().any(|loss| probe.is_between(loss.from, loss.to));
        let planned = seen.summed_up_where(|probe| !in_a_loss(probe));
        self.checks.push(judge::served(&planned));
        if losses.is_empty() {
            return;
        }
        let settings = self.deployment.group.settings();
        // The load balancer finds out, and what had begun by then fails.
        let limit = settings.check_interval * (settings.unhealthy_threshold + 1) + Duration::from_secs(1);
        let last = losses.iter().map(|loss| {
            let last = seen.last_failed(|probe| probe.is_between(loss.from, loss.to));
            last.map_or(Duration::ZERO, |at| at.saturating_duration_since(loss.from))
        });
        let last = last.max().unwrap_or_default();
        self.checks.push(judge::in_time(
            "newcomers were served soon after a loss",
            Some(last),
            limit,
            "nobody was turned away any more",
        ));
    }

    /// From a launch to an instance in service.
    fn launch_limit(&self) -> Duration {
        let settings = self.deployment.group.settings();
        settings.boot + settings.check_interval * (settings.healthy_threshold + 1) + ROOM
    }

    /// Instances that serve, the oldest first.
    fn serving(&self) -> Vec<String> {
        let members = self.deployment.group.members().into_iter();
        let serving = members.filter(Member::serves);
        serving.map(|member| member.name).collect()
    }

    fn processor(&self) -> f64 {
        let policies = &self.deployment.group.settings().scaling.policies;
        let readings = self.deployment.readings.now();
        let mut both = policies.iter().zip(readings);
        let found = both
            .find_map(|(policy, reading)| (policy.metric == Metric::Processor).then_some(reading).flatten());
        found.map_or(0.0, |reading| reading.mean)
    }
}

fn run(args: &RehearseArgs, deployment: &Deployment) -> Run {
    let group = deployment.group.settings();
    let seconds = |duration: Duration| json!(duration.as_secs_f64());
    let policies = group.scaling.policies.iter();
    let policies: BTreeMap<&str, f64> = policies
        .map(|policy| (policy.name.as_str(), policy.target))
        .collect();
    let settings: BTreeMap<String, Value> = [
        ("min", json!(group.min)),
        ("max", json!(group.max)),
        ("time_scale", json!(args.deployment.time_scale)),
        ("boot_seconds", seconds(group.boot)),
        ("check_interval_seconds", seconds(group.check_interval)),
        ("drain_seconds", seconds(group.drain)),
        (
            "deregistration_delay_seconds",
            seconds(group.deregistration_delay),
        ),
        ("period_seconds", seconds(group.scaling.period)),
        ("warmup_seconds", seconds(group.scaling.warmup)),
        ("zones", json!(group.scaling.zones)),
        ("policies", json!(policies)),
        ("cores_per_instance", json!(args.deployment.cores_per_instance)),
        ("rooms", json!(args.rooms)),
        ("rate", json!(args.rate)),
        ("p99_ms", json!(args.p99_ms)),
        ("seed", json!(args.seed)),
        (
            "without",
            json!(args.without.map(|without| format!("{without:?}").to_lowercase())),
        ),
        ("set", json!(args.deployment.settings)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    Run {
        name: "rehearse".to_owned(),
        description: "A cluster grows, is updated, loses an instance and a zone, and shrinks, under load, on one machine"
            .to_owned(),
        targets: vec![deployment.url()],
        settings,
        ..Run::default()
    }
}
