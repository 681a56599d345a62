//! Which faults come when: decided by a seed alone.

use std::time::Duration;

use fastrand::Rng;

use super::fault::{Fault, FaultKind};

/// How faults follow one another.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The longest that a fault lasts; the shortest is a quarter of it.
    pub hold: Duration,
    /// The longest pause behind one; the shortest is half of it.
    pub rest: Duration,
}

/// Faults in rounds: one, or two at the same time, and then a pause.
#[derive(Debug)]
pub struct Schedule {
    rng: Rng,
    deck: Vec<FaultKind>,
    nodes: usize,
    pace: Pace,
}

/// What happens at the same time, and the pause behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// One fault or two.
    pub faults: Vec<Fault>,
    /// Until the next round.
    pub rest: Duration,
}

impl Schedule {
    /// The schedule of this seed.
    pub fn new(seed: u64, nodes: usize, pace: Pace) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            deck: Vec::new(),
            nodes,
            pace,
        }
    }

    /// The next round. All kinds come before one comes again.
    pub fn round(&mut self) -> Round {
        let mut faults = vec![self.fault()];
        if self.rng.u32(0..4) == 0 {
            let second = self.fault();
            if faults[0].goes_with(&second, self.nodes) {
                faults.push(second);
            } else {
                self.deck.push(second.kind);
            }
        }
        Round {
            faults,
            rest: self.pace.rest.mul_f64(0.5 + 0.5 * self.rng.f64()),
        }
    }

    fn fault(&mut self) -> Fault {
        if self.deck.is_empty() {
            self.deck = FaultKind::ALL.to_vec();
            self.rng.shuffle(&mut self.deck);
        }
        Fault {
            kind: self.deck.pop().unwrap_or(FaultKind::KillNode),
            node: self.rng.usize(0..self.nodes.max(1)),
            hold: self.pace.hold.mul_f64(0.25 + 0.75 * self.rng.f64()),
            seed: self.rng.u64(..),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn rounds(seed: u64, count: usize) -> Vec<Round> {
        let pace = Pace {
            hold: Duration::from_secs(8),
            rest: Duration::from_secs(4),
        };
        let mut schedule = Schedule::new(seed, 3, pace);
        (0..count).map(|_| schedule.round()).collect()
    }

    #[test]
    fn a_seed_is_a_schedule_and_all_kinds_come() {
        assert_eq!(rounds(1, 50), rounds(1, 50));
        assert_ne!(rounds(1, 50), rounds(2, 50));
        let kinds = |rounds: &[Round]| -> HashSet<FaultKind> {
            rounds
                .iter()
                .flat_map(|round| &round.faults)
                .map(|fault| fault.kind)
                .collect()
        };
        for seed in 0..20 {
            let rounds = rounds(seed, FaultKind::ALL.len());
            assert_eq!(kinds(&rounds).len(), FaultKind::ALL.len());
        }
    }

    #[test]
    fn what_comes_together_goes_together() {
        let rounds = rounds(3, 400);
        let pairs: Vec<&Round> = rounds.iter().filter(|round| round.faults.len() == 2).collect();
        assert!(pairs.len() > 20);
        assert!(
            pairs
                .iter()
                .all(|round| round.faults[0].goes_with(&round.faults[1], 3))
        );
        let long = Duration::from_secs(8);
        let faults = rounds.iter().flat_map(|round| &round.faults);
        assert!(
            faults
                .into_iter()
                .all(|fault| fault.hold >= long / 4 && fault.hold <= long)
        );
    }
}
