//! Which Redis server serves which slot.

use std::{fmt, ops::RangeInclusive};

use redis::Value;

use super::names::SLOTS;

/// Where a Redis server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// The servers and their slots. A Redis on its own serves all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Topology {
    pub(super) nodes: Vec<Address>,
    /// Sharded pub/sub is used.
    pub(super) cluster: bool,
    /// Index into `nodes` by slot.
    owners: Vec<u16>,
}

impl Topology {
    pub(super) fn single(address: Address) -> Self {
        Self {
            nodes: vec![address],
            cluster: false,
            owners: vec![0; SLOTS.into()],
        }
    }

    /// Understands the answer to `CLUSTER SLOTS` that `answering` gave.
    ///
    /// # Errors
    /// When some slots have no server, in words.
    pub(super) fn cluster(answer: &Value, answering: &Address) -> Result<Self, String> {
        let mut nodes: Vec<Address> = Vec::new();
        let mut owners = vec![u16::MAX; SLOTS.into()];
        let ranges = answer
            .as_sequence()
            .ok_or("CLUSTER SLOTS was not answered with a list")?;
        for range in ranges {
            let (slots, address) =
                parse_range(range, answering).ok_or("an entry of CLUSTER SLOTS has an unknown form")?;
            let node = nodes.iter().position(|a| *a == address).unwrap_or_else(|| {
                nodes.push(address);
                nodes.len() - 1
            });
            for slot in slots {
                if let (Some(owner), Ok(node)) = (owners.get_mut(usize::from(slot)), u16::try_from(node)) {
                    *owner = node;
                }
            }
        }
        match owners.iter().filter(|owner| **owner == u16::MAX).count() {
            0 => Ok(Self {
                nodes,
                cluster: true,
                owners,
            }),
            missing => Err(format!(
                "{missing} of the cluster's {SLOTS} slots are served by nobody"
            )),
        }
    }

    /// The index in `nodes` of the server that serves `slot`.
    pub(super) fn owner(&self, slot: u16) -> usize {
        self.owners
            .get(usize::from(slot))
            .copied()
            .unwrap_or_default()
            .into()
    }
}

fn parse_range(range: &Value, answering: &Address) -> Option<(RangeInclusive<u16>, Address)> {
    let [Value::Int(first), Value::Int(last), primary, ..] = range.as_sequence()? else {
        return None;
    };
    let [host, Value::Int(port), ..] = primary.as_sequence()? else {
        return None;
    };
    let host = match host {
        Value::BulkString(host) => str::from_utf8(host).ok()?,
        Value::SimpleString(host) => host,
        Value::Nil => "",
        _ => return None,
    };
    // A server that does not know its own name means: where you have asked.
    let host = if matches!(host, "" | "?") {
        answering.host.clone()
    } else {
        host.to_owned()
    };
    let slots = u16::try_from(*first).ok()?..=u16::try_from(*last).ok()?;
    Some((
        slots,
        Address {
            host,
            port: u16::try_from(*port).ok()?,
        },
    ))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let node = Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node])
    }

    fn address(host: &str, port: u16) -> Address {
        Address {
            host: host.into(),
            port,
        }
    }

    #[test]
    fn slots_find_their_servers() {
        let answer = Value::Array(vec![
            range(0, 99, Value::BulkString(b"a".to_vec()), 1),
            range(100, 8_000, Value::Nil, 2),
            range(8_001, 16_383, Value::BulkString(b"a".to_vec()), 1),
        ]);
        let topology = Topology::cluster(&answer, &address("asked", 7)).unwrap();
        let owner = |slot| topology.nodes[topology.owner(slot)].clone();
        assert_eq!(topology.nodes.len(), 2);
        assert_eq!(owner(0), address("a", 1));
        assert_eq!(owner(100), address("asked", 2));
        assert_eq!(owner(8_000), address("asked", 2));
        assert_eq!(owner(16_383), address("a", 1));
    }

    #[test]
    fn holes_and_nonsense_are_refused() {
        let holes = Value::Array(vec![range(0, 16_000, Value::Nil, 2)]);
        let error = Topology::cluster(&holes, &address("x", 1)).unwrap_err();
        assert!(error.contains("383 of"), "{error}");
        assert!(Topology::cluster(&Value::Okay, &address("x", 1)).is_err());
        assert!(Topology::cluster(&Value::Array(vec![Value::Int(1)]), &address("x", 1)).is_err());
    }

    #[test]
    fn addresses_print_as_people_write_them() {
        assert_eq!(address("h", 1).to_string(), "h:1");
        assert_eq!(address("::1", 1).to_string(), "[::1]:1");
    }
}
