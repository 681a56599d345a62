//! A node's end of a bus, and a client that is no node.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actors::ports::{Bus, BusEvent, Topic};
use bytes::Bytes;
use node::bus::{self, BusConfig};
use protocol::RoomName;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, Value, aio::MultiplexedConnection};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Limits short enough for tests.
pub(crate) fn config(url: &str) -> BusConfig {
    BusConfig {
        prefix: format!("test-{:016x}", fastrand::u64(..)),
        connect_timeout: Duration::from_secs(2),
        response_timeout: Duration::from_millis(800),
        ping_interval: Duration::from_millis(300),
        ..BusConfig::new(url)
    }
}

/// A node's end of the bus.
pub(crate) struct Node {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) events: mpsc::Receiver<BusEvent>,
}

impl Node {
    pub(crate) fn open(config: &BusConfig) -> Self {
        let bus = bus::open(config.clone()).unwrap();
        let events = bus.events().unwrap();
        Self { bus, events }
    }

    /// One that is up and listens to `topics`.
    pub(crate) async fn listening(config: &BusConfig, topics: &[Topic]) -> Self {
        let mut node = Self::open(config);
        node.wait_for(&BusEvent::Up).await;
        for topic in topics {
            node.bus.subscribe(topic.clone());
            node.wait_for(&BusEvent::Subscribed(topic.clone())).await;
        }
        node
    }

    pub(crate) async fn next(&mut self) -> BusEvent {
        timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap()
    }

    /// Skips everything before `event`.
    pub(crate) async fn wait_for(&mut self, event: &BusEvent) {
        while self.next().await != *event {}
    }

    pub(crate) fn say(&self, topic: &Topic, text: &str, head: Option<u64>) {
        self.bus
            .publish(topic, Bytes::copy_from_slice(text.as_bytes()), head);
    }

    /// Says `text` until this node hears it, for buses that have only just come back.
    pub(crate) async fn hears(&mut self, topic: &Topic, text: &str) {
        let frame = BusEvent::Frame {
            topic: topic.clone(),
            payload: Bytes::copy_from_slice(text.as_bytes()),
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.say(topic, text, None);
            if timeout(Duration::from_millis(300), self.wait_for(&frame))
                .await
                .is_ok()
            {
                return;
            }
            assert!(Instant::now() < deadline, "{topic:?} does not hear {text}");
        }
    }

    pub(crate) async fn head_becomes(&self, room: &RoomName, head: u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let heads = self.bus.heads(std::slice::from_ref(room)).await;
            if heads.as_ref().is_ok_and(|heads| heads == &[Some(head)]) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the head of {room} is {heads:?} instead of {head}"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the bus says while it is down, once it says something with `part`.
    pub(crate) async fn complains_of(&self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.bus.heads(&[]).await;
            match answer {
                Err(error) if error.to_string().contains(part) => return error.to_string(),
                other => assert!(Instant::now() < deadline, "expected `{part}`, got {other:?}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) fn room(name: &str) -> RoomName {
    RoomName::new(name).unwrap()
}

pub(crate) fn topic(name: &str) -> Topic {
    Topic::Room(room(name))
}

/// A client that is no bus, and what it is pushed.
pub(crate) async fn raw_client(url: &str) -> (MultiplexedConnection, mpsc::UnboundedReceiver<PushInfo>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let client = Client::open(format!("{url}/?protocol=resp3")).unwrap();
    let config = AsyncConnectionConfig::new().set_push_sender(sender);
    (
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .unwrap(),
        receiver,
    )
}

pub(crate) async fn pushed(receiver: &mut mpsc::UnboundedReceiver<PushInfo>, kind: PushKind) -> Vec<u8> {
    loop {
        let push = timeout(PATIENCE, receiver.recv()).await.unwrap().unwrap();
        if push.kind == kind {
            let Some(Value::BulkString(payload)) = push.data.into_iter().nth(1) else {
                panic!("no payload")
            };
            return payload;
        }
    }
}
