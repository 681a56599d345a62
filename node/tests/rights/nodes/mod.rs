//! What is taken back on one node holds on live connections of the other: within a second while the bus is up, within
//! two while it is down. The limits here leave a loaded machine some room; what it took is on standard output.

mod credentials;
mod rooms;
mod watch;

use std::time::Duration;

use load_tests::lab::Redis;

use crate::{cast::Cast, support::*};

const CAST: [&str; 6] = [
    "keeper",
    "moderator",
    "witness",
    "victim",
    "stranger",
    "administrator",
];

/// Two nodes on one store. Rights are taken back on `a`; who loses them is connected to `b`.
pub(crate) struct Pair {
    pub(crate) a: Node,
    pub(crate) b: Node,
    pub(crate) cast: Cast,
    /// How long it may take.
    limit: Duration,
    bus: &'static str,
}

impl Pair {
    async fn new(place: &Place, a: Node, b: Node) -> Self {
        let cast = Cast::new(place, &a, &CAST).await;
        Self {
            a,
            b,
            cast,
            limit: Duration::from_secs(3),
            bus: "up",
        }
    }

    fn bus_is_down(&mut self) {
        self.bus = "down";
        self.limit = Duration::from_secs(5);
    }

    /// Tells how long something took, and checks that.
    #[track_caller]
    fn took(&self, what: &str, took: Duration) {
        println!("{what}: {took:?} with the bus {}", self.bus);
        assert!(took < self.limit, "{what}: {took:?} with the bus {}", self.bus);
    }

    /// Takes back everything that there is to take back.
    async fn take_everything_back(&self) {
        rooms::everything(self).await;
        credentials::everything(self).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_bus_up() {
    let place = Place::sqlite();
    let (a, b) = (place.node(&[]).await, place.node(&[]).await);
    Pair::new(&place, a, b).await.take_everything_back().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_bus_down() {
    let place = Place::sqlite();
    let (a, b) = (place.node(&[]).await, place.node(&[]).await);
    let mut pair = Pair::new(&place, a, b).await;
    place.hub.set_up(false);
    pair.bus_is_down();
    pair.take_everything_back().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_redis_and_while_it_is_stopped() {
    let place = Place::postgres().await;
    let mut redis = Redis::start().unwrap();
    let url = redis.url();
    let (a, b) = (place.node_on(&url).await, place.node_on(&url).await);
    for node in [&a, &b] {
        until("the node is on the bus", async || {
            node.metric("hubbub_bus_up").await == 1.0
        })
        .await;
    }
    let mut pair = Pair::new(&place, a, b).await;
    pair.take_everything_back().await;
    redis.stop().unwrap();
    pair.bus_is_down();
    pair.take_everything_back().await;
}
