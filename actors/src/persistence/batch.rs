//! Collects what waits to be committed and cuts it into batches. Pure.

use std::collections::VecDeque;

/// Largest batch, in entries.
const MAX_ENTRIES: usize = 512;
/// Largest batch, in bytes; a single entry may be larger.
const MAX_BYTES: usize = 1024 * 1024;

/// Entries that wait for the batch under way to be committed, in order of arrival.
pub(super) struct Collector<T> {
    waiting: VecDeque<(usize, T)>,
    committing: bool,
}

impl<T> Collector<T> {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            committing: false,
        }
    }

    /// Adds an entry of `bytes`. Returns a batch if none is under way: there is no timer, a lone entry is committed at
    /// once, and what comes meanwhile makes the next batch.
    pub(super) fn push(&mut self, bytes: usize, entry: T) -> Option<Vec<T>> {
        self.waiting.push_back((bytes, entry));
        if self.committing { None } else { self.cut() }
    }

    /// The batch under way is finished. Returns the next one.
    pub(super) fn finished(&mut self) -> Option<Vec<T>> {
        self.committing = false;
        self.cut()
    }

    /// Whether nothing waits and nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.committing
    }

    fn cut(&mut self) -> Option<Vec<T>> {
        let mut bytes = 0;
        let mut count = 0;
        for (size, _) in self.waiting.iter().take(MAX_ENTRIES) {
            bytes += size;
            if count > 0 && bytes > MAX_BYTES {
                break;
            }
            count += 1;
        }
        if count == 0 {
            return None;
        }
        self.committing = true;
        Some(self.waiting.drain(..count).map(|(_, entry)| entry).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_goes_alone_and_the_rest_together() {
        let mut collector = Collector::new();
        assert_eq!(collector.push(1, 'a'), Some(vec!['a']));
        assert_eq!(collector.push(1, 'b'), None);
        assert_eq!(collector.push(1, 'c'), None);
        assert_eq!(collector.finished(), Some(vec!['b', 'c']));
        assert!(!collector.is_idle());
        assert_eq!(collector.finished(), None);
        assert!(collector.is_idle());
        assert_eq!(collector.push(1, 'd'), Some(vec!['d']));
    }

    #[test]
    fn batches_are_bounded_in_number_and_bytes() {
        let mut collector = Collector::new();
        collector.push(1, 0);
        for n in 1..=MAX_ENTRIES + 1 {
            collector.push(1, n);
        }
        assert_eq!(collector.finished().unwrap().len(), MAX_ENTRIES);
        assert_eq!(collector.finished().unwrap().len(), 1);
        collector.push(MAX_BYTES - 1, 1);
        collector.push(1, 2);
        collector.push(1, 3);
        assert_eq!(collector.finished().unwrap(), [1, 2]);
        collector.push(MAX_BYTES * 2, 4);
        assert_eq!(collector.finished().unwrap(), [3]);
        assert_eq!(collector.finished().unwrap(), [4], "a single entry may be larger");
    }
}
