//! As much of HTTP as a node takes.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(5);

/// Whether `path` is answered with 200.
pub(crate) async fn is_ok(address: SocketAddr, path: &str) -> bool {
    get(address, path).await.is_ok()
}

/// The body of an answer with status 200.
///
/// # Errors
/// When there is no such answer in five seconds.
pub(crate) async fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        io::Result::Ok(said)
    };
    let said = timeout(PATIENCE, asked).await??;
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
    if head.starts_with("HTTP/1.1 200") {
        Ok(body.to_owned())
    } else {
        let status = head.lines().next().unwrap_or_default();
        Err(io::Error::other(format!("{path} of {address} says {status}")))
    }
}
