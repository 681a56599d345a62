//! From what was done and what it took to what each kind of work costs.

use super::work::{Kind, Observed, Work};

/// Processor seconds for one of each kind.
pub(super) type Costs = Work;

/// What a phase takes, with these costs.
pub(super) fn predicted(costs: &Costs, work: &Work) -> f64 {
    Kind::ALL.into_iter().map(|kind| costs[kind] * work[kind]).sum()
}

/// The costs, none below zero, with which the predictions' relative errors are least in their squares. Only `kinds` cost;
/// phases whose time is not known say nothing.
pub(super) fn fitted(phases: &[Observed], kinds: &[Kind], took: impl Fn(&Observed) -> Option<f64>) -> Costs {
    // A tenth of a second more: what took next to nothing is known by the clock's ticks only.
    let rows: Vec<(Vec<f64>, f64)> = phases
        .iter()
        .filter_map(|phase| {
            let seconds = took(phase)?;
            let weight = 1.0 / (seconds + 0.1);
            Some((
                kinds.iter().map(|kind| phase.work[*kind] * weight).collect(),
                seconds * weight,
            ))
        })
        .collect();
    let mut costs = Costs::default();
    for (kind, cost) in kinds.iter().zip(non_negative(&rows, kinds.len())) {
        costs[*kind] = cost;
    }
    costs
}

/// Least squares without negative results, one unknown at a time until nothing moves any more.
fn non_negative(rows: &[(Vec<f64>, f64)], unknowns: usize) -> Vec<f64> {
    let norms: Vec<f64> = (0..unknowns)
        .map(|at| rows.iter().map(|(row, _)| row[at] * row[at]).sum())
        .collect();
    let mut found = vec![0.0; unknowns];
    let mut left: Vec<f64> = rows.iter().map(|(_, value)| *value).collect();
    for _ in 0..200_000 {
        let mut moved = 0.0_f64;
        for at in (0..unknowns).filter(|at| norms[*at] > 0.0) {
            let slope: f64 = rows
                .iter()
                .zip(&left)
                .map(|((row, _), left)| row[at] * left)
                .sum();
            let next = (found[at] + slope / norms[at]).max(0.0);
            let step: f64 = next - found[at];
            found[at] = next;
            for ((row, _), left) in rows.iter().zip(&mut left) {
                *left -= row[at] * step;
            }
            moved = moved.max(step.abs() * norms[at].sqrt());
        }
        if moved < 1e-12 {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(pairs: &[(Kind, f64)], costs: &Costs) -> Observed {
        let mut work = Work::default();
        for (kind, amount) in pairs {
            work[*kind] = *amount;
        }
        Observed {
            name: String::new(),
            node_cpu: predicted(costs, &work),
            work,
            postgres_cpu: None,
            redis_cpu: None,
        }
    }

    #[test]
    fn costs_are_found_again() {
        let mut costs = Costs::default();
        costs[Kind::Node] = 0.01;
        costs[Kind::Commit] = 200e-6;
        costs[Kind::Delivery] = 4e-6;
        let phases = [
            phase(&[(Kind::Node, 30.0)], &costs),
            phase(
                &[
                    (Kind::Node, 30.0),
                    (Kind::Commit, 6000.0),
                    (Kind::Delivery, 30_000.0),
                ],
                &costs,
            ),
            phase(
                &[
                    (Kind::Node, 10.0),
                    (Kind::Commit, 600.0),
                    (Kind::Delivery, 900_000.0),
                ],
                &costs,
            ),
            phase(
                &[
                    (Kind::Node, 60.0),
                    (Kind::Commit, 100.0),
                    (Kind::Delivery, 1000.0),
                ],
                &costs,
            ),
        ];
        let kinds = [Kind::Node, Kind::Commit, Kind::Delivery, Kind::BusHead];
        let found = fitted(&phases, &kinds, |phase| Some(phase.node_cpu));
        for kind in Kind::ALL {
            assert!(
                (found[kind] - costs[kind]).abs() <= costs[kind] * 1e-3 + 1e-12,
                "{kind:?}: {found:?}"
            );
        }
        assert!(fitted(&phases, &kinds, |phase| phase.redis_cpu)[Kind::Node].abs() < 1e-12);
    }

    #[test]
    fn nothing_costs_less_than_nothing() {
        let rows = [(vec![1.0, 1.0], 1.0), (vec![1.0, 2.0], 0.5)];
        let found = non_negative(&rows, 2);
        assert!(found.iter().all(|cost| *cost >= 0.0), "{found:?}");
    }
}
