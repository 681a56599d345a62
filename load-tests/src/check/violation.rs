//! What can be found wrong.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// Violations of one kind that are kept in words; of the others only the number is.
const KEPT: usize = 20;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $kind:ident = $name:literal, $promise:literal;)*) => {
        /// A way of breaking a promise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind { $($(#[doc = $doc])* $kind,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The name in reports.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// The number of the promise that is broken.
            pub fn promise(self) -> u8 {
                match self { $(Self::$kind => $promise,)* }
            }
        }
    };
}

kinds! {
    /// An event was shown, or a head told, that was not in the store at a later time.
    EarlyEvent = "early_event", 1;
    /// A command was answered that was not in the store at a later time.
    EarlyAck = "early_ack", 1;
    /// An event was shown that is not in the store at the end.
    Phantom = "phantom", 1;
    /// A client's view has a hole that nobody told it about.
    Hole = "hole", 2;
    /// An event was shown twice on one connection.
    Repeat = "repeat", 2;
    /// An event was shown behind one with a higher `seq`.
    Reorder = "reorder", 2;
    /// Two clients were shown different events under one `seq`.
    Divergence = "divergence", 2;
    /// What was shown differs from what is stored or was sent.
    WrongContent = "wrong_content", 2;
    /// The store's own log has a hole or a repeated `seq`.
    StoreHole = "store_hole", 2;
    /// `at` goes back along `seq` in the store.
    StoreTime = "store_time", 2;
    /// The store's head is not the last event's `seq`.
    StoreHead = "store_head", 2;
    /// A command was answered with `ok` and is not in the store.
    LostAck = "lost_ack", 3;
    /// A command was answered with another `seq` or time than it has in the store, or had in another answer.
    AckMismatch = "ack_mismatch", 3;
    /// A command is in the store twice.
    StoredTwice = "stored_twice", 4;
    /// The store has a command of a simulated person that was never sent.
    NeverSent = "never_sent", 4;
    /// A client does not have all events at the end.
    NotConverged = "not_converged", 5;
    /// A command was never answered for good.
    Unanswered = "unanswered", 5;
    /// A client did not end in good order.
    NotFinished = "not_finished", 5;
    /// A client was told to forget what it had, and nothing called for it.
    NeedlessReset = "needless_reset", 6;
    /// A client that was ahead of the room was not told so.
    MissingReset = "missing_reset", 9;
    /// Events were left out although few enough were missing to be replayed.
    NeedlessGap = "needless_gap", 9;
    /// The wire's rules were broken in another way.
    Broken = "broken", 9;
}

/// One thing that was found wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// In which way.
    pub kind: Kind,
    /// In words, with room, client and `seq`.
    pub what: String,
}

/// All that was found wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// How many of each kind.
    pub counts: BTreeMap<Kind, u64>,
    /// The first ones of each kind.
    pub violations: Vec<Violation>,
}

impl Findings {
    /// Adds one.
    pub fn add(&mut self, kind: Kind, what: impl FnOnce() -> String) {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if *count <= KEPT as u64 {
            self.violations.push(Violation { kind, what: what() });
        }
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.counts.is_empty() {
            return writeln!(f, "violations        0");
        }
        writeln!(f, "VIOLATIONS        {}", self.total())?;
        for (kind, count) in &self.counts {
            writeln!(f, "  promise {}, {}: {count}", kind.promise(), kind.as_str())?;
            for violation in self.violations.iter().filter(|violation| violation.kind == *kind) {
                writeln!(f, "    {}", violation.what)?;
            }
        }
        Ok(())
    }
}
