//! Binding and serving one listener.

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
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
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closing.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => serve_connection(stream, peer, router.clone(), &requests, closing.clone()),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted; are there enough open files allowed?");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    requests.close();
    if tokio::time::timeout(CLOSE_TIMEOUT, requests.wait())
        .await
        .is_err()
    {
        tracing::warn!("some requests were still under way when the listener closed");
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

/// Errors of `accept` that are the one peer's, not ours.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
