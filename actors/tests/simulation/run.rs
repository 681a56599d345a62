//! One run: the world is built, the steps of the plan are done, everything comes to rest, and is looked at.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actors::{
    planted::{self, Bug},
    ports::Change,
};
use protocol::{JoinFrom, MemberChange, Person};

use crate::{
    client::{Client, person, user},
    node::Node,
    panics,
    plan::{Action, Plan, Step},
    view::{CONVERGES_WITHIN_MS, Status},
    world::{Counts, World, owner},
};

/// How often clients are looked at.
const MONITOR_MS: u64 = 50;
/// After the last step everything has to have come to rest within this time. The longest wait is for an append that
/// the store never answers.
const REST_WITHIN_MS: u64 = 60_000;

/// What became of a run.
pub(crate) struct Report {
    pub(crate) violation: Option<String>,
    pub(crate) hash: u64,
    /// The last lines of the trace, if they were kept.
    pub(crate) lines: Vec<String>,
    pub(crate) counts: Counts,
}

/// Runs a plan. The same plan gives the same report, wherever and whenever.
pub(crate) fn run(plan: &Plan, bug: Option<Bug>, keeps_trace: bool) -> Report {
    planted::plant(bug);
    // What is made by chance inside the actors.
    fastrand::seed(plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let world = runtime.block_on(async {
        let world = World::new(plan, keeps_trace);
        play(plan, &world).await;
        if let Some(panic) = panics::take() {
            world.violate(&format!("something panicked: {panic}"));
        }
        world.count(|counts| counts.virtual_ms = world.now_ms());
        world
    });
    drop(runtime);
    planted::plant(None);
    // Whatever the end of the runtime made of the actors.
    drop(panics::take());
    let counts = *world.counts.lock();
    let (violation, hash, lines) = world.finish();
    Report {
        violation,
        hash,
        lines,
        counts,
    }
}

async fn play(plan: &Plan, world: &Arc<World>) {
    let people: Vec<Person> = (0..plan.shape.clients).map(person).collect();
    world.furnish(&people).await;
    for index in 0..plan.shape.nodes {
        Node::start(Arc::clone(world), index, 0).await;
    }
    let clients: Vec<Arc<Client>> = (0..people.len()).map(|index| Client::new(world, index)).collect();
    for client in &clients {
        tokio::spawn(Arc::clone(client).live());
    }
    for (number, Step { at_ms, action }) in plan.steps.iter().enumerate() {
        if !watch(world, &clients, *at_ms).await {
            return;
        }
        world.note(format_args!("{action:?}"));
        Stage {
            world,
            clients: &clients,
            number,
        }
        .act(action);
    }
    rest(world, &clients).await;
}

/// Looks at the clients up to `until_ms`. Returns whether all is well.
async fn watch(world: &World, clients: &[Arc<Client>], until_ms: u64) -> bool {
    loop {
        let now_ms = world.now_ms();
        let next_ms = (now_ms / MONITOR_MS + 1) * MONITOR_MS;
        world.sleep_until(next_ms.min(until_ms)).await;
        clients.iter().for_each(|client| client.monitor());
        if world.is_violated() || panics::seen() {
            return false;
        }
        if world.now_ms() >= until_ms {
            return true;
        }
    }
}

/// Waits until nothing is under way any more, and checks that nobody misses anything.
async fn rest(world: &Arc<World>, clients: &[Arc<Client>]) {
    let begun_ms = world.now_ms();
    loop {
        if !watch(world, clients, world.now_ms() + MONITOR_MS).await {
            return;
        }
        let links = world.nodes.lock().iter().all(|node| {
            node.as_ref()
                .and_then(|node| node.link.lock().healthy_since_ms())
                .is_some_and(|since_ms| since_ms <= world.now_ms())
        });
        let waits = clients
            .iter()
            .find_map(|client| Some((client, client.waits_for()?)));
        if links && world.is_idle() && waits.is_none() {
            break;
        }
        if world.now_ms() > begun_ms + REST_WITHIN_MS {
            let waits = waits.map(|(client, waits)| format!("{} waits for {waits}", client.id()));
            let what = waits.unwrap_or_else(|| "the store or a node is not at rest".to_owned());
            return world.violate(&format!("no rest: {what}"));
        }
    }
    if watch(world, clients, world.now_ms() + CONVERGES_WITHIN_MS + MONITOR_MS).await {
        clients.iter().for_each(|client| client.check_complete());
        world.audit().await;
    }
}

/// Where the steps of a plan are done.
struct Stage<'a> {
    world: &'a Arc<World>,
    clients: &'a [Arc<Client>],
    number: usize,
}

impl Stage<'_> {
    fn act(&self, action: &Action) {
        let (world, clients) = (self.world, self.clients);
        let now_ms = world.now_ms();
        match *action {
            Action::Join { client, room } => clients[client].want(room),
            Action::JoinAgain { client, room, newest } => clients[client].join_again(room, newest),
            Action::Leave { client, room } => clients[client].leave(room),
            Action::Send {
                client,
                room,
                count,
                bytes,
            } => {
                for n in 0..count {
                    let text = format!("{:x<bytes$}", format!("{}.{n} ", self.number)).into();
                    clients[client].write(room, Change::Message { text, reply_to: None });
                }
            }
            Action::Edit { client, room } => clients[client].amend(room, |target| Change::Edit {
                target,
                text: format!("edit {}", self.number).into(),
            }),
            Action::Delete { client, room } => clients[client].amend(room, |target| Change::Delete {
                target,
                any_author: false,
            }),
            Action::React { client, room, on } => clients[client].amend(room, |target| Change::React {
                target,
                emoji: "+".into(),
                on,
            }),
            Action::Stall { client, ms } => clients[client].stall(now_ms + ms),
            Action::Disconnect { client } => clients[client].lose(None),
            Action::Remove {
                client,
                room,
                away_ms,
            } => self.remove(client, room, away_ms),
            Action::Crash { node, down_ms } => self.crash(node, down_ms),
            Action::RoomFails { node } => {
                if let Some(node) = world.node(node) {
                    node.room_fails.store(true, Relaxed);
                }
            }
            Action::BusDown { ms } => {
                world.hub.set_up(false);
                self.later(ms, |world| world.hub.set_up(true));
            }
            Action::BusForgets => world.hub.forget_heads(),
            Action::CutOff { node, ms } => {
                if let Some(node) = world.node(node) {
                    node.bus().set_reachable(false);
                    self.later(ms, move |_| node.bus().set_reachable(true));
                }
            }
            Action::Storm { ms, weather } => world.set_storm(now_ms + ms, weather),
            Action::Store {
                node,
                ms,
                trouble,
                share,
            } => {
                if let Some(node) = world.node(node) {
                    node.link.lock().begin_trouble(trouble, share, now_ms + ms);
                }
            }
        }
    }

    fn later(&self, ms: u64, act: impl FnOnce(&World) + Send + 'static) {
        let world = Arc::clone(self.world);
        let work = world.begin_work();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            act(&world);
            drop(work);
        });
    }

    fn crash(&self, index: usize, down_ms: u64) {
        let world = Arc::clone(self.world);
        let Some(node) = world.nodes.lock()[index].take() else {
            return;
        };
        world.count(|counts| counts.crashes += 1);
        node.kill();
        self.clients.iter().for_each(|client| client.lose(Some(&node)));
        let life = self.number + 1;
        let work = world.begin_work();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(down_ms)).await;
            Node::start(world, index, life).await;
            drop(work);
        });
    }

    /// The owner removes a client, and makes them a member again.
    fn remove(&self, client: usize, room: usize, away_ms: u64) {
        let world = Arc::clone(self.world);
        let client = Arc::clone(&self.clients[client]);
        let work = world.begin_work();
        let mut rng = fastrand::Rng::with_seed(world.seed ^ ((self.number as u64) << 8));
        tokio::spawn(async move {
            let name = world.shape.rooms[room].name.clone();
            let (owner, member) = (user(owner()), Arc::clone(&client.user));
            let who = member.person.clone();
            let change = |change| Change::Member {
                change,
                who: who.clone(),
                role: None,
                until: None,
                reason: None,
            };
            world.count(|counts| counts.removed += 1);
            manage(&world, &mut rng, &name, &owner, change(MemberChange::Removed)).await;
            tokio::time::sleep(Duration::from_millis(away_ms)).await;
            manage(&world, &mut rng, &name, &owner, change(MemberChange::Invited)).await;
            manage(&world, &mut rng, &name, &member, change(MemberChange::Joined)).await;
            client.want(room);
            drop(work);
        });
    }
}

/// Changes a membership through any node, again and again until it is done or needs not be.
async fn manage(
    world: &Arc<World>,
    rng: &mut fastrand::Rng,
    room: &protocol::RoomName,
    by: &Arc<actors::User>,
    change: Change,
) {
    loop {
        if let Some(node) = world.some_node(rng)
            && let Ok(room) = node.system().rooms().get(room)
        {
            let acting = room.act(by, None, change.clone());
            match tokio::time::timeout(Duration::from_secs(2), acting).await {
                Ok(Err(refused)) if refused.retry_after_ms.is_none() => {
                    world.note(format_args!("{} may not: {:?}", by.person.id, refused.code));
                    return;
                }
                Ok(Ok(_)) => return,
                // Tried again.
                Ok(Err(_)) | Err(_) => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.u64(50..200))).await;
    }
}

impl Client {
    fn join_again(&self, room: usize, newest: Option<u64>) {
        let mut state = self.state.lock();
        let view = &state.rooms[room];
        if view.status == Status::Open {
            let after = JoinFrom::After(view.cursor.unwrap_or(0));
            let from = newest.map_or(after, JoinFrom::Newest);
            self.ask_to_join(&mut state, room, from);
        }
    }

    /// Changes one of its own messages.
    fn amend(&self, room: usize, change: impl FnOnce(u64) -> Change) {
        let target = {
            let mut state = self.state.lock();
            let own = state.rooms[room].own.len();
            if own == 0 {
                return;
            }
            let chosen = state.rng.usize(0..own);
            state.rooms[room].own[chosen]
        };
        self.write(room, change(target));
    }
}
