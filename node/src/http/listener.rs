//! Binding and serving one listener.

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, extract::ConnectInfo};
use futures_util::FutureExt;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// Connections that the kernel queues for us: a fleet that reconnects at once must not be met with resets.
const BACKLOG: i32 = 4_096;
/// A request's head must be complete by then.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after an `accept` that failed for lack of resources, such as open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Connections that are taken before others have a turn, while still more wait.
const AT_ONCE: usize = 128;
/// The same for those that are passed over, at a few microseconds each.
const PASSED_AT_ONCE: usize = 8 * AT_ONCE;
/// How a client shows that it has closed its side; where the system does not tell, only a connection that is reset does.
#[cfg(target_os = "linux")]
const GONE: PollFlags = PollFlags::RDHUP;
#[cfg(not(target_os = "linux"))]
const GONE: PollFlags = PollFlags::empty();
/// How long requests that are being served may take when the listener closes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({key}): {reason}")]
pub(crate) struct BindError {
    /// The configuration key that names the address.
    pub key: &'static str,
    /// The address.
    pub address: SocketAddr,
    /// What is wrong and what to do.
    pub reason: String,
}

/// Opens a listener on `address`, which the configuration names `key`.
pub(crate) fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    open(address).map_err(|error| {
        let reason = match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!(
                    "another process has this port; end it, or set {key} to another port (0: any free one)"
                )
            }
            io::ErrorKind::PermissionDenied => {
                format!("ports below 1024 need a privilege; set {key} to a higher port, or grant it")
            }
            io::ErrorKind::AddrNotAvailable => {
                format!(
                    "this machine does not have this address; set {key} to one that it has, or to 0.0.0.0"
                )
            }
            _ => error.to_string(),
        };
        BindError { key, address, reason }
    })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves HTTP/1.1 on `listener` until `closing`; then waits a little for the requests under way. Upgraded connections
/// are not waited for.
pub(crate) async fn serve(listener: TcpListener, router: Router, closing: CancellationToken) {
    let requests = TaskTracker::new();
    let serve = |stream, peer| serve_connection(stream, peer, router.clone(), &requests, closing.clone());
    // It takes turns by itself: the runtime's are as long for clients that have gone as for those that wait.
    tokio::task::unconstrained(accept_all(listener, &closing, serve)).await;
    requests.close();
    if tokio::time::timeout(CLOSE_TIMEOUT, requests.wait())
        .await
        .is_err()
    {
        tracing::warn!("some requests were still under way when the listener closed");
    }
}

/// Takes connections until `closing`, and hands them on.
async fn accept_all(
    listener: TcpListener,
    closing: &CancellationToken,
    mut serve: impl FnMut(TcpStream, SocketAddr),
) {
    // Those taken since nobody waited, and those served since others had a turn.
    let (mut taken, mut served) = (0_usize, 0_usize);
    while !closing.is_cancelled() {
        let accepted = match listener.accept().now_or_never() {
            Some(accepted) => accepted,
            None => {
                (taken, served) = (0, 0);
                tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = closing.cancelled() => break,
                }
            }
        };
        taken += 1;
        match accepted {
            // In a crowd, those who gave up waiting must not keep those waiting who did not.
            Ok((stream, _)) if taken > AT_ONCE && has_gone(&stream) => {}
            Ok((stream, peer)) => {
                serve(stream, peer);
                served += 1;
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted; are there enough open files allowed?");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
        if served == AT_ONCE || taken.is_multiple_of(PASSED_AT_ONCE) {
            served = 0;
            tokio::task::yield_now().await;
        }
    }
}

fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    requests: &TaskTracker,
    closing: CancellationToken,
) {
    // Chat frames are small and must not wait for each other.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "TCP_NODELAY could not be set");
    }
    let service = router.map_request(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    requests.spawn(async move {
        let mut connection = std::pin::pin!(connection);
        let served = tokio::select! {
            served = &mut connection => served,
            () = closing.cancelled() => {
                // The answer under way is still sent.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, %peer, "an HTTP connection ended with an error");
        }
    });
}

/// Whether the client has closed its side already. What it had sent is of no use then: an HTTP connection ends with it.
fn has_gone(stream: &TcpStream) -> bool {
    let mut polled = [PollFd::new(stream, GONE)];
    // An error of `poll` says nothing about the client.
    let found = poll(&mut polled, Some(&Timespec::default()));
    found.is_ok() && !polled[0].revents().is_empty()
}

/// Errors of `accept` that are the one peer's, not ours.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, io::Write, net, rc::Rc};

    use super::*;

    /// Clients that have sent a request. The listener has not been looked at yet.
    fn clients(address: SocketAddr, count: usize) -> Vec<net::TcpStream> {
        let ask = |_| {
            let mut client = net::TcpStream::connect(address).unwrap();
            client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").unwrap();
            client
        };
        (0..count).map(ask).collect()
    }

    #[tokio::test]
    async fn who_gave_up_waiting_is_passed_over_and_who_did_not_is_not() {
        let listener = open(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        drop(clients(address, 3 * AT_ONCE));
        let waiting = clients(address, 3 * AT_ONCE);
        let closing = CancellationToken::new();
        let (served, turns) = (Cell::new(0), Rc::new(Cell::new(0)));
        let others = {
            let (closing, turns) = (closing.clone(), Rc::clone(&turns));
            async move {
                while !closing.is_cancelled() {
                    turns.set(turns.get() + 1);
                    tokio::task::yield_now().await;
                }
            }
        };
        let accepting = accept_all(listener, &closing, |stream, _| {
            drop(stream);
            served.set(served.get() + 1);
            // The first are taken before it is known that there is a crowd.
            if served.get() == AT_ONCE + waiting.len() {
                closing.cancel();
            }
        });
        let all = async { tokio::join!(accepting, others) };
        tokio::time::timeout(Duration::from_secs(30), all).await.unwrap();
        assert_eq!(served.get(), AT_ONCE + waiting.len());
        assert!(turns.get() >= 4, "others have had {} turns", turns.get());
    }
}
