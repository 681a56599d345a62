//! The page's tables.

use maud::{Markup, html};

use crate::{
    measure::Timing,
    report::{
        Costs, Quantiles, Report,
        number::{self, ratio, real},
        table::{besides, parts},
    },
};

/// What was offered and what became of it, phase by phase.
pub(super) fn traffic(report: &Report) -> Markup {
    html! {
        section {
            h2 { "What was offered, and what became of it" }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "phase" }
                    th scope="col" { "time" }
                    th scope="col" title="commands that were due by the schedule" { "offered" }
                    th scope="col" title="of them: written to a connection" { "accepted" }
                    th scope="col" title="of them: answered with ok, that is, stored" { "committed" }
                    th scope="col" title="committed, of what was offered" { "of offered" }
                    th scope="col" title="events that clients were shown for the first time, over all clients" { "delivered" }
                    th scope="col" { "a second" }
                } }
                tbody {
                    @for part in parts(report) {
                        @let seconds = part.to_s - part.from_s;
                        @let counts = part.counts;
                        tr {
                            th scope="row" { (part.name) }
                            td { (number::duration(seconds)) }
                            td { (number::count(counts.offered)) }
                            td { (number::count(counts.accepted)) }
                            td { (number::count(counts.committed)) }
                            td { (share(counts.committed, counts.offered)) }
                            td { (number::count(counts.delivered)) }
                            td { (number::short(ratio(real(counts.delivered), seconds))) "/s" }
                        }
                    }
                }
            } }
            p.note {
                "Offered: due by the schedule. Accepted: written to a connection. Committed: answered with "
                code { "ok" } ", that is, stored. Delivered: events shown to a client for the first time, over all clients."
            }
            (others(report))
        }
    }
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".into();
    }
    // Never rounded up to all of it.
    let tenths = (1000.0 * ratio(real(part), real(whole))).floor() / 10.0;
    format!("{tenths} %")
}

fn others(report: &Report) -> Markup {
    let happened: Vec<_> = besides(&report.counts)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    html! {
        @if !happened.is_empty() {
            ul.counts {
                @for (name, count) in happened { li { strong { (number::count(count)) } " " (name) } }
            }
        }
    }
}

/// How long things took, phase by phase.
pub(super) fn waits(report: &Report) -> Markup {
    let timings = Timing::ALL
        .into_iter()
        .filter(|timing| report.latencies.get(*timing).is_some());
    html! {
        section {
            h2 { "How long it took" }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "milliseconds" }
                    @for name in ["count", "p50", "p90", "p99", "p99.9", "max"] { th scope="col" { (name) } }
                } }
                @for timing in timings {
                    tbody {
                        tr.group { th colspan="7" scope="rowgroup" { (timing.name()) " " span.note { (meaning(timing)) } } }
                        @for part in parts(report) {
                            @if let Some(of) = Quantiles::of(&part.latencies, timing) {
                                tr {
                                    th scope="row" { (part.name) }
                                    td { (number::count(of.count)) }
                                    @for value in [of.p50, of.p90, of.p99, of.p999, of.max] { td { (number::short(value)) } }
                                }
                            }
                        }
                    }
                }
            } }
            p.note { "Every wait counts from the moment when it was due by the schedule, so a server that stalls is charged for all that had to wait." }
        }
    }
}

pub(super) fn meaning(timing: Timing) -> &'static str {
    match timing {
        Timing::Connect => "from when a connection was due to its welcome",
        Timing::Reconnect => "from the loss of a connection to the next one's welcome",
        Timing::Join => "from when a join was due to its answer",
        Timing::Ack => "from when a command was due to its ok",
        Timing::Delivery => "from when a message was due to when a client was shown it",
        Timing::Request => "from when an HTTP request was due to the end of its answer",
    }
}

/// What it cost, by process and by what was done.
pub(super) fn costs(report: &Report) -> Markup {
    let costs = Costs::of(report);
    let mut processes: Vec<_> = report.costs.iter().collect();
    processes.sort_by_key(|cost| number::natural(&cost.process));
    html! {
        @if !report.costs.is_empty() {
            section {
                h2 { "What it cost" }
                div.scroll { table {
                    thead { tr {
                        th scope="col" { "process" } th scope="col" { "side" }
                        th scope="col" { "CPU seconds" } th scope="col" { "of one core" } th scope="col" { "most memory" }
                    } }
                    tbody {
                        @for cost in processes {
                            tr {
                                th scope="row" { (cost.process) }
                                td { (if cost.server { "server" } else { "clients" }) }
                                td { (number::short(cost.cpu_seconds)) }
                                td { (number::short(100.0 * ratio(cost.cpu_seconds, report.run.seconds))) " %" }
                                td { (number::bytes(real(cost.resident_bytes))) }
                            }
                        }
                    }
                } }
                @for line in costs.sentences() { p.note { (line) "." } }
            }
        }
    }
}

/// What happened at one moment.
pub(super) fn happened(report: &Report) -> Markup {
    html! {
        @if !report.marks.is_empty() {
            section {
                h2 { "What happened" }
                div.scroll { table.events {
                    thead { tr { th scope="col" { "no." } th scope="col" { "at" } th scope="col" { "kind" } th scope="col" { "what" } } }
                    tbody {
                        @for (at, mark) in report.marks.iter().enumerate() {
                            tr {
                                td { (at + 1) }
                                td { (number::moment(mark.at_s)) }
                                td { span.kind.(super::chart::tone(&mark.kind)) { (mark.kind) } }
                                td.text { (mark.text) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// Where, by what, how.
pub(super) fn about(report: &Report) -> Markup {
    let run = &report.run;
    html! {
        section {
            h2 { "Where and how" }
            div.scroll { table.about {
                tbody {
                    tr { th scope="row" { "began" } td.text { (number::date(run.began_ms)) } }
                    tr { th scope="row" { "processor" } td.text { (run.machine.cores) " × " (run.machine.processor) } }
                    tr { th scope="row" { "memory" } td.text { (number::bytes(real(run.machine.memory_bytes))) } }
                    tr { th scope="row" { "system" } td.text { (run.machine.system) } }
                    tr { th scope="row" { "program" } td.text { "load-tests " (run.version) } }
                    tr { th scope="row" { "commit" } td.text { (run.commit.as_deref().unwrap_or("unknown")) } }
                    @for target in &run.targets { tr { th scope="row" { "target" } td.text { (target) } } }
                    @for (name, value) in &run.settings {
                        tr { th scope="row" { code { (name) } } td.text { code { (setting(value)) } } }
                    }
                }
            } }
            @if let Some(checker) = &report.checker {
                details {
                    summary { "What the checker of journals said" }
                    pre { (serde_json::to_string_pretty(checker).unwrap_or_default()) }
                }
            }
        }
    }
}

fn setting(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
