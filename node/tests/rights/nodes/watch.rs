//! Somebody who watches a room on a connection.

use load_tests::client::{Client, Error, Options};
use protocol::{Codec, Command, Event, JoinFrom, Page, RoomName, ServerFrame, client::PageBound};
use tokio::time::{Instant, timeout};

use crate::support::*;

/// A person with a room open, who is shown what comes from now on.
pub(super) struct Watch {
    pub(super) client: Client,
    pub(super) room: RoomName,
    options: Options,
}

impl Watch {
    pub(super) async fn begin(node: &Node, person: &Person, codec: Codec, room: &RoomName) -> Self {
        let options = node.socket().codec(codec).token(&person.token);
        let mut client = enter(&options).await;
        client.join(room, JoinFrom::Newest(0)).await.unwrap();
        Self {
            client,
            room: room.clone(),
            options,
        }
    }

    /// Reads up to the first event of the room that is meant, with what stands behind it in its frame.
    pub(super) async fn shown(&mut self, what: &str, meant: impl Fn(&Event) -> bool) -> (Event, Vec<Event>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not shown: {what}");
            let frame = timeout(left, self.client.next()).await;
            let frame = frame.unwrap_or_else(|_| panic!("not shown: {what}")).unwrap();
            let ServerFrame::Events { room, mut events } = frame else {
                continue;
            };
            assert_eq!(room, self.room);
            if let Some(place) = events.iter().position(&meant) {
                let behind = events.split_off(place + 1);
                return (events.pop().unwrap(), behind);
            }
        }
    }

    /// Waits for a message with that text.
    pub(super) async fn reads(&mut self, text: &str) {
        self.shown(text, |event| text_of(event) == Some(text)).await;
    }

    /// Nothing has come since the last call that read.
    pub(super) async fn is_quiet(&mut self) {
        let mark = self.client.post(Command::Ping).await.unwrap();
        let frame = self.client.next().await.unwrap();
        let is_pong = matches!(frame, ServerFrame::Pong { id, .. } if id == Some(mark));
        assert!(is_pong, "{} was closed, and then came {frame:?}", self.room);
    }

    /// `ok`, or the code of the refusal.
    pub(super) async fn says(&mut self, command: Command) -> String {
        match self.client.request(command).await {
            Ok(_) => "ok".to_owned(),
            Err(Error::Refused(refused)) => refused.code.as_str().to_owned(),
            Err(other) => panic!("{other}"),
        }
    }

    pub(super) async fn joins(&mut self) -> String {
        let from = JoinFrom::Newest(50);
        let room = self.room.clone();
        self.says(Command::Join { room, from }).await
    }

    pub(super) async fn sends(&mut self, text: &str) -> String {
        self.says(Command::Send {
            room: self.room.clone(),
            cid: format!("{:016x}", fastrand::u64(..)).into(),
            text: text.into(),
            reply_to: None,
        })
        .await
    }

    pub(super) async fn reads_history(&mut self) -> String {
        let page = Page {
            bound: PageBound::Newest,
            limit: 50,
        };
        let room = self.room.clone();
        self.says(Command::History { room, page }).await
    }

    /// What a new connection of the same person is told of the room on resuming: a role, or a code.
    pub(super) async fn resumes(&self) -> String {
        let epoch = self.client.welcome().unwrap().epoch.to_string();
        let options = self.options.clone().resume(&epoch, &[(self.room.to_string(), 0)]);
        let client = enter(&options).await;
        let welcome = client.welcome().unwrap();
        let rooms = welcome.rooms.clone().unwrap_or_default();
        let refused = welcome.refused.clone().unwrap_or_default();
        match (rooms.get(self.room.as_str()), refused.get(self.room.as_str())) {
            (Some(resumed), None) => resumed.role.to_string(),
            (None, Some(code)) => code.as_str().to_owned(),
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn text_of(event: &Event) -> Option<&str> {
    match &event.body {
        protocol::EventBody::Message { text, .. } => Some(text),
        _ => None,
    }
}
