//! A node with more to do than it can.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actors::{
    Settings, System,
    memory::{LocalHub, MemoryStore},
    metrics::Metrics,
    ports::Bus,
};
use tokio::runtime::{Builder, Handle};

const LEASE: Duration = Duration::from_secs(1);

/// Whether a node holds its lease while the thread of its actors is kept busy for twice as long as the lease lasts.
async fn keeps_its_lease(io: Option<Handle>, other: &Handle) -> bool {
    let hub = LocalHub::new();
    let settings = Settings {
        node: "busy".into(),
        lease: LEASE,
        io,
        ..Settings::default()
    };
    let store = Arc::new(MemoryStore::new());
    let bus = Arc::new(hub.connect());
    let system = System::start(settings, store.clone(), store, bus, Metrics::noop())
        .await
        .unwrap();
    let another = hub.connect();
    let sees_it = async move || {
        let held = another.renew_lease("another", "{}".into(), LEASE).await.unwrap();
        held.iter()
            .any(|lease| String::from_utf8_lossy(&lease.text).contains("busy"))
    };
    while !sees_it().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let end = Instant::now() + 2 * LEASE;
    let watching = other.spawn(async move {
        let mut always = true;
        while Instant::now() < end {
            always &= sees_it().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        always
    });
    std::thread::sleep(end - Instant::now());
    let kept = watching.await.unwrap();
    system.stop(LEASE).await;
    kept
}

#[tokio::test]
async fn it_keeps_its_lease_by_the_thread_that_waits() {
    let runtime = || {
        Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let (io, other) = (runtime(), runtime());
    assert!(keeps_its_lease(Some(io.handle().clone()), other.handle()).await);
    assert!(
        !keeps_its_lease(None, other.handle()).await,
        "without that thread"
    );
    io.shutdown_background();
    other.shutdown_background();
}
