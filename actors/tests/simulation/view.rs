//! What one client has been shown of one room, held against what is committed.

use actors::ports::Change;
use protocol::{Event, EventBody, MemberChange, RoomName, limits::MAX_REPLAY_EVENTS};

use crate::truth::Truth;

/// Every client has everything within so long of the last commit while the store is up.
pub(crate) const CONVERGES_WITHIN_MS: u64 = 1_000;
/// Who is further behind than this may take longer, as long as more keeps coming.
const FAR_BEHIND: u64 = 200;

/// Whether a room is open on the client's connection, as far as the client can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Closed,
    /// Asked for; `again`: it was open, and what was open still shows.
    Opening {
        again: bool,
    },
    Open,
    /// A leave is not answered yet.
    Leaving,
}

pub(crate) struct View {
    pub(crate) name: RoomName,
    pub(crate) private: bool,
    /// Whether the client wants it open.
    pub(crate) wanted: bool,
    pub(crate) status: Status,
    /// The last `seq` that was shown, or that the client asked to begin behind.
    pub(crate) cursor: Option<u64>,
    /// Of the client's own messages.
    pub(crate) own: Vec<u64>,
    pub(crate) retry_at_ms: u64,
    /// The head that the client was told when it was opened.
    opened_at: u64,
    /// Was removed, and has not opened the room since. Should the room's actor fail just then, and the client be a
    /// member again by the time that it is rebuilt, it is open all the same.
    sent_out: bool,
    open_since_ms: u64,
    progress_ms: u64,
}

impl View {
    pub(crate) fn new(name: RoomName, private: bool) -> Self {
        Self {
            name,
            private,
            wanted: false,
            status: Status::Closed,
            cursor: None,
            own: Vec::new(),
            retry_at_ms: 0,
            opened_at: 0,
            sent_out: false,
            open_since_ms: 0,
            progress_ms: 0,
        }
    }

    /// It is open: events follow behind `cursor`, and the head is said to be `head`.
    pub(crate) fn open(&mut self, cursor: u64, head: u64, now_ms: u64) {
        self.status = Status::Open;
        self.opened_at = head;
        self.sent_out = false;
        self.cursor = Some(cursor);
        self.open_since_ms = now_ms;
        self.progress_ms = now_ms;
    }

    /// The connection is gone.
    pub(crate) fn lose(&mut self, now_ms: u64) {
        if self.status == Status::Leaving {
            self.wanted = false;
        }
        self.sent_out = false;
        self.status = Status::Closed;
        self.retry_at_ms = now_ms;
    }

    /// Whether anything of the room may be shown now.
    ///
    /// # Errors
    /// If not.
    pub(crate) fn check_open(&self, what: &str) -> Result<(), String> {
        match self.status {
            _ if self.sent_out => Ok(()),
            Status::Open | Status::Leaving | Status::Opening { again: true } => Ok(()),
            Status::Closed | Status::Opening { again: false } => Err(format!(
                "nothing is shown of a room that is not open: {what} of {}",
                self.name
            )),
        }
    }

    /// Takes an `events` frame.
    ///
    /// # Errors
    /// With the promise that it breaks.
    pub(crate) fn take(
        &mut self,
        me: &str,
        events: &[Event],
        truth: &Truth,
        now_ms: u64,
    ) -> Result<(), String> {
        let Some(log) = truth.log(&self.name) else {
            return Err(format!("{} is shown, and the store has nothing of it", self.name));
        };
        for event in events {
            self.check_open("an event")?;
            let expected = self.cursor.unwrap_or(0) + 1;
            if event.seq != expected {
                return Err(format!(
                    "one order: {} comes in {} where {expected} is due",
                    event.seq, self.name
                ));
            }
            log.check(event)
                .map_err(|error| format!("in {}: {error}", self.name))?;
            let removed = is_removal(event, me);
            if self.private && !removed && !log.could_read(me, event.seq) {
                return Err(format!(
                    "rights: {me} was removed from {} and is shown {}",
                    self.name, event.seq
                ));
            }
            self.cursor = Some(event.seq);
            self.progress_ms = now_ms;
            if *event.user.id == *me && matches!(event.body, EventBody::Message { .. }) {
                self.own.push(event.seq);
            }
            if removed && self.private && event.seq > self.opened_at {
                self.sent_out = true;
                self.status = Status::Closed;
                self.wanted = false;
            }
        }
        Ok(())
    }

    /// Takes a `gap` frame.
    ///
    /// # Errors
    /// With the promise that it breaks.
    pub(crate) fn skip(&mut self, from: u64, to: u64, truth: &Truth, now_ms: u64) -> Result<(), String> {
        self.check_open("a gap")?;
        let cursor = self.cursor.unwrap_or(0);
        let head = truth.head(&self.name);
        if from != cursor + 1 || to < from || to > head {
            return Err(format!(
                "a gap of {from} to {to} in {} behind {cursor} of {head}",
                self.name
            ));
        }
        if head - cursor <= MAX_REPLAY_EVENTS {
            return Err(format!(
                "a gap of {from} to {to} in {}, and only {} are missing",
                self.name,
                head - cursor
            ));
        }
        self.cursor = Some(to);
        self.progress_ms = now_ms;
        Ok(())
    }

    /// Whether everything that was committed a second ago has been shown, if it could be since `able_since_ms`.
    ///
    /// # Errors
    /// If not.
    pub(crate) fn check_converged(
        &self,
        truth: &Truth,
        able_since_ms: u64,
        now_ms: u64,
    ) -> Result<(), String> {
        if self.status != Status::Open {
            return Ok(());
        }
        let Some(due_ms) = now_ms.checked_sub(CONVERGES_WITHIN_MS) else {
            return Ok(());
        };
        let due = truth.head_at(&self.name, due_ms);
        let cursor = self.cursor.unwrap_or(0);
        let behind = due.saturating_sub(cursor);
        let mut able_since_ms = able_since_ms.max(self.open_since_ms);
        if behind > FAR_BEHIND {
            able_since_ms = able_since_ms.max(self.progress_ms);
        }
        if behind == 0 || able_since_ms > due_ms {
            return Ok(());
        }
        Err(format!(
            "the bus is only a hint: {} of {} is committed for {CONVERGES_WITHIN_MS} ms, and only {cursor} is shown",
            due, self.name
        ))
    }
}

fn is_removal(event: &Event, me: &str) -> bool {
    matches!(
        &event.body,
        EventBody::Member { change: MemberChange::Removed, who, .. } if *who.id == *me
    )
}

/// Something that a client writes, until it has its final answer.
pub(crate) struct Write {
    pub(crate) cid: std::sync::Arc<str>,
    pub(crate) room: usize,
    pub(crate) change: Change,
    /// Place among all that the client ever wrote.
    pub(crate) order: u64,
    pub(crate) attempts: u32,
    pub(crate) in_flight: bool,
    pub(crate) ready_at_ms: u64,
}
