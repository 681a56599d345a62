use std::{path::Path, time::Duration};

use protocol::{Codec, JoinFrom, RoomName};
use tokio::time::{Instant, timeout};

use super::*;
use crate::{
    check::{self, Kind, Report, Settings},
    client::tiny_server::{self, Fault},
    journal::Journal,
    measure::{Timing, stamp},
};

const PATIENCE: Duration = Duration::from_secs(20);

fn room() -> RoomName {
    "lobby".parse().unwrap()
}

fn say(number: usize, client: usize) -> Order {
    Order::Write(Write {
        room: room(),
        cid: format!("{client}-{number}").into(),
        what: What::Say(format!("text {number} of {client}").into()),
        due: Instant::now(),
    })
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waited)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in {PATIENCE:?}"));
}

fn clients(journal: &Journal, address: std::net::SocketAddr, count: u32) -> Vec<Persistent> {
    let targets = Targets::new([format!("ws://{address}/ws")]);
    let start = |number: u32| {
        let plan = Plan {
            codec: Codec::ALL[number as usize % 2],
            rooms: vec![(room(), JoinFrom::After(0))],
            seed: number.into(),
            ..Plan::new(targets.clone(), &format!("client {number}"))
        };
        Persistent::start(plan, journal.scribe(number))
    };
    (1..=count).map(start).collect()
}

/// Three clients say twenty things each, and are cut off meanwhile; what the checker then finds.
async fn run(fault: Fault, folder: &Path) -> Report {
    let address = tiny_server::start(fault).await;
    let journal = Journal::create(folder, "clients").unwrap();
    let clients = clients(&journal, address, 3);
    for number in 0..20 {
        for (place, client) in clients.iter().enumerate() {
            client.order(say(number, place));
            if number % 7 == 3 + place {
                client.order(Order::Cut);
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    if fault == Fault::None {
        until("everybody has everything", || {
            clients
                .iter()
                .all(|client| client.status().position(&room()) == Some(60))
        })
        .await;
    }
    for client in clients {
        let status = Arc::clone(client.status());
        assert!(client.finish(PATIENCE).await, "{status:?}");
        assert!(
            status.connections() >= 2 && status.unanswered() == 0,
            "{status:?}"
        );
        assert_eq!(status.acked(), 20);
    }
    journal.close().unwrap();
    check::folder(folder, None, &Settings::default()).unwrap()
}

#[tokio::test]
async fn clients_that_are_cut_off_come_back_and_miss_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let report = run(Fault::None, folder.path()).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(
        (report.counts.acked, report.counts.delivered),
        (60, 180),
        "{report}"
    );
    assert!(report.counts.lost_connections >= 3, "{report}");
    assert!(report.counts.resumes >= 3, "{report}");
}

#[tokio::test]
async fn what_a_server_does_wrong_is_found_through_the_journals() {
    for (fault, kind) in [
        (Fault::Lose, Kind::Broken),
        (Fault::Repeat, Kind::Broken),
        (Fault::Garble, Kind::WrongContent),
        (Fault::WrongAck, Kind::AckMismatch),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut report = run(fault, folder.path()).await;
        if matches!(fault, Fault::Garble | Fault::WrongAck) {
            report =
                check::folder(folder.path(), Some(&ledger(folder.path())), &Settings::default()).unwrap();
        }
        assert!(report.findings.counts.contains_key(&kind), "{fault:?}: {report}");
    }
}

/// What the server must have stored, by what most clients were shown and sent.
fn ledger(folder: &Path) -> check::Ledger {
    use crate::journal::{Entries, Op, What, files};
    use std::collections::HashMap;
    let mut shown: HashMap<u64, HashMap<(u64, u32), u32>> = HashMap::new();
    let mut people: HashMap<u32, String> = HashMap::new();
    let mut sent: HashMap<u32, (u32, String)> = HashMap::new();
    for entry in Entries::open(&files(folder).unwrap()[0])
        .unwrap()
        .map(Result::unwrap)
    {
        match entry.what {
            What::Person { user } => drop(people.insert(entry.client, user)),
            What::Sent { cid, text, .. } => drop(sent.insert(text, (entry.client, cid))),
            What::Received {
                first, events, texts, ..
            } => {
                for (seq, what) in (first..).zip(events.into_iter().zip(texts)) {
                    *shown.entry(seq).or_default().entry(what).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    let mut ledger = check::Ledger::default();
    let room = ledger.rooms.entry("lobby".into()).or_default();
    for seq in 1..=shown.len() as u64 {
        let as_sent = shown[&seq]
            .iter()
            .filter(|((_, text), _)| sent.contains_key(text));
        let Some(most) = as_sent.max_by_key(|(_, times)| **times) else {
            continue;
        };
        let ((digest, text), _) = most;
        let (client, cid) = &sent[text];
        room.rows.push(check::ledger::Row {
            seq,
            author: people[client].as_str().into(),
            cid: Some(cid.as_str().into()),
            at: seq,
            op: Some(Op::Send),
            digest: *digest,
            text: *text,
            changed: false,
        });
        room.head = seq;
    }
    ledger
}

#[tokio::test]
async fn a_client_that_reads_nothing_catches_up_when_it_reads_again() {
    let address = tiny_server::start(Fault::None).await;
    let clients = clients(&Journal::none(), address, 2);
    let [reader, talker] = &clients[..] else {
        unreachable!()
    };
    let position = |client: &Persistent| client.status().position(&room());
    until("both are in", || {
        clients.iter().all(|client| position(client).is_some())
    })
    .await;
    reader.order(Order::Stall(true));
    for number in 0..10 {
        talker.order(say(number, 1));
    }
    until("the talker has everything", || position(talker) == Some(10)).await;
    assert!(position(reader) < Some(10));
    reader.order(Order::Stall(false));
    until("the reader has everything", || position(reader) == Some(10)).await;
}

#[tokio::test]
async fn rooms_are_opened_and_left_while_it_runs() {
    let address = tiny_server::start(Fault::None).await;
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::create(folder.path(), "clients").unwrap();
    let mut clients = clients(&journal, address, 1);
    let client = clients.remove(0);
    let other: RoomName = "other".parse().unwrap();
    client.order(Order::Join(other.clone(), JoinFrom::Newest(50)));
    until("it is in", || client.status().position(&other) == Some(0)).await;
    client.order(Order::Leave(other.clone()));
    until("it is out", || client.status().position(&other).is_none()).await;
    assert!(client.finish(PATIENCE).await);
    journal.close().unwrap();
    let report = check::folder(folder.path(), None, &Settings::default()).unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn what_clients_see_is_added_up_and_timed_from_when_it_was_due() {
    let address = tiny_server::start(Fault::None).await;
    let journal = Journal::none();
    let meter = Meter::default();
    let late = Duration::from_millis(300);
    let start = |number: u32| {
        let plan = Plan {
            rooms: vec![(room(), JoinFrom::After(0))],
            seed: number.into(),
            due: Instant::now().checked_sub(late),
            meter: Some(meter.clone()),
            ..Plan::new(
                Targets::new([format!("ws://{address}/ws")]),
                &format!("client {number}"),
            )
        };
        Persistent::start(plan, journal.scribe(number))
    };
    let clients = [start(1), start(2)];
    let everybody_has = |count| {
        clients
            .iter()
            .all(|client| client.status().position(&room()) == Some(count))
    };
    until("both are in", || everybody_has(0)).await;
    let due = Instant::now().checked_sub(late).unwrap();
    for number in 0..10 {
        let text = stamp(journal.clock().of(due.into_std()), "hello");
        clients[0].order(Order::Write(Write {
            room: room(),
            cid: format!("{number}").into(),
            what: What::Say(text.into()),
            due,
        }));
        if number == 5 {
            clients[1].order(Order::Cut);
        }
    }
    until("both have everything", || everybody_has(10)).await;
    until("everything is answered", || clients[0].status().unanswered() == 0).await;

    let sample = meter.take();
    assert_eq!(sample.connections.values().sum::<u64>(), 2, "{sample:?}");
    let counts = sample.counts;
    assert_eq!((counts.offered, counts.accepted, counts.committed), (10, 10, 10));
    assert_eq!((counts.delivered, counts.connected), (20, 3));
    assert_eq!((counts.cut, counts.lost), (1, 0), "it was done on purpose");
    assert_eq!((counts.resumed, counts.refused, counts.broken), (1, 0, 0));
    for (timing, count) in [
        (Timing::Connect, 2),
        (Timing::Join, 2),
        (Timing::Reconnect, 1),
        (Timing::Ack, 10),
        (Timing::Delivery, 20),
    ] {
        let histogram = sample.latencies.get(timing).unwrap();
        assert_eq!(histogram.len(), count, "{timing:?}");
        if matches!(timing, Timing::Connect | Timing::Ack | Timing::Delivery) {
            assert!(histogram.min() >= 299_000, "{timing:?}: {}", histogram.min());
        }
    }
}

#[tokio::test]
async fn a_connection_that_the_network_loses_is_counted_as_lost() {
    let server = tiny_server::start(Fault::None).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let fails = Arc::new(tokio::sync::Notify::new());
    let network = Arc::clone(&fails);
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = tokio::net::TcpStream::connect(server).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                () = network.notified() => {}
            }
        }
    });
    let meter = Meter::default();
    let plan = Plan {
        meter: Some(meter.clone()),
        ..Plan::new(Targets::new([format!("ws://{address}/ws")]), "client")
    };
    let client = Persistent::start(plan, Journal::none().scribe(1));
    until("it is there", || client.status().connections() == 1).await;
    fails.notify_one();
    until("it is back", || client.status().connections() == 2).await;
    client.order(Order::Sleep(Duration::from_millis(10)));
    until("it is awake", || client.status().connections() == 3).await;
    assert!(client.finish(PATIENCE).await);
    let counts = meter.take().counts;
    assert_eq!(
        (counts.lost, counts.cut, counts.connected),
        (1, 1, 3),
        "{counts:?}"
    );
}

#[tokio::test]
async fn why_clients_cannot_get_in_is_kept_once_each() {
    let address = tiny_server::start(Fault::NoRooms).await;
    let meter = Meter::default();
    let start = |number: u32, target: String| {
        let plan = Plan {
            rooms: vec![(room(), JoinFrom::After(0))],
            backoff: Duration::from_millis(50),
            meter: Some(meter.clone()),
            ..Plan::new(Targets::new([target]), &format!("client {number}"))
        };
        Persistent::start(plan, Journal::none().scribe(number))
    };
    // Nobody listens at the second one, which is tried again and again.
    let refused = [1, 2].map(|number| start(number, format!("ws://{address}/ws")));
    let nowhere = start(3, "ws://127.0.0.1:1/ws".to_owned());
    let (mut counts, mut reasons) = (crate::measure::Counts::default(), Vec::new());
    until("all were kept out", || {
        let sample = meter.take();
        counts += sample.counts;
        reasons.extend(sample.reasons);
        counts.joins_refused == 2 && counts.connect_failed > 2
    })
    .await;
    reasons.sort();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(
        reasons[0].starts_with("connecting to ws://127.0.0.1:1/ws: "),
        "{reasons:?}"
    );
    assert!(
        reasons[1].starts_with("joining a room: `not_found`"),
        "{reasons:?}"
    );
    assert_eq!(counts.broken, 0, "{counts:?}");
    drop((refused, nowhere));
}
