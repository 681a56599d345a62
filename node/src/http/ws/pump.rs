//! The pump: the one task that owns a connection's socket. It reads commands and hands them to the session one at a
//! time, takes from the outbox all there is and flushes it at once, pings, and keeps the deadlines.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actors::{
    System,
    bucket::TokenBucket,
    connection::{Connection, Registered},
    outbox::Outbox,
};
use bytes::Bytes;
use protocol::{
    CloseCode, Codec, Command, ErrorCode,
    client::{Invalid, frame_id, frame_op},
    fields::Fields,
    limits::{HEARTBEAT_MS, MAX_FRAME_BYTES},
};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    hello,
    socket::{Incoming, Socket},
};
use crate::auth::{Authenticator, Presented};

/// Pause between two pings.
const PING_EVERY: Duration = Duration::from_millis(HEARTBEAT_MS);
/// Neither frame nor pong for this long: the peer is gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A peer that takes nothing for this long is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// A peer that has not been welcomed by then is closed.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last frames and the close may take to reach the peer.
const FINISH_TIMEOUT: Duration = Duration::from_secs(3);
/// The same where the node ends, or the peer is to come back at once: what it misses it gets when it resumes.
const RESTART_TIMEOUT: Duration = Duration::from_secs(1);
/// Commands are let through in bursts of so many seconds' worth; then they are read more slowly.
const COMMAND_BURST_SECONDS: u32 = 5;
/// Timers are not moved for changes below this.
const TIMER_SLACK: Duration = Duration::from_millis(50);

/// What a connection begins with.
pub(super) struct Start {
    pub(super) system: System,
    pub(super) authenticator: Authenticator,
    pub(super) codec: Codec,
    /// The credentials of the upgrade.
    pub(super) presented: Presented,
    /// Limit of commands a second; 0: none.
    pub(super) commands_per_second: u32,
    pub(super) outbox: Arc<Outbox>,
    pub(super) registered: Registered,
}

/// Serves a connection until it ends.
pub(super) async fn run(socket: Socket, start: Start) {
    let now = Instant::now();
    let commands = TokenBucket::new(start.commands_per_second, COMMAND_BURST_SECONDS, now.into_std());
    let mut pump = Pump {
        socket,
        start,
        connection: None,
        commands,
        read_again_at: now,
        last_sign: now,
        next_ping: now + PING_EVERY,
        hello_until: Some(now + HELLO_TIMEOUT),
        expires_at_ms: None,
        stalled_since: None,
        timer: Box::pin(sleep_until(now + HELLO_TIMEOUT)),
    };
    let close = pump.serve().await;
    pump.end(close).await;
}

struct Pump {
    socket: Socket,
    start: Start,
    connection: Option<Connection>,
    commands: TokenBucket,
    /// Too many commands came: none is read before.
    read_again_at: Instant,
    last_sign: Instant,
    next_ping: Instant,
    hello_until: Option<Instant>,
    /// When the client's credential runs out, by the store's clock.
    expires_at_ms: Option<u64>,
    /// Since when the socket takes nothing, though there is something to write.
    stalled_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

/// How a connection ends.
#[derive(Clone, Copy)]
enum End {
    /// We close it, after the frames that are still queued.
    Close(CloseCode),
    /// The peer closed it, or it is gone.
    Peer,
}

impl Pump {
    async fn serve(&mut self) -> End {
        loop {
            let payload = match poll_fn(|cx| self.poll_step(cx)).await {
                Ok(payload) => payload,
                Err(end) => return end,
            };
            if let Err(close) = self.frame(&payload).await {
                return End::Close(close);
            }
            let now = Instant::now();
            self.read_again_at = now + self.commands.spend(now.into_std());
        }
    }

    /// Moves everything forward; ready with the next data frame, or with the end.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        loop {
            let now = Instant::now();
            let blocked = self.poll_outgoing(cx, now)?;
            if let Poll::Ready(frame) = self.poll_incoming(cx, now, blocked)? {
                return Poll::Ready(Ok(frame));
            }
            self.check_deadlines(now)?;
            // Reading may have produced a reply, and a deadline a ping.
            if !blocked && self.socket.has_output() {
                continue;
            }
            if self.poll_timer(cx, now).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Moves frames from the outbox to the socket. Returns whether the socket takes no more at the moment.
    fn poll_outgoing(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<bool, End> {
        let outbox = Arc::clone(&self.start.outbox);
        loop {
            let room = self.socket.room();
            if room > 0
                && let Poll::Ready(taken) = outbox.poll_take(room, cx)
            {
                taken
                    .frames
                    .into_iter()
                    .for_each(|payload| self.socket.queue(payload));
                if let Some(code) = taken.close {
                    return Err(End::Close(code));
                }
            }
            if !self.socket.has_output() {
                self.stalled_since = None;
                return Ok(false);
            }
            let mut wrote = false;
            let mut progress = |frame: Option<usize>| {
                wrote = true;
                if let Some(bytes) = frame {
                    outbox.wrote(bytes);
                    let written = self.start.system.metrics().socket_written_bytes();
                    written.increment(bytes as u64);
                }
            };
            let written = self.socket.poll_write(cx, &mut progress);
            if wrote {
                self.stalled_since = None;
            }
            match written {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Err(End::Peer),
                Poll::Pending => {
                    self.stalled_since.get_or_insert(now);
                    outbox.register(cx);
                    return Ok(true);
                }
            }
        }
    }

    /// Reads the next frame, unless the client must wait: it takes nothing itself, has too many commands unanswered, or
    /// sent too many. TCP then makes it wait.
    fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        blocked: bool,
    ) -> Result<Poll<Bytes>, End> {
        loop {
            let paused = now < self.read_again_at
                || !self.start.outbox.accepts_commands()
                || (blocked && self.socket.room() == 0);
            if paused {
                // Who is made to wait is not to blame for silence.
                self.last_sign = now;
                return Ok(Poll::Pending);
            }
            let Poll::Ready(incoming) = self.socket.poll_read(cx) else {
                return Ok(Poll::Pending);
            };
            self.last_sign = now;
            match incoming {
                Incoming::Frame(payload) => return Ok(Poll::Ready(payload)),
                Incoming::Control => {}
                Incoming::Closing | Incoming::Gone => return Err(End::Peer),
                Incoming::WrongKind => {
                    return Err(
                        self.bad_frame("a text frame is due with JSON, a binary frame with MessagePack")
                    );
                }
                Incoming::Violation(close) => {
                    if close == CloseCode::FrameTooLarge {
                        let message = format!("a frame may have {MAX_FRAME_BYTES} bytes");
                        self.start.outbox.refuse(None, ErrorCode::TooLarge, message, None);
                    }
                    return Err(End::Close(close));
                }
            }
        }
    }

    fn check_deadlines(&mut self, now: Instant) -> Result<(), End> {
        if self
            .stalled_since
            .is_some_and(|since| now >= since + WRITE_TIMEOUT)
        {
            self.start.system.metrics().slow_consumers().increment(1);
            return Err(End::Close(CloseCode::SlowConsumer));
        }
        if self.hello_until.is_some_and(|until| now >= until) {
            return Err(End::Close(CloseCode::HelloTimeout));
        }
        if now >= self.last_sign + IDLE_TIMEOUT {
            return Err(End::Close(CloseCode::Idle));
        }
        if self.credential_left() == Some(Duration::ZERO) {
            return Err(End::Close(CloseCode::SessionEnded));
        }
        if now >= self.next_ping {
            self.next_ping = now + PING_EVERY;
            self.socket.queue_ping();
        }
        Ok(())
    }

    /// Arms the one timer for whatever is due next.
    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        let mut due = self.next_ping.min(self.last_sign + IDLE_TIMEOUT);
        if let Some(since) = self.stalled_since {
            due = due.min(since + WRITE_TIMEOUT);
        }
        if let Some(until) = self.hello_until {
            due = due.min(until);
        }
        if self.read_again_at > now {
            due = due.min(self.read_again_at);
        }
        if let Some(left) = self.credential_left() {
            // Pings wake it often enough that a clock which is set meanwhile does not matter.
            due = due.min(now + left.min(PING_EVERY));
        }
        let armed = self.timer.deadline();
        // An early timer does no harm but a look around; moving it at every frame would.
        if armed > due + TIMER_SLACK || armed <= now || self.read_again_at > now {
            self.timer.as_mut().reset(due);
        }
        self.timer.as_mut().poll(cx)
    }

    /// How long the client's credential lasts.
    fn credential_left(&self) -> Option<Duration> {
        let now_ms = self.start.system.clock().now_ms();
        self.expires_at_ms
            .map(|end| Duration::from_millis(end.saturating_sub(now_ms)))
    }

    /// Does what a data frame says.
    async fn frame(&mut self, payload: &[u8]) -> Result<(), CloseCode> {
        let metrics = self.start.system.metrics().clone();
        metrics.socket_read_bytes().increment(payload.len() as u64);
        let fields = match Fields::decode(self.start.codec, payload) {
            Ok(fields) => fields,
            Err(error) => {
                metrics.frames(None).increment(1);
                self.start
                    .outbox
                    .refuse(None, ErrorCode::BadFrame, error.to_string(), None);
                return Err(CloseCode::BadFrame);
            }
        };
        let op = frame_op(&fields);
        metrics.frames(op).increment(1);
        let id = frame_id(&fields);
        if self.connection.is_none() && op != Some("hello") {
            let id = id.ok().flatten();
            self.start.outbox.refuse(
                id,
                ErrorCode::HelloExpected,
                "the first frame must be hello",
                None,
            );
            return Err(CloseCode::HelloExpected);
        }
        let id = match id {
            Ok(id) => id,
            Err(invalid) => return self.invalid(None, invalid),
        };
        match (Command::from_fields(&fields), &self.connection) {
            (Err(invalid), _) => self.invalid(id, invalid),
            (Ok(Command::Hello(hello)), None) => self.hello(id, hello).await,
            (Ok(command), Some(connection)) => connection
                .command(id, command)
                .await
                .map_err(|_| CloseCode::Internal),
            (Ok(_), None) => Err(CloseCode::HelloExpected),
        }
    }

    async fn hello(&mut self, id: Option<u32>, hello: protocol::Hello) -> Result<(), CloseCode> {
        if let Some(welcomed) = hello::welcome(&self.start, id, hello).await? {
            self.connection = Some(welcomed.connection);
            self.expires_at_ms = welcomed.expires_at;
            self.hello_until = None;
        }
        Ok(())
    }

    fn invalid(&self, id: Option<u32>, invalid: Invalid) -> Result<(), CloseCode> {
        self.start.outbox.refuse(id, invalid.code, invalid.message, None);
        Ok(())
    }

    fn bad_frame(&self, message: &str) -> End {
        self.start.system.metrics().frames(None).increment(1);
        self.start.outbox.refuse(None, ErrorCode::BadFrame, message, None);
        End::Close(CloseCode::BadFrame)
    }

    /// Ends the connection. The session ends first, so that nothing comes behind the last frame.
    async fn end(mut self, end: End) {
        drop(self.connection.take());
        let Start {
            outbox, registered, ..
        } = self.start;
        if let End::Close(code) = end {
            if let Poll::Ready(taken) = poll_fn(|cx| Poll::Ready(outbox.poll_take(usize::MAX, cx))).await {
                taken
                    .frames
                    .into_iter()
                    .for_each(|payload| self.socket.queue(payload));
            }
            self.socket.queue_close(code);
        }
        outbox.abandon();
        let patience = match end {
            End::Close(CloseCode::Restarting) => RESTART_TIMEOUT,
            _ => FINISH_TIMEOUT,
        };
        self.socket.finish(patience).await;
        drop(registered);
    }
}
