//! `scenarios`: what there is to play.

use std::{io::Write, process::ExitCode};

use anyhow::Context;

use super::{BUILT_IN, Scenario, built_in, built_in::COMMANDS};

/// Lists the built-in scenarios, or prints the one with this name.
///
/// # Errors
/// When there is none of this name.
pub fn list(name: Option<&str>) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    if let Some(name) = name {
        let text = built_in(name).with_context(|| {
            let names = BUILT_IN.map(|(name, _)| name).join(", ");
            format!("there is no built-in scenario `{name}`, but {names}")
        })?;
        write!(out, "{text}")?;
        return Ok(ExitCode::SUCCESS);
    }
    for (name, text) in BUILT_IN {
        let scenario = Scenario::parse(text)?;
        writeln!(
            out,
            "{name:<9} {} connections, {:.0} s. {}",
            scenario.most_connections(),
            scenario.seconds(),
            scenario.description
        )?;
    }
    writeln!(out, "Commands of their own:")?;
    for (name, command) in COMMANDS {
        writeln!(out, "{name:<9} {command} --help")?;
    }
    Ok(ExitCode::SUCCESS)
}
