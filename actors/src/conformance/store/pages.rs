//! Reading.

use protocol::client::PageBound::{After, Before, Newest};

use super::{Nodes, script::*};
use crate::ports::{EventPage, PageRequest};

fn seqs(page: &EventPage) -> (Vec<u64>, bool) {
    (page.events.iter().map(|event| event.seq).collect(), page.more)
}

/// Bounds are exclusive, events ascend, and `more` tells of further events in the direction of reading.
pub async fn pages_go_in_both_directions(nodes: Nodes) {
    let (ann, _) = room_with_two(&nodes, "room").await;
    let batch: Vec<_> = (1..=10).map(|n| ann.message(&n.to_string(), "x")).collect();
    append(&nodes.a, &batch).await;
    let all: Vec<u64> = (1..=10).collect();
    for (bound, limit, expected, more) in [
        (Newest, 3, &all[7..], true),
        (Newest, 10, &all[..], false),
        (Newest, 11, &all[..], false),
        (Before(5), 2, &all[2..4], true),
        (Before(5), 4, &all[..4], false),
        (Before(5), 9, &all[..4], false),
        (Before(1), 5, &[], false),
        (Before(0), 5, &[], false),
        (Before(100), 2, &all[8..], true),
        (Before(u64::MAX), 2, &all[8..], true),
        (After(0), 3, &all[..3], true),
        (After(7), 3, &all[7..], false),
        (After(7), 2, &all[7..9], true),
        (After(10), 2, &[], false),
        (After(11), 2, &[], false),
        (After(u64::MAX), 2, &[], false),
    ] {
        let page = nodes.b.page(&ann.room, request(bound, limit)).await.unwrap();
        assert_eq!(seqs(&page), (expected.to_vec(), more), "{bound:?}, limit {limit}");
    }
}

/// A page stops before the event that would exceed `max_bytes`, counted from the bound; one event is always in it.
pub async fn a_page_ends_at_its_bytes(nodes: Nodes) {
    let (ann, _) = room_with_two(&nodes, "room").await;
    let batch: Vec<_> = (0..5)
        .map(|n| ann.message(&n.to_string(), &"ä".repeat(500)))
        .collect();
    append(&nodes.a, &batch).await;
    let each = log(&nodes.a, &ann.room).await[0].payload_bytes();
    for (bound, max_bytes, expected, more) in [
        (After(0), 2 * each, vec![1, 2], true),
        (After(0), 2 * each - 1, vec![1], true),
        (After(0), 5 * each, vec![1, 2, 3, 4, 5], false),
        (After(4), 0, vec![5], false),
        (After(3), 0, vec![4], true),
        (Newest, 2 * each, vec![4, 5], true),
        (Newest, 0, vec![5], true),
        (Before(4), 2 * each, vec![2, 3], true),
        (Before(2), 0, vec![1], false),
    ] {
        let request = PageRequest {
            bound,
            limit: 100,
            max_bytes,
        };
        let page = nodes.b.page(&ann.room, request).await.unwrap();
        assert_eq!(seqs(&page), (expected, more), "{bound:?}, {max_bytes} bytes");
    }
}

/// Bytes are counted in the present state, whatever the kind: nothing that fits is left out.
pub async fn a_page_counts_bytes_as_the_event_does(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    let long = "y".repeat(3000);
    let batch = [
        ann.message("1", &long),
        ann.edit("2", 1, "short"),
        bob.react("1", 1, "👍", true),
        bob.message("2", &long),
        bob.edit("3", 4, &long),
        ann.message("3", &long),
        ann.delete("4", 6),
        bob.message("", "last"),
    ];
    append(&nodes.a, &batch).await;
    let log = log(&nodes.a, &ann.room).await;
    let sizes: Vec<_> = log.iter().map(protocol::Event::payload_bytes).collect();
    for n in 1..=log.len() {
        let max_bytes = sizes[..n].iter().sum();
        let request = PageRequest {
            bound: After(0),
            limit: 100,
            max_bytes,
        };
        let page = nodes.b.page(&ann.room, request).await.unwrap();
        assert_eq!(page.events, log[..n]);
        assert_eq!(page.more, n < log.len());
        let max_bytes = sizes[log.len() - n..].iter().sum();
        let request = PageRequest {
            bound: Newest,
            limit: 100,
            max_bytes,
        };
        let page = nodes.b.page(&ann.room, request).await.unwrap();
        assert_eq!(page.events, log[log.len() - n..]);
    }
}

/// An empty room, and one that does not exist, have an empty page.
pub async fn a_page_of_nothing_is_empty(nodes: Nodes) {
    let empty = make_room(&nodes.a, "empty").await;
    for room in [empty, room_name("nowhere")] {
        for bound in [Newest, Before(9), After(0)] {
            let page = nodes.a.page(&room, request(bound, 10)).await.unwrap();
            assert_eq!(page, EventPage::default());
        }
    }
}
