//! A TCP proxy that does harm on demand: in front of Redis or Postgres it is the network that fails.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use load_tests::proxy::{Network, Proxy, ProxyOptions};
//!
//! let upstream = "127.0.0.1:6379".parse()?;
//! let proxy = Proxy::start(ProxyOptions { redis: true, seed: 7, ..ProxyOptions::new(upstream) }).await?;
//! // … servers connect to proxy.address() …
//! proxy.set(Network { refuse: true, ..Network::default() });
//! proxy.cut();
//! proxy.heal();
//! # Ok(())
//! # }
//! ```

mod connection;
mod messages;
mod network;
mod resp;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

pub use messages::BusFaults;
pub use network::Network;

/// What a proxy stands in front of.
#[derive(Debug, Clone, Copy)]
pub struct ProxyOptions {
    /// The server.
    pub upstream: SocketAddr,
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The server is a Redis without TLS: [`Network::bus`] can be used.
    pub redis: bool,
    /// Decides which messages [`Network::bus`] harms and which connection [`Proxy::cut_one`] cuts.
    pub seed: u64,
}

impl ProxyOptions {
    /// For any server, on a free port of 127.0.0.1.
    pub fn new(upstream: SocketAddr) -> Self {
        Self {
            upstream,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            redis: false,
            seed: 0,
        }
    }
}

/// A running proxy; ends, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    control: watch::Sender<Control>,
    counts: Arc<Counts>,
    acceptor: JoinHandle<()>,
}

/// What connections go by.
#[derive(Debug, Clone, Copy, Default)]
struct Control {
    network: Network,
    /// Connections with a number up to this are to be reset.
    cut_up_to: u64,
    /// The one that is to be reset, of those that are open.
    cut_number: u64,
    /// Connections with a number up to this have lost their other end, and nobody told them.
    dead_up_to: u64,
}

#[derive(Debug, Default)]
struct Counts {
    opened: AtomicU64,
    open: std::sync::Mutex<Vec<u64>>,
    dropped: AtomicU64,
    duplicated: AtomicU64,
    reordered: AtomicU64,
}

/// What a proxy did to the bus so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BusCounts {
    /// Messages that were left out.
    pub dropped: u64,
    /// Messages that were passed on twice.
    pub duplicated: u64,
    /// Messages that were passed on behind a later one.
    pub reordered: u64,
}

impl Proxy {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(options: ProxyOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let control = watch::Sender::new(Control::default());
        let counts = Arc::new(Counts::default());
        let acceptor = accept(
            listener,
            address,
            options,
            control.subscribe(),
            Arc::clone(&counts),
        );
        Ok(Self {
            address,
            control,
            counts,
            acceptor: tokio::spawn(acceptor),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the network is like this, for connections that are open and for new ones.
    pub fn set(&self, network: Network) {
        self.control.send_modify(|control| control.network = network);
    }

    /// From now on the network is well; what was cut stays cut.
    pub fn heal(&self) {
        self.set(Network::default());
    }

    /// Resets all open connections, on both sides.
    pub fn cut(&self) {
        let opened = self.counts.opened.load(Ordering::Relaxed);
        self.control.send_modify(|control| control.cut_up_to = opened);
    }

    /// Resets one of the open connections; whether there was one. `choice` decides which.
    pub fn cut_one(&self, choice: u64) -> bool {
        let open = self.counts.open();
        let Some(place) = choice.checked_rem(open.len() as u64) else {
            return false;
        };
        let number = usize::try_from(place)
            .ok()
            .and_then(|place| open.get(place).copied());
        self.control
            .send_modify(|control| control.cut_number = number.unwrap_or(0));
        true
    }

    /// All open connections lose their other end without being told: what is sent into them is lost, nothing comes any
    /// more, and they do not end, also when the network is healed. The server's side is closed.
    pub fn half_open(&self) {
        let opened = self.counts.opened.load(Ordering::Relaxed);
        self.control.send_modify(|control| control.dead_up_to = opened);
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.counts.open().len()
    }

    /// What was done to messages of the bus.
    pub fn bus_counts(&self) -> BusCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BusCounts {
            dropped: of(&self.counts.dropped),
            duplicated: of(&self.counts.duplicated),
            reordered: of(&self.counts.reordered),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its connections see the sender of their orders go, and end.
        self.acceptor.abort();
    }
}

impl Counts {
    fn open(&self) -> Vec<u64> {
        let open = self
            .open
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        open.clone()
    }

    fn set_open(&self, number: u64, is_open: bool) {
        let mut open = self
            .open
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if is_open {
            open.push(number);
        } else {
            open.retain(|other| *other != number);
        }
    }
}

async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    options: ProxyOptions,
    mut control: watch::Receiver<Control>,
    counts: Arc<Counts>,
) {
    let mut listener = Some(listener);
    loop {
        let refuse = control.borrow_and_update().network.refuse;
        if refuse {
            listener = None;
        } else if listener.is_none() {
            // Where the port is taken for a moment, by a connection that left through it, it is tried again.
            listener = TcpListener::bind(address).await.ok();
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None if refuse => std::future::pending().await,
                None => {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    Err(io::ErrorKind::AddrInUse.into())
                }
            }
        };
        tokio::select! {
            changed = control.changed() => if changed.is_err() { return },
            accepted = accepted => if let Ok((stream, _)) = accepted {
                let number = counts.opened.fetch_add(1, Ordering::Relaxed) + 1;
                tokio::spawn(serve(stream, number, options, control.clone(), Arc::clone(&counts)));
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    number: u64,
    options: ProxyOptions,
    control: watch::Receiver<Control>,
    counts: Arc<Counts>,
) {
    counts.set_open(number, true);
    Box::pin(connection::serve(stream, number, options, control, &counts)).await;
    counts.set_open(number, false);
}
