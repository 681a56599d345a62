//! The report as one page that needs nothing beside it: no network, no server, no other file.

mod chart;
mod charts;
mod distribution;
mod scale;
mod tables;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Report, number};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The whole page. All that comes from the run is escaped.
pub(super) fn page(report: &Report) -> String {
    let run = &report.run;
    let verdict = verdict(report);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (run.name) ": " (verdict.0) " · Hubbub load report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (head(report, verdict))
                main {
                    (checks(report))
                    (tables::traffic(report))
                    (tables::waits(report))
                    (charts::over_time(report))
                    (distribution::section(report))
                    (tables::costs(report))
                    (tables::happened(report))
                    (tables::about(report))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// In a word, and the class that colours it.
fn verdict(report: &Report) -> (&'static str, &'static str) {
    match (report.checks.is_empty(), report.passed()) {
        (true, _) => ("measured", "neither"),
        (false, true) => ("passed", "good"),
        (false, false) => ("failed", "bad"),
    }
}

fn head(report: &Report, (word, class): (&str, &str)) -> Markup {
    let run = &report.run;
    html! {
        header {
            div.title {
                h1 { (run.name) }
                span.verdict.(class) { (word) }
            }
            @if !run.description.is_empty() { p.lead { (run.description) } }
            p.facts {
                span { (number::date(run.began_ms)) }
                span { (number::duration(run.seconds)) }
                @if !run.targets.is_empty() { span { (run.targets.join(", ")) } }
                span { (run.machine.cores) " × " (run.machine.processor) }
                span { "load-tests " (run.version) @if let Some(commit) = &run.commit { ", " code { (short(commit)) } } }
            }
        }
    }
}

/// As much of a commit as names it.
fn short(commit: &str) -> String {
    match commit.split_once(' ') {
        Some((id, rest)) => format!("{} {rest}", id.get(..10).unwrap_or(id)),
        None => commit.get(..10).unwrap_or(commit).to_owned(),
    }
}

fn checks(report: &Report) -> Markup {
    html! {
        section.checks {
            h2 { "What had to hold" }
            @if report.checks.is_empty() {
                p { "This run only measured: nothing had to hold." }
            } @else {
                ul {
                    @for check in &report.checks {
                        li class=(if check.passed { "good" } else { "bad" }) {
                            span.sign { (if check.passed { "✓ held" } else { "✗ failed" }) }
                            div { strong { (check.name) } @if !check.detail.is_empty() { p { (check.detail) } } }
                        }
                    }
                }
            }
        }
    }
}
