//! What a run came to, as text: what is printed at its end.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::{
    PhaseReport, Quantiles, Report,
    cost::Costs,
    number::{self, real},
};
use crate::measure::{Counts, Timing};

/// Checks, what was offered and what became of it, how long it took, what it cost.
pub fn plain(report: &Report) -> String {
    let mut text = String::new();
    let run = &report.run;
    let verdict = if report.passed() { "passed" } else { "FAILED" };
    let _ = writeln!(
        text,
        "{}: {verdict}, after {}",
        run.name,
        number::duration(run.seconds)
    );
    for check in &report.checks {
        let sign = if check.passed { "ok    " } else { "FAILED" };
        let _ = writeln!(text, "  {sign} {}: {}", check.name, check.detail);
    }
    let _ = writeln!(text, "\n{}\n\n{}", traffic(report), waits(report));
    if let Some(other) = others(&report.counts) {
        let _ = writeln!(text, "\n{other}");
    }
    if !report.costs.is_empty() {
        let _ = writeln!(text, "\n{}", costs(report));
    }
    text
}

/// A table whose columns behind the first one are numbers.
pub(crate) fn numbers(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The phases, and the whole run if there is more than one.
pub(super) fn parts(report: &Report) -> Vec<PhaseReport> {
    let mut parts = report.phases.clone();
    if parts.len() != 1 {
        parts.push(PhaseReport {
            name: "whole run".into(),
            from_s: 0.0,
            to_s: report.run.seconds,
            counts: report.counts,
            latencies: report.latencies.clone(),
        });
    }
    parts
}

fn traffic(report: &Report) -> Table {
    let mut table = numbers(&[
        "",
        "seconds",
        "offered",
        "accepted",
        "committed",
        "delivered",
        "delivered/s",
    ]);
    for part in parts(report) {
        let seconds = part.to_s - part.from_s;
        let Counts {
            offered,
            accepted,
            committed,
            delivered,
            ..
        } = part.counts;
        table.add_row(vec![
            part.name,
            format!("{seconds:.1}"),
            number::count(offered),
            number::count(accepted),
            number::count(committed),
            number::count(delivered),
            number::short(number::ratio(real(delivered), seconds)),
        ]);
    }
    table
}

fn waits(report: &Report) -> Table {
    let mut table = numbers(&[
        "from when it was due, ms",
        "",
        "count",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
    ]);
    for part in parts(report) {
        for timing in Timing::ALL {
            let Some(of) = Quantiles::of(&part.latencies, timing) else {
                continue;
            };
            let mut row = vec![
                part.name.clone(),
                timing.name().to_owned(),
                number::count(of.count),
            ];
            row.extend([of.p50, of.p90, of.p99, of.p999, of.max].map(number::short));
            table.add_row(row);
        }
    }
    table
}

/// What happened besides messages and deliveries, in words and how often.
pub(super) fn besides(counts: &Counts) -> [(&'static str, u64); 14] {
    [
        ("connections made", counts.connected),
        ("attempts to connect failed", counts.connect_failed),
        ("connections lost", counts.lost),
        ("connections cut on purpose", counts.cut),
        ("connections resumed", counts.resumed),
        ("asked to move", counts.goaways),
        ("commands repeated", counts.repeated),
        ("commands pushed back", counts.pushed_back),
        ("commands refused", counts.refused),
        ("joins refused", counts.joins_refused),
        ("gaps told", counts.gaps),
        ("HTTP requests answered", counts.requests),
        ("HTTP requests failed", counts.requests_failed),
        ("frames against the rules", counts.broken),
    ]
}

/// What happened besides, in one line.
fn others(counts: &Counts) -> Option<String> {
    let happened: Vec<String> = besides(counts)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{} {name}", number::count(count)))
        .collect();
    (!happened.is_empty()).then(|| format!("besides: {}", happened.join(", ")))
}

fn costs(report: &Report) -> String {
    let costs = Costs::of(report);
    let mut table = numbers(&["process", "CPU s", "most memory"]);
    for cost in &report.costs {
        table.add_row(vec![
            cost.process.clone(),
            format!("{:.2}", cost.cpu_seconds),
            number::bytes(real(cost.resident_bytes)),
        ]);
    }
    let mut text = table.to_string();
    for line in costs.sentences() {
        let _ = write!(text, "\n{line}");
    }
    text
}
