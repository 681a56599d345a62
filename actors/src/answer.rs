//! The one answer that every command gets.

use std::sync::Arc;

use protocol::{
    ErrorCode, ServerFrame,
    server::{Done, Refused},
};
use tokio::sync::oneshot;

use crate::{outbox::Outbox, ports::StoreError};

/// Milliseconds after which a client may repeat what was refused because the store is away.
const STORE_RETRY_MS: u64 = 1_000;

/// The obligation to answer one command, exactly once, whatever happens: dropped without an answer (an actor failed, a
/// mailbox was closed) it tells the client to try again, which its `cid` makes safe.
pub(crate) struct Answer(Option<Target>);

enum Target {
    Socket {
        outbox: Arc<Outbox>,
        id: Option<u32>,
        large: bool,
    },
    Caller(oneshot::Sender<Result<Done, Refused>>),
}

impl Answer {
    /// An answer that goes to a connection. Counts as an unacked command of it until it is given. Without `id` success
    /// is silent. `large`: it may be many times the size of other answers.
    pub(crate) fn to_socket(outbox: &Arc<Outbox>, id: Option<u32>, large: bool) -> Self {
        outbox.begin_command(large);
        Self(Some(Target::Socket {
            outbox: Arc::clone(outbox),
            id,
            large,
        }))
    }

    /// An answer that goes to a caller in this process. The receiver always gets one.
    pub(crate) fn to_caller() -> (Self, oneshot::Receiver<Result<Done, Refused>>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(Target::Caller(sender))), receiver)
    }

    /// The command was done.
    pub(crate) fn done(mut self, done: Done) {
        match self.0.take() {
            Some(Target::Socket { outbox, id, large }) => {
                if id.is_some() {
                    outbox.answer(&ServerFrame::Ok(Done { id, ..done }));
                }
                outbox.end_command(large);
            }
            Some(Target::Caller(sender)) => drop(sender.send(Ok(done))),
            None => {}
        }
    }

    /// The command was refused. `message` is for people and tells no causes.
    pub(crate) fn refuse(mut self, code: ErrorCode, message: &str) {
        self.send_refusal(code, message, None);
    }

    /// The command was refused for now; repeated after `retry_after_ms` with the same `cid` it may be done.
    pub(crate) fn refuse_for_now(mut self, code: ErrorCode, message: &str, retry_after_ms: u64) {
        self.send_refusal(code, message, Some(retry_after_ms));
    }

    /// The command was refused because the store failed.
    pub(crate) fn refuse_by_store(self, error: &StoreError) {
        if error.is_transient() {
            self.refuse_for_now(
                ErrorCode::Overloaded,
                "this cannot be done at the moment; try again",
                STORE_RETRY_MS,
            );
        } else {
            self.refuse(ErrorCode::Internal, "the server failed; its log says why");
        }
    }

    fn send_refusal(&mut self, code: ErrorCode, message: &str, retry_after_ms: Option<u64>) {
        match self.0.take() {
            Some(Target::Socket { outbox, id, large }) => {
                outbox.refuse(id, code, message, retry_after_ms);
                outbox.end_command(large);
            }
            Some(Target::Caller(sender)) => {
                let refused = Refused {
                    id: None,
                    code,
                    message: message.to_owned(),
                    retry_after_ms,
                };
                let _ = sender.send(Err(refused));
            }
            None => {}
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.send_refusal(
                ErrorCode::Overloaded,
                "the server was interrupted; try again",
                Some(STORE_RETRY_MS),
            );
        }
    }
}
