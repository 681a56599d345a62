//! Clients that do what `goaway` asks of them.

use std::{convert::Infallible, sync::Arc, time::Duration};

use load_tests::client::{Client, Error, Options};
use protocol::{JoinFrom, RoomName, ServerFrame, server::GoawayReason};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{PATIENCE, token};

/// Clients that follow a room. Asked to move, each connects anew, to a node chosen by chance as by a load balancer, resumes,
/// and closes the old connection.
pub(crate) struct Movers {
    running: JoinSet<Result<Infallible, Error>>,
    seen: Vec<watch::Receiver<u64>>,
}

struct Mover {
    urls: Arc<Vec<String>>,
    room: RoomName,
    reason: GoawayReason,
    seen: watch::Sender<u64>,
}

impl Movers {
    /// Opens the room for all of them.
    pub(crate) async fn start(
        clients: Vec<Client>,
        urls: &[String],
        room: &RoomName,
        reason: GoawayReason,
    ) -> Self {
        let urls = Arc::new(urls.to_vec());
        let mut movers = Self {
            running: JoinSet::new(),
            seen: Vec::new(),
        };
        for mut client in clients {
            client.join(room, JoinFrom::Newest(0)).await.unwrap();
            let (seen, receiver) = watch::channel(0);
            movers.seen.push(receiver);
            let mover = Mover {
                urls: Arc::clone(&urls),
                room: room.clone(),
                reason,
                seen,
            };
            movers.running.spawn(mover.run(client));
        }
        movers
    }

    /// Waits until all of them have seen the room's events up to `seq`, and none has lost its connection.
    pub(crate) async fn have_seen(&mut self, seq: u64) {
        for seen in &mut self.seen {
            let seen = timeout(PATIENCE, seen.wait_for(|seen| *seen >= seq)).await;
            if !matches!(seen, Ok(Ok(_))) {
                panic!(
                    "a client has not seen {seq}: {seen:?}; ended: {:?}",
                    self.running.try_join_next()
                );
            }
        }
        if let Some(ended) = self.running.try_join_next() {
            panic!("a client ended: {ended:?}");
        }
    }
}

impl Mover {
    async fn run(self, mut client: Client) -> Result<Infallible, Error> {
        let token = token(&client);
        loop {
            match client.next().await {
                // That nothing is missed or repeated is the client's own check.
                Ok(ServerFrame::Events { events, .. }) => {
                    let last = events.last().map_or(0, |event| event.seq);
                    self.seen.send_replace(last);
                }
                Ok(ServerFrame::Goaway { after_ms, reason }) => {
                    assert_eq!(reason, self.reason);
                    assert!(after_ms <= 1_000, "{after_ms}");
                    sleep(Duration::from_millis(after_ms)).await;
                    let moved = self.connect(&client, &token).await?;
                    let before = std::mem::replace(&mut client, moved);
                    assert!(before.closed().is_none(), "closed before it had moved");
                }
                Ok(_) => {}
                // Nobody has said anything for a while.
                Err(Error::Timeout { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn connect(&self, client: &Client, token: &str) -> Result<Client, Error> {
        let epoch = client.welcome()?.epoch.to_string();
        let positions = [(self.room.to_string(), *self.seen.borrow())];
        loop {
            let url = &self.urls[fastrand::usize(..self.urls.len())];
            let options = Options::new(url).token(token).resume(&epoch, &positions);
            match Client::connect(&options).await {
                // A node that is leaving, or has left: the balancer has not noticed yet.
                Err(Error::Upgrade(_) | Error::Transport(_)) => sleep(Duration::from_millis(20)).await,
                other => return other,
            }
        }
    }
}
