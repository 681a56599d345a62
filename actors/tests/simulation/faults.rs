//! What lies between a node and the store, and how it fails.

use crate::plan::Trouble;

/// Longest way to the store, and back, when nothing is wrong.
const WAY_MS: u64 = 4;

/// One node's link to the store.
pub(crate) struct Link {
    rng: fastrand::Rng,
    trouble: Option<Troubled>,
    /// Calls under way that were disturbed.
    disturbed: usize,
    healthy_since_ms: u64,
}

struct Troubled {
    trouble: Trouble,
    share: f64,
    until_ms: u64,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    pub(crate) there_ms: u64,
    pub(crate) back_ms: u64,
    /// It waits at the store up to this moment.
    pub(crate) paused_until_ms: u64,
    pub(crate) outcome: Outcome,
    /// Whether it reaches the store if the node is killed while it is on its way.
    pub(crate) outlives_node: bool,
    pub(crate) disturbed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    Refused,
    AnswerLost,
    /// Fails, and is done so many milliseconds later.
    Late(u64),
    NeverAnswered {
        done: bool,
    },
    Panics {
        done: bool,
    },
}

impl Link {
    pub(crate) fn new(seed: u64, now_ms: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            trouble: None,
            disturbed: 0,
            healthy_since_ms: now_ms,
        }
    }

    pub(crate) fn begin_trouble(&mut self, trouble: Trouble, share: f64, until_ms: u64) {
        self.trouble = Some(Troubled {
            trouble,
            share,
            until_ms,
        });
        self.healthy_since_ms = self.healthy_since_ms.max(until_ms);
    }

    /// Something happened that the node has to recover from.
    pub(crate) fn shake(&mut self, now_ms: u64) {
        self.healthy_since_ms = self.healthy_since_ms.max(now_ms);
    }

    /// Since when every call has been served well.
    pub(crate) fn healthy_since_ms(&self) -> Option<u64> {
        (self.disturbed == 0).then_some(self.healthy_since_ms)
    }

    pub(crate) fn draw(&mut self, now_ms: u64) -> Fate {
        let rng = &mut self.rng;
        let mut fate = Fate {
            there_ms: rng.u64(0..=WAY_MS),
            back_ms: rng.u64(0..=WAY_MS),
            paused_until_ms: 0,
            outcome: Outcome::Answered,
            outlives_node: rng.bool(),
            disturbed: false,
        };
        let Some(Troubled {
            trouble,
            share,
            until_ms,
        }) = self.trouble
        else {
            return fate;
        };
        if now_ms >= until_ms || rng.f64() >= share {
            return fate;
        }
        fate.disturbed = true;
        match trouble {
            Trouble::Refuses => fate.outcome = Outcome::Refused,
            Trouble::LosesAnswers => fate.outcome = Outcome::AnswerLost,
            Trouble::CommitsLate => fate.outcome = Outcome::Late(rng.u64(1..400)),
            Trouble::Hangs => fate.outcome = Outcome::NeverAnswered { done: rng.bool() },
            Trouble::Slow => fate.there_ms += rng.u64(20..400),
            Trouble::Paused => fate.paused_until_ms = until_ms,
            Trouble::Panics => fate.outcome = Outcome::Panics { done: rng.bool() },
        }
        fate
    }

    pub(crate) fn disturbance_begins(&mut self) {
        self.disturbed += 1;
    }

    pub(crate) fn disturbance_ends(&mut self, now_ms: u64) {
        self.disturbed -= 1;
        self.healthy_since_ms = self.healthy_since_ms.max(now_ms);
    }
}
