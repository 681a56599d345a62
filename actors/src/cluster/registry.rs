//! Which other nodes there are, as far as their leases say. Pure: time is an argument.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use protocol::NodeLease;

/// The other nodes' leases, as the bus held them when it was last asked.
pub(super) struct Registry {
    own: Arc<str>,
    /// How long a lease lasts on the bus from each renewal on.
    lasts: Duration,
    others: BTreeMap<Arc<str>, Known>,
    read_at: Option<Instant>,
}

struct Known {
    lease: NodeLease,
    /// When the bus will have forgotten the lease, unless it is renewed.
    ends: Instant,
    /// A node that is missing then is gone. Later than `ends` only where the bus was away.
    given_up_at: Instant,
}

impl Registry {
    pub(super) fn new(own: Arc<str>, lasts: Duration) -> Self {
        Self {
            own,
            lasts,
            others: BTreeMap::new(),
            read_at: None,
        }
    }

    /// Takes the leases that the bus holds now, with what is left of each. Returns the nodes that are gone since the
    /// last time; one that has started anew is, too.
    ///
    /// A lease that is missing before its time was given up by a node that left, or lost by the bus (a Redis that was
    /// restarted empty); only of one that was draining it is clear which. After a time in which the bus was not read,
    /// the others may not have renewed theirs for the same reason: they are given the time to do so.
    pub(super) fn read(
        &mut self,
        held: impl IntoIterator<Item = (NodeLease, Duration)>,
        now: Instant,
    ) -> Vec<Arc<str>> {
        let mut before = std::mem::take(&mut self.others);
        let late = self.read_at.is_some_and(|at| now - at > self.lasts / 2);
        self.read_at = Some(now);
        let mut gone = Vec::new();
        for (lease, left) in held {
            if lease.node == self.own {
                continue;
            }
            let node = Arc::clone(&lease.node);
            if before
                .remove(&node)
                .is_some_and(|known| known.lease.since != lease.since)
            {
                gone.push(Arc::clone(&node));
            }
            let ends = now + left;
            let known = Known {
                lease,
                ends,
                given_up_at: ends,
            };
            self.others.insert(node, known);
        }
        for (node, mut known) in before {
            if late {
                known.given_up_at = known.given_up_at.max(now + self.lasts);
            }
            if known.lease.draining || known.given_up_at <= now {
                gone.push(node);
            } else {
                self.others.insert(node, known);
            }
        }
        gone
    }

    /// Whether this node's own lease had ended before it is renewed now.
    pub(super) fn own_lapsed(&self, now: Instant) -> bool {
        self.read_at.is_some_and(|at| now - at > self.lasts)
    }

    /// When the bus should be asked at the latest, because some node is gone then if it has not renewed its lease.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.others.values().map(|known| known.given_up_at).min()
    }

    /// The other nodes. While the bus is away, leases run out, and then there are none.
    pub(super) fn others(&self, now: Instant) -> impl Iterator<Item = &NodeLease> {
        self.others
            .values()
            .filter(move |known| known.ends > now)
            .map(|known| &known.lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(4);

    fn lease(node: &str) -> NodeLease {
        NodeLease {
            node: node.into(),
            address: "".into(),
            version: "".into(),
            since: 1,
            connections: 0,
            load: 0.0,
            draining: false,
        }
    }

    fn full(nodes: &[&str]) -> Vec<(NodeLease, Duration)> {
        nodes.iter().map(|node| (lease(node), LASTS)).collect()
    }

    fn known(registry: &Registry, now: Instant) -> Vec<&str> {
        registry.others(now).map(|lease| &*lease.node).collect()
    }

    fn start(now: Instant) -> Registry {
        let mut registry = Registry::new("me".into(), LASTS);
        let gone = registry.read(full(&["me", "a", "b"]), now);
        assert_eq!(gone, [""; 0].map(Arc::<str>::from));
        assert_eq!(known(&registry, now), ["a", "b"], "without this node");
        registry
    }

    #[test]
    fn a_node_that_does_not_renew_is_gone_when_its_lease_ends() {
        let begun = Instant::now();
        let mut registry = start(begun);
        let second = Duration::from_secs(1);
        let running_out = (lease("a"), second);
        let b = (lease("b"), LASTS);
        assert!(registry.read([running_out, b], begun + second).is_empty());
        assert_eq!(registry.next_end(), Some(begun + 2 * second));
        let gone = registry.read(full(&["b"]), begun + 2 * second);
        assert_eq!(gone, ["a".into()]);
        assert_eq!(known(&registry, begun + 2 * second), ["b"]);
        assert!(
            registry.read(full(&["b"]), begun + 3 * second).is_empty(),
            "told once"
        );
    }

    #[test]
    fn a_bus_that_forgets_does_not_make_nodes_leave() {
        let begun = Instant::now();
        let mut registry = start(begun);
        let soon = begun + Duration::from_millis(500);
        assert!(registry.read(full(&["b"]), soon).is_empty());
        assert_eq!(known(&registry, soon), ["a", "b"]);
        assert!(
            registry
                .read(full(&["a", "b"]), soon + Duration::from_secs(1))
                .is_empty()
        );
    }

    #[test]
    fn a_node_that_left_is_gone_at_once() {
        let begun = Instant::now();
        let mut registry = start(begun);
        let leaving = NodeLease {
            draining: true,
            ..lease("a")
        };
        let soon = begun + Duration::from_millis(500);
        registry.read([(leaving, LASTS), (lease("b"), LASTS)], soon);
        assert_eq!(registry.read(full(&["b"]), soon), ["a".into()]);
    }

    #[test]
    fn a_node_that_starts_anew_is_another_one() {
        let begun = Instant::now();
        let mut registry = start(begun);
        let anew = NodeLease {
            since: 2,
            ..lease("a")
        };
        let soon = begun + Duration::from_millis(500);
        let gone = registry.read([(anew, LASTS), (lease("b"), LASTS)], soon);
        assert_eq!(gone, ["a".into()]);
        assert_eq!(known(&registry, soon), ["a", "b"]);
    }

    #[test]
    fn while_the_bus_is_away_a_node_knows_itself_and_afterwards_waits_for_the_others() {
        let begun = Instant::now();
        let mut registry = start(begun);
        let back = begun + Duration::from_secs(60);
        assert!(registry.own_lapsed(back) && !registry.own_lapsed(begun + LASTS));
        assert_eq!(known(&registry, back), [""; 0]);
        assert!(
            registry.read(full(&["b"]), back).is_empty(),
            "a may be about to renew"
        );
        assert_eq!(known(&registry, back), ["b"]);
        for second in 1..4 {
            let later = back + Duration::from_secs(second);
            assert!(registry.read(full(&["b"]), later).is_empty());
        }
        assert_eq!(
            registry.read(full(&["b"]), back + LASTS),
            ["a".into()],
            "it is not"
        );
    }
}
