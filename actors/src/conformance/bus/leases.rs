//! Leases of nodes.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::{PATIENCE, Peer};
use crate::ports::HeldLease;

/// A lease that does not run out during a check.
const LONG: Duration = Duration::from_secs(60);

fn node() -> String {
    format!("n-{:016x}.x_y", fastrand::u64(..))
}

impl Peer {
    async fn renew(&self, node: &str, text: &str, lasts: Duration) -> Vec<HeldLease> {
        let text = Bytes::copy_from_slice(text.as_bytes());
        let held = self.bus.renew_lease(node, text, lasts).await;
        held.expect("the bus is up")
    }
}

/// Texts of `held` that are about this check, whose texts all begin with `check`.
fn texts(held: &[HeldLease], check: &str) -> Vec<String> {
    let texts = held.iter().map(|held| String::from_utf8_lossy(&held.text));
    let mut texts: Vec<String> = texts
        .filter(|text| text.starts_with(check))
        .map(Into::into)
        .collect();
    texts.sort();
    texts
}

pub(super) async fn everybody_sees_all_leases(a: Peer, b: Peer, c: Peer) {
    let check = node();
    let say = |what: &str| format!("{check} {what}");
    let (one, two, three) = (node(), node(), node());
    let held = a.renew(&one, &say("one"), LONG).await;
    assert_eq!(texts(&held, &check), [say("one")]);
    b.renew(&two, &say("two \0 ü"), LONG).await;
    let held = c.renew(&three, &say("three"), LONG).await;
    assert_eq!(texts(&held, &check), [say("one"), say("three"), say("two \0 ü")]);
    for held in held.iter().filter(|held| held.text.starts_with(check.as_bytes())) {
        assert!(held.left <= LONG && held.left > LONG / 2, "{:?}", held.left);
    }
    let held = a.renew(&one, &say("one again"), LONG).await;
    assert_eq!(
        texts(&held, &check),
        [say("one again"), say("three"), say("two \0 ü")],
        "a node has one lease"
    );
    for node in [&two, &three, &two] {
        a.bus.end_lease(node).await.expect("the bus is up");
    }
    let held = b.renew(&one, &say("one"), LONG).await;
    assert_eq!(
        texts(&held, &check),
        [say("one")],
        "ended leases are gone at once"
    );
    b.bus.end_lease(&one).await.expect("the bus is up");
}

pub(super) async fn a_lease_that_is_not_renewed_runs_out(a: Peer, b: Peer) {
    const SHORT: Duration = Duration::from_millis(400);
    let check = node();
    let (brief, kept) = (node(), node());
    let written = Instant::now();
    a.renew(&brief, &format!("{check} brief"), SHORT).await;
    loop {
        let asked = Instant::now();
        let held = b.renew(&kept, &format!("{check} kept"), LONG).await;
        let seen = texts(&held, &check);
        if seen.len() == 1 {
            assert!(
                asked.elapsed() + (asked - written) >= SHORT,
                "it ran out too early"
            );
            break;
        }
        assert!(written.elapsed() < PATIENCE, "it does not run out: {seen:?}");
        sleep(Duration::from_millis(20)).await;
    }
    let held = a.renew(&brief, &format!("{check} back"), LONG).await;
    assert_eq!(
        texts(&held, &check).len(),
        2,
        "one that ran out can be taken again"
    );
    for node in [&brief, &kept] {
        a.bus.end_lease(node).await.expect("the bus is up");
    }
}
