//! Makes a plan that fails smaller.

use actors::planted::Bug;

use crate::{plan::Plan, run::run};

/// Most runs that are spent on it.
const MOST_RUNS: usize = 400;

/// Leaves out steps for as long as what is left still fails in about the way that `violation` says.
pub(crate) fn shrink(mut plan: Plan, bug: Option<Bug>, violation: &str) -> Plan {
    let mut runs = 0;
    let mut size = plan.steps.len().div_ceil(2);
    while size > 0 {
        let mut begin = 0;
        let mut smaller = false;
        while begin < plan.steps.len() && runs < MOST_RUNS {
            let mut fewer = plan.clone();
            let end = (begin + size).min(fewer.steps.len());
            fewer.steps.drain(begin..end);
            runs += 1;
            let fails = run(&fewer, bug, false).violation;
            if fails.is_some_and(|other| kind(&other).eq(kind(violation))) {
                plan = fewer;
                smaller = true;
            } else {
                begin += size;
            }
        }
        if size == 1 && !smaller || runs >= MOST_RUNS {
            break;
        }
        size = if smaller {
            size.min(plan.steps.len())
        } else {
            size / 2
        };
        if size == 0 {
            break;
        }
    }
    plan
}

/// The words that a violation begins with, without names and numbers.
fn kind(violation: &str) -> impl Iterator<Item = &str> {
    let words = violation.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| word.len() > 3 && word.chars().all(char::is_alphabetic))
        .take(4)
}
