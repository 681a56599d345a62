//! One client of the fleet: sends what is its turn, and checks what it is answered and shown.

use std::{collections::HashMap, sync::Arc};

use hdrhistogram::{CreationError, Histogram};
use protocol::{Command, ErrorCode, Event, RoomName, ServerFrame};
use tokio::time::{Duration, Instant, sleep_until, timeout_at};

use super::{
    report::{histogram, record},
    script::Script,
};
use crate::client::{Client, Error};

/// A client that has joined its room and waits for the start.
pub(super) struct Member {
    pub(super) number: usize,
    pub(super) client: Client,
    pub(super) room: RoomName,
    pub(super) outcome: Outcome,
}

/// What one member saw.
pub(super) struct Outcome {
    pub(super) acked: usize,
    pub(super) delivered: usize,
    pub(super) retries: usize,
    pub(super) ack_micros: Histogram<u32>,
    pub(super) delivery_micros: Histogram<u32>,
    /// When the last thing that was waited for came, if it did.
    pub(super) ended: Option<Instant>,
    pub(super) violations: Vec<String>,
}

/// A member at work.
struct Worker {
    member: Member,
    script: Arc<Script>,
    /// Ids of the people of the run, by member.
    people: Arc<[String]>,
    start: Instant,
    /// Messages to be sent, the next one last: when and which.
    queue: Vec<(Instant, usize)>,
    /// Messages that were sent and not answered, by the command's id.
    unanswered: HashMap<u32, usize>,
    /// `seq` and `at` by message, as the answer said; and as the event said.
    acked: HashMap<usize, (u64, u64)>,
    shown: HashMap<usize, (u64, u64)>,
}

/// Runs until the member has seen everything, or the script's deadline. The client comes back connected, so that those
/// who are done do not disturb the others by leaving.
pub(super) async fn work(
    member: Member,
    script: Arc<Script>,
    people: Arc<[String]>,
    start: Instant,
) -> Member {
    let messages = script.messages_of(member.number);
    let mut queue: Vec<_> = messages
        .map(|message| (start + script.due(message), message))
        .collect();
    queue.reverse();
    let deadline = start + script.deadline();
    let mut worker = Worker {
        unanswered: HashMap::with_capacity(queue.len()),
        acked: HashMap::with_capacity(queue.len()),
        shown: HashMap::with_capacity(queue.len()),
        member,
        script,
        people,
        start,
        queue,
    };
    match timeout_at(deadline, worker.run()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => worker.violation(&error.to_string()),
        Err(_) => worker.violation("gave up at the deadline"),
    }
    worker.finish()
}

impl Worker {
    async fn run(&mut self) -> Result<(), Error> {
        let due = sleep_until(self.start);
        tokio::pin!(due);
        while !self.is_done() {
            let Some((next_due, message)) = self.queue.last().copied() else {
                let frame = self.member.client.next().await?;
                self.take(frame)?;
                continue;
            };
            // Setting the timer for every frame would cost more than the frame.
            if due.deadline() != next_due {
                due.as_mut().reset(next_due);
            }
            tokio::select! {
                // Sending is not put off by frames that keep coming.
                biased;
                () = &mut due => {
                    self.queue.pop();
                    self.send(message).await?;
                }
                frame = self.member.client.next() => self.take(frame?)?,
            }
        }
        self.member.outcome.ended = Some(Instant::now());
        self.look_for_more().await
    }

    /// What follows the last event that was due, such as a repetition of it, has been sent by when a `ping` is answered.
    async fn look_for_more(&mut self) -> Result<(), Error> {
        let ping = self.member.client.post(Command::Ping).await?;
        loop {
            match self.member.client.next().await? {
                ServerFrame::Pong { id: Some(id), .. } if id == ping => return Ok(()),
                frame => self.take(frame)?,
            }
        }
    }

    fn is_done(&self) -> bool {
        let room = self.script.room_of(self.member.number);
        self.queue.is_empty()
            && self.unanswered.is_empty()
            && self.member.outcome.delivered >= self.script.messages_in(room)
    }

    async fn send(&mut self, message: usize) -> Result<(), Error> {
        let command = Command::Send {
            room: self.member.room.clone(),
            cid: self.script.cid(message).into(),
            text: self.script.text(message).into(),
            reply_to: None,
        };
        let id = self.member.client.post(command).await?;
        self.unanswered.insert(id, message);
        Ok(())
    }

    fn take(&mut self, frame: ServerFrame) -> Result<(), Error> {
        match frame {
            ServerFrame::Events { events, .. } => {
                let now = Instant::now();
                for event in &events {
                    self.delivered(event, now);
                }
            }
            ServerFrame::Ok(done) => {
                let message = done.id.and_then(|id| self.unanswered.remove(&id));
                match (message, done.seq, done.at) {
                    (Some(message), Some(seq), Some(at)) => {
                        let micros = self.micros_since_due(message, Instant::now());
                        record(&mut self.member.outcome.ack_micros, micros);
                        self.member.outcome.acked += 1;
                        self.acked.insert(message, (seq, at));
                    }
                    _ => self.violation(&format!("an answer to nothing that was asked: {done:?}")),
                }
            }
            ServerFrame::Error(refused) => {
                let message = refused.id.and_then(|id| self.unanswered.remove(&id));
                match (message, refused.code) {
                    (Some(message), ErrorCode::RateLimited | ErrorCode::Overloaded) => {
                        let pause = Duration::from_millis(refused.retry_after_ms.unwrap_or(1000));
                        self.member.outcome.retries += 1;
                        self.queue.push((Instant::now() + pause, message));
                        self.queue.sort_by_key(|(due, _)| std::cmp::Reverse(*due));
                    }
                    _ => return Err(Error::Refused(refused)),
                }
            }
            ServerFrame::Gap { from, to, .. } => {
                self.violation(&format!("{from} to {to} were left out by a `gap`"));
            }
            _ => {}
        }
        Ok(())
    }

    fn delivered(&mut self, event: &Event, now: Instant) {
        self.member.outcome.delivered += 1;
        let room = self.script.room_of(self.member.number);
        match self.script.recognise(room, event, &self.people) {
            Ok(message) => {
                let micros = self.micros_since_due(message, now);
                record(&mut self.member.outcome.delivery_micros, micros);
                if self.script.sender_of(message) == self.member.number {
                    self.shown.insert(message, (event.seq, event.at));
                }
            }
            Err(wrong) => self.violation(&wrong),
        }
    }

    /// From when the message was due, not from when it was sent, so that a sender that is held up is not hidden.
    fn micros_since_due(&self, message: usize, now: Instant) -> u64 {
        let due = self.start + self.script.due(message);
        u64::try_from(now.saturating_duration_since(due).as_micros()).unwrap_or(u64::MAX)
    }

    fn violation(&mut self, what: &str) {
        self.member
            .outcome
            .violations
            .push(format!("client {}: {what}", self.member.number));
    }

    fn finish(mut self) -> Member {
        let room = self.script.room_of(self.member.number);
        let expected = self.script.messages_in(room);
        if self.member.outcome.delivered != expected {
            self.violation(&format!(
                "{} of {expected} events came",
                self.member.outcome.delivered
            ));
        }
        let missing = self.queue.len() + self.unanswered.len();
        if missing > 0 {
            self.violation(&format!("{missing} messages were not answered"));
        }
        for (message, acked) in std::mem::take(&mut self.acked) {
            match self.shown.get(&message) {
                Some(shown) if *shown == acked => {}
                shown => self.violation(&format!(
                    "message {message} was answered with (seq, at) {acked:?} and shown with {shown:?}"
                )),
            }
        }
        self.member
    }
}

impl Outcome {
    pub(super) fn new() -> Result<Self, CreationError> {
        Ok(Self {
            acked: 0,
            delivered: 0,
            retries: 0,
            ack_micros: histogram()?,
            delivery_micros: histogram()?,
            ended: None,
            violations: Vec::new(),
        })
    }
}
