//! Dropping a future at any point.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use protocol::client::PageBound;

use super::{Nodes, script::*};
use crate::ports::RoomToLoad;

/// Polls a future so many times at most; dropped after that, it is cancelled.
struct PollAtMost<F> {
    inner: Pin<Box<F>>,
    left: u32,
}

impl<F: Future> Future for PollAtMost<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        let poll = self.inner.as_mut().poll(cx).map(Some);
        if poll.is_pending() && self.left == 0 {
            return Poll::Ready(None);
        }
        poll
    }
}

async fn cancelled_after<F: Future>(polls: u32, future: F) -> Option<F::Output> {
    let inner = Box::pin(future);
    pin!(PollAtMost { inner, left: polls }).await
}

/// A cancelled append is there as a whole or not at all, and repeating it completes it.
pub async fn a_cancelled_append_can_be_repeated(nodes: Nodes) {
    let mut rng = chance();
    let (ann, bob) = room_with_two(&nodes, "room").await;
    let other = make_room(&nodes.a, "other").await;
    let neighbour = {
        let (store, pen) = (nodes.b.clone(), bob.clone());
        tokio::spawn(async move {
            for n in 0..40 {
                write(&store, pen.message(&n.to_string(), "meanwhile")).await;
            }
        })
    };
    let mut finished = 0;
    for round in 0..60 {
        let batch: Vec<_> = (0..4)
            .flat_map(|n| {
                let cid = format!("{round}-{n}");
                [
                    ann.message(&cid, &cid),
                    Pen::new(&other, "ann").message(&cid, &cid),
                ]
            })
            .collect();
        let polls = rng.u32(1..=12);
        if cancelled_after(polls, nodes.a.append(&batch)).await.is_some() {
            finished += 1;
        }
        let outcomes = append(&nodes.a, &batch).await;
        let new = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, crate::ports::Outcome::Written { .. }));
        let new = new.count();
        assert!(
            new == 0 || new == batch.len(),
            "half a batch was committed: {outcomes:?}"
        );
        outcomes.into_iter().for_each(|outcome| {
            stored(outcome);
        });
    }
    println!("{finished} of 60 appends were over before they were cancelled");
    neighbour.await.unwrap();
    assert_eq!(log(&nodes.b, &ann.room).await.len(), 60 * 4 + 40);
    assert_eq!(log(&nodes.b, &other).await.len(), 60 * 4);
}

/// Whatever call is cancelled, the next one is answered.
pub async fn cancelled_calls_leave_the_store_usable(nodes: Nodes) {
    let mut rng = chance();
    let (ann, _) = room_with_two(&nodes, "room").await;
    let batch: Vec<_> = (0..50)
        .map(|n| ann.message(&n.to_string(), &"x".repeat(1000)))
        .collect();
    append(&nodes.a, &batch).await;
    for round in 0..40 {
        let polls = rng.u32(1..=6);
        let everything = request(PageBound::After(0), 50);
        cancelled_after(polls, nodes.a.page(&ann.room, everything)).await;
        cancelled_after(polls, nodes.a.status()).await;
        cancelled_after(polls, nodes.a.shared_key(&round.to_string())).await;
        cancelled_after(polls, nodes.a.heads(std::slice::from_ref(&ann.room))).await;
        let room = RoomToLoad {
            name: ann.room.clone(),
            recent: true,
        };
        let newest = request(PageBound::Newest, 50);
        cancelled_after(polls, nodes.a.load_rooms(&[room], newest)).await;
    }
    assert_eq!(
        nodes
            .a
            .page(&ann.room, request(PageBound::After(0), 50))
            .await
            .unwrap()
            .events
            .len(),
        50
    );
    assert_eq!(write(&nodes.a, ann.message("last", "x")).await.0, 51);
}
