//! From an address to an open WebSocket.

use std::net::SocketAddr;

use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{ClientRequestBuilder, http::Uri, protocol::WebSocketConfig},
};
use tokio_util::either::Either;

use super::{Error, Options};

/// An open WebSocket and the subprotocol that the server named.
pub(super) type Upgraded = (WebSocketStream<Stream>, Option<String>);

/// What is beneath a WebSocket. TLS has a box of its own: its state is large, and most connections of a load test have none.
pub type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

pub(super) async fn upgrade(options: &Options) -> Result<Upgraded, Error> {
    let uri: Uri = options
        .url
        .parse()
        .map_err(|e| Error::Protocol(format!("`{}` is no address: {e}", options.url)))?;
    let stream = open(options, &uri).await?;
    let mut request = ClientRequestBuilder::new(uri);
    match &options.offer {
        Some(offer) => {
            for subprotocol in offer {
                request = request.with_sub_protocol(subprotocol);
            }
        }
        None => request = request.with_sub_protocol(options.codec.subprotocol()),
    }
    for (name, value) in &options.headers {
        request = request.with_header(name, value);
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(options.read_buffer_bytes)
        .write_buffer_size(4 * 1024);
    let (socket, response) = client_async_with_config(request, stream, Some(config)).await?;
    let subprotocol = response.headers().get("sec-websocket-protocol");
    let subprotocol = subprotocol
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    Ok((socket, subprotocol))
}

async fn open(options: &Options, uri: &Uri) -> Result<Stream, Error> {
    let (Some(scheme @ ("ws" | "wss")), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err(Error::Protocol(format!(
            "`{}` must be like ws://host:port/ws or wss://host/ws",
            options.url
        )));
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if scheme == "ws" {
        return open_tcp(options, host, uri.port_u16().unwrap_or(80))
            .await
            .map(Either::Left);
    }
    let tls = options
        .tls
        .as_ref()
        .ok_or_else(|| Error::Protocol(format!("`{}` needs TLS, and this client has none", options.url)))?;
    let name = ServerName::try_from(host.to_owned()).map_err(Error::other)?;
    let stream = open_tcp(options, host, uri.port_u16().unwrap_or(443)).await?;
    let secured = TlsConnector::from(tls.config()).connect(name, stream).await;
    Ok(Either::Right(Box::new(secured.map_err(Error::other)?)))
}

async fn open_tcp(options: &Options, host: &str, port: u16) -> Result<TcpStream, Error> {
    let mut addresses = tokio::net::lookup_host((host, port))
        .await
        .map_err(Error::other)?;
    let address = addresses
        .next()
        .ok_or_else(|| Error::Protocol(format!("`{host}` has no address")))?;
    let stream = dial(options, address).await.map_err(Error::other)?;
    Ok(stream)
}

async fn dial(options: &Options, address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(from) = options.from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.segment_bytes {
        socket2::SockRef::from(&socket).set_tcp_mss(bytes)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
