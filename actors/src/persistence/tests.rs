//! A shard that fails loses no answer, and the store may fail as it likes.

use std::{sync::Arc, time::Duration};

use protocol::{
    ErrorCode, Person, RoomName,
    server::{Done, Refused},
};
use tokio::{task::JoinHandle, time::timeout};

use super::shard::ShardMsg;
use crate::{
    Settings, System, User,
    memory::{Call, Fault, LocalHub, MemoryStore},
    metrics::Metrics,
    ports::{Change, NewRoom, Store},
    room::Room,
};

const PATIENCE: Duration = Duration::from_secs(20);

struct Node {
    system: System,
    store: MemoryStore,
    room: Room,
}

impl Node {
    async fn start() -> Self {
        let store = MemoryStore::new();
        let name = RoomName::new("room").unwrap();
        store.create_room(&NewRoom::public(name.clone())).await.unwrap();
        let bus = Arc::new(LocalHub::new().connect());
        let system = System::start(
            Settings::default(),
            Arc::new(store.clone()),
            Arc::new(store.clone()),
            bus,
            Metrics::noop(),
        )
        .await
        .unwrap();
        let room = system.rooms().get(&name).unwrap();
        Self { system, store, room }
    }

    fn send(&self, cid: usize) -> JoinHandle<Result<Done, Refused>> {
        let room = self.room.clone();
        tokio::spawn(async move {
            let user = Arc::new(User::guest(Person {
                id: "ann".into(),
                name: "Ann".into(),
            }));
            let message = Change::Message {
                text: "text".into(),
                reply_to: None,
            };
            let sent = room.act(&user, Some(cid.to_string().into()), message);
            timeout(PATIENCE, sent).await.expect("every command is answered")
        })
    }

    /// Sends until it is stored.
    async fn store_it(&self, cid: usize) -> u64 {
        let stored = async {
            loop {
                match self.send(cid).await.unwrap() {
                    Ok(done) => return done.seq.unwrap(),
                    Err(refused) => assert_eq!(refused.code, ErrorCode::Overloaded),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, stored).await.expect("the shard comes back")
    }

    fn pending_bytes(&self) -> usize {
        self.system.rooms().context().persistence.budget().used()
    }

    fn fail_shards(&self) {
        for shard in &*self.system.rooms().context().persistence.shards {
            shard.read().as_ref().unwrap().cast(ShardMsg::Fail).unwrap();
        }
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let met = async {
            while !condition(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, met)
            .await
            .unwrap_or_else(|_| panic!("not in time: {what}"));
    }
}

#[tokio::test]
async fn a_failed_shard_answers_all_that_it_held_and_is_started_anew() {
    let node = Node::start().await;
    assert_eq!(node.store_it(0).await, 1);
    node.store.set_delay(Duration::from_millis(300), Duration::ZERO);
    let committing = node.send(1);
    node.until("a batch is under way", |node| node.store.calls(Call::Append) == 2)
        .await;
    let one = node.pending_bytes();
    let collected: Vec<_> = (2..12).map(|cid| node.send(cid)).collect();
    node.until("the rest is collected", |node| node.pending_bytes() > one * 10)
        .await;

    node.fail_shards();
    for sent in collected {
        let refused = sent
            .await
            .unwrap()
            .expect_err("it was held by the shard that failed");
        assert_eq!(refused.code, ErrorCode::Overloaded);
        assert!(refused.retry_after_ms.is_some());
    }
    let done = committing
        .await
        .unwrap()
        .expect("the batch under way is committed all the same");
    assert_eq!(done.seq, Some(2));
    assert_eq!(node.pending_bytes(), 0, "what was reserved is given back");

    node.store.heal();
    let mut seqs = Vec::new();
    for cid in 0..12 {
        seqs.push(node.store_it(cid).await);
    }
    assert_eq!(
        seqs,
        (1..=12).collect::<Vec<_>>(),
        "each once, the committed ones where they were"
    );
}

#[tokio::test]
async fn a_panic_in_the_store_refuses_the_batch_and_not_what_comes_after() {
    let node = Node::start().await;
    node.store.fail_next(Call::Append, 1, Fault::Panic);
    let refused = node.send(1).await.unwrap().expect_err("the batch was lost");
    assert_eq!(refused.code, ErrorCode::Overloaded);
    assert_eq!(node.store_it(2).await, 1);
    assert_eq!(node.store_it(1).await, 2);
}
