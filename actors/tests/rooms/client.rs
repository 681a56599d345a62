//! A connection without a socket.

use std::{collections::VecDeque, future::poll_fn, sync::Arc, time::Duration};

use actors::{
    System, User,
    connection::{Connection, Opening, Registered},
    metrics::Metrics,
    outbox::Outbox,
};
use protocol::{CloseCode, Codec, Command, ErrorCode, EventBody, JoinFrom, Person, RoomName, ServerFrame};
use tokio::time::timeout;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn room() -> RoomName {
    RoomName::new("room").unwrap()
}

/// The test is its pump.
pub(crate) struct Client {
    outbox: Arc<Outbox>,
    connection: Connection,
    _registered: Registered,
    next_id: u32,
    inbox: VecDeque<ServerFrame>,
    /// The last `seq` that was shown; checked to have no hole and no repeat.
    pub(crate) shown: u64,
    /// The texts of the messages that were shown.
    pub(crate) texts: Vec<Arc<str>>,
}

impl Client {
    pub(crate) async fn connect(system: &System, name: &str) -> Self {
        let outbox = Arc::new(Outbox::new(Codec::Json, 256 * 1024, Metrics::noop()));
        let registered = system.connections().register(&outbox);
        let person = Person {
            id: name.into(),
            name: name.into(),
        };
        let opening = Opening {
            user: Arc::new(User::guest(person)),
            outbox: Arc::clone(&outbox),
            id: None,
            token: None,
            resume: None,
            epoch: None,
        };
        let connection = registered.open(opening).await.unwrap();
        Self {
            outbox,
            connection,
            _registered: registered,
            next_id: 0,
            inbox: VecDeque::new(),
            shown: 0,
            texts: Vec::new(),
        }
    }

    pub(crate) async fn post(&mut self, command: Command) -> u32 {
        self.next_id += 1;
        self.connection
            .command(Some(self.next_id), command)
            .await
            .unwrap();
        self.next_id
    }

    pub(crate) async fn next(&mut self) -> ServerFrame {
        while self.inbox.is_empty() {
            let taking = poll_fn(|cx| self.outbox.poll_take(usize::MAX, cx));
            let taken = timeout(PATIENCE, taking).await.expect("a frame comes");
            assert_eq!(taken.close, None, "the connection is not closed over a room");
            for payload in taken.frames {
                self.outbox.wrote(payload.len());
                self.inbox.push_back(Codec::Json.decode(&payload).unwrap());
            }
        }
        let frame = self.inbox.pop_front().unwrap();
        if let ServerFrame::Events { events, .. } = &frame {
            for event in events {
                assert_eq!(event.seq, self.shown + 1, "one order, without a hole");
                self.shown = event.seq;
                if let EventBody::Message { text, .. } = &event.body {
                    self.texts.push(Arc::clone(text));
                }
            }
        }
        assert!(!matches!(frame, ServerFrame::Gap { .. }));
        frame
    }

    /// Waits until the node sends it away, which it does when the store has another history.
    pub(crate) async fn sent_away(self) {
        loop {
            let taking = poll_fn(|cx| self.outbox.poll_take(usize::MAX, cx));
            let taken = timeout(PATIENCE, taking).await.expect("it is sent away");
            if let Some(code) = taken.close {
                return assert_eq!(code, CloseCode::Restarting);
            }
        }
    }

    pub(crate) async fn shown(&mut self, seq: u64) {
        while self.shown < seq {
            self.next().await;
        }
    }

    pub(crate) async fn answer(&mut self, id: u32) -> Result<u64, ErrorCode> {
        loop {
            match self.next().await {
                ServerFrame::Ok(done) if done.id == Some(id) => {
                    return Ok(done.seq.or(done.head).unwrap_or(0));
                }
                ServerFrame::Error(refused) if refused.id == Some(id) => return Err(refused.code),
                _ => {}
            }
        }
    }

    pub(crate) async fn post_join(&mut self, room: RoomName, after: u64) -> u32 {
        let from = JoinFrom::After(after);
        self.post(Command::Join { room, from }).await
    }

    pub(crate) async fn join(&mut self, after: u64) -> Result<u64, ErrorCode> {
        let id = self.post_join(room(), after).await;
        self.answer(id).await
    }

    pub(crate) async fn post_send(&mut self, cid: &str) -> u32 {
        self.post(Command::Send {
            room: room(),
            cid: cid.into(),
            text: cid.into(),
            reply_to: None,
        })
        .await
    }

    /// Sends until it is stored, as a client does that is asked to try again.
    pub(crate) async fn send(&mut self, cid: &str) -> u64 {
        loop {
            let id = self.post_send(cid).await;
            match self.answer(id).await {
                Ok(seq) => return seq,
                Err(code) => assert_eq!(code, ErrorCode::Overloaded),
            }
        }
    }
}
