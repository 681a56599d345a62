//! Rooms are caches of the log, and members need not notice that one failed.

use ractor::ActorRef;

use super::actor::SubscriberId;
use crate::connection::ConnectionMsg;

/// Tells a connection should the room fail on which it opened, or waits to open, something: dropped before it is
/// disarmed, it sends [`ConnectionMsg::RoomLost`]. Wherever a join is lost, in a mailbox that nobody reads any more or
/// with the actor's state, its connection hears of it.
pub(crate) struct LostGuard {
    connection: ActorRef<ConnectionMsg>,
    subscriber: SubscriberId,
    /// The last `seq` that was put into the outbox.
    pub(super) cursor: u64,
    armed: bool,
}

impl LostGuard {
    pub(crate) fn new(connection: ActorRef<ConnectionMsg>, subscriber: SubscriberId) -> Self {
        Self {
            connection,
            subscriber,
            cursor: 0,
            armed: true,
        }
    }

    /// The connection that is told.
    pub(super) fn connection(&self) -> &ActorRef<ConnectionMsg> {
        &self.connection
    }

    /// The connection knows already.
    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }
}

impl Drop for LostGuard {
    fn drop(&mut self) {
        if self.armed {
            let lost = ConnectionMsg::RoomLost {
                subscriber: self.subscriber,
                cursor: self.cursor,
            };
            // A connection that is gone need not know.
            let _ = self.connection.cast(lost);
        }
    }
}
