//! The bans in force, in memory: so that who may come in costs no query.

use std::{collections::HashMap, sync::Arc};

/// Bans that are over are dropped when there are so many more than at the last time.
const SWEEP_EVERY: usize = 1_024;

/// Ids of people who may not come in, each with the end of the ban in Unix milliseconds.
#[derive(Default)]
pub(super) struct Bans {
    until: HashMap<Arc<str>, Option<u64>>,
    swept: usize,
}

impl Bans {
    pub(super) fn add(&mut self, id: Arc<str>, until: Option<u64>, now_ms: u64) {
        if self.until.len() > self.swept + SWEEP_EVERY {
            self.until
                .retain(|_, until| until.is_none_or(|until| until > now_ms));
            self.swept = self.until.len();
        }
        self.until.insert(id, until);
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.until.remove(id);
    }

    pub(super) fn holds(&self, id: &str, now_ms: u64) -> bool {
        self.until
            .get(id)
            .is_some_and(|until| until.is_none_or(|until| until > now_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_holds_until_its_end() {
        let mut bans = Bans::default();
        bans.add("a".into(), None, 0);
        bans.add("b".into(), Some(10), 0);
        assert!(bans.holds("a", u64::MAX) && bans.holds("b", 9));
        assert!(!bans.holds("b", 10) && !bans.holds("c", 0));
        bans.remove("a");
        assert!(!bans.holds("a", 0));
        for n in 0..=2_000_u64 {
            bans.add(n.to_string().into(), Some(n), n);
        }
        assert!(bans.until.len() <= SWEEP_EVERY + 2, "{}", bans.until.len());
    }
}
