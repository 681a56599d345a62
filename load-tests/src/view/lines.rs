//! How a run stands as plain lines: for files, pipes and CI.

use std::io::{self, Write};

use crate::{
    measure::{Latencies, Snapshot, Timing},
    report::number::{self, ratio, real},
};

/// Seconds between lines, while nothing happens.
const EVERY: f64 = 5.0;

/// What was written already.
#[derive(Debug, Default)]
pub(super) struct Lines {
    phase: String,
    marks: usize,
    /// When the last line was written, in seconds of the run.
    last: Option<f64>,
}

impl Lines {
    /// Writes what is new: at most one line in a few seconds, but each phase and everything that happened.
    pub(super) fn show(&mut self, snapshot: &Snapshot, out: &mut impl Write) -> io::Result<()> {
        if self.phase != snapshot.phase {
            self.phase.clone_from(&snapshot.phase);
            writeln!(out, "{} -- {}", number::moment(snapshot.seconds), snapshot.phase)?;
        }
        for mark in snapshot.marks.iter().skip(self.marks) {
            writeln!(
                out,
                "{} ** {}: {}",
                number::moment(mark.at_s),
                mark.kind,
                mark.text
            )?;
        }
        self.marks = snapshot.marks.len();
        let due = self
            .last
            .is_none_or(|last| snapshot.seconds - last >= EVERY - 0.5);
        if due && snapshot.last_seconds > 0.0 {
            self.last = Some(snapshot.seconds);
            writeln!(out, "{}", line(snapshot))?;
        }
        out.flush()
    }
}

fn line(snapshot: &Snapshot) -> String {
    let per_second = |count| number::short(ratio(real(count), snapshot.last_seconds));
    let connections: u64 = snapshot.nodes.iter().map(|node| node.connections).sum();
    let last = &snapshot.last;
    let mut parts = vec![
        format!(
            "{} {} connections on {} nodes",
            number::moment(snapshot.seconds),
            number::count(connections),
            snapshot.nodes.len()
        ),
        format!(
            "offered {}/s accepted {}/s committed {}/s delivered {}/s",
            per_second(last.offered),
            per_second(last.accepted),
            per_second(last.committed),
            per_second(last.delivered)
        ),
    ];
    for timing in [Timing::Ack, Timing::Delivery] {
        parts.extend(waits(&snapshot.latencies, timing));
    }
    let total = &snapshot.total;
    for (count, what) in [
        (total.lost, "connections lost"),
        (total.refused, "refused"),
        (total.broken, "broken"),
    ] {
        if count > 0 {
            parts.push(format!("{} {what}", number::count(count)));
        }
    }
    parts.join("; ")
}

fn waits(latencies: &Latencies, timing: Timing) -> Option<String> {
    let p50 = latencies.quantile_ms(timing, 0.5)?;
    let p99 = latencies.quantile_ms(timing, 0.99)?;
    Some(format!(
        "{} p50 {} p99 {} ms",
        timing.name(),
        number::short(p50),
        number::short(p99)
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        measure::{Counts, NodeNow},
        report::Mark,
    };

    fn written(lines: &mut Lines, snapshot: &Snapshot) -> Vec<String> {
        let mut out = Vec::new();
        lines.show(snapshot, &mut out).unwrap();
        String::from_utf8(out)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_line_every_five_seconds_and_whatever_happens_at_once() {
        let mut lines = Lines::default();
        let mut snapshot = Snapshot {
            phase: "ramp".into(),
            seconds: 61.0,
            last_seconds: 2.0,
            last: Counts {
                offered: 20,
                accepted: 18,
                committed: 16,
                delivered: 4000,
                ..Counts::default()
            },
            nodes: vec![NodeNow {
                name: "a".into(),
                connections: 1200,
            }],
            ..Snapshot::default()
        };
        snapshot.latencies.record(Timing::Ack, Duration::from_millis(3));
        assert_eq!(
            written(&mut lines, &snapshot),
            [
                "1:01 -- ramp",
                "1:01 1,200 connections on 1 nodes; offered 10.0/s accepted 9.00/s committed 8.00/s delivered 2,000/s; \
                 ack p50 3.00 p99 3.00 ms",
            ]
        );
        snapshot.seconds = 62.0;
        assert!(written(&mut lines, &snapshot).is_empty());
        snapshot.marks.push(Mark {
            at_s: 62.5,
            kind: "alarm".into(),
            text: "CPU above 70 %".into(),
        });
        assert_eq!(written(&mut lines, &snapshot), ["1:02 ** alarm: CPU above 70 %"]);
        snapshot.total.lost = 7;
        snapshot.seconds = 66.0;
        let line = written(&mut lines, &snapshot);
        assert!(
            line.len() == 1 && line[0].ends_with("; 7 connections lost"),
            "{line:?}"
        );
    }
}
