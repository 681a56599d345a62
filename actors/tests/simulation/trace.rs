//! What happened in a run: a hash of all of it, and the last lines for people.

use std::{
    collections::VecDeque,
    fmt::{self, Write as _},
    hash::{DefaultHasher, Hasher as _},
};

/// Lines that are kept for people.
const KEPT: usize = 80;

/// The trace of a run. Two runs of a seed have the same hash.
pub(crate) struct Trace {
    hasher: DefaultHasher,
    lines: Option<VecDeque<String>>,
    closed: bool,
}

impl Trace {
    /// `keeps`: whether lines are kept, which costs time.
    pub(crate) fn new(keeps: bool) -> Self {
        Self {
            hasher: DefaultHasher::new(),
            lines: keeps.then(VecDeque::new),
            closed: false,
        }
    }

    pub(crate) fn note(&mut self, at_ms: u64, what: fmt::Arguments<'_>) {
        if self.closed {
            return;
        }
        self.hasher.write_u64(at_ms);
        // Never fails.
        let _ = Hashed(&mut self.hasher).write_fmt(what);
        if let Some(lines) = &mut self.lines {
            if lines.len() == KEPT {
                lines.pop_front();
            }
            lines.push_back(format!("{at_ms:>7} ms  {what}"));
        }
    }

    /// What follows a violation is of no interest.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    pub(crate) fn finish(&mut self) -> (u64, Vec<String>) {
        let lines = self.lines.take().unwrap_or_default();
        (self.hasher.finish(), lines.into())
    }
}

struct Hashed<'a>(&'a mut DefaultHasher);

impl fmt::Write for Hashed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}
