//! Bugs that the simulation switches on, one at a time, to show that it finds them. Without the feature `planted-bugs`
//! [`has`] is a constant, and nothing of this is left in the program.

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Holes are never filled from the store.
    HolesStay,
    /// Heads are never reconciled.
    HeadsAreNotReconciled,
    /// A `cid` that is stored already is stored again.
    RepeatsAreStored,
    /// A replay begins one event too late.
    ReplayIsOffByOne,
    /// A subscriber misses what comes between the reading of its head and its start.
    SubscribedTooLate,
    /// A sender is answered before its command is committed.
    AckedBeforeCommit,
    /// Other nodes are told of an event before it is committed.
    PublishedBeforeCommit,
    /// Events are shown in the order in which they arrive.
    OrderIsNotChecked,
    /// A client whose outbox is full is not caught up with what it missed.
    LaggingClientSkips,
    /// The ring answers also where it does not reach back far enough.
    RingReachesTooFar,
    /// A replay from the ring leaves out its first event.
    RingSkipsOne,
    /// A refused batch leaves its senders without an answer.
    RefusalsAreSwallowed,
    /// A room that is left goes on being shown.
    LeavingIsIgnored,
    /// Somebody who was removed goes on being shown the room.
    RemovedMayStay,
    /// A client that is not far behind is given a gap all the same.
    GapsComeEarly,
    /// A room that failed is opened again at its head, not where the client was.
    ReopenedAtHead,
}

#[cfg(feature = "planted-bugs")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    impl Bug {
        /// Every one of them.
        pub const ALL: [Self; 16] = [
            Self::HolesStay,
            Self::HeadsAreNotReconciled,
            Self::RepeatsAreStored,
            Self::ReplayIsOffByOne,
            Self::SubscribedTooLate,
            Self::AckedBeforeCommit,
            Self::PublishedBeforeCommit,
            Self::OrderIsNotChecked,
            Self::LaggingClientSkips,
            Self::RingReachesTooFar,
            Self::RingSkipsOne,
            Self::RefusalsAreSwallowed,
            Self::LeavingIsIgnored,
            Self::RemovedMayStay,
            Self::GapsComeEarly,
            Self::ReopenedAtHead,
        ];
    }

    /// From now on this thread runs with `bug`, or with none.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub(crate) fn has(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub(crate) use switch::has;
#[cfg(feature = "planted-bugs")]
pub use switch::plant;

#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn has(_: Bug) -> bool {
    false
}
