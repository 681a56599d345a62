//! What a persistent client adds to a [`crate::measure::Meter`].

use protocol::{Event, EventBody};
use tokio::time::Instant;

use super::life::Life;
use crate::{
    journal::What,
    measure::{Counts, Timing, stamped_us},
};

impl Life {
    pub(super) fn count(&self, add: impl FnOnce(&mut Counts)) {
        if let Some(meter) = &self.plan.meter {
            meter.count(add);
        }
    }

    pub(super) fn time(&self, timing: Timing, due: Instant) {
        if let Some(meter) = &self.plan.meter {
            meter.time(timing, due.elapsed());
        }
    }

    /// Why it could not get in.
    pub(super) fn kept_out(&self, reason: &str) {
        self.status.kept_out(reason);
        if let Some(meter) = &self.plan.meter {
            meter.reason(reason);
        }
    }

    /// The server broke the wire's rules.
    pub(super) fn broken(&self, conn: u32, what: String) {
        self.count(|counts| counts.broken += 1);
        self.scribe.write(conn, What::Broken { what });
    }

    /// Events that were shown for the first time. How long one took is known of those with a stamp that are younger than
    /// `head`, the room's last event when the client came or came back from sleep: nobody waited for the others.
    pub(super) fn delivered<'a>(&self, fresh: impl ExactSizeIterator<Item = &'a Event>, head: u64) {
        let Some(meter) = &self.plan.meter else { return };
        let now = self.scribe.clock().now_us();
        let count = fresh.len() as u64;
        let young = fresh.filter(|event| event.seq > head);
        let waits = young.filter_map(|event| Some(now.saturating_sub(due_us(event)?)));
        meter.delivered(count, waits);
    }
}

/// When what made the event was due.
fn due_us(event: &Event) -> Option<u64> {
    match &event.body {
        // Once edited it has the edit's stamp.
        EventBody::Message {
            text,
            edited_at: None,
            ..
        } => stamped_us(text),
        EventBody::Edit { text: Some(text), .. } => stamped_us(text),
        _ => None,
    }
}
