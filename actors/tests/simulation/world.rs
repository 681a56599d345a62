//! The world of one run: its clock, what is committed, its nodes, and whether all went well.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use actors::{
    memory::{LocalHub, MemoryStore},
    ports::{Append, Change, NewRoom, PageRequest, Store as _},
    rights::{Role, Visibility},
};
use parking_lot::Mutex;
use protocol::{Person, client::PageBound};
use tokio::time::Instant;

use crate::{
    node::Node,
    plan::{Plan, Shape, Weather},
    trace::Trace,
    truth::Truth,
};

/// The store's clock when a run begins, in Unix milliseconds.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// See the module's documentation.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) shape: Shape,
    begun: Instant,
    pub(crate) store: MemoryStore,
    pub(crate) hub: LocalHub,
    pub(crate) truth: Mutex<Truth>,
    pub(crate) nodes: Mutex<Vec<Option<Arc<Node>>>>,
    /// How the bus treats frames, and until when.
    storm: Mutex<(u64, Weather)>,
    /// What is still to happen: appends that the store has taken in, changes of membership, restarts.
    under_way: AtomicUsize,
    pub(crate) counts: Mutex<Counts>,
    trace: Mutex<Trace>,
    violation: Mutex<Option<String>>,
}

/// How often things happened, so that a test can tell that they do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) events: u64,
    pub(crate) acked: u64,
    pub(crate) retried: u64,
    pub(crate) known_again: u64,
    pub(crate) resumed: u64,
    pub(crate) gaps: u64,
    pub(crate) crashes: u64,
    pub(crate) room_failures: u64,
    pub(crate) store_faults: u64,
    pub(crate) frames_lost: u64,
    pub(crate) removed: u64,
    pub(crate) virtual_ms: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        let mine = self.all_mut();
        let mut other = *other;
        for (mine, theirs) in mine.into_iter().zip(other.all_mut()) {
            *mine += *theirs;
        }
    }

    /// A simulation in which nothing goes wrong proves nothing.
    pub(crate) fn check_that_all_happened(mut self) {
        assert!(self.all_mut().into_iter().all(|count| *count > 0), "{self:?}");
    }

    fn all_mut(&mut self) -> [&mut u64; 12] {
        [
            &mut self.events,
            &mut self.acked,
            &mut self.retried,
            &mut self.known_again,
            &mut self.resumed,
            &mut self.gaps,
            &mut self.crashes,
            &mut self.room_failures,
            &mut self.store_faults,
            &mut self.frames_lost,
            &mut self.removed,
            &mut self.virtual_ms,
        ]
    }
}

impl World {
    pub(crate) fn new(plan: &Plan, keeps_trace: bool) -> Arc<Self> {
        Arc::new(Self {
            seed: plan.seed,
            shape: plan.shape.clone(),
            begun: Instant::now(),
            store: MemoryStore::new(),
            hub: LocalHub::new(),
            truth: Mutex::default(),
            nodes: Mutex::new(vec![None; plan.shape.nodes]),
            storm: Mutex::new((0, Weather::default())),
            under_way: AtomicUsize::new(0),
            counts: Mutex::default(),
            trace: Mutex::new(Trace::new(keeps_trace)),
            violation: Mutex::new(None),
        })
    }

    /// Milliseconds since the run began. Only while it runs.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap()
    }

    pub(crate) async fn sleep_until(&self, ms: u64) {
        tokio::time::sleep_until(self.begun + Duration::from_millis(ms)).await;
    }

    /// Lets the store's clock show the time of this world.
    pub(crate) fn set_store_clock(&self) {
        self.store.set_clock(Some(EPOCH_MS + self.now_ms()));
    }

    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        self.trace.lock().note(self.now_ms(), what);
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.counts.lock());
    }

    /// A promise is broken. The first one counts.
    pub(crate) fn violate(&self, what: &str) {
        let mut violation = self.violation.lock();
        if violation.is_none() {
            self.note(format_args!("VIOLATION {what}"));
            self.trace.lock().close();
            *violation = Some(format!("at {} ms: {what}", self.now_ms()));
        }
    }

    pub(crate) fn is_violated(&self) -> bool {
        self.violation.lock().is_some()
    }

    pub(crate) fn finish(&self) -> (Option<String>, u64, Vec<String>) {
        let (hash, lines) = self.trace.lock().finish();
        (self.violation.lock().take(), hash, lines)
    }

    pub(crate) fn weather(&self) -> Weather {
        let (until_ms, weather) = *self.storm.lock();
        if self.now_ms() < until_ms {
            weather
        } else {
            self.shape.weather
        }
    }

    pub(crate) fn set_storm(&self, until_ms: u64, weather: Weather) {
        *self.storm.lock() = (until_ms, weather);
    }

    /// The node at `index`, if it is running.
    pub(crate) fn node(&self, index: usize) -> Option<Arc<Node>> {
        self.nodes.lock().get(index).cloned().flatten()
    }

    /// A running node by chance.
    pub(crate) fn some_node(&self, rng: &mut fastrand::Rng) -> Option<Arc<Node>> {
        let living: Vec<_> = self.nodes.lock().iter().flatten().cloned().collect();
        (!living.is_empty()).then(|| Arc::clone(&living[rng.usize(0..living.len())]))
    }

    /// Writes what is there before anybody comes.
    pub(crate) async fn furnish(&self, people: &[Person]) {
        self.set_store_clock();
        for room in &self.shape.rooms {
            let mut new = NewRoom::public(room.name.clone());
            if room.private {
                new.visibility = Visibility::Private;
                new.members.push((owner(), Role::Owner));
                let members = people.iter().map(|person| (person.clone(), Role::Member));
                new.members.extend(members);
            }
            self.store.create_room(&new).await.unwrap();
            let first = new.first_entries();
            let outcomes: Vec<_> = self.read_outcomes(&room.name, first.len()).await;
            self.truth.lock().record(&first, &outcomes, 0).unwrap();
            let batch: Vec<Append> = (0..room.old_events).map(|n| old_event(room, n)).collect();
            let outcomes = self.store.append(&batch).await.unwrap();
            self.truth.lock().record(&batch, &outcomes, 0).unwrap();
        }
    }

    async fn read_outcomes(&self, room: &protocol::RoomName, count: usize) -> Vec<actors::ports::Outcome> {
        let request = PageRequest {
            bound: PageBound::After(0),
            limit: count.max(1) as u64,
            max_bytes: usize::MAX,
        };
        let page = self.store.page(room, request).await.unwrap();
        let written = page.events.iter().map(|event| actors::ports::Outcome::Written {
            seq: event.seq,
            at: event.at,
        });
        written.collect()
    }

    /// Compares what the store holds in the end with what was seen to be committed.
    pub(crate) async fn audit(&self) {
        let rooms: Vec<_> = self.shape.rooms.iter().map(|room| room.name.clone()).collect();
        for room in rooms {
            let request = PageRequest {
                bound: PageBound::After(0),
                limit: u64::MAX,
                max_bytes: usize::MAX,
            };
            let page = self.store.page(&room, request).await.unwrap();
            let truth = self.truth.lock();
            let head = truth.head(&room);
            if page.events.len() as u64 != head {
                let held = page.events.len();
                self.violate(&format!("acked is kept: {room} holds {held} events of {head}"));
            }
            for (event, seq) in page.events.iter().zip(1..) {
                let log = truth.log(&room).unwrap();
                if event.seq != seq {
                    self.violate(&format!(
                        "one order: {room} holds {} in place of {seq}",
                        event.seq
                    ));
                } else if let Err(error) = log.check(event) {
                    self.violate(&format!("in the end, in {room}: {error}"));
                }
            }
        }
    }

    /// Something begins that has to be over before the run ends.
    pub(crate) fn begin_work(self: &Arc<Self>) -> Work {
        self.under_way.fetch_add(1, Relaxed);
        Work(Arc::clone(self))
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.load(Relaxed) == 0
    }
}

/// See [`World::begin_work`]; over when it is dropped.
pub(crate) struct Work(Arc<World>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

/// Who made the private rooms; is never connected.
pub(crate) fn owner() -> Person {
    Person {
        id: "owner".into(),
        name: "Owner".into(),
    }
}

fn old_event(room: &crate::plan::RoomShape, n: usize) -> Append {
    Append {
        room: room.name.clone(),
        author: owner(),
        cid: Some(format!("old{n}").into()),
        change: Change::Message {
            text: format!("old {n}").into(),
            reply_to: None,
        },
    }
}
