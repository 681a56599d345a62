//! How a client connects and who it is.

use std::{net::IpAddr, sync::Arc, time::Duration};

use protocol::{Codec, Hello};

use super::Tls;

/// Everything about a connection that is chosen before it is made. Cheap to clone and change for many clients.
#[derive(Debug, Clone)]
pub struct Options {
    pub(super) url: String,
    pub(super) codec: Codec,
    pub(super) offer: Option<Vec<String>>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) hello: Hello,
    pub(super) from: Option<IpAddr>,
    pub(super) timeout: Duration,
    pub(super) read_buffer_bytes: usize,
    pub(super) receive_buffer_bytes: Option<u32>,
    pub(super) segment_bytes: Option<u32>,
    pub(super) tls: Option<Tls>,
}

impl Options {
    /// For a `ws://` address, or a `wss://` one if [`Options::tls`] follows. JSON, no credential, ten seconds for everything that is waited for.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            codec: Codec::Json,
            offer: None,
            headers: Vec::new(),
            hello: Hello::default(),
            from: None,
            timeout: Duration::from_secs(10),
            read_buffer_bytes: 8 * 1024,
            receive_buffer_bytes: None,
            segment_bytes: None,
            tls: None,
        }
    }

    /// How frames are written; also what is offered as the subprotocol, unless [`Options::offer`] says otherwise.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Offers exactly these subprotocols, in this order; an empty list offers none.
    #[must_use]
    pub fn offer(mut self, subprotocols: &[&str]) -> Self {
        self.offer = Some(subprotocols.iter().map(|&s| s.to_owned()).collect());
        self
    }

    /// Says hello as a new guest of that name.
    #[must_use]
    pub fn guest(mut self, name: &str) -> Self {
        self.hello.guest = Some(Arc::from(name));
        self
    }

    /// Says hello with a session token, an API key, a JWT or a guest's token.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.hello.token = Some(token.to_owned());
        self
    }

    /// The `hello` that will be said.
    pub fn as_hello(&self) -> &Hello {
        &self.hello
    }

    /// Resumes these rooms, each behind its last `seq`, in the history that `epoch` names.
    #[must_use]
    pub fn resume(mut self, epoch: &str, positions: &[(String, u64)]) -> Self {
        self.hello.resume = Some(positions.to_vec());
        self.hello.epoch = Some(epoch.to_owned());
        self
    }

    /// Sends `Authorization: Bearer …` with the upgrade.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sends `Origin` with the upgrade, as a browser does.
    #[must_use]
    pub fn origin(self, origin: &str) -> Self {
        self.header("origin", origin)
    }

    /// Sends another header with the upgrade.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Whom to trust, for a `wss://` address.
    #[must_use]
    pub fn tls(mut self, tls: &Tls) -> Self {
        self.tls = Some(tls.clone());
        self
    }

    /// Connects from this local address: each has its own share of ports and of the server's limits by address.
    #[must_use]
    pub fn from_address(mut self, address: IpAddr) -> Self {
        self.from = Some(address);
        self
    }

    /// How long connecting, an answer or a frame that is waited for may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Size of the buffer that the socket is read into, in bytes; allocated at once.
    #[must_use]
    pub fn read_buffer_bytes(mut self, bytes: usize) -> Self {
        self.read_buffer_bytes = bytes;
        self
    }

    /// Size of the kernel's receive buffer, in bytes: a small one makes a slow reader felt soon.
    #[must_use]
    pub fn receive_buffer_bytes(mut self, bytes: u32) -> Self {
        self.receive_buffer_bytes = Some(bytes);
        self
    }

    /// Size of the largest TCP segment, in bytes. That of loopback, 64 KiB, lets a server's kernel buffer megabytes for one
    /// connection; over a network it is about 1,460.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u32) -> Self {
        self.segment_bytes = Some(bytes);
        self
    }
}
