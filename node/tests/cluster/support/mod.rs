//! Nodes of every kind, and clients that talk through them.

mod cluster;
mod front;
mod movers;
mod node;
mod process;
mod servers;
mod talk;

use std::{future::Future, time::Duration};

use load_tests::client::{Client, Options};
use protocol::{Codec, JoinFrom, RoomName, ServerFrame};
use tokio::time::{Instant, sleep};

pub(crate) use cluster::Cluster;
pub(crate) use front::Front;
pub(crate) use movers::Movers;
pub(crate) use node::Node;
pub(crate) use process::Process;
pub(crate) use servers::Servers;
pub(crate) use talk::{Seen, Talk, verify};

/// The longest that anything which is bound to happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Keys and values of a configuration.
pub(crate) type Settings = Vec<(String, String)>;

pub(crate) fn settings(pairs: &[(&str, &str)]) -> Settings {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

pub(crate) fn room(name: &str) -> RoomName {
    RoomName::new(name).unwrap()
}

/// A new guest.
pub(crate) async fn guest(url: &str, codec: Codec, name: &str) -> Client {
    Client::connect(&Options::new(url).codec(codec).guest(name))
        .await
        .unwrap()
}

/// A new guest who has opened the room and is shown what comes from now on.
pub(crate) async fn member(url: &str, codec: Codec, name: &str, room: &RoomName) -> Client {
    let mut client = guest(url, codec, name).await;
    client.join(room, JoinFrom::Newest(0)).await.unwrap();
    client
}

/// The guest's token, with which the same one comes back.
pub(crate) fn token(client: &Client) -> String {
    client.welcome().unwrap().token.clone().unwrap()
}

/// Waits until `condition` holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Everything that has been sent to the client so far.
pub(crate) async fn so_far(client: &mut Client) -> Vec<ServerFrame> {
    client.ping().await.unwrap();
    let mut frames = Vec::new();
    let mark = client.post(protocol::Command::Ping).await.unwrap();
    loop {
        match client.next().await.unwrap() {
            ServerFrame::Pong { id: Some(id), .. } if id == mark => return frames,
            frame => frames.push(frame),
        }
    }
}
