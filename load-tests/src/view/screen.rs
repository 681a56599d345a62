//! How a run stands as a picture.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph, Row, Table},
};

use crate::{
    measure::{NodeNow, Snapshot, Timing},
    report::{
        Quantiles,
        number::{self, ratio, real},
    },
};

/// Draws it over the whole frame; `notes` stand behind what happened.
pub(super) fn draw(frame: &mut Frame<'_>, snapshot: &Snapshot, notes: &[String]) {
    let waits = waits(snapshot);
    let nodes = u16::try_from(snapshot.nodes.len()).unwrap_or(u16::MAX);
    let [title, upper, connections, events] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(7),
        Constraint::Length(nodes.clamp(1, 12).saturating_add(2)),
        Constraint::Min(3),
    ])
    .areas(frame.area());
    let [messages, times] =
        Layout::horizontal([Constraint::Percentage(45), Constraint::Percentage(55)]).areas(upper);
    frame.render_widget(headline(snapshot), title);
    frame.render_widget(traffic(snapshot), messages);
    frame.render_widget(waits, times);
    frame.render_widget(served(&snapshot.nodes, connections), connections);
    frame.render_widget(happened(snapshot, notes, events), events);
}

fn headline(snapshot: &Snapshot) -> Line<'static> {
    let mut spans = vec![
        Span::from(format!(" {} ", snapshot.name)).bold().reversed(),
        Span::from(format!("  {}", snapshot.phase)).bold(),
        Span::from(format!("  {}", number::moment(snapshot.seconds))),
    ];
    let total = &snapshot.total;
    for (count, what) in [
        (total.lost, "lost"),
        (total.pushed_back, "pushed back"),
        (total.refused, "refused"),
        (total.gaps, "gaps"),
        (total.broken, "broken"),
    ] {
        if count > 0 {
            let text = format!("  {} {what}", number::count(count));
            spans.push(Span::from(text).fg(Color::Yellow));
        }
    }
    Line::from(spans)
}

fn framed(title: &'static str) -> Block<'static> {
    Block::new().borders(Borders::ALL).title(title)
}

fn traffic(snapshot: &Snapshot) -> Table<'static> {
    let row = |name: &'static str, last, total| {
        Row::new([
            Line::from(name),
            Line::from(number::short(ratio(real(last), snapshot.last_seconds))).right_aligned(),
            Line::from(number::count(total)).right_aligned(),
        ])
    };
    let (last, total) = (&snapshot.last, &snapshot.total);
    let rows = [
        row("offered", last.offered, total.offered),
        row("accepted", last.accepted, total.accepted),
        row("committed", last.committed, total.committed),
        row("delivered", last.delivered, total.delivered),
    ];
    let header = ["", "a second", "in all"].map(|name| Line::from(name).right_aligned());
    Table::new(
        rows,
        [Constraint::Length(9), Constraint::Fill(1), Constraint::Fill(1)],
    )
    .header(Row::new(header).dim())
    .block(framed(" messages "))
}

fn waits(snapshot: &Snapshot) -> Table<'static> {
    // What people wait for most often comes first: there is space for four.
    let order = [
        Timing::Ack,
        Timing::Delivery,
        Timing::Reconnect,
        Timing::Connect,
        Timing::Join,
        Timing::Request,
    ];
    let rows = order.into_iter().filter_map(|timing| {
        let of = Quantiles::of(&snapshot.latencies, timing)?;
        let mut cells = vec![Line::from(timing.name())];
        for value in [of.p50, of.p99, of.p999, of.max] {
            cells.push(Line::from(number::short(value)).right_aligned());
        }
        Some(Row::new(cells))
    });
    let header = ["ms", "p50", "p99", "p99.9", "max"].map(|name| Line::from(name).right_aligned());
    let mut widths = vec![Constraint::Length(9)];
    widths.resize(5, Constraint::Fill(1));
    Table::new(rows, widths)
        .header(Row::new(header).dim())
        .block(framed(" waits in the last second, from when due "))
}

/// A bar for each node; those without space are counted.
fn served(nodes: &[NodeNow], area: Rect) -> Paragraph<'static> {
    let all: u64 = nodes.iter().map(|node| node.connections).sum();
    let most = nodes.iter().map(|node| node.connections).max().unwrap_or(0);
    let name = nodes
        .iter()
        .map(|node| node.name.chars().count())
        .max()
        .unwrap_or(0)
        .min(24);
    let space = usize::from(area.height.saturating_sub(2));
    let width = usize::from(area.width).saturating_sub(name + 16);
    let shown = if nodes.len() > space {
        space.saturating_sub(1)
    } else {
        nodes.len()
    };
    let mut lines: Vec<Line<'_>> = nodes[..shown]
        .iter()
        .map(|node| {
            let filled = bar(ratio(real(node.connections), real(most)), width);
            Line::from(vec![
                Span::from(format!("{:name$.name$} ", node.name)),
                Span::styled(format!("{filled:width$}"), Style::new().fg(Color::Cyan)),
                Span::from(format!(" {:>10}", number::count(node.connections))),
            ])
        })
        .collect();
    if shown < nodes.len() {
        lines.push(Line::from(format!("and {} more nodes", nodes.len() - shown)));
    }
    let title = format!(" {} connections on {} nodes ", number::count(all), nodes.len());
    Paragraph::new(lines).block(Block::new().borders(Borders::ALL).title(title))
}

/// To an eighth of a cell.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "cells of a terminal"
)]
fn bar(part: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (part.clamp(0.0, 1.0) * real(width as u64) * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

fn happened(snapshot: &Snapshot, notes: &[String], area: Rect) -> Paragraph<'static> {
    let space = usize::from(area.height.saturating_sub(2));
    let mut lines: Vec<Line<'_>> = snapshot
        .marks
        .iter()
        .map(|mark| {
            Line::from(vec![
                Span::from(format!("{:>6}  ", number::moment(mark.at_s))).dim(),
                Span::from(format!("{}: ", mark.kind)).bold(),
                Span::from(mark.text.clone()),
            ])
        })
        .collect();
    lines.extend(notes.iter().map(|note| Line::from(note.clone())));
    let skipped = lines.len().saturating_sub(space);
    Paragraph::new(lines.split_off(skipped)).block(framed(" events "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::{measure::Counts, report::Mark};

    fn drawn(width: u16, height: u16, snapshot: &Snapshot, notes: &[String]) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, snapshot, notes)).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content.chunks(usize::from(width));
        rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect())
            .collect()
    }

    fn snapshot(nodes: u64) -> Snapshot {
        let mut snapshot = Snapshot {
            name: "ramp".into(),
            phase: "step 3".into(),
            seconds: 125.0,
            total: Counts {
                delivered: 1_234_567,
                lost: 3,
                ..Counts::default()
            },
            last: Counts {
                delivered: 5000,
                ..Counts::default()
            },
            last_seconds: 1.0,
            nodes: (1..=nodes)
                .map(|node| NodeNow {
                    name: format!("node-{node}"),
                    connections: 1000 * node,
                })
                .collect(),
            marks: vec![Mark {
                at_s: 61.0,
                kind: "launch".into(),
                text: "node-2 is in service".into(),
            }],
            ..Snapshot::default()
        };
        snapshot
            .latencies
            .record(Timing::Delivery, Duration::from_micros(4200));
        snapshot
    }

    #[test]
    fn it_shows_phase_rates_waits_nodes_and_events() {
        let rows = drawn(80, 24, &snapshot(2), &["and a note".into()]);
        let with = |part: &str| {
            let row = rows.iter().find(|row| row.contains(part));
            row.unwrap_or_else(|| panic!("`{part}` is missing in\n{}", rows.join("\n")))
        };
        assert!(with("step 3").contains("2:05"));
        assert!(with("3 lost").contains("ramp"));
        assert!(with("delivered").contains("5,000") && with("delivered").contains("1,234,567"));
        assert!(with("delivery").contains("4.20"));
        with("3,000 connections on 2 nodes");
        let bar = |node: &str| with(node).matches('█').count();
        assert!(bar("node-1 ") * 2 == bar("node-2 ") && bar("node-1 ") > 10);
        with("1:01  launch: node-2 is in service");
        with("and a note");
    }

    #[test]
    fn it_fits_into_any_terminal() {
        for (width, height) in [(1, 1), (20, 5), (40, 12), (200, 60)] {
            drawn(width, height, &snapshot(30), &[]);
            drawn(width, height, &Snapshot::default(), &[]);
        }
        let rows = drawn(80, 30, &snapshot(30), &[]);
        assert!(
            rows.iter().any(|row| row.contains("and 19 more nodes")),
            "{}",
            rows.join("\n")
        );
    }
}
