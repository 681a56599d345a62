//! Requests that nobody would write: any headers, any credentials, any bytes where texts are due. The node answers each with
//! a status of the wire's and goes on.

use fastrand::Rng;
use protocol::Codec;

use crate::support::{Node, Raw, http};

/// Values that mean something to one of the readers, to be put together at random.
const PARTS: [&str; 40] = [
    "Bearer",
    "bearer",
    "Basic",
    " ",
    "  ",
    "\t",
    ",",
    ";",
    "=",
    ":",
    "/",
    "//",
    ".",
    "..",
    "%",
    "%00",
    "%ff",
    "&",
    "?",
    "#",
    "hs1_",
    "hk1_",
    "hg1.",
    "eyJhbGciOiJIUzI1NiJ9",
    "eyJhbGciOiJub25lIn0",
    "e30",
    "hubbub_session",
    "hubbub.v1.json",
    "hubbub.v1.msgpack",
    "http://",
    "https://",
    "null",
    "localhost",
    "127.0.0.1",
    "[::1]",
    "::ffff:1.2.3.4",
    "65536",
    "ÿ",
    "é",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
];
const NAMES: [&str; 12] = [
    "authorization",
    "cookie",
    "origin",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-version",
    "x-forwarded-for",
    "x-forwarded-proto",
    "connection",
    "upgrade",
    "host",
];
const REQUESTS: usize = 1_500;

fn value(rng: &mut Rng) -> String {
    let mut value = String::new();
    for _ in 0..rng.usize(0..7) {
        match rng.u8(0..8) {
            0 => value.push(char::from(rng.u8(0x20..0x7f))),
            1 => value.push(char::from(rng.u8(0xa0..=0xff))),
            2 => value.extend((0..rng.usize(0..200)).map(|_| rng.alphanumeric())),
            _ => value += PARTS[rng.usize(0..PARTS.len())],
        }
    }
    value
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_left_without_an_answer() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let settings = [
        "limits.handshakes_per_second=0",
        "limits.handshakes_per_second_per_address=0",
        "http.trusted_proxies=127.0.0.0/8",
        "http.allowed_origins=https://app.example",
        "auth.jwt.secret=a secret that is long enough to sign with",
    ];
    let node = Node::with(&settings).await;
    let mut seen = std::collections::BTreeMap::<u16, usize>::new();
    for n in 0..REQUESTS {
        let chosen: Vec<(&str, String)> = (0..rng.usize(1..5))
            .map(|_| (NAMES[rng.usize(0..NAMES.len())], value(&mut rng)))
            .collect();
        let headers: Vec<(&str, &str)> = chosen
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let path = match rng.u8(0..4) {
            0 => format!(
                "/ws?{}",
                url::form_urlencoded::byte_serialize(value(&mut rng).as_bytes()).collect::<String>()
            ),
            1 => "/api/v1/users/me".to_owned(),
            _ => "/ws".to_owned(),
        };
        let status = if path.starts_with("/ws") {
            Raw::try_open(node.public(), &path, Codec::Json, &headers, &[])
                .await
                .upgraded
                .status
        } else {
            http::request(node.public(), "GET", &path, &headers, "")
                .await
                .status
        };
        assert!(
            matches!(status, 101 | 400 | 401 | 403 | 426 | 431),
            "request {n}: {status} to {path} with {chosen:?}"
        );
        *seen.entry(status).or_default() += 1;
    }
    println!("{seen:?}");
    for status in [101, 400, 401, 403] {
        assert!(seen.contains_key(&status), "{seen:?}");
    }
    node.guest(Codec::Json, "Ada").await;
}
