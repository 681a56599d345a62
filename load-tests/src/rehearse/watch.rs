//! Looks at everything once a second, writes it down, and shows it to whoever looks on.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::judge::{INSTANCES, SERVING};
use crate::{
    group::{Group, Lifecycle, Readings},
    measure::{Counts, Meter, Recording, Usage},
    report::{Check, PhaseReport, Report, Run},
    view::View,
};

/// How often it is looked whether something happened, and how many of such looks make one at everything.
const EVERY: Duration = Duration::from_millis(200);
const SAMPLED: u32 = 5;

/// See the module's documentation. Ends when it is dropped.
pub(crate) struct Watch {
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

struct Seen {
    meter: Meter,
    group: Option<(Arc<Group>, Readings)>,
    kept: Mutex<Kept>,
}

struct Kept {
    recording: Recording,
    /// Until the end of the run.
    view: Option<View>,
    /// Activities of the group that were told.
    activities: usize,
}

impl Watch {
    /// Begins now, with the first phase.
    pub(crate) fn start(run: Run, phase: &str, meter: &Meter, group: Option<(Arc<Group>, Readings)>) -> Self {
        let seen = Arc::new(Seen {
            meter: meter.clone(),
            kept: Mutex::new(Kept {
                recording: Recording::start(run, phase),
                view: Some(View::start()),
                // What was before is not part of the run.
                activities: group.as_ref().map_or(0, |(group, _)| group.activities(0).len()),
            }),
            group,
        });
        seen.meter.part(Instant::now());
        let looking = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for tick in 0_u32.. {
                ticks.tick().await;
                looking.tell();
                if tick.is_multiple_of(SAMPLED) {
                    looking.look();
                }
            }
        });
        Self { seen, task }
    }

    /// Another phase begins.
    pub(crate) fn phase(&self, name: &str) {
        self.look();
        let mut kept = self.seen.kept.lock();
        // A wait that was due before counts for the phase before.
        self.seen.meter.part(Instant::now());
        kept.recording.phase(name);
        kept.show();
    }

    /// Something happened.
    pub(crate) fn mark(&self, kind: &str, text: &str) {
        let mut kept = self.seen.kept.lock();
        kept.recording.mark(kind, text);
        kept.show();
    }

    /// A value as it is now, for a chart.
    pub(crate) fn value(&self, name: &str, label: &str, unit: &str, value: f64) {
        self.seen.kept.lock().recording.value(name, label, unit, value);
    }

    /// People's connections by node, at most a second ago.
    pub(crate) fn by_node(&self) -> BTreeMap<String, u64> {
        let nodes = self.seen.kept.lock().recording.snapshot().nodes;
        nodes
            .into_iter()
            .map(|node| (node.name, node.connections))
            .collect()
    }

    /// What happened in the phases that are wanted, all together.
    pub(crate) fn in_phases(&self, wanted: impl Fn(&str) -> bool) -> Counts {
        let mut sum = Counts::default();
        for phase in self.phases(wanted) {
            sum += phase.counts;
        }
        sum
    }

    /// What happened in the present phase, up to now.
    pub(crate) fn so_far(&self) -> Counts {
        self.look();
        let kept = self.seen.kept.lock();
        kept.recording
            .phases()
            .last()
            .map_or_else(Counts::default, |phase| phase.counts)
    }

    /// The phases that are wanted, so far.
    pub(crate) fn phases(&self, wanted: impl Fn(&str) -> bool) -> Vec<PhaseReport> {
        let kept = self.seen.kept.lock();
        let phases = kept.recording.phases().iter();
        phases.filter(|phase| wanted(&phase.name)).cloned().collect()
    }

    /// Looks at everything now.
    pub(crate) fn look(&self) {
        self.seen.tell();
        self.seen.look();
    }

    /// The run is over.
    pub(crate) fn finish(&self, checks: Vec<Check>, checker: Option<serde_json::Value>) -> Report {
        self.task.abort();
        let mut kept = self.seen.kept.lock();
        kept.view = None;
        let empty = Recording::start(Run::default(), "");
        let recording = std::mem::replace(&mut kept.recording, empty);
        recording.finish(checks, checker)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn look(&self) {
        let sample = self.meter.take();
        let mut kept = self.kept.lock();
        kept.recording.sample(&[("clients".to_owned(), sample)]);
        if let Some((group, readings)) = &self.group {
            kept.look_at(group, readings);
        }
        kept.show();
    }

    /// Tells what the group did since.
    fn tell(&self) {
        let Some((group, _)) = &self.group else { return };
        let mut kept = self.kept.lock();
        for (at, activity) in group.activities(kept.activities) {
            kept.activities += 1;
            let text = activity.to_string();
            kept.recording.mark_at(at.into_std(), activity.kind(), text);
        }
    }
}

impl Kept {
    fn show(&mut self) {
        let snapshot = self.recording.snapshot();
        if let Some(view) = &mut self.view {
            view.show(&snapshot);
        }
    }

    fn look_at(&mut self, group: &Group, readings: &Readings) {
        let members = group.members();
        let mut serving = 0.0;
        for member in &members {
            if matches!(member.stage, Lifecycle::InService(_)) {
                serving += 1.0;
            }
            if let Some(usage) = member.process.and_then(|process| Usage::of(process.id).ok()) {
                self.recording.cost(&format!("node {}", member.name), true, usage);
            }
        }
        let recording = &mut self.recording;
        recording.value(INSTANCES, SERVING, "", serving);
        recording.value(INSTANCES, "desired", "", f64::from(group.desired()));
        let policies = &group.settings().scaling.policies;
        for (policy, reading) in policies.iter().zip(readings.now()) {
            if let Some(reading) = reading {
                let label = policy.metric.to_string();
                let of_target = reading.mean / policy.target * 100.0;
                recording.value("policies", &label, "%", of_target);
            }
        }
    }
}
