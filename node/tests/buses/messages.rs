//! What the log says.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use actors::ports::BusEvent;
use load_tests::lab::{Redis, RedisOptions};
use tokio::time::sleep;

use crate::support::*;

/// Everything that this process logs. All tests share it: look for what is yours, such as a port.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

static LOGGED: LazyLock<Logged> = LazyLock::new(|| {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    logged
});

/// The lines logged so far that hold `part`.
fn logged(part: &str) -> Vec<String> {
    let text = String::from_utf8(LOGGED.0.lock().unwrap().clone()).unwrap();
    text.lines()
        .filter(|line| line.contains(part))
        .map(Into::into)
        .collect()
}

#[tokio::test]
async fn a_wrong_password_is_named_and_never_shown() {
    LazyLock::force(&LOGGED);
    let redis = Redis::start_with(RedisOptions {
        auth: Some(("hubbub".into(), "s3cret".into())),
        ..RedisOptions::default()
    })
    .unwrap();
    for user in ["hubbub:hunter2@", ":hunter2@", ""] {
        let config = config(&format!("redis://{user}127.0.0.1:{}", redis.port()));
        let node = Node::open(&config);
        let said = node.complains_of("user name or password").await;
        assert!(said.contains(&redis.port().to_string()), "{said}");
        assert!(!format!("{said}{config:?}").contains("hunter2"));
        node.bus.close().await;
    }
    let log = logged(&redis.port().to_string());
    assert!(
        log.iter()
            .any(|line| line.contains("refuses the user name or password in bus.url")),
        "{log:?}"
    );
    assert_eq!(logged("hunter2"), [""; 0]);
}

#[tokio::test]
async fn a_redis_that_is_not_there_yet_is_waited_for_and_logged_once() {
    LazyLock::force(&LOGGED);
    let mut redis = Redis::start().unwrap();
    redis.stop().unwrap();
    let mut node = Node::open(&config(&redis.url()));
    node.bus.subscribe(topic("a"));
    node.say(&topic("a"), "lost", Some(2));
    node.complains_of("refused").await;
    // Several attempts later it is still one line.
    sleep(Duration::from_millis(600)).await;
    redis.restart().unwrap();
    assert_eq!(node.next().await, BusEvent::Subscribed(topic("a")));
    assert_eq!(node.next().await, BusEvent::Up);
    node.head_becomes(&room("a"), 2).await;
    node.hears(&topic("a"), "after").await;
    let log = logged(&format!("127.0.0.1:{}", redis.port()));
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(
        log[0].contains("the bus is down") && log[1].contains("the bus is up"),
        "{log:?}"
    );
}
