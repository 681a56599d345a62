use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

use super::*;
use crate::lab::redis_for_tests;

/// A server that says back what it is told.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

async fn proxied() -> (Proxy, TcpStream) {
    let proxy = Proxy::start(ProxyOptions::new(echo().await)).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    say(&mut stream, b"hello").await.unwrap();
    (proxy, stream)
}

/// Says something and waits for it to come back.
async fn say(stream: &mut TcpStream, text: &[u8]) -> io::Result<Duration> {
    let begun = Instant::now();
    stream.write_all(text).await?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).await?;
    assert_eq!(back, text);
    Ok(begun.elapsed())
}

async fn hears_nothing(stream: &mut TcpStream) {
    let mut buffer = [0; 1];
    let read = timeout(Duration::from_millis(150), stream.read(&mut buffer)).await;
    assert!(read.is_err(), "{read:?}");
}

#[tokio::test]
async fn a_cut_connection_is_reset_and_the_next_one_lives() {
    let (proxy, mut stream) = proxied().await;
    proxy.cut();
    let error = stream.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    say(&mut stream, b"again").await.unwrap();
}

#[tokio::test]
async fn one_of_several_is_cut() {
    let (proxy, mut first) = proxied().await;
    let mut second = TcpStream::connect(proxy.address()).await.unwrap();
    say(&mut second, b"hello").await.unwrap();
    assert_eq!(proxy.connections(), 2);
    assert!(proxy.cut_one(1));
    second.read(&mut [0; 1]).await.unwrap_err();
    say(&mut first, b"still here").await.unwrap();
}

#[tokio::test]
async fn refused_is_refused_until_it_is_healed() {
    let (proxy, mut stream) = proxied().await;
    proxy.set(Network {
        refuse: true,
        ..Network::default()
    });
    let refused = async {
        loop {
            match TcpStream::connect(proxy.address()).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return,
                // The proxy has not heard of it yet.
                _ => tokio::task::yield_now().await,
            }
        }
    };
    timeout(Duration::from_secs(5), refused).await.unwrap();
    say(&mut stream, b"open ones live").await.unwrap();
    proxy.heal();
    let connected = async {
        loop {
            if let Ok(stream) = TcpStream::connect(proxy.address()).await {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let mut stream = timeout(Duration::from_secs(5), connected).await.unwrap();
    say(&mut stream, b"hello").await.unwrap();
}

#[tokio::test]
async fn stalled_bytes_come_later_and_half_open_ones_never() {
    let (proxy, mut stream) = proxied().await;
    proxy.set(Network {
        stall: true,
        ..Network::default()
    });
    tokio::task::yield_now().await;
    stream.write_all(b"late").await.unwrap();
    hears_nothing(&mut stream).await;
    proxy.heal();
    let mut back = [0; 4];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"late");

    proxy.half_open();
    hears_nothing(&mut stream).await;
    stream.write_all(b"lost").await.unwrap();
    hears_nothing(&mut stream).await;
    let mut next = TcpStream::connect(proxy.address()).await.unwrap();
    say(&mut next, b"hello").await.unwrap();
}

#[tokio::test]
async fn delays_and_rates_are_kept() {
    let (proxy, mut stream) = proxied().await;
    proxy.set(Network {
        delay: Duration::from_millis(60),
        ..Network::default()
    });
    let took = say(&mut stream, b"slow").await.unwrap();
    assert!(took >= Duration::from_millis(120), "{took:?}");
    proxy.set(Network {
        bytes_per_second: Some(10_000),
        ..Network::default()
    });
    // 5,000 bytes at 10,000 a second, there and back at the same time.
    let took = say(&mut stream, &[7; 5_000]).await.unwrap();
    assert!(took >= Duration::from_millis(400), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// A subscriber, and how it greets: with RESP2 or RESP3.
async fn subscriber(proxy: &Proxy, hello: &str) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream
        .write_all(format!("{hello}SUBSCRIBE c\r\n").as_bytes())
        .await
        .unwrap();
    read_until(&mut stream, "subscribe\r\n$1\r\nc\r\n:1\r\n").await;
    stream
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut said = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&said).ends_with(end) {
            assert_ne!(stream.read_buf(&mut said).await.unwrap(), 0);
        }
    };
    if timeout(Duration::from_secs(10), read).await.is_err() {
        panic!("{:?} does not end with {end:?}", String::from_utf8_lossy(&said));
    }
    String::from_utf8(said).unwrap()
}

/// The numbers of the messages that a subscriber got while 30 were published through a proxy with this seed.
async fn numbers(seed: u64, hello: &str, bus: BusFaults) -> (Vec<u32>, BusCounts) {
    let redis = redis_for_tests().unwrap();
    let upstream = redis.url().trim_start_matches("redis://").parse().unwrap();
    let options = ProxyOptions {
        redis: true,
        seed,
        ..ProxyOptions::new(upstream)
    };
    let proxy = Proxy::start(options).await.unwrap();
    let mut stream = subscriber(&proxy, hello).await;
    proxy.set(Network {
        bus,
        ..Network::default()
    });
    let mut publisher = TcpStream::connect(upstream).await.unwrap();
    for number in 0..30 {
        let publish = format!("PUBLISH c m{number}\r\n");
        publisher.write_all(publish.as_bytes()).await.unwrap();
        read_until(&mut publisher, ":1\r\n").await;
    }
    // All have passed or were lost once as many came as have to.
    let mut said = Vec::new();
    let read = async {
        loop {
            let counts = proxy.bus_counts();
            let came = messages(&said);
            if came.len() as u64 == 30 - counts.dropped + counts.duplicated {
                return (came, counts);
            }
            tokio::select! {
                read = stream.read_buf(&mut said) => assert_ne!(read.unwrap(), 0),
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
    };
    timeout(Duration::from_secs(10), read).await.unwrap()
}

fn messages(said: &[u8]) -> Vec<u32> {
    let said = String::from_utf8_lossy(said);
    let words = said.split("\r\n");
    words
        .filter_map(|word| word.strip_prefix('m')?.parse().ok())
        .collect()
}

#[tokio::test]
async fn messages_are_lost_repeated_and_reordered_by_the_seed() {
    let bus = BusFaults {
        drop: 0.2,
        duplicate: 0.2,
        reorder: 0.2,
    };
    for hello in ["", "HELLO 3\r\n"] {
        let (first, counts) = numbers(5, hello, bus).await;
        let (again, _) = numbers(5, hello, bus).await;
        let (other, _) = numbers(6, hello, bus).await;
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert!(
            counts.dropped > 0 && counts.duplicated > 0 && counts.reordered > 0,
            "{counts:?}"
        );
        assert!(first.windows(2).any(|two| two[0] == two[1]));
        assert!(first.windows(2).any(|two| two[0] > two[1]));
        assert!((0..30).any(|number| !first.contains(&number)));
    }
    let all = BusFaults {
        drop: 1.0,
        ..BusFaults::default()
    };
    assert_eq!(numbers(1, "", all).await.0, Vec::<u32>::new());
    assert_eq!(
        numbers(1, "", BusFaults::default()).await.0,
        (0..30).collect::<Vec<_>>()
    );
}
