//! Who may upgrade now: bounds on handshakes and connections, so that the reconnect storm of a whole fleet is served at
//! a rate that the node can keep up.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use actors::bucket::TokenBucket;
use parking_lot::Mutex;

use crate::config::Limits;

/// Bursts of handshakes are let through up to so many seconds' worth.
const BURST_SECONDS: u32 = 1;
/// Entries of addresses that went silent are dropped when there are so many more than at the last time.
const SWEEP_EVERY: usize = 4_096;
/// When a node is full, a client is asked to try again after this.
const FULL_RETRY: Duration = Duration::from_secs(5);

/// Counts handshakes and connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Admission(Arc<Mutex<Book>>);

struct Book {
    limits: Limits,
    handshakes: TokenBucket,
    connections: u32,
    addresses: HashMap<IpAddr, Address>,
    swept: usize,
}

struct Address {
    handshakes: TokenBucket,
    connections: u32,
}

/// A connection that counts until it is dropped.
pub(super) struct Admitted {
    admission: Admission,
    address: IpAddr,
}

/// Not now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// This node has no room; another may have.
    Full(Duration),
    /// This address is too fast, or has too many connections.
    Address(Duration),
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        let handshakes = TokenBucket::new(limits.handshakes_per_second, BURST_SECONDS, Instant::now());
        let book = Book {
            limits: limits.clone(),
            handshakes,
            connections: 0,
            addresses: HashMap::new(),
            swept: 0,
        };
        Self(Arc::new(Mutex::new(book)))
    }

    /// Lets a handshake from `address` in, or says when to try again. A refused handshake takes nothing from others.
    pub(super) fn admit(&self, address: IpAddr) -> Result<Admitted, Refusal> {
        let address = group(address);
        let now = Instant::now();
        let mut book = self.0.lock();
        let book = &mut *book;
        let limit = |limit: u32, count: u32| limit > 0 && count >= limit;
        if limit(book.limits.connections, book.connections) {
            return Err(Refusal::Full(FULL_RETRY));
        }
        if book.addresses.len() > book.swept + SWEEP_EVERY {
            book.addresses
                .retain(|_, entry| entry.connections > 0 || !entry.handshakes.is_full(now));
            book.swept = book.addresses.len();
        }
        let entry = book.addresses.entry(address).or_insert_with(|| Address {
            handshakes: TokenBucket::new(book.limits.handshakes_per_second_per_address, BURST_SECONDS, now),
            connections: 0,
        });
        if limit(book.limits.connections_per_address, entry.connections) {
            return Err(Refusal::Address(FULL_RETRY));
        }
        entry.handshakes.take(now).map_err(Refusal::Address)?;
        book.handshakes.take(now).map_err(Refusal::Full)?;
        entry.connections += 1;
        book.connections += 1;
        Ok(Admitted {
            admission: self.clone(),
            address,
        })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut book = self.admission.0.lock();
        book.connections = book.connections.saturating_sub(1);
        if let Some(entry) = book.addresses.get_mut(&self.address) {
            entry.connections = entry.connections.saturating_sub(1);
        }
    }
}

/// A subscriber has a whole /64 of IPv6, so that is what counts as one address.
pub(super) fn group(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            handshakes_per_second: 10,
            handshakes_per_second_per_address: 3,
            connections_per_address: 0,
            ..Limits::default()
        }
    }

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn each_address_has_its_share_and_the_node_its_own() {
        let admission = Admission::new(&limits());
        let of_one: Vec<_> = (0..5).map(|_| admission.admit(v4(1)).is_ok()).collect();
        assert_eq!(of_one, [true, true, true, false, false]);
        assert!(matches!(admission.admit(v4(1)), Err(Refusal::Address(_))));
        let of_others = (2..=20).filter(|last| admission.admit(v4(*last)).is_ok()).count();
        assert_eq!(
            of_others, 7,
            "refused handshakes of one address cost the others nothing"
        );
        assert!(matches!(admission.admit(v4(99)), Err(Refusal::Full(_))));
    }

    #[test]
    fn connections_count_until_they_end() {
        let admission = Admission::new(&Limits {
            connections_per_address: 1,
            connections: 2,
            ..Limits::default()
        });
        let first = admission.admit(v4(1)).ok().unwrap();
        assert!(matches!(admission.admit(v4(1)), Err(Refusal::Address(_))));
        let _second = admission.admit(v4(2)).ok().unwrap();
        assert!(matches!(admission.admit(v4(3)), Err(Refusal::Full(_))));
        drop(first);
        assert!(admission.admit(v4(1)).is_ok());
    }

    #[test]
    fn one_subscriber_of_ipv6_is_one_address() {
        let group_of = |text: &str| group(text.parse().unwrap());
        assert_eq!(group_of("2001:db8::1"), group_of("2001:db8::ffff:1"));
        assert_ne!(group_of("2001:db8::1"), group_of("2001:db8:0:1::1"));
    }
}
