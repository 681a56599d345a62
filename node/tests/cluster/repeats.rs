//! Promises 4 and 6: a command may be repeated, and a client may come back, on any node.

use load_tests::client::{Client, Options};
use protocol::{Codec, EventBody, JoinFrom, Page, client::PageBound};

use crate::support::*;

#[tokio::test]
async fn the_same_cid_on_another_node_is_answered_with_the_first_one() {
    let cluster = Cluster::start(3, &settings(&[])).await;
    let room = room("repeats");
    let mut first = member(&cluster.url(0), Codec::Json, "Ann", &room).await;
    let mut watcher = member(&cluster.url(2), Codec::Msgpack, "Eve", &room).await;
    let sent = first.send(&room, "one", "as it was", None).await.unwrap();

    let options = Options::new(&cluster.url(1))
        .codec(Codec::Msgpack)
        .token(&token(&first));
    let mut second = Client::connect(&options).await.unwrap();
    assert_eq!(second.welcome().unwrap().user, first.welcome().unwrap().user);
    second.join(&room, JoinFrom::Newest(0)).await.unwrap();
    for text in ["as it was", "something else"] {
        assert_eq!(second.send(&room, "one", text, None).await.unwrap(), sent);
    }
    assert_eq!(
        first.delete(&room, "one", sent.seq).await.unwrap(),
        sent,
        "whatever else it says"
    );
    assert_eq!(
        first
            .send(&room, "one", "", None)
            .await
            .unwrap_err()
            .refused()
            .unwrap()
            .code,
        protocol::ErrorCode::BadRequest
    );

    let next = second.send(&room, "two", "next", None).await.unwrap();
    assert_eq!(next.seq, sent.seq + 1, "nothing was written in between");
    let shown = watcher.take_events(&room, 2).await.unwrap();
    assert_eq!(shown.len(), 2);
    assert!(matches!(&shown[0].body, EventBody::Message { text, .. } if &**text == "as it was"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_cid_on_all_nodes_at_once_is_stored_once() {
    let cluster = Cluster::start(3, &settings(&[])).await;
    let room = room("at-once");
    let ann = member(&cluster.url(0), Codec::Json, "Ann", &room).await;
    let token = token(&ann);
    let mut connections = vec![ann];
    for node in [1, 2] {
        let options = Options::new(&cluster.url(node))
            .codec(Codec::Msgpack)
            .token(&token);
        let mut client = Client::connect(&options).await.unwrap();
        client.join(&room, JoinFrom::Newest(0)).await.unwrap();
        connections.push(client);
    }
    let [a, b, c] = &mut connections[..] else { panic!() };
    for n in 0..30 {
        let cid = format!("cid-{n}");
        let (x, y, z) = tokio::join!(
            a.send(&room, &cid, "a", None),
            b.send(&room, &cid, "b", None),
            c.send(&room, &cid, "c", None)
        );
        let committed = x.unwrap();
        assert_eq!(committed.seq, n + 1);
        assert_eq!([y.unwrap(), z.unwrap()], [committed; 2]);
    }
    for client in &mut connections {
        assert_eq!(client.take_events(&room, 30).await.unwrap().len(), 30);
    }
}

#[tokio::test]
async fn a_client_resumes_on_another_node_where_it_was() {
    let cluster = Cluster::start(3, &settings(&[])).await;
    let (here, there) = (room("here"), room("there"));
    let mut ann = member(&cluster.url(0), Codec::Json, "Ann", &here).await;
    ann.join(&there, JoinFrom::Newest(0)).await.unwrap();
    let mut ben = member(&cluster.url(1), Codec::Msgpack, "Ben", &here).await;
    ben.join(&there, JoinFrom::Newest(0)).await.unwrap();
    ben.say(&here, "1").await.unwrap();
    ann.take_events(&here, 1).await.unwrap();
    let (positions, token) = (ann.positions(), token(&ann));
    let epoch = ann.welcome().unwrap().epoch.to_string();
    let id = ann.welcome().unwrap().user.id.clone();
    // Without a word, as when the network fails.
    drop(ann);

    for n in 2..=120 {
        ben.say(&here, &n.to_string()).await.unwrap();
    }
    ben.say(&there, "only").await.unwrap();
    for (node, codec) in [(2, Codec::Msgpack), (1, Codec::Json), (0, Codec::Json)] {
        let options = Options::new(&cluster.url(node))
            .codec(codec)
            .token(&token)
            .resume(&epoch, &positions);
        let mut ann = Client::connect(&options).await.unwrap();
        assert_eq!(ann.welcome().unwrap().user.id, id);
        let resumed = ann.welcome().unwrap().rooms.clone().unwrap();
        assert_eq!((resumed["here"].head, resumed["here"].reset), (120, None));
        assert_eq!((resumed["there"].head, resumed["there"].reset), (1, None));
        let missed = ann.take_events(&here, 119).await.unwrap();
        let seqs: Vec<u64> = missed.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (2..=120).collect::<Vec<_>>());
        assert_eq!(ann.take_events(&there, 1).await.unwrap()[0].seq, 1);
        let page = Page {
            bound: PageBound::After(1),
            limit: 200,
        };
        assert_eq!(ann.history(&here, page).await.unwrap().0, missed);
    }
}
