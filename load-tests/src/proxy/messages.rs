//! Loss, repetition and disorder of whole pub/sub messages, decided by a seed.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use tokio::time::Instant;

use super::{Counts, resp};

/// A message that waits for a later one to pass it waits no longer than this.
const HELD: Duration = Duration::from_secs(1);

/// What becomes of messages that a Redis sends to subscribers. Shares from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BusFaults {
    /// Are left out.
    pub drop: f64,
    /// Are passed on twice.
    pub duplicate: f64,
    /// Are passed on behind up to three later ones, or after a second if none comes.
    pub reorder: f64,
}

/// Takes what a server says apart into answers, which pass, and messages, which are harmed.
#[derive(Debug)]
pub(super) struct Messages {
    rng: Rng,
    buffer: BytesMut,
    held: VecDeque<Held>,
    /// What is said is no RESP: it is passed on as it is.
    foreign: bool,
}

#[derive(Debug)]
struct Held {
    message: Bytes,
    /// Messages that are still to pass it.
    behind: u32,
    until: Instant,
}

impl Messages {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            buffer: BytesMut::new(),
            held: VecDeque::new(),
            foreign: false,
        }
    }

    /// When [`Messages::take`] should be called although nothing came.
    pub(super) fn due(&self) -> Option<Instant> {
        self.held.iter().map(|held| held.until).min()
    }

    /// Takes what the server said; what is to be passed on.
    pub(super) fn take(&mut self, said: &[u8], faults: BusFaults, counts: &Counts) -> Bytes {
        if self.foreign {
            return Bytes::copy_from_slice(said);
        }
        self.buffer.extend_from_slice(said);
        let mut out = BytesMut::new();
        loop {
            match resp::length(&self.buffer) {
                Ok(Some(length)) => {
                    let value = self.buffer.split_to(length).freeze();
                    if resp::is_message(&value) {
                        self.message(value, faults, counts, &mut out);
                    } else {
                        out.extend_from_slice(&value);
                    }
                }
                Ok(None) => break,
                Err(resp::NotResp) => {
                    self.foreign = true;
                    out.extend_from_slice(&self.buffer.split());
                    break;
                }
            }
        }
        let now = Instant::now();
        while let Some(place) = self.held.iter().position(|held| held.until <= now) {
            self.release(place, &mut out);
        }
        out.freeze()
    }

    fn message(&mut self, message: Bytes, faults: BusFaults, counts: &Counts, out: &mut BytesMut) {
        // Three draws for every message, whatever comes of them: so each fault depends on the seed and the place alone.
        let [drop, duplicate, reorder] = [(); 3].map(|()| self.rng.f64());
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        if drop < faults.drop {
            count(&counts.dropped);
            return;
        }
        if reorder < faults.reorder {
            count(&counts.reordered);
            let behind = self.rng.u32(1..=3);
            let until = Instant::now() + HELD;
            self.held.push_back(Held {
                message,
                behind,
                until,
            });
            return;
        }
        out.extend_from_slice(&message);
        if duplicate < faults.duplicate {
            count(&counts.duplicated);
            out.extend_from_slice(&message);
        }
        for held in &mut self.held {
            held.behind = held.behind.saturating_sub(1);
        }
        while let Some(place) = self.held.iter().position(|held| held.behind == 0) {
            self.release(place, out);
        }
    }

    fn release(&mut self, place: usize, out: &mut BytesMut) {
        if let Some(held) = self.held.remove(place) {
            out.extend_from_slice(&held.message);
        }
    }
}
