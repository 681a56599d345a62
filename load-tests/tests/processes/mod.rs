//! The processes that a command started.

use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use tokio::time::sleep;

/// All that `parent` started and that still run, each with its command line.
///
/// # Panics
/// When `parent` has ended.
pub(crate) fn children(parent: u32) -> Vec<(Pid, String)> {
    // Threads start processes; each has its own list.
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task"));
    let tasks = tasks.unwrap_or_else(|error| panic!("{parent} has ended, see above: {error}"));
    let lists = tasks
        .flatten()
        .map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let lists: Vec<String> = lists.collect();
    let ids = lists.iter().flat_map(|list| list.split_whitespace());
    ids.filter_map(|id| {
        let line = std::fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
        Some((Pid::from_raw(id.parse().ok()?)?, line))
    })
    .collect()
}

/// Waits for a process that `parent` started with this word in its command line.
///
/// # Panics
/// When there is none within 20 s.
pub(crate) async fn child_of(parent: u32, word: &str) -> Pid {
    for _ in 0..2000 {
        let found = children(parent).into_iter().find(|(_, line)| line.contains(word));
        if let Some((child, _)) = found {
            return child;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("{parent} starts no process with `{word}`");
}

/// Whether a process ends soon; whoever inherited it may have to take note first.
pub(crate) async fn is_gone(process: Pid) -> bool {
    for _ in 0..500 {
        if test_kill_process(process).is_err() {
            return true;
        }
        sleep(Duration::from_millis(10)).await;
    }
    false
}
