//! A client that does not give up: it comes back to any node, resumes where it was, and repeats what was not answered.
//!
//! It is one task, driven by [`Order`]s, that keeps the rules of docs/protocol.md for coming back: close codes, backoff with
//! jitter, `retry_after_ms`, `goaway` (the new connection is resumed before the old one is closed). All that it does and sees
//! goes into a [`crate::journal`], for [`crate::check`]. Hundreds to ten thousand of them fit into one process.

mod attempt;
mod frames;
mod life;
mod link;
mod measured;
mod plan;
mod speech;
mod status;
#[cfg(test)]
mod tests;
mod writes;

use std::{sync::Arc, time::Duration};

use protocol::RoomName;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use crate::{journal::Scribe, measure::Meter};

pub use plan::{Plan, Targets};
pub use status::Status;

/// What a client is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Write something, as soon as it can.
    Write(Write),
    /// Open another room and stay in it, from this position on.
    Join(RoomName, protocol::JoinFrom),
    /// Close a room.
    Leave(RoomName),
    /// Lose the connection, as a network does that fails: then it comes back.
    Cut,
    /// Lose the connection and stay away for so long, as a phone does that sleeps: then it comes back.
    Sleep(Duration),
    /// Say that this person types; nothing if it is not in the room at this moment.
    Typing(RoomName),
    /// Move the read marker to the last message that was shown; nothing if it is not in the room at this moment.
    MarkRead(RoomName),
    /// Read nothing, or read again.
    Stall(bool),
    /// End once everything is answered.
    Finish,
    /// The same, while the rooms go on: what is said there behind its end is not for this client.
    Retire,
}

/// Something to be written into a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub room: RoomName,
    /// Unique for this person and room.
    pub cid: Arc<str>,
    /// What.
    pub what: What,
    /// When it was due: waits are counted from here.
    pub due: Instant,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A message.
    Say(Arc<str>),
    /// A new text for the person's own last message of this room; a message if there is none.
    EditLast(Arc<str>),
    /// The deletion of the person's own last message of this room; nothing if there is none.
    DeleteLast,
    /// A reaction to the last message that was shown in this room, given or withdrawn; nothing if there is none.
    React(Arc<str>, bool),
}

impl What {
    /// Whether it is a command whatever was said before.
    fn always_comes_to_something(&self) -> bool {
        matches!(self, Self::Say(_) | Self::EditLast(_))
    }
}

/// A running client. Dropping it ends the client without a word.
#[derive(Debug)]
pub struct Persistent {
    // Boxed: a channel has room for 32 from the start.
    orders: mpsc::UnboundedSender<Box<Order>>,
    status: Arc<Status>,
    meter: Option<Meter>,
    task: JoinHandle<()>,
}

impl Persistent {
    /// Starts a client; it connects at once.
    pub fn start(plan: Plan, scribe: Scribe) -> Self {
        let (orders, taken) = mpsc::unbounded_channel();
        let status = Arc::new(Status::default());
        let meter = plan.meter.clone();
        let life = Box::new(life::Life::new(plan, scribe, taken, Arc::clone(&status)));
        Self {
            orders,
            status,
            meter,
            task: tokio::spawn(life.run()),
        }
    }

    /// Gives an order; orders are taken one after the other. After the end it does nothing.
    pub fn order(&self, order: Order) {
        if let Order::Write(write) = &order {
            self.status.add_unanswered();
            // Here, not when it gets to it: what is offered must not wait for a client that is held up.
            if let (Some(meter), true) = (&self.meter, write.what.always_comes_to_something()) {
                meter.count(|counts| counts.offered += 1);
            }
        }
        let _ = self.orders.send(Box::new(order));
    }

    /// How it is.
    pub fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// Whether it has ended, in good order after [`Order::Finish`] or because the server does not want it any more.
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Lets it end once everything is answered; whether it did in time. Else it is ended without a word.
    pub async fn finish(mut self, patience: Duration) -> bool {
        self.order(Order::Finish);
        tokio::time::timeout(patience, &mut self.task)
            .await
            .is_ok_and(|ended| ended.is_ok())
    }
}

impl Drop for Persistent {
    fn drop(&mut self) {
        self.task.abort();
    }
}
