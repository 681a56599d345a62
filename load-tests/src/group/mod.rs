//! A group of nodes behind a load balancer, on one machine: an auto-scaling group with processes for its machines.

mod activity;
mod autoscaler;
mod keeper;
mod machine;
mod scaling;
mod settings;
mod stack;
mod template;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{lab::HaProxy, stage::node_program};
use machine::Machine;

pub use activity::Activity;
pub use autoscaler::{Autoscaler, Fleet, Outcome, Reading, Resize};
pub use keeper::{Keeper, Readings};
pub use machine::{Lifecycle, Process};
pub use scaling::{Metric, Policy, Scaling};
pub use settings::GroupSettings;

/// See the module's documentation. Dropping it ends all of it.
#[derive(Debug)]
pub struct Group {
    settings: GroupSettings,
    node_settings: Vec<(String, String)>,
    balancer: Arc<HaProxy>,
    program: PathBuf,
    state: Arc<Mutex<State>>,
    /// For what nodes log.
    folder: TempDir,
}

#[derive(Debug, Default)]
struct State {
    /// The oldest first.
    machines: Vec<Arc<Machine>>,
    launched: u32,
    /// How many there should be, and whether somebody sees to it; see [`Keeper`].
    desired: u32,
    suspended: bool,
    lost_zones: Vec<u32>,
    activities: Vec<(Instant, Activity)>,
}

/// A machine at a moment.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name, which is its node's.
    pub name: String,
    /// Its zone.
    pub zone: u32,
    /// How it is.
    pub stage: Lifecycle,
    /// Its node, once that was started.
    pub process: Option<Process>,
    /// It was destroyed, and nobody has noticed yet.
    pub lost: bool,
}

impl Member {
    /// Whether it serves.
    pub fn serves(&self) -> bool {
        matches!(self.stage, Lifecycle::InService(_)) && !self.lost
    }
}

impl Group {
    /// Starts the load balancer and as many nodes as there are at rest, with these keys of the configuration; returns when
    /// all are in service.
    ///
    /// # Errors
    /// When the load balancer or a node does not come so far.
    pub async fn start(
        settings: GroupSettings,
        node_settings: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let program = node_program()?;
        Self::start_program(settings, node_settings, &program).await
    }

    /// The same with another program for the nodes.
    ///
    /// # Errors
    /// As [`Group::start`].
    pub async fn start_program(
        settings: GroupSettings,
        node_settings: Vec<(String, String)>,
        program: &Path,
    ) -> anyhow::Result<Self> {
        let balancer = Arc::new(HaProxy::start(settings.balancer()).await?);
        let drain = ("drain.seconds".to_owned(), settings.drain.as_secs().to_string());
        let proxies = ("http.trusted_proxies".to_owned(), "127.0.0.1".to_owned());
        let group = Self {
            node_settings: node_settings.into_iter().chain([drain, proxies]).collect(),
            balancer,
            program: program.to_owned(),
            state: Arc::default(),
            folder: tempfile::Builder::new().prefix("hubbub-group-").tempdir()?,
            settings,
        };
        group.state.lock().desired = group.settings.min;
        for _ in 0..group.settings.min {
            group.launch();
        }
        for name in group.names() {
            group.in_service(&name).await?;
        }
        Ok(group)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.balancer.address()
    }

    /// The load balancer.
    pub fn balancer(&self) -> &HaProxy {
        &self.balancer
    }

    /// The numbers that it goes by.
    pub fn settings(&self) -> &GroupSettings {
        &self.settings
    }

    /// The folder of the nodes' logs, `NAME.log`.
    pub fn logs(&self) -> &Path {
        self.folder.path()
    }

    /// The names of all instances that are not leaving, the oldest first.
    pub fn names(&self) -> Vec<String> {
        let staying = self.members().into_iter();
        let staying = staying.filter(|member| member.stage != Lifecycle::Leaving);
        staying.map(|member| member.name).collect()
    }

    /// All instances, the oldest first; those that are leaving, too.
    pub fn members(&self) -> Vec<Member> {
        let state = self.state.lock();
        let all = state.machines.iter().map(|machine| Member {
            name: machine.name.clone(),
            zone: machine.zone,
            stage: machine.stage(),
            process: machine.process(),
            lost: machine.is_killed(),
        });
        all.collect()
    }

    /// What happened so far, but for the first `known`.
    pub fn activities(&self, known: usize) -> Vec<(Instant, Activity)> {
        let state = self.state.lock();
        state.activities.get(known..).unwrap_or_default().to_vec()
    }

    /// Runs another machine and returns at once: its node starts and becomes a target while one does something else. It is
    /// in the zone that has the fewest.
    pub fn launch(&self) -> String {
        let mut state = self.state.lock();
        state.launched += 1;
        let name = format!("i-{}", state.launched);
        let zone = state.emptiest_zone(self.settings.scaling.zones);
        let machine = Arc::new(Machine::new(&name, zone));
        state.machines.push(Arc::clone(&machine));
        state.note(Activity::Launched {
            name: name.clone(),
            zone,
        });
        drop(state);
        let node = machine::node(&self.program, self.folder.path(), &name, &self.node_settings);
        let told = Arc::clone(&self.state);
        let done = move |machine: &Machine, stage: &Lifecycle| {
            let name = machine.name.clone();
            let activity = match stage {
                Lifecycle::InService(at) => Activity::InService {
                    name,
                    after: *at - machine.launched,
                },
                Lifecycle::Failed(why) => {
                    Activity::Failed(format!("{name} does not come into service: {why}"))
                }
                Lifecycle::Pending | Lifecycle::Leaving => return,
            };
            told.lock().note(activity);
        };
        machine.boot(Arc::clone(&self.balancer), self.settings.clone(), node, done);
        name
    }

    /// Waits for an instance's own word that it is in service: its node is ready, and the load balancer sends it
    /// connections.
    ///
    /// # Errors
    /// When it does not come so far in time.
    pub async fn in_service(&self, name: &str) -> anyhow::Result<()> {
        self.machine(name)?.in_service().await
    }

    /// Takes an instance out as the stack does: it is taken out of the load balancer, which has heard of it after the lag; then
    /// a pause, then SIGTERM, then patience until its people have moved. All at most for the deregistration delay. Returns whether the node ended by itself, and in good order.
    ///
    /// # Errors
    /// When there is no such instance, or the load balancer does not answer.
    pub async fn retire(&self, name: &str) -> anyhow::Result<bool> {
        let machine = self.machine(name)?;
        machine.in_service().await?;
        machine.leave();
        self.take_out(&machine).await
    }

    /// One batch of an update as the stack does it: these are taken out, and then as many new ones come into service. How many
    /// ended in good order.
    ///
    /// # Errors
    /// As [`Group::retire`] and [`Group::in_service`].
    pub async fn replace(&self, names: &[String]) -> anyhow::Result<usize> {
        let retired = try_join_all(names.iter().map(|name| self.retire(name))).await?;
        let new: Vec<String> = names.iter().map(|_| self.launch()).collect();
        try_join_all(new.iter().map(|name| self.in_service(name))).await?;
        Ok(retired.into_iter().filter(|in_order| *in_order).count())
    }

    /// The rest of [`Group::retire`], for a machine that is leaving.
    async fn take_out(&self, machine: &Machine) -> anyhow::Result<bool> {
        let name = machine.name.as_str();
        self.note(Activity::Leaving {
            name: name.to_owned(),
        });
        let begun = Instant::now();
        let heard = async {
            sleep(self.settings.deregistration_lag).await;
            self.balancer.deregister(name).await
        };
        let left = async {
            sleep(self.settings.pause_before_drain).await;
            let patience = self.settings.deregistration_delay.saturating_sub(begun.elapsed());
            machine.drain(patience).await
        };
        let (heard, left) = tokio::join!(heard, left);
        let removed = match heard {
            Ok(()) => self.balancer.remove(name).await,
            Err(error) => Err(error),
        };
        let in_order = removed.and(left);
        if let Ok(in_order) = in_order {
            // Told before it is gone: whoever waits for that reads how it went.
            self.note(Activity::Gone {
                name: name.to_owned(),
                in_order,
                after: begun.elapsed(),
            });
        }
        self.forget(name);
        in_order
    }

    /// Takes an instance away as a machine is that nobody prepared for it: it is gone at once, and the load balancer finds
    /// out by its checks. A [`Keeper`] replaces it when that has happened.
    ///
    /// # Errors
    /// When there is no such instance, or it cannot be ended.
    pub async fn destroy(&self, name: &str) -> anyhow::Result<()> {
        let machine = self.machine(name)?;
        machine.in_service().await?;
        machine.kill().await?;
        self.note(Activity::Destroyed {
            name: name.to_owned(),
        });
        Ok(())
    }

    /// All machines of a zone are gone at once, and there will be no new ones in it until [`Group::restore_zones`].
    ///
    /// # Errors
    /// When one cannot be ended.
    pub async fn lose_zone(&self, zone: u32) -> anyhow::Result<()> {
        let machines: Vec<Arc<Machine>> = {
            let mut state = self.state.lock();
            state.lost_zones.push(zone);
            let in_it = state.machines.iter().filter(|machine| machine.zone == zone);
            in_it.cloned().collect()
        };
        let ends = machines.iter().map(|machine| machine.kill());
        let ends = futures_util::future::join_all(ends).await;
        let names = machines.iter().map(|machine| machine.name.clone()).collect();
        self.note(Activity::ZoneLost { zone, names });
        ends.into_iter().collect()
    }

    /// Machines run in all zones again.
    pub fn restore_zones(&self) {
        self.state.lock().lost_zones.clear();
    }

    /// How many instances there should be.
    pub fn desired(&self) -> u32 {
        self.state.lock().desired
    }

    /// While it is suspended, a [`Keeper`] neither replaces nor adds nor removes instances: as the stack has it during a
    /// rolling update.
    pub fn suspend(&self, on: bool) {
        self.state.lock().suspended = on;
    }

    fn machine(&self, name: &str) -> anyhow::Result<Arc<Machine>> {
        let state = self.state.lock();
        let found = state.machines.iter().find(|machine| machine.name == name);
        found
            .cloned()
            .with_context(|| format!("there is no instance {name}"))
    }

    fn note(&self, activity: Activity) {
        self.state.lock().note(activity);
    }

    fn forget(&self, name: &str) {
        self.state.lock().machines.retain(|machine| machine.name != name);
    }
}

impl State {
    fn note(&mut self, activity: Activity) {
        self.activities.push((Instant::now(), activity));
    }

    fn emptiest_zone(&self, zones: u32) -> u32 {
        let there_are = |zone: &u32| {
            let in_it = self.machines.iter().filter(|machine| machine.zone == *zone);
            in_it
                .filter(|machine| machine.stage() != Lifecycle::Leaving)
                .count()
        };
        let open = (0..zones.max(1)).filter(|zone| !self.lost_zones.contains(zone));
        open.min_by_key(there_are).unwrap_or_default()
    }
}
