//! What a run has cost by what it did: the server's side, and the side that measures.

use super::{
    Report, Series,
    number::{self, ratio, real},
};

/// Sums over processes. Microseconds and bytes are 0 where nothing was done, or no process is known.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Costs {
    /// Processor time of all servers' processes, in seconds.
    pub server_cpu_seconds: f64,
    /// Processor time of all processes of clients, in seconds.
    pub clients_cpu_seconds: f64,
    /// The most memory that the servers' nodes held, in bytes; their database and bus are not in it.
    pub node_bytes: f64,
    /// The most memory that processes of clients held, in bytes.
    pub clients_bytes: f64,
    /// Events that were shown.
    pub delivered: u64,
    /// The most connections that there were at once.
    pub connections: f64,
}

impl Costs {
    /// Of a run.
    pub fn of(report: &Report) -> Self {
        let cpu = |server| {
            let of_side = report.costs.iter().filter(|cost| cost.server == server);
            of_side.map(|cost| cost.cpu_seconds).sum()
        };
        // Nodes come and go: what counts is what they held together.
        let bytes = |server: bool, prefix: &str| {
            let processes = report
                .costs
                .iter()
                .filter(|cost| cost.server == server && cost.process.starts_with(prefix));
            let names: Vec<&str> = processes.map(|cost| cost.process.as_str()).collect();
            let of = |series: &Series| series.name == "memory" && names.contains(&series.label.as_str());
            most_at_once(report, of) * f64::from(1 << 20)
        };
        Self {
            server_cpu_seconds: cpu(true),
            clients_cpu_seconds: cpu(false),
            node_bytes: bytes(true, "node"),
            clients_bytes: bytes(false, ""),
            delivered: report.counts.delivered,
            connections: most_at_once(report, |series| series.name == "connections"),
        }
    }

    /// Processor time of the servers for each event that was shown, in microseconds.
    pub fn server_us_per_delivery(&self) -> f64 {
        ratio(self.server_cpu_seconds * 1e6, real(self.delivered))
    }

    /// Processor time of the clients for each event that was shown, in microseconds.
    pub fn clients_us_per_delivery(&self) -> f64 {
        ratio(self.clients_cpu_seconds * 1e6, real(self.delivered))
    }

    /// All memory of the nodes, divided by the most connections at once, in bytes.
    pub fn node_bytes_per_connection(&self) -> f64 {
        ratio(self.node_bytes, self.connections)
    }

    /// All memory of the clients, divided by the most connections at once, in bytes.
    pub fn client_bytes_per_connection(&self) -> f64 {
        ratio(self.clients_bytes, self.connections)
    }

    /// What is known, in words.
    pub fn sentences(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.delivered > 0 {
            let sides = [
                ("server", self.server_us_per_delivery()),
                ("clients", self.clients_us_per_delivery()),
            ];
            lines.extend(
                said(&sides, |value| format!("{} µs", number::short(value)))
                    .map(|said| format!("Processor time a delivery: {said}")),
            );
        }
        if self.connections > 0.0 {
            let sides = [
                ("nodes", self.node_bytes_per_connection()),
                ("clients", self.client_bytes_per_connection()),
            ];
            lines.extend(said(&sides, number::bytes).map(|said| {
                let most = number::short(self.connections);
                format!("Memory a connection, all of it divided by {most} connections: {said}")
            }));
        }
        lines
    }
}

fn said(sides: &[(&str, f64)], text: impl Fn(f64) -> String) -> Option<String> {
    let known: Vec<String> = sides
        .iter()
        .filter(|(_, value)| *value > 0.0)
        .map(|(side, value)| format!("{side} {}", text(*value)))
        .collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// The largest sum of these series at one moment. One that has had no point for some seconds is over.
fn most_at_once(report: &Report, of: impl Fn(&Series) -> bool) -> f64 {
    const OVER: f64 = 3.0;
    let series: Vec<&Series> = report.series.iter().filter(|series| of(series)).collect();
    let mut times: Vec<f64> = series
        .iter()
        .flat_map(|series| series.points.iter().map(|point| point.0))
        .collect();
    times.sort_by(f64::total_cmp);
    times.dedup();
    let sum_at = |time: f64| -> f64 {
        let there = series.iter().filter(|series| {
            let last = series.points.last();
            last.is_some_and(|last| time <= last.0 + OVER)
        });
        there.map(|series| series.at(time)).sum()
    };
    times.into_iter().map(sum_at).fold(0.0, f64::max)
}
