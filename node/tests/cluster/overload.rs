//! Overload: what a fleet asks for at once becomes few reads, a storm of reconnects is served, and a store that does not keep
//! up costs a bounded amount of memory.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    time::{Duration, Instant},
};

use actors::{
    memory::{Call, Faults, MemoryStore},
    ports::{Accounts, CredentialKind, NewAccount, NewAudit, NewCredential},
};
use load_tests::client::{Client, Error, Options};
use protocol::{Codec, Command, ErrorCode, JoinFrom, Person, RoomName, ServerFrame};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use crate::support::*;

/// What a node asks of its store, whoever asks for it.
const READS: [Call; 9] = [
    Call::Records,
    Call::Members,
    Call::Heads,
    Call::Page,
    Call::LoadRooms,
    Call::Author,
    Call::ReadMark,
    Call::Status,
    Call::Accounts,
];

fn reads(store: &MemoryStore) -> u64 {
    READS.iter().map(|call| store.calls(*call)).sum()
}

/// Writes so many messages, a few at a time.
async fn fill(writer: &mut Client, room: &RoomName, count: usize) {
    for n in 0..count {
        let send = Command::Send {
            room: room.clone(),
            cid: format!("fill-{n}").into(),
            text: format!("{n}").into(),
            reply_to: None,
        };
        writer.post(send).await.unwrap();
        if n % 32 == 31 {
            writer.ping().await.unwrap();
        }
    }
    assert_eq!(writer.take_events(room, count).await.unwrap().len(), count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_that_miss_the_same_cause_one_read() {
    const MEMBERS: usize = 80;
    const MESSAGES: usize = 300;
    let limits = [("limits.sends_per_second_per_user", "0")];
    let cluster = Cluster::start(2, &settings(&limits)).await;
    let room = room("missed");
    let mut members = Vec::new();
    for n in 0..MEMBERS {
        members.push(member(&cluster.url(1), Codec::Msgpack, &format!("M{n}"), &room).await);
    }
    // The bus is up and loses everything.
    cluster.hub.set_faults(
        1,
        Faults {
            drop: 1.0,
            ..Faults::default()
        },
    );
    let before = cluster.stores[1].calls(Call::Page);
    let mut writer = member(&cluster.url(0), Codec::Json, "Writer", &room).await;
    fill(&mut writer, &room, MESSAGES).await;
    for client in &mut members {
        let events = client.take_events(&room, MESSAGES).await.unwrap();
        assert_eq!(events.last().unwrap().seq, MESSAGES as u64);
    }
    let pages = cluster.stores[1].calls(Call::Page) - before;
    assert!(pages <= 12, "{pages} reads for {MEMBERS} members");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_that_are_replayed_the_same_share_the_reads() {
    const CLIENTS: usize = 80;
    const MESSAGES: usize = 900;
    let limits = [("limits.sends_per_second_per_user", "0")];
    let cluster = Cluster::start(2, &settings(&limits)).await;
    let room = room("replayed");
    let mut writer = member(&cluster.url(0), Codec::Json, "Writer", &room).await;
    fill(&mut writer, &room, MESSAGES).await;
    let epoch = writer.welcome().unwrap().epoch.to_string();
    let tokens = vec![token(&writer); CLIENTS];
    let mut coming = JoinSet::new();
    for token in tokens {
        let options = Options::new(&cluster.url(1))
            .token(&token)
            .resume(&epoch, &[(room.to_string(), 0)])
            .timeout(PATIENCE);
        let room = room.clone();
        coming.spawn(async move {
            let mut client = Client::connect(&options).await.unwrap();
            let events = client.take_events(&room, MESSAGES).await.unwrap();
            let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
            assert_eq!(seqs, (1..=MESSAGES as u64).collect::<Vec<_>>());
        });
    }
    coming.join_all().await;
    // What the ring does not hold takes three pages, for whoever comes.
    let pages = cluster.stores[1].calls(Call::Page);
    assert!(pages <= 8, "{pages} reads for {CLIENTS} clients");
}

/// An account with a session, made in the store: a password takes long to hash.
async fn signed_in(store: &MemoryStore, n: usize) -> String {
    let token = format!("hs1_{n:043}");
    let account = NewAccount {
        person: Person {
            id: format!("u_{n}").into(),
            name: format!("Person {n}").into(),
        },
        name_keys: vec![format!("person{n}")],
        password: None,
        administrator: false,
        bot: false,
    };
    let audit = NewAudit {
        actor: account.person.clone(),
        action: "test",
        target: account.person.id.clone(),
        room: None,
        details: "{}".to_owned(),
    };
    store.create_account(&account, &audit).await.unwrap();
    let credential = NewCredential {
        id: format!("c_{n}").into(),
        kind: CredentialKind::Session,
        hash: Sha256::digest(&token).into(),
        account: account.person.id,
        label: String::new().into(),
        scopes: actors::Scopes::ALL,
        expires_at: None,
    };
    store.create_credential(&credential, None).await.unwrap();
    token
}

/// Every node is restarted: their rooms, sessions and positions are all read anew, by few queries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_that_comes_back_at_once_reads_little() {
    const CLIENTS: usize = 1_200;
    const ROOMS: usize = 12;
    let limits = [
        ("limits.sends_per_second_per_user", "0"),
        ("limits.connections_per_user", "0"),
    ];
    let cluster = Cluster::start(1, &settings(&limits)).await;
    let rooms: Vec<RoomName> = (0..ROOMS).map(|n| room(&format!("fleet-{n}"))).collect();
    let mut writer = guest(&cluster.url(0), Codec::Json, "Writer").await;
    for room in &rooms {
        writer.join(room, JoinFrom::Newest(0)).await.unwrap();
        fill(&mut writer, room, 40).await;
    }
    let epoch = writer.welcome().unwrap().epoch.to_string();
    let mut tokens = Vec::new();
    for n in 0..CLIENTS {
        // A guest's token is checked without the store, an account's session is not.
        tokens.push(match n % 4 {
            0 => token(&writer),
            _ => signed_in(&cluster.truth, n).await,
        });
    }

    let (mut nodes, mut stores) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let store = cluster.truth.another_node();
        let bus = std::sync::Arc::new(cluster.hub.connect());
        nodes.push(Node::start_with(std::sync::Arc::new(store.clone()), bus, &settings(&limits)).await);
        stores.push(store);
    }
    let begun = Instant::now();
    let mut coming = JoinSet::new();
    for (n, token) in tokens.into_iter().enumerate() {
        let positions: Vec<(String, u64)> = (0..3)
            .map(|k| (rooms[(n + k * 5) % ROOMS].to_string(), 30 + (n % 10) as u64))
            .collect();
        let options = Options::new(&nodes[n % 2].url())
            .token(&token)
            .resume(&epoch, &positions)
            .timeout(Duration::from_secs(30));
        coming.spawn(async move {
            let mut client = Client::connect(&options).await.unwrap();
            let welcome = client.welcome().unwrap();
            assert_eq!(welcome.rooms.as_ref().unwrap().len(), 3, "{welcome:?}");
            for (room, position) in positions {
                let room = RoomName::new(&room).unwrap();
                let missed = usize::try_from(40 - position).unwrap();
                assert_eq!(client.take_events(&room, missed).await.unwrap().len(), missed);
            }
            client
        });
    }
    let clients = coming.join_all().await;
    let took = begun.elapsed();
    let read: u64 = stores.iter().map(reads).sum();
    println!(
        "{read} reads for {CLIENTS} clients in {took:?}: {:.3} each",
        read as f64 / clients.len() as f64
    );
    // A room is read in three calls. All else goes by the time, not by how many there are: five look-ups of heads and of
    // sessions a second at most, and what a node asks anyway.
    let of_rooms = stores.len() * ROOMS * 3;
    let a_second = stores.len() as f64 * 15.0;
    let most = of_rooms as f64 + a_second * (took.as_secs_f64() + 1.0);
    assert!(
        (read as f64) < most,
        "{read} reads in {took:?}, where {most} are enough"
    );
}

/// Whether a new guest's name is an account's is asked for many in one query, and each gets the answer for theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_new_guests_reads_little() {
    const GUESTS: usize = 1_200;
    // Figures that look like no letter: they are the same in a name's key.
    const TAKEN: Range<usize> = 2..8;
    let cluster = Cluster::start(1, &settings(&[])).await;
    for n in TAKEN {
        signed_in(&cluster.truth, n).await;
    }
    let before = reads(&cluster.stores[0]);
    let begun = Instant::now();
    let mut coming = JoinSet::new();
    for n in 0..GUESTS {
        let name = format!("PERSON{n}");
        let options = Options::new(&cluster.url(0)).guest(&name).timeout(PATIENCE);
        coming.spawn(async move { (n, Client::connect(&options).await) });
    }
    let mut served = Vec::new();
    for (n, came) in coming.join_all().await {
        match came {
            Ok(client) => served.push((n, client)),
            Err(Error::Refused(refused)) => {
                assert_eq!(refused.code, ErrorCode::BadRequest, "PERSON{n}: {refused:?}");
                assert!(TAKEN.contains(&n), "PERSON{n} is nobody's name");
            }
            Err(error) => panic!("PERSON{n}: {error}"),
        }
    }
    let took = begun.elapsed();
    assert_eq!(served.len(), GUESTS - TAKEN.len());
    let read = reads(&cluster.stores[0]) - before;
    println!("{read} reads for {GUESTS} guests in {took:?}");
    // Ten look-ups of names until it counts as a storm and five a second then, besides what a node asks anyway. Guests whom a
    // slow machine brings one by one are no storm.
    let took = took.as_secs_f64();
    let stormy = GUESTS as f64 / took > 300.0;
    let most = if stormy {
        10.0 + 15.0 * (took + 1.0)
    } else {
        GUESTS as f64
    };
    assert!(
        (read as f64) < most,
        "{read} reads in {took} s, where {most} are enough"
    );
}

/// Rooms that nobody has made are made many in one transaction, by every node that opens them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_opens_new_rooms_writes_little() {
    const CLIENTS: usize = 240;
    const ROOMS_EACH: usize = 10;
    // Each is opened by two clients, one on each node.
    const ROOMS: usize = CLIENTS * ROOMS_EACH / 2;
    let cluster = Cluster::start(2, &settings(&[])).await;
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        clients.push(guest(&cluster.url(n % 2), Codec::Msgpack, &format!("Guest {n}")).await);
    }
    let calls = |call| cluster.stores.iter().map(|store| store.calls(call)).sum::<u64>();
    let kinds = [Call::CreateRooms, Call::LoadRooms];
    let before = kinds.map(calls);
    let begun = Instant::now();
    let mut opening = JoinSet::new();
    for (n, mut client) in clients.into_iter().enumerate() {
        opening.spawn(async move {
            let mut ids = HashSet::new();
            for k in 0..ROOMS_EACH {
                let join = Command::Join {
                    room: room(&format!("new-{}", n / 2 * ROOMS_EACH + k)),
                    from: JoinFrom::Newest(0),
                };
                ids.insert(client.post(join).await.unwrap());
            }
            while !ids.is_empty() {
                let opened = client.wait_for("joins", |frame| match frame {
                    ServerFrame::Ok(done) => Some((done.id, done.head)),
                    ServerFrame::Error(refused) => panic!("{refused:?}"),
                    _ => None,
                });
                let (id, head) = opened.await.unwrap();
                assert!(ids.remove(&id.unwrap()), "{id:?} was asked for");
                assert_eq!(head, Some(0));
            }
            client
        });
    }
    let clients = opening.join_all().await;
    let took = begun.elapsed();
    let [created, loaded] = [0, 1].map(|place| calls(kinds[place]) - before[place]);
    println!("{ROOMS} rooms in {took:?}: made in {created} transactions, read in {loaded} queries");
    drop(clients);
    // What each node looks up, makes and reads goes by the time, ten until it counts as a storm and five a second then, and
    // by what fits into one: 500 rooms, of those of which something is to be read 64. Some asked before there was a crowd.
    let took = took.as_secs_f64();
    let stormy = ROOMS as f64 / took > 300.0;
    let most = if stormy {
        2.0 * (10.0 + 5.0 * (took + 1.0) + ROOMS as f64 / 64.0)
    } else {
        ROOMS as f64
    };
    assert!(created > 0, "somebody made them");
    for (count, what) in [(created, "transactions"), (loaded, "queries")] {
        assert!(
            (count as f64) < most,
            "{count} {what} in {took} s, where {most} are enough"
        );
    }
}

/// Connects as a well-behaved client: it waits as long as it is told, and a moment of its own more.
async fn persistent(options: &Options) -> (Client, u32) {
    let mut refused = 0;
    loop {
        match Client::connect(options).await {
            Ok(client) => return (client, refused),
            Err(Error::Upgrade(answer)) => {
                assert!(matches!(answer.status, 429 | 503), "{answer:?}");
                let wait = answer.retry_after_seconds.expect("Retry-After");
                assert!((1..=60).contains(&wait), "{answer:?}");
                refused += 1;
                let jitter = Duration::from_millis(fastrand::u64(0..1_000));
                tokio::time::sleep(Duration::from_secs(wait) + jitter).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_reconnects_is_served_at_the_rate_that_is_set() {
    const CLIENTS: usize = 800;
    const RATE: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let rate = RATE.to_string();
    let node = Process::start(&settings(&[
        ("data_dir", folder.path().to_str().unwrap()),
        ("limits.handshakes_per_second", &rate),
        ("limits.connections_per_user", "0"),
    ]))
    .await;
    node.ready().await;
    let room = room("storm");
    let first = member(&node.url(), Codec::Json, "First", &room).await;
    let epoch = first.welcome().unwrap().epoch.to_string();
    let before = node.memory_bytes();
    let options = Options::new(&node.url())
        .token(&token(&first))
        .resume(&epoch, &[(room.to_string(), 0)])
        .timeout(Duration::from_secs(20));
    let begun = Instant::now();
    let mut coming = JoinSet::new();
    for _ in 0..CLIENTS {
        let options = options.clone();
        coming.spawn(async move {
            let (client, refused) = persistent(&options).await;
            (client, refused, begun.elapsed())
        });
    }
    let served = coming.join_all().await;
    let took = begun.elapsed();
    let refused: u32 = served.iter().map(|(_, refused, _)| refused).sum();
    let longest = served.iter().map(|(_, _, after)| *after).max().unwrap();
    println!("{CLIENTS} clients in {took:?}, {refused} refusals, the longest wait {longest:?}");
    assert!(refused > 0, "more came than were let in");
    let least = Duration::from_secs((CLIENTS / RATE) as u64 - 1);
    assert!(took >= least, "faster than the rate: {took:?}");
    assert_eq!(node.metric("hubbub_connections").await, (CLIENTS + 1) as f64);
    let each = node.memory_bytes().saturating_sub(before) / CLIENTS as u64;
    println!("{each} bytes of memory each");
    assert!(each < 128 * 1024, "{each} bytes of memory for each client");
}

/// The value of a metric with one label.
async fn frames_read(node: &Node, op: &str) -> f64 {
    node.metric(&format!("hubbub_frames_total{{op=\"{op}\"}}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_sends_is_pushed_back_to_tcp() {
    let limits = [
        ("limits.sends_per_second_per_user", "0"),
        ("limits.commands_per_second", "0"),
    ];
    let cluster = Cluster::start(1, &settings(&limits)).await;
    let node = &cluster.nodes[0];
    let room = room("flood");
    let mut ann = member(&node.url(), Codec::Json, "Ann", &room).await;
    cluster.stores[0].set_delay(Duration::from_secs(4), Duration::ZERO);
    let text = "x".repeat(8_000);
    let mut posted = HashMap::new();
    let stuck = loop {
        let n = posted.len();
        let send = Command::Send {
            room: room.clone(),
            cid: format!("flood-{n}").into(),
            text: text.as_str().into(),
            reply_to: None,
        };
        match tokio::time::timeout(Duration::from_secs(1), ann.post(send)).await {
            Ok(id) => drop(posted.insert(id.unwrap(), n)),
            Err(_) => break n,
        }
        assert!(n < 10_000, "nothing pushes back");
    };
    assert!(stuck > 64, "the kernel takes some");
    let read = frames_read(node, "send").await;
    assert!(read <= 64.0, "{read} sends were read, and none of them answered");
    let waiting = node.metric("hubbub_pending_append_bytes").await;
    assert!(waiting < 64.0 * 9_000.0, "{waiting} bytes wait");
    // Others are not concerned.
    let url = node.url();
    let ben = guest(&url, Codec::Msgpack, "Ben");
    tokio::time::timeout(Duration::from_secs(8), ben)
        .await
        .expect("another client is served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_hangs_costs_what_is_set_and_no_more() {
    const ROOM: f64 = 65_536.0;
    const NODE: f64 = 131_072.0;
    let limits = [
        ("limits.sends_per_second_per_user", "0"),
        ("limits.pending_appends_room_bytes", "65536"),
        ("limits.pending_appends_node_bytes", "131072"),
    ];
    let cluster = Cluster::start(1, &settings(&limits)).await;
    let node = &cluster.nodes[0];
    let text = "x".repeat(8_000);
    let rooms: Vec<RoomName> = (0..4).map(|n| room(&format!("hangs-{n}"))).collect();
    let mut clients = Vec::new();
    for (n, room) in rooms.iter().enumerate() {
        clients.push(member(&node.url(), Codec::Json, &format!("C{n}"), room).await);
    }
    let writer = member(&node.url(), Codec::Json, "First", &rooms[0]).await;
    drop(writer);
    cluster.stores[0].set_delay(Duration::from_secs(6), Duration::ZERO);
    let mut refused = vec![0; rooms.len()];
    for (n, (client, room)) in clients.iter_mut().zip(&rooms).enumerate() {
        for k in 0..20 {
            let send = Command::Send {
                room: room.clone(),
                cid: format!("hang-{k}").into(),
                text: text.as_str().into(),
                reply_to: None,
            };
            client.post(send).await.unwrap();
        }
        // What there is no room for is answered at once.
        client.ping().await.unwrap();
        let waiting = node.metric("hubbub_pending_append_bytes").await;
        assert!(waiting <= NODE.min(ROOM * (n + 1) as f64), "{waiting} bytes wait");
    }
    cluster.stores[0].heal();
    for ((client, room), refused) in clients.iter_mut().zip(&rooms).zip(&mut refused) {
        let (mut answered, mut stored) = (0, 0);
        while answered < 20 {
            match client.next().await.unwrap() {
                ServerFrame::Ok(_) => (answered, stored) = (answered + 1, stored + 1),
                ServerFrame::Error(error) => {
                    assert_eq!(error.code, ErrorCode::Overloaded);
                    assert!(error.retry_after_ms.is_some_and(|after| after > 0));
                    (answered, *refused) = (answered + 1, *refused + 1);
                }
                _ => {}
            }
        }
        assert_eq!(stored + *refused, 20, "none is dropped silently in {room}");
    }
    assert!(refused.iter().all(|refused| *refused >= 12), "{refused:?}");
    until("what was reserved is given back", async || {
        node.metric("hubbub_pending_append_bytes").await == 0.0
    })
    .await;
}
