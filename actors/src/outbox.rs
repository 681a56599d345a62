//! The outbox: what one connection is still to be sent, shared between the rooms that fill it and the pump that
//! empties it.
//!
//! Pushing never awaits. The queue is bounded in bytes of memory, the frames' own and what it takes to hold them
//! ([`Outbox::FRAME_BYTES`]); at the bound nothing is dropped from it and nothing waits: the push of a room's events is refused, the room remembers how far it got ([`crate::room`]) and is called back when the
//! queue has drained ([`Outbox::call_back`]). Answers to commands always fit, because the pump stops reading commands
//! while the queue is at its bound or [`Outbox::MAX_UNACKED`] commands are unanswered.

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::{CloseCode, Codec, ErrorCode, ServerFrame, server::Refused};

use crate::metrics::Metrics;

/// See the module's documentation.
pub struct Outbox {
    codec: Codec,
    limit_bytes: usize,
    metrics: Metrics,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Bytes>,
    /// What the frames in `queue` cost, and those that the pump took and has not yet reported as written.
    unwritten_bytes: usize,
    unacked: usize,
    /// Of those, the ones whose answers may be large.
    large_unacked: usize,
    close: Option<CloseCode>,
    /// No further command is read: the node ends.
    no_commands: bool,
    /// The pump is gone: pushes are pointless.
    abandoned: bool,
    pump: Option<Waker>,
    on_drained: Vec<Callback>,
}

/// Called once when the queue has drained.
pub type Callback = Box<dyn FnOnce() + Send>;

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It will be sent.
    Queued,
    /// The queue is at its bound; nothing was queued.
    Full,
    /// The connection is ending; nothing will be sent any more.
    Closed,
}

/// What the pump finds.
#[derive(Debug, Default)]
pub struct Taken {
    /// Payloads, in order.
    pub frames: Vec<Bytes>,
    /// Close the connection with this code once they are written: nothing is queued behind them.
    pub close: Option<CloseCode>,
}

impl Outbox {
    /// Commands of one connection that may be unanswered before the pump stops reading.
    pub const MAX_UNACKED: usize = 64;

    /// What holding a frame costs beyond its payload, in bytes: its place in a queue that may be half empty, the count of
    /// those who share it, and what the allocator adds. A queue of small frames is mostly this.
    pub const FRAME_BYTES: usize = 96;

    /// An empty outbox that holds at most `limit_bytes` and speaks `codec`.
    pub fn new(codec: Codec, limit_bytes: usize, metrics: Metrics) -> Self {
        Self {
            codec,
            limit_bytes,
            metrics,
            inner: Mutex::default(),
        }
    }

    /// The codec of the connection.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Queues a room's frame, unless the queue is at its bound. An empty queue takes a frame of any size.
    pub fn push(&self, payload: Bytes) -> Pushed {
        self.push_below(payload, self.limit_bytes)
    }

    /// Queues a frame that may be lost (typing, presence, read markers): only while the queue is less than half full.
    pub fn push_droppable(&self, payload: Bytes) -> Pushed {
        self.push_below(payload, self.limit_bytes / 2)
    }

    /// Queues an answer, or a frame that must not be lost.
    pub fn answer(&self, frame: &ServerFrame) {
        match self.codec.encode(frame) {
            Ok(payload) => {
                self.push_below(payload.into_boxed_slice().into(), usize::MAX);
            }
            Err(error) => {
                tracing::error!(%error, "a frame could not be encoded; closing its connection");
                self.close(CloseCode::Internal);
            }
        }
    }

    /// Queues an `error`.
    pub fn refuse(
        &self,
        id: Option<u32>,
        code: ErrorCode,
        message: impl Into<String>,
        retry_after_ms: Option<u64>,
    ) {
        self.metrics.errors(code).increment(1);
        self.answer(&ServerFrame::Error(Refused {
            id,
            code,
            message: message.into(),
            retry_after_ms,
        }));
    }

    /// Ends the connection with `code` once everything queued so far is written. The first code counts.
    pub fn close(&self, code: CloseCode) {
        let waker = {
            let mut inner = self.inner.lock();
            inner.close.get_or_insert(code);
            inner.pump.take()
        };
        wake(waker);
    }

    /// Calls `callback` as soon as the queue is below a quarter of its bound; at once if it is so already and a
    /// frame of `bytes` fits. Dropped uncalled when the connection ends.
    pub fn call_back(&self, bytes: usize, callback: Callback) {
        {
            let mut inner = self.inner.lock();
            if inner.abandoned {
                return;
            }
            let fits = inner.unwritten_bytes.saturating_add(cost(bytes)) <= self.limit_bytes;
            if inner.unwritten_bytes > 0 && (!fits || inner.unwritten_bytes > self.limit_bytes / 4) {
                inner.on_drained.push(callback);
                return;
            }
        }
        callback();
    }

    /// A command was accepted that will be answered later. While one with a `large` answer is under way no other is
    /// read: what a client asks for and does not take costs one such answer at most.
    pub fn begin_command(&self, large: bool) {
        let mut inner = self.inner.lock();
        inner.unacked += 1;
        inner.large_unacked += usize::from(large);
    }

    /// A command of [`Self::begin_command`] has its answer.
    pub fn end_command(&self, large: bool) {
        let waker = {
            let mut inner = self.inner.lock();
            inner.unacked = inner.unacked.saturating_sub(1);
            inner.large_unacked = inner.large_unacked.saturating_sub(usize::from(large));
            // The pump sleeps on this only at the limit.
            if large || inner.unacked + 1 == Self::MAX_UNACKED {
                inner.pump.take()
            } else {
                None
            }
        };
        wake(waker);
    }

    /// Pump: takes what is queued, `most` frames of it. `Pending` when there is nothing; the pump is then woken by the next
    /// push, close, or change of [`Self::accepts_commands`].
    pub fn poll_take(&self, most: usize, cx: &mut Context<'_>) -> Poll<Taken> {
        let mut inner = self.inner.lock();
        if inner.queue.is_empty() && inner.close.is_none() {
            if !inner
                .pump
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                inner.pump = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        let frames = if inner.queue.len() <= most {
            // Together with its memory, which may be much after a time of lagging.
            std::mem::take(&mut inner.queue).into()
        } else {
            inner.queue.drain(..most).collect()
        };
        Poll::Ready(Taken {
            frames,
            close: inner.close.filter(|_| inner.queue.is_empty()),
        })
    }

    /// Pump: asks to be woken at the next change, whatever is queued now.
    pub fn register(&self, cx: &Context<'_>) {
        self.inner.lock().pump = Some(cx.waker().clone());
    }

    /// Pump: a frame of `bytes` was handed to the socket. Calls back who waits for the queue to drain.
    pub fn wrote(&self, bytes: usize) {
        let callbacks = {
            let mut inner = self.inner.lock();
            inner.unwritten_bytes = inner.unwritten_bytes.saturating_sub(cost(bytes));
            if inner.on_drained.is_empty() || inner.unwritten_bytes > self.limit_bytes / 4 {
                return;
            }
            std::mem::take(&mut inner.on_drained)
        };
        for callback in callbacks {
            callback();
        }
    }

    /// From now on no command is read.
    pub fn stop_commands(&self) {
        self.inner.lock().no_commands = true;
    }

    /// Whether every command that was read has its answer.
    pub fn is_answered(&self) -> bool {
        self.inner.lock().unacked == 0
    }

    /// Pump: whether the next command may be read.
    pub fn accepts_commands(&self) -> bool {
        let inner = self.inner.lock();
        !inner.no_commands
            && inner.unacked < Self::MAX_UNACKED
            && inner.large_unacked == 0
            && inner.unwritten_bytes < self.limit_bytes
            && inner.close.is_none()
    }

    /// Pump: the connection is over. Frees what is queued.
    pub fn abandon(&self) {
        let (queue, callbacks) = {
            let mut inner = self.inner.lock();
            inner.abandoned = true;
            (
                std::mem::take(&mut inner.queue),
                std::mem::take(&mut inner.on_drained),
            )
        };
        drop((queue, callbacks));
    }

    fn push_below(&self, payload: Bytes, limit_bytes: usize) -> Pushed {
        let waker = {
            let mut inner = self.inner.lock();
            if inner.abandoned || inner.close.is_some() {
                return Pushed::Closed;
            }
            let cost = cost(payload.len());
            if inner.unwritten_bytes > 0 && inner.unwritten_bytes.saturating_add(cost) > limit_bytes {
                return Pushed::Full;
            }
            inner.unwritten_bytes += cost;
            inner.queue.push_back(payload);
            inner.pump.take()
        };
        wake(waker);
        Pushed::Queued
    }
}

/// What a frame of `payload_bytes` counts.
fn cost(payload_bytes: usize) -> usize {
    payload_bytes.saturating_add(Outbox::FRAME_BYTES)
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests;
