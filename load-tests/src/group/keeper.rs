//! What keeps a group at its size, and changes that: the part of an auto-scaling group that decides.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    Activity, Autoscaler, Fleet, Group, Lifecycle, Member, Metric, Outcome, Reading,
    machine::{Machine, Process},
};
use crate::{lab::Health, measure::Usage, stage::http};

/// How often instances are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Replaces instances that do not serve any more, and follows the scaling policies. Ends when it is dropped.
#[derive(Debug)]
pub struct Keeper {
    task: JoinHandle<()>,
}

struct Keeping {
    group: Arc<Group>,
    autoscaler: Autoscaler,
    /// Cores that one instance has: full use of them is 100 %.
    cores: f64,
    /// Processor time of each node at the last datapoint.
    used: HashMap<u32, (Instant, f64)>,
    /// What the last datapoints were, in the order of the policies.
    readings: Arc<parking_lot::Mutex<Vec<Option<Reading>>>>,
}

impl Keeper {
    /// Begins now. `cores` is what one instance has of this machine: a processor use of so much is 100 %.
    pub fn start(group: &Arc<Group>, cores: f64) -> (Self, Readings) {
        let settings = group.settings();
        let readings = Readings::default();
        let keeping = Keeping {
            autoscaler: Autoscaler::new(settings.scaling.clone(), settings.min, settings.max),
            group: Arc::clone(group),
            cores,
            used: HashMap::new(),
            readings: Arc::clone(&readings.0),
        };
        let task = tokio::spawn(keeping.run());
        (Self { task }, readings)
    }
}

/// The newest datapoint of each policy's metric. All clones are one.
#[derive(Debug, Default, Clone)]
pub struct Readings(Arc<parking_lot::Mutex<Vec<Option<Reading>>>>);

impl Readings {
    /// In the order of the policies; `None` where there is none.
    pub fn now(&self) -> Vec<Option<Reading>> {
        self.0.lock().clone()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Keeping {
    async fn run(mut self) {
        let period = self.group.settings().scaling.period;
        let mut due = Instant::now() + period;
        loop {
            sleep(LOOK).await;
            let suspended = self.group.state.lock().suspended;
            if !suspended {
                self.replace().await;
                self.adjust();
            }
            if Instant::now() >= due {
                due += period;
                let readings = self.read().await;
                *self.readings.lock() = readings.clone();
                let outcome = self.autoscaler.observe(&readings, self.fleet());
                self.follow(outcome, suspended);
            }
        }
    }

    fn follow(&self, outcome: Outcome, suspended: bool) {
        for alarm in outcome.alarms {
            self.group.note(Activity::Alarm(alarm));
        }
        let Some(resize) = outcome.resize.filter(|_| !suspended) else {
            return;
        };
        self.group.state.lock().desired = resize.to;
        self.group.note(Activity::Resized {
            from: resize.from,
            to: resize.to,
            why: resize.why,
        });
    }

    /// Forgets machines that failed or no longer serve; [`Self::adjust`] launches others.
    async fn replace(&self) {
        let machines = self.group.state.lock().machines.clone();
        for machine in machines {
            let why = match machine.stage() {
                Lifecycle::Failed(why) => why,
                Lifecycle::InService(since) => match self.unhealthy(&machine, since).await {
                    Some(why) => why,
                    None => continue,
                },
                // It was lost while it booted.
                Lifecycle::Pending if machine.is_gone().await => "its machine does not run".to_owned(),
                Lifecycle::Pending | Lifecycle::Leaving => continue,
            };
            let name = machine.name.clone();
            machine.leave();
            if let Err(error) = machine.kill().await {
                self.group.note(Activity::Failed(format!("{name}: {error:#}")));
            }
            self.group.forget(&name);
            // One that failed early is not known there.
            let _ = self.group.balancer.remove(&name).await;
            self.group.note(Activity::Unhealthy { name, why });
        }
    }

    /// Why an instance that was in service is to be replaced, if it is.
    async fn unhealthy(&self, machine: &Machine, since: Instant) -> Option<String> {
        let health = self.group.balancer.health(&machine.name).await.ok()??;
        if health != Health::Unhealthy {
            return None;
        }
        if machine.is_gone().await {
            return Some("its machine does not run".to_owned());
        }
        let late = since.elapsed() > self.group.settings.scaling.grace;
        late.then(|| "the load balancer finds it unhealthy".to_owned())
    }

    /// Launches what is missing, or takes out one that is too many.
    fn adjust(&self) {
        let staying: Vec<Member> = self
            .group
            .members()
            .into_iter()
            .filter(|member| member.stage != Lifecycle::Leaving)
            .collect();
        let desired = self.group.desired() as usize;
        for _ in staying.len()..desired {
            self.group.launch();
        }
        let all_serve = staying
            .iter()
            .all(|member| matches!(member.stage, Lifecycle::InService(_)));
        if staying.len() > desired
            && all_serve
            && let Some(machine) = one_too_many(&staying).and_then(|name| self.group.machine(&name).ok())
        {
            machine.leave();
            let group = Arc::clone(&self.group);
            tokio::spawn(async move {
                if let Err(error) = group.take_out(&machine).await {
                    let what = format!("{} is not taken out: {error:#}", machine.name);
                    group.note(Activity::Failed(what));
                }
            });
        }
    }

    fn fleet(&self) -> Fleet {
        let warmup = self.group.settings.scaling.warmup;
        let members = self.group.members();
        let count = |wanted: &dyn Fn(&Lifecycle) -> bool| {
            let found = members.iter().filter(|member| wanted(&member.stage)).count();
            u32::try_from(found).unwrap_or(u32::MAX)
        };
        Fleet {
            desired: self.group.desired(),
            warming: count(&|stage| match stage {
                Lifecycle::Pending => true,
                Lifecycle::InService(since) => since.elapsed() < warmup,
                _ => false,
            }),
            leaving: count(&|stage| *stage == Lifecycle::Leaving),
        }
    }

    /// A datapoint for each policy.
    async fn read(&mut self) -> Vec<Option<Reading>> {
        let members = self.group.members();
        let serving = members.iter().filter_map(|member| match member.stage {
            Lifecycle::InService(since) => Some((since, member.process?)),
            _ => None,
        });
        let serving: Vec<(Instant, Process)> = serving.collect();
        let processor = self.processor(&serving);
        let mut readings = Vec::new();
        for policy in self.group.settings.scaling.policies.clone() {
            readings.push(match policy.metric {
                Metric::Processor => processor,
                Metric::Node(name) => of_nodes(&name, &serving).await,
            });
        }
        readings
    }

    /// Processor use of the instances that are warm, in percent of what each has.
    fn processor(&mut self, serving: &[(Instant, Process)]) -> Option<Reading> {
        let warmup = self.group.settings.scaling.warmup;
        let mut before = std::mem::take(&mut self.used);
        let mut uses = Vec::new();
        for (since, process) in serving {
            let Ok(usage) = Usage::of(process.id) else {
                continue;
            };
            let now = Instant::now();
            self.used.insert(process.id, (now, usage.cpu_seconds));
            if since.elapsed() < warmup {
                continue;
            }
            if let Some((then, used)) = before.remove(&process.id) {
                let seconds = (now - then).as_secs_f64().max(f64::EPSILON);
                uses.push(100.0 * (usage.cpu_seconds - used) / seconds / self.cores);
            }
        }
        reading(&uses)
    }
}

/// What nodes say of themselves.
async fn of_nodes(name: &str, serving: &[(Instant, Process)]) -> Option<Reading> {
    let mut values = Vec::new();
    for (_, process) in serving {
        if let Ok(page) = http::get(process.private, "/metrics").await
            && let Some(value) = crate::stage::metric(&page, name)
        {
            values.push(value);
        }
    }
    reading(&values)
}

#[allow(clippy::cast_precision_loss, reason = "a number of instances")]
fn reading(values: &[f64]) -> Option<Reading> {
    let instances = u32::try_from(values.len()).ok().filter(|count| *count > 0)?;
    Some(Reading {
        mean: values.iter().sum::<f64>() / values.len() as f64,
        instances,
    })
}

/// The oldest in the zone that has the most.
fn one_too_many(staying: &[Member]) -> Option<String> {
    let in_zone = |zone: u32| staying.iter().filter(|member| member.zone == zone).count();
    let most = staying.iter().map(|member| in_zone(member.zone)).max()?;
    let oldest = staying.iter().find(|member| in_zone(member.zone) == most);
    oldest.map(|member| member.name.clone())
}
