//! Where a request comes from, behind proxies that we trust.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address: the peer's, or, where the peer is a trusted proxy, the last address in `X-Forwarded-For` that
/// is not itself a trusted proxy. Everything to the left of that was written by the client.
pub(super) fn client_address(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let peer = peer.ip().to_canonical();
    if !is_trusted(&peer) {
        return peer;
    }
    let values = headers.get_all(FORWARDED_FOR);
    let mut hops: Vec<&str> = values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut client = peer;
    while let Some(hop) = hops.pop() {
        let Some(address) = parse(hop.trim()) else { break };
        client = address;
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

/// An address with or without a port, as proxies write it.
fn parse(hop: &str) -> Option<IpAddr> {
    let address = hop
        .parse::<IpAddr>()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|a| a.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_what_a_trusted_proxy_wrote_counts() {
        assert_eq!(
            address("198.51.100.7:1", &["203.0.113.9"]),
            "198.51.100.7",
            "a stranger's header is ignored"
        );
        assert_eq!(address("10.0.0.1:1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(
            address("10.0.0.1:1", &["1.2.3.4, 203.0.113.9"]),
            "203.0.113.9",
            "the left part is the client's"
        );
        assert_eq!(
            address("10.0.0.1:1", &["1.2.3.4", "203.0.113.9, 10.0.0.2"]),
            "203.0.113.9"
        );
        assert_eq!(address("10.0.0.1:1", &["203.0.113.9:5678"]), "203.0.113.9");
        assert_eq!(address("10.0.0.1:1", &["[2001:db8::1]:5678"]), "2001:db8::1");
        assert_eq!(address("[::ffff:10.0.0.1]:1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(address("10.0.0.1:1", &[]), "10.0.0.1");
        assert_eq!(address("10.0.0.1:1", &["nonsense"]), "10.0.0.1");
        assert_eq!(
            address("10.0.0.1:1", &["1.2.3.4, nonsense, 10.0.0.3"]),
            "10.0.0.3"
        );
    }
}
