//! What a person sees of it.

use std::{fs, path::Path};

use anyhow::Context;

use crate::{
    chaos::say,
    measure::{Snapshot, Timing},
    report::Report,
};

/// Shows how a run stands.
pub(super) struct Progress;

impl Progress {
    pub(super) fn start(_plain: bool) -> Self {
        Self
    }

    #[allow(clippy::cast_precision_loss, reason = "for people")]
    pub(super) fn show(&self, now: &Snapshot) {
        let rate = |count: u64| count as f64 / now.last_seconds.max(0.001);
        let connections: u64 = now.nodes.iter().map(|node| node.connections).sum();
        let p99 = now.latencies.quantile_ms(Timing::Delivery, 0.99);
        let p99 = p99.map_or(String::new(), |ms| format!(", p99 {ms:.1} ms"));
        say(&format!(
            "{:6.1} s  {:<12} {connections:>6} connections {:>7.0}/s offered {:>7.0}/s committed {:>9.0}/s delivered{p99}",
            now.seconds,
            now.phase,
            rate(now.last.offered),
            rate(now.last.committed),
            rate(now.last.delivered),
        ));
    }

    pub(super) fn end(&mut self) {}
}

/// Writes the report; what is said of it.
pub(super) fn ending(report: &Report, folder: &Path) -> anyhow::Result<String> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let file = folder.join("report.json");
    fs::write(&file, serde_json::to_string(report)?)?;
    let mut lines = vec![String::new()];
    for check in &report.checks {
        let mark = if check.passed { "ok  " } else { "FAIL" };
        lines.push(format!("{mark} {}: {}", check.name, check.detail));
    }
    lines.push(format!("Report: {}", file.display()));
    Ok(lines.join("\n"))
}
