//! The same promises with nodes that are processes, and that are killed.

use std::sync::Arc;

use load_tests::client::{Client, Options};
use protocol::{Codec, Event, JoinFrom, Page, client::PageBound};

use crate::support::*;

/// The whole log of the room, as `history` shows it.
async fn history(client: &mut Client, room: &protocol::RoomName) -> Vec<Event> {
    let mut log: Vec<Event> = Vec::new();
    loop {
        let after = log.last().map_or(0, |event| event.seq);
        let page = Page {
            bound: PageBound::After(after),
            limit: 200,
        };
        let (events, more) = client.history(room, page).await.unwrap();
        log.extend(events);
        if !more {
            return log;
        }
    }
}

/// Every message that was acked is answered in the same way again.
async fn repeat(url: &str, talk: &Talk, seen: &[Seen]) {
    for seen in seen {
        let options = Options::new(url).codec(Codec::Msgpack).token(&seen.token);
        let mut client = Client::connect(&options).await.unwrap();
        client.join(&talk.room, JoinFrom::Newest(0)).await.unwrap();
        for (cid, committed) in &seen.acked {
            let again = client.send(&talk.room, cid, "again", None).await.unwrap();
            assert_eq!(again, *committed, "{cid}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_killed_take_nothing_with_them() {
    let servers = Servers::shared().await;
    let settings = servers.settings();
    // At the same moment, on an empty database: each wants to make the schema.
    let (mut first, mut second, mut third) = tokio::join!(
        Process::start(&settings),
        Process::start(&settings),
        Process::start(&settings)
    );
    tokio::join!(first.ready(), second.ready(), third.ready());

    let urls = vec![first.url(), second.url(), third.url()];
    let talk = Arc::new(Talk::new(urls, "killed", 18, 16));
    let (seen, ()) = tokio::join!(talk.run(), async {
        talk.acked(0.3).await;
        first.kill().await;
    });
    let (log, _) = verify(&talk, &seen);
    assert!(
        seen.iter().filter(|seen| seen.reconnects > 0).count() >= 6,
        "a third of them was on it"
    );
    servers.holds(&talk.room, &log).await;
    repeat(&second.url(), &talk, &seen[..6]).await;
    let mut reader = guest(&third.url(), Codec::Json, "Reader").await;
    assert_eq!(history(&mut reader, &talk.room).await, log);
    for node in [&second, &third] {
        assert_eq!(node.metric("hubbub_store_up").await, 1.0);
    }

    second.kill().await;
    third.kill().await;
    let fresh = Process::start(&settings).await;
    fresh.ready().await;
    let mut reader = guest(&fresh.url(), Codec::Msgpack, "Reader").await;
    assert_eq!(
        history(&mut reader, &talk.room).await,
        log,
        "all of them may be killed"
    );
    repeat(&fresh.url(), &talk, &seen[..2]).await;
    servers.holds(&talk.room, &log).await;
}
