//! The way up and down.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::json;
use tokio::{task::JoinHandle, time::sleep};

use super::{
    AutoscaleArgs,
    cluster::{Cluster, Nodes, base_of},
    seconds,
};
use crate::{
    check,
    client::{Tls, persistent::Targets},
    journal::Journal,
    measure::Meter,
    player::{all_local, tokens},
    rehearse::{Crew, People, Watch, judge, until},
    report::{Check, Report, Run},
    rolling::probes::Probes,
};

/// Steps on the way to the top.
const STEPS: u32 = 10;
/// How long the clients at rest are watched before the load comes.
const QUIET: Duration = Duration::from_secs(3);
/// How long everybody may take to have everything at the end.
const SETTLE_WITHIN: Duration = Duration::from_secs(30);
/// How often the deployment is asked for its nodes.
const ASK_EVERY: Duration = Duration::from_secs(1);

const SHARE: &str = "new instances took their share";

struct Play<'a> {
    args: &'a AutoscaleArgs,
    people: People,
    watch: Arc<Watch>,
    /// The nodes by the deployment's own word: the last one counts until there is another one.
    known: Arc<Mutex<Nodes>>,
    checks: Vec<Check>,
}

/// Journals are left in `folder`.
pub(super) async fn play(args: &AutoscaleArgs, folder: &Path) -> anyhow::Result<Report> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(1..1_000_000));
    let meter = Meter::default();
    let secured = args.target.iter().any(|url| url.starts_with("wss:"));
    let tls = secured
        .then(|| Tls::new(args.authorities.as_deref()))
        .transpose()?;
    let tokens: Arc<[String]> = tokens(args.tokens.as_deref())?.into();
    let crew = Crew {
        targets: Targets::new(args.target.iter().map(String::as_str)),
        journal: Journal::create(folder, "clients")?,
        meter: meter.clone(),
        rooms: args.rooms,
        prefix: format!("autoscale-{seed}"),
        tokens: Arc::clone(&tokens),
        tls: tls.clone(),
        local: all_local(&args.target),
        seed,
    };
    let base = match (&args.cluster_url, args.target.first()) {
        (Some(url), _) => url.clone(),
        (None, Some(target)) => base_of(target)?,
        (None, None) => anyhow::bail!("there is no target"),
    };
    let cluster = Cluster::new(&base, &args.token, args.authorities.as_deref())?;
    // A token that is none is found out now, and so are too few clients.
    let nodes = cluster.nodes().await?;
    enough(args, nodes.staying().len())?;
    let watch = Arc::new(Watch::start(run(args, seed), "rest", &meter, None));
    let known = Arc::new(Mutex::new(nodes));
    let mut asking = JoinSetGuard::default();
    let asked = ask(cluster, Arc::clone(&known), Arc::clone(&watch));
    asking.0.push(tokio::spawn(asked));
    #[cfg(feature = "aws")]
    if let Some(group) = &args.group {
        let seen = Box::pin(super::aws::Sight::new(group)).await?;
        asking.0.push(tokio::spawn(seen.follow(Arc::clone(&watch))));
    }
    let mut play = Play {
        args,
        people: People::new(crew),
        watch,
        known,
        checks: Vec::new(),
    };
    let target = args.target.first().map_or("", String::as_str);
    let token = tokens.first().map(String::as_str);
    let probes = Probes::newcomers(target, token, tls);
    let played = Box::pin(play.all()).await;
    let seen = probes.stop().await;
    let probed = seen.summed_up_where(|_| true);
    if let Err(error) = played {
        let detail = format!("{error:#}");
        play.watch.mark("fault", &detail);
        play.checks.push(Check::new("played to its end", false, detail));
    }
    play.checks.push(judge::served(&probed));
    play.watch.phase("settle");
    let begun = Instant::now();
    let agreed = play.people.agree(SETTLE_WITHIN).await;
    play.checks.push(judge::converged(agreed, begun.elapsed()));
    drop(asking);
    let Play {
        people,
        watch,
        mut checks,
        ..
    } = play;
    if let Err(error) = people.finish().await {
        let detail = format!("{error:#}");
        checks.push(Check::new("everybody ended in good order", false, detail));
    }
    watch.look();
    let folder = folder.to_owned();
    let checked =
        tokio::task::spawn_blocking(move || check::folder(&folder, None, &check::Settings::default()));
    let checked = checked.await??;
    checks.insert(0, judge::nothing_lost(&checked));
    Ok(watch.finish(checks, Some(serde_json::to_value(&checked)?)))
}

impl Play<'_> {
    async fn all(&mut self) -> anyhow::Result<()> {
        let args = self.args;
        self.people.come(args.rest(), QUIET).await?;
        self.people.talk(args.rate / 10.0).await;
        sleep(QUIET).await;
        let before = self.nodes();
        let names: Vec<&str> = before.iter().map(String::as_str).collect();
        self.watch.mark("nodes", &names.join(", "));

        self.watch.phase("ramp");
        self.up(&before).await?;
        let grown = self.grown(&before).await;
        if grown {
            self.spread().await;
        }
        self.watch.phase("ramp down");
        self.people.talk(args.rate / 10.0).await;
        self.people.go().await?;
        if grown && args.scale_in_within_seconds > 0.0 {
            self.scale_in(before.len()).await;
        }
        self.watch.look();
        let phases = self.watch.phases(|_| true);
        self.checks.push(judge::waits_held(&phases, args.p99_ms));
        Ok(())
    }

    /// More and more, until there is another node or the top is reached.
    async fn up(&mut self, before: &BTreeSet<String>) -> anyhow::Result<()> {
        let args = self.args;
        let step = seconds(args.ramp_seconds) / STEPS;
        let (least, most) = (args.rest(), args.connections);
        for number in 1..=STEPS {
            let begun = Instant::now();
            let people = least + (most - least) / STEPS * number;
            let people = if number == STEPS { most } else { people };
            let rate = args.rate * f64::from(number) / f64::from(STEPS);
            self.watch.mark(
                "load",
                &format!("{people} connections, {rate:.0} messages a second"),
            );
            let more = people.saturating_sub(self.people.count());
            self.people.come(more, step / 2).await?;
            self.people.talk(rate).await;
            sleep(step.saturating_sub(begun.elapsed())).await;
            if self.nodes().difference(before).next().is_some() {
                break;
            }
        }
        Ok(())
    }

    async fn grown(&mut self, before: &BTreeSet<String>) -> bool {
        self.watch.phase("scale out");
        let limit = seconds(self.args.scale_out_within_seconds);
        let took = until(limit, || self.nodes().len() > before.len()).await;
        let now = self.nodes();
        let new: Vec<&str> = now.difference(before).map(String::as_str).collect();
        let what = format!("new nodes: {}", new.join(", "));
        self.watch.mark("nodes", &what);
        self.watch.look();
        self.checks
            .push(judge::in_time("scaled out in time", took, limit, &what));
        took.is_some()
    }

    async fn spread(&mut self) {
        self.watch.phase("spread");
        let limit = seconds(self.args.share_within_seconds);
        let (people, nodes) = (self.people.count(), self.nodes().len());
        if let Err(few) = judge::enough_people("now", people, nodes) {
            let check = Check::new(SHARE, false, few.to_string());
            self.checks.push(check);
            return;
        }
        let even = || {
            let serving: Vec<String> = self.nodes().into_iter().collect();
            judge::is_even(&self.watch.by_node(), &serving)
        };
        let took = until(limit, even).await;
        let spread = format!("{:?}", self.watch.by_node());
        self.watch.mark("people", &spread);
        self.checks.push(judge::in_time(
            SHARE,
            took,
            limit,
            &format!("each was near the mean: {spread}"),
        ));
    }

    async fn scale_in(&mut self, before: usize) {
        self.watch.phase("scale in");
        let limit = seconds(self.args.scale_in_within_seconds);
        let most = self.nodes();
        let begun = Instant::now();
        if until(limit, || self.nodes().len() < most.len()).await.is_some() {
            self.watch.phase("nodes leave");
        }
        let left = limit.saturating_sub(begun.elapsed());
        // Those that are leaving, too: their clients move until they are gone.
        let took = until(left, || self.known.lock().nodes.len() <= before).await;
        let took = took.map(|_| begun.elapsed());
        // Who was moved last is still to be counted.
        sleep(ASK_EVERY).await;
        self.watch.look();
        let now = self.known.lock().all();
        let left: Vec<&str> = most.difference(&now).map(String::as_str).collect();
        let what = format!("gone: {}", left.join(", "));
        self.watch.mark("nodes", &what);
        self.checks
            .push(judge::in_time("scaled in in time", took, limit, &what));
        let going_down = ["ramp down", "scale in", "nodes leave"];
        let counts = self.watch.in_phases(|phase| going_down.contains(&phase));
        let check = judge::moved("scale-in lost nobody", counts, left.len(), None, begun.elapsed());
        self.checks.push(check);
    }

    /// Nodes that are not leaving.
    fn nodes(&self) -> BTreeSet<String> {
        self.known.lock().staying()
    }
}

/// Refuses sizes that say nothing about a deployment that has so many nodes at rest, and one more under load.
fn enough(args: &AutoscaleArgs, nodes: usize) -> anyhow::Result<()> {
    judge::enough_people("at rest (--rest-connections)", args.rest(), nodes)?;
    judge::enough_people("at the top (--connections)", args.connections, nodes + 1)
}

/// Asks the deployment for its nodes until it is stopped.
async fn ask(cluster: Cluster, known: Arc<Mutex<Nodes>>, watch: Arc<Watch>) {
    let mut silent = false;
    loop {
        match cluster.nodes().await {
            Ok(view) => {
                silent = false;
                for node in &view.nodes {
                    watch.value(
                        "connections, by the nodes",
                        &node.id,
                        "",
                        f64::from(node.connections),
                    );
                    watch.value("load, by the nodes", &node.id, "%", node.load * 100.0);
                }
                // Fewer than 2^53.
                #[allow(clippy::cast_precision_loss, reason = "a number of nodes")]
                let serving = view.staying().len() as f64;
                watch.value(judge::INSTANCES, judge::SERVING, "", serving);
                *known.lock() = view;
            }
            Err(error) if !silent => {
                silent = true;
                watch.mark("fault", &format!("{error:#}"));
            }
            Err(_) => {}
        }
        sleep(ASK_EVERY).await;
    }
}

/// Tasks that end with it.
#[derive(Default)]
struct JoinSetGuard(Vec<JoinHandle<()>>);

impl Drop for JoinSetGuard {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

fn run(args: &AutoscaleArgs, seed: u64) -> Run {
    let settings = [
        ("connections", json!(args.connections)),
        ("rest_connections", json!(args.rest())),
        ("rate", json!(args.rate)),
        ("rooms", json!(args.rooms)),
        ("ramp_seconds", json!(args.ramp_seconds)),
        ("p99_ms", json!(args.p99_ms)),
        ("seed", json!(seed)),
    ];
    let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value));
    Run {
        name: "autoscale".to_owned(),
        description: "A deployment is loaded until it grows, and left alone until it shrinks".to_owned(),
        targets: args.target.clone(),
        settings: settings.collect(),
        ..Run::default()
    }
}
