//! One connection through the proxy: a pump in each direction.

use std::{collections::VecDeque, io, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{Control, Counts, ProxyOptions, messages::Messages, network::Network};

/// Bytes that may be under way in one direction: then the sender is no longer read.
const UNDER_WAY: usize = 1024 * 1024;

/// Serves until one side ends, or the connection is to be cut, or the proxy goes.
pub(super) async fn serve(
    client: TcpStream,
    number: u64,
    options: ProxyOptions,
    mut control: watch::Receiver<Control>,
    counts: &Counts,
) {
    let _ = client.set_nodelay(true);
    let Ok(server) = TcpStream::connect(options.upstream).await else {
        reset(client);
        return;
    };
    let _ = server.set_nodelay(true);
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let messages = options.redis.then(|| {
        Messages::new(
            options
                .seed
                .wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        )
    });
    let mut up = Pump::new(client_read, server_write, control.clone(), None);
    let mut down = Pump::new(server_read, client_write, control.clone(), messages);
    let end = tokio::select! {
        end = ordered(&mut control, number) => end,
        () = both(&mut up, &mut down, counts) => End::Closed,
    };
    let client = up.from.reunite(down.to);
    let server = down.from.reunite(up.to);
    match end {
        End::Closed => {}
        End::Cut => {
            client.into_iter().for_each(reset);
            server.into_iter().for_each(reset);
        }
        End::Dead => {
            drop(server);
            if let Ok(client) = client {
                Box::pin(swallow(client, control, number)).await;
            }
        }
    }
}

enum End {
    Closed,
    Cut,
    Dead,
}

/// Waits until this connection is to be cut or to die.
async fn ordered(control: &mut watch::Receiver<Control>, number: u64) -> End {
    let begun = *control.borrow_and_update();
    loop {
        if control.changed().await.is_err() {
            return End::Cut;
        }
        let now = *control.borrow_and_update();
        if now.cut_up_to >= number && now.cut_up_to != begun.cut_up_to || now.cut_number == number {
            return End::Cut;
        }
        if now.dead_up_to >= number && now.dead_up_to != begun.dead_up_to {
            return End::Dead;
        }
    }
}

/// Until one of the two directions ends with an error, or both have ended.
async fn both(up: &mut Pump, down: &mut Pump, counts: &Counts) {
    let _ = tokio::try_join!(up.run(counts), down.run(counts));
}

/// Takes what comes and says nothing, until it is cut or the proxy goes.
async fn swallow(mut client: TcpStream, mut control: watch::Receiver<Control>, number: u64) {
    let mut buffer = [0; 4096];
    loop {
        tokio::select! {
            read = client.read(&mut buffer) => if matches!(read, Ok(0) | Err(_)) { return },
            changed = control.changed() => {
                if changed.is_err() || control.borrow().cut_up_to >= number {
                    reset(client);
                    return;
                }
            }
        }
    }
}

/// Ends a connection as a crash of the network does: the other side reads an error, not an end.
fn reset(stream: TcpStream) {
    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}

/// One direction.
struct Pump {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    control: watch::Receiver<Control>,
    messages: Option<Messages>,
    /// Read and not yet written: when it may be.
    queue: VecDeque<(Instant, Bytes)>,
    queued_bytes: usize,
    ended: bool,
}

impl Pump {
    fn new(
        from: OwnedReadHalf,
        to: OwnedWriteHalf,
        control: watch::Receiver<Control>,
        messages: Option<Messages>,
    ) -> Self {
        Self {
            from,
            to,
            control,
            messages,
            queue: VecDeque::new(),
            queued_bytes: 0,
            ended: false,
        }
    }

    async fn run(&mut self, counts: &Counts) -> io::Result<()> {
        let mut buffer = BytesMut::with_capacity(16 * 1024);
        loop {
            let network = self.control.borrow_and_update().network;
            if self.ended && self.queue.is_empty() {
                return self.to.shutdown().await;
            }
            let next = self.queue.front().map(|(due, _)| *due).filter(|_| !network.stall);
            let held = self.messages.as_ref().and_then(Messages::due);
            buffer.clear();
            tokio::select! {
                changed = self.control.changed() => if changed.is_err() {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                },
                () = at(next) => self.write(network).await?,
                () = at(held) => self.pass_on(&[], network, counts),
                read = self.from.read_buf(&mut buffer), if !self.ended && self.queued_bytes < UNDER_WAY => {
                    match read? {
                        0 => self.ended = true,
                        _ => self.pass_on(&buffer, network, counts),
                    }
                }
            }
        }
    }

    fn pass_on(&mut self, bytes: &[u8], network: Network, counts: &Counts) {
        let bytes = match &mut self.messages {
            Some(messages) => messages.take(bytes, network.bus, counts),
            None => Bytes::copy_from_slice(bytes),
        };
        if !bytes.is_empty() {
            // What was read earlier is not overtaken when a delay ends.
            let due = Instant::now() + network.delay;
            let due = self.queue.back().map_or(due, |(last, _)| due.max(*last));
            self.queued_bytes += bytes.len();
            self.queue.push_back((due, bytes));
        }
    }

    async fn write(&mut self, network: Network) -> io::Result<()> {
        let Some((_, mut bytes)) = self.queue.pop_front() else {
            return Ok(());
        };
        self.queued_bytes -= bytes.len();
        let Some(rate) = network.bytes_per_second else {
            return self.to.write_all(&bytes).await;
        };
        // In slices of a twentieth of a second.
        let slice = usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1);
        let rest = bytes.split_off(slice.min(bytes.len()));
        self.to.write_all(&bytes).await?;
        let next = Instant::now() + Duration::from_millis(50);
        match self.queue.front_mut() {
            Some((due, _)) if rest.is_empty() => *due = (*due).max(next),
            _ => {
                if !rest.is_empty() {
                    self.queued_bytes += rest.len();
                    self.queue.push_front((next, rest));
                }
            }
        }
        Ok(())
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
