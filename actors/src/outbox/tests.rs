//! The outbox keeps its bounds, calls back when it has drained, and wakes the pump no more than it must.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use protocol::{CloseCode, Codec, ErrorCode, ServerFrame};

use super::{Outbox, Pushed};
use crate::metrics::Metrics;

const LIMIT: usize = 10_000;
/// More than is ever queued here.
const ALL: usize = 1_000;

fn outbox() -> Arc<Outbox> {
    Arc::new(Outbox::new(Codec::Json, LIMIT, Metrics::noop()))
}

/// A frame that costs so much.
fn frame(cost: usize) -> Bytes {
    vec![b'x'; cost - Outbox::FRAME_BYTES].into()
}

/// The socket took a frame of that cost.
fn wrote(outbox: &Outbox, cost: usize) {
    outbox.wrote(cost - Outbox::FRAME_BYTES);
}

/// A pump that counts how often it is woken.
#[derive(Default)]
struct Pump(AtomicUsize);

impl Wake for Pump {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Pump {
    fn new() -> (Arc<Self>, Waker) {
        let pump = Arc::new(Self::default());
        (Arc::clone(&pump), Waker::from(pump))
    }

    fn woken(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// What the frames that are queued cost, and the code to close with.
fn take(outbox: &Outbox) -> (Vec<usize>, Option<CloseCode>) {
    match outbox.poll_take(ALL, &mut Context::from_waker(Waker::noop())) {
        Poll::Ready(taken) => (taken.frames.iter().map(cost).collect(), taken.close),
        Poll::Pending => (Vec::new(), None),
    }
}

fn cost(frame: &Bytes) -> usize {
    frame.len() + Outbox::FRAME_BYTES
}

/// Counts the calls of the callbacks that it makes.
#[derive(Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn callback(&self) -> super::Callback {
        let count = Arc::clone(&self.0);
        Box::new(move || {
            count.fetch_add(1, SeqCst);
        })
    }

    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

#[test]
fn what_is_unwritten_counts_until_the_socket_has_it() {
    let outbox = outbox();
    assert_eq!(outbox.push(frame(6_000)), Pushed::Queued);
    assert_eq!(outbox.push(frame(4_000)), Pushed::Queued, "up to the bound");
    assert_eq!(outbox.push(frame(100)), Pushed::Full);
    assert_eq!(
        take(&outbox),
        (vec![6_000, 4_000], None),
        "what was refused is not queued"
    );
    assert_eq!(outbox.push(frame(100)), Pushed::Full, "taken is not written");
    wrote(&outbox, 6_000);
    assert_eq!(outbox.push(frame(6_001)), Pushed::Full);
    assert_eq!(outbox.push(frame(6_000)), Pushed::Queued);
}

#[test]
fn an_empty_outbox_takes_a_frame_of_any_size() {
    let outbox = outbox();
    assert_eq!(outbox.push(frame(LIMIT * 5)), Pushed::Queued);
    assert_eq!(outbox.push(frame(100)), Pushed::Full);
    wrote(&outbox, LIMIT * 5);
    assert_eq!(outbox.push(frame(LIMIT)), Pushed::Queued);
}

#[test]
fn many_small_frames_cost_what_holds_them() {
    let outbox = outbox();
    let queued = (0..ALL).filter(|_| outbox.push(Bytes::from_static(b"x")) == Pushed::Queued);
    assert_eq!(queued.count(), LIMIT / (Outbox::FRAME_BYTES + 1));
}

#[test]
fn a_pump_that_has_little_room_takes_a_part_and_closes_behind_the_last() {
    let outbox = outbox();
    for cost in [100, 200, 300] {
        outbox.push(frame(cost));
    }
    outbox.close(CloseCode::Restarting);
    let take = || match outbox.poll_take(2, &mut Context::from_waker(Waker::noop())) {
        Poll::Ready(taken) => (taken.frames.iter().map(cost).collect(), taken.close),
        Poll::Pending => (Vec::new(), None),
    };
    assert_eq!(take(), (vec![100, 200], None));
    assert_eq!(take(), (vec![300], Some(CloseCode::Restarting)));
}

#[test]
fn what_may_be_lost_gets_half_the_room() {
    let outbox = outbox();
    assert_eq!(outbox.push_droppable(frame(5_000)), Pushed::Queued);
    assert_eq!(outbox.push_droppable(frame(100)), Pushed::Full);
    assert_eq!(outbox.push(frame(5_000)), Pushed::Queued);
}

#[test]
fn answers_always_fit_and_stop_the_reading_of_commands() {
    let outbox = outbox();
    assert!(outbox.accepts_commands());
    outbox.push(frame(LIMIT));
    assert!(!outbox.accepts_commands());
    outbox.refuse(Some(1), ErrorCode::NotFound, "there is no such thing", None);
    let (frames, _) = take(&outbox);
    assert_eq!(frames.len(), 2, "the answer is behind the frame");
    wrote(&outbox, frames[0]);
    assert!(outbox.accepts_commands());
    wrote(&outbox, frames[1]);
    assert_eq!(
        outbox.push(frame(LIMIT)),
        Pushed::Queued,
        "the answer was counted and is off the books"
    );
}

#[test]
fn unanswered_commands_are_bounded() {
    let outbox = outbox();
    for _ in 0..Outbox::MAX_UNACKED {
        assert!(outbox.accepts_commands());
        outbox.begin_command(false);
    }
    assert!(!outbox.accepts_commands());
    outbox.end_command(false);
    assert!(outbox.accepts_commands());
}

#[test]
fn callbacks_wait_for_a_quarter_and_come_once() {
    let outbox = outbox();
    let calls = Calls::default();
    outbox.push(frame(2_500));
    outbox.call_back(1, calls.callback());
    assert_eq!(calls.count(), 1, "at once when it is drained already");
    outbox.push(frame(7_300));
    outbox.push(frame(200));
    outbox.call_back(1, calls.callback());
    outbox.call_back(1, calls.callback());
    wrote(&outbox, 7_300);
    assert_eq!(calls.count(), 1);
    wrote(&outbox, 200);
    assert_eq!(calls.count(), 3, "everybody who waited");
    wrote(&outbox, 2_500);
    assert_eq!(calls.count(), 3);
}

#[test]
fn a_callback_may_fill_the_outbox_again() {
    let outbox = outbox();
    outbox.push(frame(LIMIT));
    let again = Arc::clone(&outbox);
    outbox.call_back(
        1,
        Box::new(move || assert_eq!(again.push(frame(LIMIT)), Pushed::Queued)),
    );
    wrote(&outbox, LIMIT);
    assert_eq!(take(&outbox).0, [LIMIT, LIMIT]);
    assert_eq!(outbox.push(frame(100)), Pushed::Full);
}

#[test]
fn the_pump_is_woken_once_however_much_is_pushed() {
    let outbox = outbox();
    let (pump, waker) = Pump::new();
    let cx = &mut Context::from_waker(&waker);
    assert!(outbox.poll_take(ALL, cx).is_pending());
    outbox.push(frame(100));
    outbox.push(frame(100));
    outbox.answer(&ServerFrame::Pong { id: None, time: 0 });
    assert_eq!(pump.woken(), 1);
    assert!(outbox.poll_take(ALL, cx).is_ready());
    outbox.push(frame(100));
    assert_eq!(pump.woken(), 1, "a pump that does not wait is not woken");
    assert!(outbox.poll_take(ALL, cx).is_ready());
    assert!(outbox.poll_take(ALL, cx).is_pending());
    outbox.push(frame(100));
    assert_eq!(pump.woken(), 2);
}

#[test]
fn a_pump_that_waits_for_the_socket_is_woken_by_what_it_asked_for() {
    let outbox = outbox();
    let (pump, waker) = Pump::new();
    outbox.push(frame(100));
    outbox.register(&Context::from_waker(&waker));
    outbox.push(frame(LIMIT));
    assert_eq!(pump.woken(), 0, "what is refused is no change");
    outbox.close(CloseCode::Restarting);
    assert_eq!(pump.woken(), 1);
}

#[test]
fn answers_wake_a_pump_that_was_at_the_limit_of_commands() {
    let outbox = outbox();
    let (pump, waker) = Pump::new();
    for _ in 0..Outbox::MAX_UNACKED {
        outbox.begin_command(false);
    }
    assert!(
        outbox
            .poll_take(ALL, &mut Context::from_waker(&waker))
            .is_pending()
    );
    outbox.end_command(false);
    assert_eq!(pump.woken(), 1);
    assert!(
        outbox
            .poll_take(ALL, &mut Context::from_waker(&waker))
            .is_pending()
    );
    outbox.end_command(false);
    assert_eq!(pump.woken(), 1, "it was reading already");
}

#[test]
fn the_first_close_counts_and_nothing_comes_behind_it() {
    let outbox = outbox();
    outbox.push(frame(700));
    outbox.close(CloseCode::SlowConsumer);
    outbox.close(CloseCode::Restarting);
    assert_eq!(outbox.push(frame(100)), Pushed::Closed);
    assert_eq!(outbox.push_droppable(frame(100)), Pushed::Closed);
    outbox.answer(&ServerFrame::Pong { id: None, time: 0 });
    assert!(!outbox.accepts_commands());
    assert_eq!(take(&outbox), (vec![700], Some(CloseCode::SlowConsumer)));
    assert_eq!(take(&outbox), (vec![], Some(CloseCode::SlowConsumer)));
}

#[test]
fn an_abandoned_outbox_keeps_nothing_and_calls_nobody() {
    let outbox = outbox();
    let calls = Calls::default();
    let payload = frame(LIMIT);
    outbox.push(payload.clone());
    assert!(!payload.is_unique());
    outbox.call_back(1, calls.callback());
    outbox.abandon();
    assert!(payload.is_unique(), "the queue is freed");
    assert_eq!(Arc::strong_count(&calls.0), 1, "the callback is freed");
    wrote(&outbox, LIMIT);
    outbox.call_back(1, calls.callback());
    assert_eq!(calls.count(), 0);
    assert_eq!(outbox.push(frame(100)), Pushed::Closed);
}
