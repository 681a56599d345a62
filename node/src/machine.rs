//! What the machine says of this process.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

/// The CPU time that this process has used since it began, by all its threads.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Where a listener on `bound` is reached from other machines: one that listens everywhere is reached at the address
/// that this machine sends from. `bound` itself where that cannot be told.
pub(crate) fn reachable(bound: SocketAddr) -> SocketAddr {
    let address = if bound.ip().is_unspecified() {
        outgoing(bound.is_ipv4()).unwrap_or(bound.ip())
    } else {
        bound.ip()
    };
    SocketAddr::new(address, bound.port())
}

/// The address that the machine sends from to far away. Connecting a UDP socket asks for the route and sends nothing.
fn outgoing(v4: bool) -> Option<IpAddr> {
    // Addresses of the documentation (RFC 5737, RFC 3849): far away, and nobody's.
    let (own, far): (IpAddr, IpAddr) = if v4 {
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into())
    } else {
        let far = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        (Ipv6Addr::UNSPECIFIED.into(), far.into())
    };
    let socket = UdpSocket::bind((own, 0)).ok()?;
    socket.connect((far, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_one_address_is_reached_there() {
        for bound in ["127.0.0.1:1", "[::1]:2"] {
            let bound = bound.parse().unwrap();
            assert_eq!(reachable(bound), bound);
        }
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()).port(), 80);
    }

    #[test]
    fn cpu_time_grows() {
        let before = cpu_time();
        let mut sum = 0_u64;
        while cpu_time() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(cpu_time() > before);
    }
}
