//! What the suite of all buses asks for, of each adapter.

use std::time::{Duration, Instant};

use actors::{
    conformance,
    ports::{BusEvent, Topic},
};
use bytes::Bytes;
use load_tests::lab::{Redis, RedisCluster, RedisOptions, redis_for_tests};
use node::bus::{self, BusConfig};
use redis::{PushKind, cmd};
use tokio::time::sleep;

use crate::support::*;

async fn suite(config: BusConfig) {
    conformance::bus::run(async || bus::open(config.clone()).unwrap()).await;
}

#[tokio::test]
async fn redis_passes_the_suite() {
    let redis = redis_for_tests().unwrap();
    suite(config(redis.url())).await;
}

#[tokio::test]
async fn redis_with_tls_and_password_passes_the_suite() {
    let redis = Redis::start_with(RedisOptions {
        tls: true,
        auth: Some(("hubbub".into(), "s3cret".into())),
        ..RedisOptions::default()
    })
    .unwrap();
    let config = BusConfig {
        tls_ca_file: redis.ca_file().map(Into::into),
        ..config(&redis.url())
    };
    suite(config.clone()).await;

    // Without the authority's certificate nobody is trusted.
    let node = Node::open(&BusConfig {
        tls_ca_file: None,
        ..config
    });
    let said = node.complains_of("certificate is not trusted").await;
    assert!(said.contains(&format!("127.0.0.1:{}", redis.port())), "{said}");
}

#[tokio::test]
async fn a_redis_cluster_passes_the_suite() {
    let cluster = RedisCluster::start().unwrap();
    suite(config(&cluster.url())).await;
}

#[tokio::test]
async fn the_rights_that_the_documentation_names_are_enough() {
    let redis = Redis::start().unwrap();
    let config = config(&redis.url().replace("redis://", "redis://few:rights@"));
    let prefix = &config.prefix;
    let rights = "+get +set +mget +del +expire +pttl +sadd +srem +smembers +evalsha +script|load +publish +subscribe \
                  +unsubscribe +ping +hello +info";
    let (keys, channels) = (format!("~{prefix}:*"), format!("&{prefix}:*"));
    let mut arguments = vec!["ACL", "SETUSER", "few", "on", ">rights", &keys, &channels];
    arguments.extend(rights.split(' '));
    redis.command(&arguments).unwrap();
    suite(config.clone()).await;

    redis.command(&["ACL", "SETUSER", "few", "-publish"]).unwrap();
    Node::open(&config).complains_of("can't run this command").await;
}

#[tokio::test]
async fn the_url_chooses_the_bus() {
    let mut node = Node::listening(&config("local://"), &[Topic::Cluster]).await;
    node.hears(&Topic::Cluster, "itself").await;
    assert!(bus::open(config("nats://host")).is_err());
    assert!(bus::open(config("redis://")).is_err());
    assert!(
        bus::open(BusConfig {
            prefix: "{}".into(),
            ..config("redis://host")
        })
        .is_err()
    );
    let no_file = BusConfig {
        tls_ca_file: Some("no-such-file".into()),
        ..config("rediss://host")
    };
    let Err(error) = bus::open(no_file) else {
        panic!("a file that is missing is an error")
    };
    assert!(error.to_string().contains("no-such-file"), "{error}");
}

#[tokio::test]
async fn others_see_exactly_the_bytes_that_were_published() {
    let redis = redis_for_tests().unwrap();
    let config = config(redis.url());
    let node = Node::listening(&config, &[]).await;
    let (mut raw, mut pushes) = raw_client(redis.url()).await;
    raw.subscribe(&[
        format!("{}:{{a}}:events", config.prefix),
        format!("{}:cluster", config.prefix),
    ])
    .await
    .unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    node.bus.publish(&topic("a"), Bytes::from(bytes.clone()), Some(4));
    assert_eq!(pushed(&mut pushes, PushKind::Message).await, bytes);
    let head: u64 = cmd("GET")
        .arg(format!("{}:{{a}}:head", config.prefix))
        .query_async(&mut raw)
        .await
        .unwrap();
    assert_eq!(head, 4);
    let expiry: i64 = cmd("TTL")
        .arg(format!("{}:{{a}}:head", config.prefix))
        .query_async(&mut raw)
        .await
        .unwrap();
    assert!((86_000..=86_400).contains(&expiry), "{expiry}");
    node.bus
        .publish(&Topic::Cluster, Bytes::from(bytes.clone()), None);
    assert_eq!(pushed(&mut pushes, PushKind::Message).await, bytes);
}

#[tokio::test]
async fn a_listener_that_does_not_listen_loses_frames_and_nothing_else() {
    let redis = redis_for_tests().unwrap();
    let config = BusConfig {
        events_capacity: 10,
        ..config(redis.url())
    };
    let publisher = Node::listening(&config, &[]).await;
    let mut listener = Node::listening(&config, &[topic("a")]).await;
    for head in 1..=200 {
        publisher.say(&topic("a"), "many", Some(head));
    }
    publisher.head_becomes(&room("a"), 200).await;
    listener.bus.subscribe(topic("b"));
    let mut frames = 0;
    loop {
        match listener.next().await {
            BusEvent::Frame { .. } => frames += 1,
            BusEvent::Subscribed(b) if b == topic("b") => break,
            other => panic!("{other:?}"),
        }
    }
    assert!((10..200).contains(&frames), "{frames}");
    listener.hears(&topic("b"), "after").await;
}

#[tokio::test]
async fn dropping_the_bus_ends_its_connections() {
    let redis = Redis::start().unwrap();
    let node = Node::listening(&config(&redis.url()), &[topic("a")]).await;
    drop(node);
    let deadline = Instant::now() + PATIENCE;
    while redis.command(&["CLIENT", "LIST"]).unwrap().lines().count() > 1 {
        assert!(Instant::now() < deadline, "connections stay open");
        sleep(Duration::from_millis(20)).await;
    }
}
