//! One phase after the other, looked at every second.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Journals, Nodes, PlayArgs, judge};
use crate::{
    check,
    fleet::Fleet,
    measure::{Counts, Recording, Usage},
    player::{Part, Standing},
    report::{Check, Held, Report, Run},
    scenario::{Phase, Scenario},
    view::View,
};

/// How long people may take to leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(30);
/// What people do until everybody has everything.
const SETTLE: &str = "settle";

/// So many reasons why clients could not get in are told.
const REASONS: usize = 5;
/// The kind of the marks that tell them.
pub(super) const KEPT_OUT: &str = "kept out";

/// Plays a scenario with a fleet.
pub(super) struct Conductor {
    scenario: Scenario,
    pub(super) fleet: Fleet,
    nodes: Option<Nodes>,
    recording: Recording,
    /// Until the end of the run.
    view: Option<View>,
    stop: CancellationToken,
    troubles: Vec<String>,
    checks: Vec<Check>,
    /// Places of the phases, in the recording, that are judged when all that was due in them is over.
    measured: Vec<usize>,
    /// Places of repeated phases that were too much.
    too_much: Vec<usize>,
    /// Why clients could not get in.
    reasons: Vec<String>,
}

impl Conductor {
    pub(super) fn new(
        scenario: Scenario,
        fleet: Fleet,
        nodes: Option<Nodes>,
        run: Run,
        view: View,
        stop: CancellationToken,
    ) -> Self {
        let first = scenario.phases.first().map_or("", |phase| phase.name.as_str());
        Self {
            recording: Recording::start(run.here(), first),
            scenario,
            fleet,
            nodes,
            view: Some(view),
            stop,
            troubles: Vec::new(),
            checks: Vec::new(),
            measured: Vec::new(),
            too_much: Vec::new(),
            reasons: Vec::new(),
        }
    }

    pub(super) async fn play(
        mut self,
        journals: Option<Journals>,
        args: &PlayArgs,
    ) -> anyhow::Result<Report> {
        self.look().await;
        self.all_phases().await;
        let stopped = self.stop.is_cancelled();
        if stopped {
            self.fleet.stop().await;
            self.recording.mark("stop", "stopped before its time");
        }
        self.recording.phase(SETTLE);
        self.fleet.settle().await;
        let (standing, took) = self.settle().await;
        let left = self.fleet.finish(LEAVE_WITHIN).await;
        self.look().await;
        self.view = None;
        let checked = match journals {
            Some(journals) => {
                let own = self.nodes.as_ref().map(Nodes::store);
                Some(journals.check(own.or(args.store.as_deref())).await)
            }
            None => None,
        };
        if let Some(nodes) = self.nodes.take() {
            self.troubles.extend(nodes.end().await);
        }
        self.judge_measured();
        self.judge_ending(stopped, (&standing, took), left);
        let checker = self.judge_journals(checked)?;
        Ok(self.recording.finish(self.checks, checker))
    }

    async fn all_phases(&mut self) {
        let mut connections = 0;
        for (place, phase) in self.scenario.phases.clone().into_iter().enumerate() {
            let mut held: Option<Phase> = None;
            let mut connections_held = 0;
            let mut time = 0;
            while let Some(played) = phase.played(time, connections) {
                if self.stop.is_cancelled() {
                    return;
                }
                if place > 0 || time > 0 {
                    self.recording.phase(&played.name);
                }
                let before = connections;
                connections = played.connections.unwrap_or(connections);
                self.one_phase(&played, connections, before).await;
                let broken = self.judge_phase(&played);
                if phase.repeat.is_some() && !broken.is_empty() {
                    self.knee(held.as_ref(), &played, &broken);
                    break;
                }
                held = Some(played);
                connections_held = connections;
                time += 1;
            }
            if phase.repeat.is_some() {
                self.recording.held(Held {
                    phase: phase.name.clone(),
                    messages_per_second: held.as_ref().map_or(0.0, |held| held.messages_per_second.to),
                    connections: connections_held,
                });
            }
            if let (Some(repeat), Some(last)) = (phase.repeat, &held)
                && time >= repeat.at_most
            {
                let text = format!("no goal broke in {} steps; the last was {}", time, load(last));
                self.recording.mark("knee", text.clone());
                self.checks.push(Check::new("the first step holds", true, text));
            }
        }
    }

    async fn one_phase(&mut self, phase: &Phase, connections: u32, before: u32) {
        let begun = Instant::now();
        self.fleet
            .play(Part {
                seconds: phase.seconds,
                connections,
                rate: (phase.messages_per_second.from, phase.messages_per_second.to),
                cut: phase.cut,
            })
            .await;
        if phase.cut > 0.0 {
            let text = format!("{:.0} % of {before} connections are cut off", 100.0 * phase.cut);
            self.recording.mark("fault", text);
        }
        let end = begun + Duration::from_secs_f64(phase.seconds);
        let mut next = begun;
        while next < end && !self.stop.is_cancelled() {
            next = (next + Duration::from_secs(1)).min(end);
            // A last look that would follow at once is the last one.
            if end - next < Duration::from_millis(200) {
                next = end;
            }
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.stop.cancelled() => {}
            }
            self.look().await;
        }
    }

    /// Takes in what everybody measured, and shows it.
    pub(super) async fn look(&mut self) {
        let samples = self.fleet.sample().await;
        self.recording.sample(&samples);
        for reason in samples.iter().flat_map(|(_, sample)| &sample.reasons) {
            if self.reasons.len() < REASONS && !self.reasons.contains(reason) {
                self.recording.mark(KEPT_OUT, reason.clone());
                self.reasons.push(reason.clone());
            }
        }
        if !self.fleet.processes().is_empty()
            && let Ok(usage) = Usage::own()
        {
            self.recording.cost("harness", false, usage);
        }
        if let Some(nodes) = &mut self.nodes {
            for (name, usage) in nodes.usage() {
                self.recording.cost(&name, true, usage);
            }
            let fallen = nodes.fallen();
            for text in &fallen {
                self.recording.mark("fault", text.clone());
            }
            self.troubles.extend(fallen);
        }
        for trouble in self.fleet.troubles() {
            if !self.troubles.contains(&trouble) {
                self.recording.mark("fault", trouble.clone());
                self.troubles.push(trouble);
            }
        }
        if let Some(view) = &mut self.view {
            view.show(&self.recording.snapshot());
        }
    }

    /// What broke in the phase that just ended, if that decides how it goes on. Other phases are judged when all that was due
    /// in them is over: whoever still waits at a phase's end has not been served in time.
    fn judge_phase(&mut self, phase: &Phase) -> Vec<String> {
        let phases = self.recording.phases();
        match phases.last().filter(|_| phase.measured) {
            Some(report) if phase.repeat.is_some() => judge::broken(&self.scenario.goals, report),
            Some(_) => {
                self.measured.push(phases.len() - 1);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn judge_measured(&mut self) {
        let phases = self.recording.phases();
        let measured = self.measured.iter().filter_map(|place| phases.get(*place));
        let checks = measured.flat_map(|report| judge::checks(&self.scenario.goals, report));
        self.checks.extend(checks);
    }

    /// A repeated phase was too much.
    fn knee(&mut self, held: Option<&Phase>, broke: &Phase, broken: &[String]) {
        let holds = held.map_or("not even the first step holds".to_owned(), |held| {
            format!("holds {}", load(held))
        });
        self.too_much.push(self.recording.phases().len() - 1);
        let text = format!("{holds}; at {}: {}", load(broke), broken.join("; "));
        self.recording.mark("knee", text.clone());
        self.checks
            .push(Check::new("the first step holds", held.is_some(), text));
    }

    fn judge_ending(&mut self, stopped: bool, (standing, took): (&Standing, Duration), left: u64) {
        let (counts, _) = self.recording.so_far();
        let always = judge::always(&self.counts_in_bounds());
        let seconds = self.recording.seconds();
        let all = if stopped { "it was stopped" } else { "all phases" };
        self.checks.splice(
            0..0,
            [
                Check::new(
                    "nothing broke the wire's rules",
                    counts.broken == 0,
                    format!("{} frames of {} deliveries", counts.broken, counts.delivered),
                ),
                Check::new("everybody has everything in the end", standing.is_even(), {
                    let how = format!("{} after {:.1} s", standing.describe(), took.as_secs_f64());
                    if standing.is_even() || self.reasons.is_empty() {
                        how
                    } else {
                        format!("{how}; what kept people out: {}", self.reasons.join("; "))
                    }
                }),
                Check::new(
                    "everything that was offered is committed or refused",
                    counts.offered == counts.committed + counts.refused,
                    format!(
                        "{} offered, {} committed, {} refused",
                        counts.offered, counts.committed, counts.refused
                    ),
                ),
                Check::new(
                    "everybody left in good order",
                    left == 0,
                    format!("{left} did not"),
                ),
                Check::new(
                    "nodes and clients ran to the end",
                    self.troubles.is_empty(),
                    if self.troubles.is_empty() {
                        "all did".to_owned()
                    } else {
                        self.troubles.join("; ")
                    },
                ),
                Check::new(
                    "it was played to its end",
                    !stopped,
                    format!("{all}, {seconds:.0} s"),
                ),
            ]
            .into_iter()
            .chain(always),
        );
    }

    /// What happened, but for where a repeated phase was too much, and behind it, where that is worked off: there it was
    /// asked for.
    fn counts_in_bounds(&self) -> Counts {
        let mut counts = Counts::default();
        for (place, phase) in self.recording.phases().iter().enumerate() {
            let too_much = |broke: &usize| *broke == place || broke + 1 == place;
            if !self.too_much.iter().any(too_much) {
                counts += phase.counts;
            }
        }
        counts
    }

    fn judge_journals(
        &mut self,
        checked: Option<anyhow::Result<check::Report>>,
    ) -> anyhow::Result<Option<serde_json::Value>> {
        let name = "the checker finds nothing in what clients wrote down";
        match checked {
            None => Ok(None),
            Some(Ok(report)) => {
                let against = if report.with_store {
                    "the store"
                } else {
                    "one another"
                };
                let detail = format!(
                    "{} findings; {} deliveries and {} answers held against {against}",
                    report.findings.total(),
                    report.counts.delivered,
                    report.counts.acked,
                );
                self.checks.push(Check::new(name, report.is_clean(), detail));
                Ok(Some(serde_json::to_value(&report)?))
            }
            Some(Err(error)) => {
                self.checks.push(Check::new(name, false, format!("{error:#}")));
                Ok(None)
            }
        }
    }
}

fn load(phase: &Phase) -> String {
    let rate = phase.messages_per_second.to;
    match phase.connections {
        Some(connections) => format!("{rate:.0} messages/s with {connections} connections"),
        None => format!("{rate:.0} messages/s"),
    }
}
