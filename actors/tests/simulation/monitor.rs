//! What is asked of a client from outside: that it was shown what it could be shown, and what it still waits for.

use crate::{
    client::{Client, Connected},
    view::{Status, View},
};

impl Client {
    /// Checks that it was shown in time what it could be shown.
    pub(crate) fn monitor(&self) {
        let now_ms = self.world.now_ms();
        let state = self.state.lock();
        let Some(Connected {
            node,
            is_welcome: true,
            ..
        }) = &state.connected
        else {
            return;
        };
        let Some(healthy_since_ms) = node.link.lock().healthy_since_ms() else {
            return;
        };
        let able_since_ms = healthy_since_ms.max(state.stalled_until_ms);
        let truth = self.world.truth.lock();
        for view in &state.rooms {
            if let Err(broken) = view.check_converged(&truth, able_since_ms, now_ms) {
                self.world.violate(&format!("{}: {broken}", self.id()));
            }
        }
    }

    /// What it still waits for; none when it is done.
    pub(crate) fn waits_for(&self) -> Option<String> {
        let state = self.state.lock();
        if state.stalled_until_ms > self.world.now_ms() {
            return Some("its reader".to_owned());
        }
        let Some(Connected {
            is_welcome: true,
            asked,
            ..
        }) = &state.connected
        else {
            return Some("a welcome".to_owned());
        };
        if let Some(asked) = asked.values().next() {
            return Some(format!("an answer to {asked:?}"));
        }
        if let Some(write) = state.writes.first() {
            return Some(format!("being able to write {}", write.cid));
        }
        let closed = |view: &&View| view.wanted && view.status != Status::Open;
        state
            .rooms
            .iter()
            .find(closed)
            .map(|view| format!("{} to open", view.name))
    }

    /// Checks that it has everything.
    pub(crate) fn check_complete(&self) {
        let truth = self.world.truth.lock();
        for view in self
            .state
            .lock()
            .rooms
            .iter()
            .filter(|view| view.status == Status::Open)
        {
            let (cursor, head) = (view.cursor.unwrap_or(0), truth.head(&view.name));
            if cursor != head {
                self.world.violate(&format!(
                    "{}: in the end {cursor} of {head} is shown of {}",
                    self.id(),
                    view.name
                ));
            }
        }
    }
}
