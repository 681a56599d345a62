//! Which charts there are: one for each name of series.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::chart::{Chart, Form, Line};
use crate::report::{Report, Series, number};

/// Series that are known, in the order of their charts, with the order of their lines.
const KNOWN: [(&str, &str, Form, &[&str]); 9] = [
    ("connections", "Connections, by node", Form::Layers, &[]),
    (
        "messages",
        "Messages",
        Form::Lines,
        &["offered", "accepted", "committed"],
    ),
    ("deliveries", "Deliveries, over all clients", Form::Lines, &[]),
    ("ack", "From due to ok", Form::Log, &["p50", "p99", "max"]),
    ("delivery", "From due to shown", Form::Log, &["p50", "p99", "max"]),
    (
        "processor",
        "Processor, by process; 100 is one core",
        Form::Lines,
        &[],
    ),
    ("memory", "Memory, by process", Form::Lines, &[]),
    ("instances", "Instances", Form::Lines, &[]),
    (
        "policies",
        "Mean of the instances, of the policy's target",
        Form::Lines,
        &[],
    ),
];

/// All of them.
pub(super) fn over_time(report: &Report) -> Markup {
    let charts = charts(report);
    html! {
        @if !charts.is_empty() {
            section.charts {
                h2 { "Over time" }
                p.note {
                    "Bands are phases"
                    @if !report.marks.is_empty() { ", numbered lines are what happened (listed below)" }
                    ". Point at a chart to read its values."
                }
                div.panes { @for chart in charts { (chart.draw(report)) } }
            }
        }
    }
}

fn charts(report: &Report) -> Vec<Chart> {
    let mut by_name: BTreeMap<&str, Vec<&Series>> = BTreeMap::new();
    for series in report.series.iter().filter(|series| !series.points.is_empty()) {
        by_name.entry(&series.name).or_default().push(series);
    }
    let mut charts = Vec::new();
    for (name, title, form, order) in KNOWN {
        if let Some(series) = by_name.remove(name) {
            charts.push(chart(name, title, form, order, series));
        }
    }
    for (name, series) in by_name {
        charts.push(chart(name, name, Form::Lines, &[], series));
    }
    charts
}

fn chart(name: &str, title: &str, form: Form, order: &[&str], mut series: Vec<&Series>) -> Chart {
    let rank = |label: &str| {
        order
            .iter()
            .position(|known| *known == label)
            .unwrap_or(order.len())
    };
    series.sort_by_key(|series| (rank(&series.label), number::natural(&series.label)));
    let lines = series.iter().map(|series| Line {
        label: series.label.clone(),
        points: series.points.clone(),
    });
    Chart {
        id: format!(
            "chart-{}",
            name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-")
        ),
        title: title.to_owned(),
        unit: series
            .first()
            .map(|series| series.unit.clone())
            .unwrap_or_default(),
        form,
        lines: lines.collect(),
    }
}
