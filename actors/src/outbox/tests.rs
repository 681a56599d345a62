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

const LIMIT: usize = 1_000;

fn outbox() -> Arc<Outbox> {
    Arc::new(Outbox::new(Codec::Json, LIMIT, Metrics::noop()))
}

fn frame(bytes: usize) -> Bytes {
    vec![b'x'; bytes].into()
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

/// The sizes of the frames that are queued, and the code to close with.
fn take(outbox: &Outbox) -> (Vec<usize>, Option<CloseCode>) {
    match outbox.poll_take(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(taken) => (taken.frames.iter().map(Bytes::len).collect(), taken.close),
        Poll::Pending => (Vec::new(), None),
    }
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
    assert_eq!(outbox.push(frame(600)), Pushed::Queued);
    assert_eq!(outbox.push(frame(400)), Pushed::Queued, "up to the bound");
    assert_eq!(outbox.push(frame(1)), Pushed::Full);
    assert_eq!(
        take(&outbox),
        (vec![600, 400], None),
        "what was refused is not queued"
    );
    assert_eq!(outbox.push(frame(1)), Pushed::Full, "taken is not written");
    outbox.wrote(600);
    assert_eq!(outbox.push(frame(601)), Pushed::Full);
    assert_eq!(outbox.push(frame(600)), Pushed::Queued);
}

#[test]
fn an_empty_outbox_takes_a_frame_of_any_size() {
    let outbox = outbox();
    assert_eq!(outbox.push(frame(LIMIT * 5)), Pushed::Queued);
    assert_eq!(outbox.push(frame(1)), Pushed::Full);
    outbox.wrote(LIMIT * 5);
    assert_eq!(outbox.push(frame(LIMIT)), Pushed::Queued);
}

#[test]
fn what_may_be_lost_gets_half_the_room() {
    let outbox = outbox();
    assert_eq!(outbox.push_droppable(frame(500)), Pushed::Queued);
    assert_eq!(outbox.push_droppable(frame(1)), Pushed::Full);
    assert_eq!(outbox.push(frame(500)), Pushed::Queued);
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
    outbox.wrote(frames[0]);
    assert!(outbox.accepts_commands());
    outbox.wrote(frames[1]);
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
    outbox.push(frame(250));
    outbox.call_back(1, calls.callback());
    assert_eq!(calls.count(), 1, "at once when it is drained already");
    outbox.push(frame(750));
    outbox.call_back(1, calls.callback());
    outbox.call_back(1, calls.callback());
    outbox.wrote(749);
    assert_eq!(calls.count(), 1);
    outbox.wrote(1);
    assert_eq!(calls.count(), 3, "everybody who waited");
    outbox.wrote(250);
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
    outbox.wrote(LIMIT);
    assert_eq!(take(&outbox).0, [LIMIT, LIMIT]);
    assert_eq!(outbox.push(frame(1)), Pushed::Full);
}

#[test]
fn the_pump_is_woken_once_however_much_is_pushed() {
    let outbox = outbox();
    let (pump, waker) = Pump::new();
    let cx = &mut Context::from_waker(&waker);
    assert!(outbox.poll_take(cx).is_pending());
    outbox.push(frame(1));
    outbox.push(frame(1));
    outbox.answer(&ServerFrame::Pong { id: None, time: 0 });
    assert_eq!(pump.woken(), 1);
    assert!(outbox.poll_take(cx).is_ready());
    outbox.push(frame(1));
    assert_eq!(pump.woken(), 1, "a pump that does not wait is not woken");
    assert!(outbox.poll_take(cx).is_ready());
    assert!(outbox.poll_take(cx).is_pending());
    outbox.push(frame(1));
    assert_eq!(pump.woken(), 2);
}

#[test]
fn a_pump_that_waits_for_the_socket_is_woken_by_what_it_asked_for() {
    let outbox = outbox();
    let (pump, waker) = Pump::new();
    outbox.push(frame(1));
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
    assert!(outbox.poll_take(&mut Context::from_waker(&waker)).is_pending());
    outbox.end_command(false);
    assert_eq!(pump.woken(), 1);
    assert!(outbox.poll_take(&mut Context::from_waker(&waker)).is_pending());
    outbox.end_command(false);
    assert_eq!(pump.woken(), 1, "it was reading already");
}

#[test]
fn the_first_close_counts_and_nothing_comes_behind_it() {
    let outbox = outbox();
    outbox.push(frame(7));
    outbox.close(CloseCode::SlowConsumer);
    outbox.close(CloseCode::Restarting);
    assert_eq!(outbox.push(frame(1)), Pushed::Closed);
    assert_eq!(outbox.push_droppable(frame(1)), Pushed::Closed);
    outbox.answer(&ServerFrame::Pong { id: None, time: 0 });
    assert!(!outbox.accepts_commands());
    assert_eq!(take(&outbox), (vec![7], Some(CloseCode::SlowConsumer)));
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
    outbox.wrote(LIMIT);
    outbox.call_back(1, calls.callback());
    assert_eq!(calls.count(), 0);
    assert_eq!(outbox.push(frame(1)), Pushed::Closed);
}
