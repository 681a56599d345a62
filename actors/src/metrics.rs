//! Every metric of a node: its name, its description and the handle that counts it, in this one place.
//!
//! The handles belong to one recorder, so that several nodes in one process keep separate books; looking a handle up
//! by name on the hot path would cost a hash each time.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, SharedString, Unit};
use protocol::{ErrorCode, client::CLIENT_OPS};

/// The handles of one node. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Handles>);

macro_rules! metrics {
    (
        counters { $($counter:ident = $counter_name:literal, $counter_text:literal;)* }
        gauges { $($gauge:ident = $gauge_name:literal, $gauge_text:literal;)* }
        histograms { $($histogram:ident = $histogram_name:literal, $unit:ident, $histogram_text:literal;)* }
    ) => {
        struct Handles {
            $($counter: Counter,)*
            $($gauge: Gauge,)*
            $($histogram: Histogram,)*
            bus_frames_in: Counter,
            bus_frames_out: Counter,
            frames: Vec<Counter>,
            errors: Vec<Counter>,
        }

        impl Metrics {
            /// Registers and describes every metric with `recorder`; counters begin at 0, gauges at 0.
            pub fn register(recorder: &dyn metrics::Recorder) -> Self {
                let registry = Registry(recorder);
                $(registry.describe_counter($counter_name, $counter_text);)*
                $(registry.describe_gauge($gauge_name, $gauge_text);)*
                $(registry.describe_histogram($histogram_name, Unit::$unit, $histogram_text);)*
                registry.describe_counter(BUS_FRAMES, "Frames on the bus between nodes, by direction.");
                registry.describe_counter(FRAMES, "Frames read from clients, by op; `invalid` where there was none that is known.");
                registry.describe_counter(ERRORS, "Refusals told to clients, on sockets and over HTTP, by code.");
                Self(Arc::new(Handles {
                    $($counter: registry.counter($counter_name, None),)*
                    $($gauge: registry.gauge($gauge_name),)*
                    $($histogram: registry.histogram($histogram_name),)*
                    bus_frames_in: registry.counter(BUS_FRAMES, Some(("direction", "in"))),
                    bus_frames_out: registry.counter(BUS_FRAMES, Some(("direction", "out"))),
                    frames: CLIENT_OPS
                        .iter()
                        .chain([&INVALID])
                        .map(|op| registry.counter(FRAMES, Some(("op", op))))
                        .collect(),
                    errors: ErrorCode::ALL
                        .iter()
                        .map(|code| registry.counter(ERRORS, Some(("code", code.as_str()))))
                        .collect(),
                }))
            }

            /// The names of all histograms and what they measure, for choosing buckets.
            pub const HISTOGRAMS: &[(&str, Unit)] = &[$(($histogram_name, Unit::$unit),)*];

            $(#[doc = $counter_text] pub fn $counter(&self) -> &Counter { &self.0.$counter })*
            $(#[doc = $gauge_text] pub fn $gauge(&self) -> &Gauge { &self.0.$gauge })*
            $(#[doc = $histogram_text] pub fn $histogram(&self) -> &Histogram { &self.0.$histogram })*
        }

    };
}

const BUS_FRAMES: &str = "hubbub_bus_frames_total";
const FRAMES: &str = "hubbub_frames_total";
const ERRORS: &str = "hubbub_errors_total";
const INVALID: &str = "invalid";

metrics! {
    counters {
        handshakes = "hubbub_handshakes_total", "WebSocket upgrades that were accepted.";
        handshakes_refused = "hubbub_handshakes_refused_total", "WebSocket upgrades that were refused.";
        events_committed = "hubbub_events_committed_total", "Events that this node committed to the store.";
        appends_known = "hubbub_appends_known_total", "Repeated commands that were answered with the first one's seq.";
        commits_failed = "hubbub_commits_failed_total", "Batches that the store did not take.";
        deliveries = "hubbub_deliveries_total", "Events handed to connections: an event in a room of 10 counts 10.";
        gap_fills = "hubbub_gap_fills_total", "Reads from the store that filled a hole in a room's events.";
        gaps = "hubbub_gaps_total", "Gaps told to clients that were too far behind to be replayed.";
        replay_reads = "hubbub_replay_reads_total", "Reads from the store that replayed events to clients.";
        outbox_overflows = "hubbub_outbox_overflows_total", "Times that a client's outbox was full and a room began to lag on it.";
        slow_consumers = "hubbub_slow_consumers_total", "Connections closed because they took nothing for the write deadline.";
        bus_backlog_dropped = "hubbub_bus_backlog_dropped_total", "Frames from the bus that were dropped because a room was too busy; they are read from the store.";
        connections_shed = "hubbub_connections_shed_total", "Clients asked to move to other nodes, because this one had more than its share.";
        connections_shed_closed = "hubbub_connections_shed_closed_total", "Of those, clients that stayed and were closed (4004).";
        connections_drained = "hubbub_connections_drained_total", "Clients asked to move because this node leaves.";
        lease_renewals_failed = "hubbub_lease_renewals_failed_total", "Times that this node's lease could not be renewed on the bus.";
        rooms_restarted = "hubbub_rooms_restarted_total", "Room actors that failed and were rebuilt from the store.";
        socket_read_bytes = "hubbub_socket_read_bytes_total", "Payload bytes of frames read from clients.";
        socket_written_bytes = "hubbub_socket_written_bytes_total", "Payload bytes of frames written to clients.";
    }
    gauges {
        connections = "hubbub_connections", "WebSocket connections that are open now.";
        rooms = "hubbub_rooms", "Rooms that are active on this node now.";
        pending_append_bytes = "hubbub_pending_append_bytes", "Bytes that wait to be committed.";
        bus_up = "hubbub_bus_up", "1 while the bus to the other nodes is connected, else 0.";
        store_up = "hubbub_store_up", "1 while the store answers, else 0.";
        cluster_nodes = "hubbub_cluster_nodes", "Nodes with a lease that this node knows of, itself included.";
        cluster_mean_connections = "hubbub_cluster_mean_connections", "Mean of the welcomed connections of the nodes that are not leaving.";
        node_load = "hubbub_node_load", "Share of the machine's cores that this process uses, from 0 to 1.";
        lag_seconds = "hubbub_lag_seconds", "For how long a task that is ready waits for a thread: next to nothing, unless this node has more to do than it can.";
        draining = "hubbub_draining", "1 while this node is leaving, else 0.";
    }
    histograms {
        commit_seconds = "hubbub_commit_seconds", Seconds, "Time that the store took to commit a batch.";
        commit_batch_events = "hubbub_commit_batch_events", Count, "Events in a committed batch.";
        append_wait_seconds = "hubbub_append_wait_seconds", Seconds, "Time from a command's arrival to its commit.";
    }
}

impl Metrics {
    /// Handles that count into nothing, for tests.
    pub fn noop() -> Self {
        Self::register(&metrics::NoopRecorder)
    }

    /// Frames that came in from the bus.
    pub fn bus_frames_in(&self) -> &Counter {
        &self.0.bus_frames_in
    }

    /// Frames that were handed to the bus.
    pub fn bus_frames_out(&self) -> &Counter {
        &self.0.bus_frames_out
    }

    /// Frames read from clients with this `op`; one that is not known counts as `invalid`.
    pub fn frames(&self, op: Option<&str>) -> &Counter {
        let known = op.and_then(|op| CLIENT_OPS.iter().position(|known| *known == op));
        &self.0.frames[known.unwrap_or(CLIENT_OPS.len())]
    }

    /// Refusals with this code.
    pub fn errors(&self, code: ErrorCode) -> &Counter {
        &self.0.errors[code as usize]
    }
}

struct Registry<'a>(&'a dyn metrics::Recorder);

static METADATA: metrics::Metadata<'static> =
    metrics::Metadata::new(module_path!(), metrics::Level::INFO, Some(module_path!()));

impl Registry<'_> {
    fn describe_counter(&self, name: &'static str, text: &'static str) {
        self.0
            .describe_counter(name.into(), Some(Unit::Count), SharedString::const_str(text));
    }

    fn describe_gauge(&self, name: &'static str, text: &'static str) {
        self.0
            .describe_gauge(name.into(), None, SharedString::const_str(text));
    }

    fn describe_histogram(&self, name: &'static str, unit: Unit, text: &'static str) {
        self.0
            .describe_histogram(name.into(), Some(unit), SharedString::const_str(text));
    }

    fn counter(&self, name: &'static str, label: Option<(&'static str, &'static str)>) -> Counter {
        let labels: Vec<_> = label.iter().map(metrics::Label::from).collect();
        let counter = self
            .0
            .register_counter(&metrics::Key::from_parts(name, labels), &METADATA);
        counter.increment(0);
        counter
    }

    fn gauge(&self, name: &'static str) -> Gauge {
        let gauge = self
            .0
            .register_gauge(&metrics::Key::from_static_name(name), &METADATA);
        gauge.set(0.0);
        gauge
    }

    fn histogram(&self, name: &'static str) -> Histogram {
        self.0
            .register_histogram(&metrics::Key::from_static_name(name), &METADATA)
    }
}
