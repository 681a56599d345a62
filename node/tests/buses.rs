//! The buses carry what the port promises: the shared suite over the in-process bus and Redis in its three forms.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use actors::{conformance, ports::Bus};
use load_tests::lab::{Redis, RedisCluster, redis_for_tests};
use node::bus::{self, BusConfig};

/// A prefix that no other test and no other run on the same server has.
fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed))
}

async fn conforms(url: String) {
    let config = BusConfig {
        prefix: prefix(),
        ..BusConfig::new(url)
    };
    conformance::bus::run(async || -> Arc<dyn Bus> { bus::open(config.clone()).unwrap() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_a_bus() {
    let redis = redis_for_tests().unwrap();
    conforms(redis.url().to_owned()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_cluster_is_a_bus() {
    let cluster = RedisCluster::start().unwrap();
    conforms(cluster.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_of_its_own_is_a_bus() {
    let redis = Redis::start().unwrap();
    conforms(redis.url()).await;
}
