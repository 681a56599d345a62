//! Reading back over HTTP.

use std::{path::Path, time::Duration};

use anyhow::Context;
use protocol::RoomName;
use reqwest::{Certificate, Client};
use tokio::time::Instant;

use crate::measure::{Meter, Timing};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Events on a page.
const PAGE: u64 = 50;

/// Asks nodes for pages of history.
#[derive(Debug)]
pub(super) struct Pages {
    client: Client,
    /// Where the nodes' API is, like `http://host:port`.
    bases: Vec<String>,
    meter: Meter,
}

impl Pages {
    pub(super) fn new(targets: &[String], authorities: Option<&Path>, meter: Meter) -> anyhow::Result<Self> {
        let mut client = Client::builder().timeout(PATIENCE).no_proxy();
        if let Some(file) = authorities {
            let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            for authority in Certificate::from_pem_bundle(&text)? {
                client = client.add_root_certificate(authority);
            }
        }
        let client = client.build();
        Ok(Self {
            client: client.context("an HTTP client")?,
            bases: targets.iter().map(|url| base(url)).collect(),
            meter,
        })
    }

    /// Reads the newest page of a room; what came of it goes into the meter.
    pub(super) async fn read(&self, room: &RoomName, token: &str, due: Instant, chance: u64) {
        let place = usize::try_from(chance % self.bases.len().max(1) as u64).unwrap_or(0);
        let Some(base) = self.bases.get(place) else { return };
        let url = format!("{base}/api/v1/rooms/{room}/events?limit={PAGE}");
        let answered = async {
            let answer = self.client.get(url).bearer_auth(token).send().await?;
            answer.error_for_status()?.bytes().await
        };
        let answered = answered.await;
        self.meter.count(|counts| {
            counts.requests += u64::from(answered.is_ok());
            counts.requests_failed += u64::from(answered.is_err());
        });
        // A failure is waited for as well, and as long.
        self.meter.time(Timing::Request, due.elapsed());
    }
}

/// The API's address beside a socket's: `wss://host/ws` has `https://host`.
fn base(target: &str) -> String {
    let http = target.replacen("ws", "http", 1);
    match http.rsplit_once('/') {
        Some((base, _)) if !base.ends_with('/') => base.to_owned(),
        _ => http,
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn a_request_that_fails_is_counted_and_timed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        });
        let meter = Meter::default();
        let pages = Pages::new(&[format!("ws://{address}/ws")], None, meter.clone()).unwrap();
        let due = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        pages.read(&"lobby".parse().unwrap(), "token", due, 0).await;
        let sample = meter.take();
        assert_eq!((sample.counts.requests, sample.counts.requests_failed), (0, 1));
        assert!(sample.latencies.quantile_ms(Timing::Request, 0.5).unwrap() >= 999.0);
    }

    #[test]
    fn the_api_is_beside_the_socket() {
        assert_eq!(base("ws://127.0.0.1:8080/ws"), "http://127.0.0.1:8080");
        assert_eq!(base("wss://chat.example.com/ws"), "https://chat.example.com");
        assert_eq!(base("ws://127.0.0.1:8080"), "http://127.0.0.1:8080");
    }
}
