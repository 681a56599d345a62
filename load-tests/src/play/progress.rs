//! What a person sees of it.

use std::path::Path;

use crate::{
    chaos::say,
    measure::{Snapshot, Timing},
    report::{self, Report},
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
    let written = report::write(report, folder)?;
    Ok(format!(
        "\n{}\nReport: {} (for a browser), {} (everything), {} (for CI)",
        report::plain(report).trim_end(),
        written.html.display(),
        written.json.display(),
        written.junit.display()
    ))
}
