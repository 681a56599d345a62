//! Two runs held against each other: what became better, what became worse, and whether they can be compared at all.

mod checks;
mod figures;
mod part;
mod same;

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use comfy_table::presets;

pub use checks::{Changed, changed};
pub use figures::{Better, Figure, Verdict, figures};
pub use same::differences;

use crate::{
    chaos::say,
    report::{self, Report, number, table},
};

/// Differences between latencies below this are no difference, in milliseconds.
const FLOOR_MS: f64 = 1.0;

/// Compares two runs by their reports: checks one by one; latencies, throughput, processor time and memory as ratios.
///
/// The exit code is 0 when nothing is worse than the threshold and every check that held still does, 1 when it is not so, and
/// 2 when the two cannot be compared.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  load-tests compare before/report.json after/report.json
  load-tests compare before/report.json after/report.json --threshold 1.05 --only 'ack p99' --only 'server processor'
  load-tests compare before/report.json after/report.json --markdown >> \"$GITHUB_STEP_SUMMARY\"")]
pub struct CompareArgs {
    /// The report.json to compare with.
    pub before: PathBuf,
    /// The report.json to be judged.
    pub after: PathBuf,
    /// How many times as bad a figure may be.
    #[arg(long, default_value_t = 1.10, value_parser = above_one)]
    pub threshold: f64,
    /// Judge only figures and checks whose name begins so; as often as needed.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Latencies that differ by less are the same, in milliseconds.
    #[arg(long, default_value_t = FLOOR_MS)]
    pub floor_ms: f64,
    /// Write a table in Markdown.
    #[arg(long)]
    pub markdown: bool,
    /// Compare runs of other settings or other machines, too.
    #[arg(long)]
    pub anyway: bool,
}

/// What came of a comparison.
#[derive(Debug)]
pub struct Comparison {
    /// As it is to be shown.
    pub text: String,
    /// What the process should end with; see [`CompareArgs`].
    pub code: u8,
}

/// Runs the command.
///
/// # Errors
/// Never: what keeps the runs from being compared is told, and in the exit code.
pub fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let both = report::read(&args.before).and_then(|before| Ok((before, report::read(&args.after)?)));
    let outcome = match both {
        Ok((before, after)) => compare(&before, &after, args),
        Err(error) => Comparison {
            text: format!("{error:#}"),
            code: 2,
        },
    };
    say(outcome.text.trim_end());
    Ok(ExitCode::from(outcome.code))
}

/// Holds `after` against `before`.
pub fn compare(before: &Report, after: &Report, args: &CompareArgs) -> Comparison {
    let mut text = heading(before, after, args.markdown);
    let differences = differences(before, after);
    if !differences.is_empty() {
        let _ = writeln!(text, "These two were not made in the same way:");
        for difference in &differences {
            let _ = writeln!(text, "* {difference}");
        }
        if !args.anyway {
            let _ = writeln!(
                text,
                "\nNot compared: their figures would say nothing. `--anyway` compares them all the same."
            );
            return Comparison { text, code: 2 };
        }
        text.push('\n');
    }
    let mut figures = figures(before, after);
    let mut checks = changed(before, after);
    if !args.only.is_empty() {
        let names: Vec<String> = figures.iter().map(|figure| figure.name.clone()).collect();
        let wanted = |name: &str| args.only.iter().any(|only| name.starts_with(only.as_str()));
        figures.retain(|figure| wanted(&figure.name));
        // Whoever asks for all checks asks for each.
        checks.retain(|check| wanted(figures::CHECKS) || wanted(&check.name));
        if figures.is_empty() && checks.is_empty() {
            let _ = writeln!(text, "No figure has such a name. There are: {}", names.join(", "));
            return Comparison { text, code: 2 };
        }
    }
    let broken = checks.iter().filter(|check| check.verdict() == Verdict::Worse);
    let smaller = figures
        .iter()
        .filter(|figure| figure.verdict(args.threshold, args.floor_ms) == Verdict::Worse);
    let worse: Vec<&str> = broken
        .map(|check| check.name.as_str())
        .chain(smaller.map(|figure| figure.name.as_str()))
        .collect();
    let _ = writeln!(text, "{}\n", shown(&checks, &figures, args));
    let _ = writeln!(text, "{}", conclusion(&worse, args.threshold));
    Comparison {
        text,
        code: u8::from(!worse.is_empty()),
    }
}

fn heading(before: &Report, after: &Report, markdown: bool) -> String {
    let mut text = String::new();
    for (name, report) in [("before", before), ("after", after)] {
        let run = &report.run;
        let bullet = if markdown { "* " } else { "" };
        let _ = writeln!(
            text,
            "{bullet}{name}: {} of {}, {}, {}",
            run.name,
            number::date(run.began_ms),
            number::duration(run.seconds),
            run.commit.as_deref().unwrap_or("commit unknown")
        );
    }
    text.push('\n');
    text
}

fn shown(checks: &[Changed], figures: &[Figure], args: &CompareArgs) -> String {
    let mut table = table::numbers(&["", "before", "after", "after/before", ""]);
    if args.markdown {
        table.load_style(presets::ASCII_MARKDOWN);
    }
    let word = |verdict| match verdict {
        Verdict::Worse => "WORSE",
        Verdict::Better => "better",
        Verdict::Same => "",
        Verdict::Shown => "not judged",
    };
    for check in checks {
        table.add_row(vec![
            check.name.clone(),
            Changed::text(check.before).to_owned(),
            Changed::text(check.after).to_owned(),
            "–".to_owned(),
            word(check.verdict()).to_owned(),
        ]);
    }
    for figure in figures {
        let verdict = word(figure.verdict(args.threshold, args.floor_ms));
        table.add_row(vec![
            figure.name.clone(),
            figure.text(figure.before),
            figure.text(figure.after),
            figure.ratio().map_or("–".into(), |ratio| format!("{ratio:.3}")),
            verdict.to_owned(),
        ]);
    }
    table.trim_fmt()
}

fn conclusion(worse: &[&str], threshold: f64) -> String {
    let percent = (threshold - 1.0) * 100.0;
    if worse.is_empty() {
        return format!("Nothing is worse by more than {percent:.0} %, and every check that held holds.");
    }
    format!(
        "Worse by more than {percent:.0} %, or broken: {}.",
        worse.join(", ")
    )
}

fn above_one(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value >= 1.0 && value.is_finite() => Ok(value),
        _ => Err("a ratio of 1 or more, such as 1.10".into()),
    }
}
