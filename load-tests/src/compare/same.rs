//! Whether two runs were made in the same way.

use std::collections::BTreeSet;

use crate::report::{Report, number};

/// Settings that may differ: they decide what is left to chance, or where files go.
const FREE: [&str; 3] = ["seed", "out", "targets"];

/// In what, in words; empty if they can be compared.
pub fn differences(before: &Report, after: &Report) -> Vec<String> {
    let (one, other) = (&before.run, &after.run);
    let mut told = Vec::new();
    let mut differ = |what: &str, one: String, other: String| {
        if one != other {
            told.push(format!("{what}: {one}, then {other}"));
        }
    };
    differ("scenario", one.name.clone(), other.name.clone());
    differ(
        "processor",
        one.machine.processor.clone(),
        other.machine.processor.clone(),
    );
    differ(
        "cores",
        one.machine.cores.to_string(),
        other.machine.cores.to_string(),
    );
    let memory = |bytes| number::bytes(number::real(bytes));
    differ(
        "memory",
        memory(one.machine.memory_bytes),
        memory(other.machine.memory_bytes),
    );
    let build = |version: &str| {
        if version.ends_with("debug build") {
            "debug"
        } else {
            "release"
        }
        .to_owned()
    };
    differ("build of load-tests", build(&one.version), build(&other.version));
    // How often a phase was repeated is what came of the run, not how it was made.
    let phases = |report: &Report| {
        let repeated = repeated(report);
        let names = report.phases.iter().map(|phase| phase.name.as_str());
        names
            .filter(|name| !is_step(name, &repeated))
            .collect::<Vec<_>>()
            .join(", ")
    };
    differ("phases", phases(before), phases(after));
    let names: BTreeSet<&String> = one.settings.keys().chain(other.settings.keys()).collect();
    for name in names.into_iter().filter(|name| !FREE.contains(&name.as_str())) {
        let of = |settings: &std::collections::BTreeMap<String, serde_json::Value>| {
            settings
                .get(name)
                .map_or_else(|| "not set".to_owned(), ToString::to_string)
        };
        differ(&format!("setting {name}"), of(&one.settings), of(&other.settings));
    }
    told
}

/// Names of the phases that the run's scenario repeats until a goal breaks.
pub(super) fn repeated(report: &Report) -> Vec<&str> {
    let scenario = report.run.settings.get("scenario");
    let phases = scenario.and_then(|scenario| scenario.get("phase")?.as_array());
    phases
        .into_iter()
        .flatten()
        .filter(|phase| phase.get("repeat").is_some_and(|repeat| !repeat.is_null()))
        .filter_map(|phase| phase.get("name")?.as_str())
        .collect()
}

/// Whether a phase is one of those steps: `step 3` of `step`.
pub(super) fn is_step(name: &str, repeated: &[&str]) -> bool {
    let number = |of: &&str| name.strip_prefix(*of)?.strip_prefix(' ')?.parse::<u32>().ok();
    repeated.iter().any(|of| number(of).is_some())
}
