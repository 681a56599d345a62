//! What a run consists of, made from its seed: the world's shape, what people do, and what goes wrong.

use std::fmt;

use protocol::{Codec, RoomName};

/// People do things up to this moment of a run.
const ACTIVE_MS: u64 = 4_000;
/// The first things happen after this.
const BEGINS_MS: u64 = 250;

/// A run.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) shape: Shape,
    /// In the order of their times.
    pub(crate) steps: Vec<Step>,
}

/// What does not change during a run.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) nodes: usize,
    pub(crate) clients: usize,
    pub(crate) rooms: Vec<RoomShape>,
    pub(crate) ring_events: usize,
    pub(crate) outbox_bytes: usize,
    pub(crate) room_idle_ms: u64,
    pub(crate) shards: usize,
    /// How the bus treats frames from beginning to end.
    pub(crate) weather: Weather,
}

#[derive(Clone, Debug)]
pub(crate) struct RoomShape {
    pub(crate) name: RoomName,
    pub(crate) private: bool,
    /// Events that are there before anybody comes.
    pub(crate) old_events: usize,
}

/// How the bus treats frames: probabilities, and how late a frame may be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Weather {
    pub(crate) drop: f64,
    pub(crate) duplicate: f64,
    pub(crate) delay_ms: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) at_ms: u64,
    pub(crate) action: Action,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Join {
        client: usize,
        room: usize,
    },
    /// Opens a room that is open, anew.
    JoinAgain {
        client: usize,
        room: usize,
        newest: Option<u64>,
    },
    Leave {
        client: usize,
        room: usize,
    },
    Send {
        client: usize,
        room: usize,
        count: usize,
        bytes: usize,
    },
    /// Edits one of the client's own messages, deletes it, or reacts to any.
    Edit {
        client: usize,
        room: usize,
    },
    Delete {
        client: usize,
        room: usize,
    },
    React {
        client: usize,
        room: usize,
        on: bool,
    },
    /// Reads nothing for a while.
    Stall {
        client: usize,
        ms: u64,
    },
    /// The connection is lost.
    Disconnect {
        client: usize,
    },
    /// The owner removes somebody from a private room; some time later they become a member again.
    Remove {
        client: usize,
        room: usize,
        away_ms: u64,
    },
    Crash {
        node: usize,
        down_ms: u64,
    },
    /// A room's actor fails between the commit and the showing of its next event.
    RoomFails {
        node: usize,
    },
    BusDown {
        ms: u64,
    },
    BusForgets,
    CutOff {
        node: usize,
        ms: u64,
    },
    Storm {
        ms: u64,
        weather: Weather,
    },
    Store {
        node: usize,
        ms: u64,
        trouble: Trouble,
        share: f64,
    },
}

/// What is wrong with the store, as one node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Calls fail, and nothing is done.
    Refuses,
    /// Calls are done, and their answers are lost.
    LosesAnswers,
    /// Calls fail, and what they asked for is done a little later all the same.
    CommitsLate,
    /// Calls are never answered; some are done.
    Hangs,
    /// Calls take long.
    Slow,
    /// Calls wait until the trouble is over.
    Paused,
    /// The adapter panics, before or after it is done.
    Panics,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let shape = Shape::new(&mut rng);
        let mut steps = Vec::new();
        for client in 0..shape.clients {
            for room in 0..shape.rooms.len() {
                if rng.f64() < 0.85 {
                    let at_ms = rng.u64(0..BEGINS_MS);
                    let action = Action::Join { client, room };
                    steps.push(Step { at_ms, action });
                }
            }
        }
        for _ in 0..rng.usize(15..60) {
            let action = shape.act(&mut rng);
            steps.push(Step {
                at_ms: rng.u64(BEGINS_MS..ACTIVE_MS),
                action,
            });
        }
        for _ in 0..rng.usize(0..8) {
            let action = shape.fault(&mut rng);
            steps.push(Step {
                at_ms: rng.u64(0..ACTIVE_MS),
                action,
            });
        }
        steps.sort_by_key(|step| step.at_ms);
        Self { seed, shape, steps }
    }

    /// The codec of a client.
    pub(crate) fn codec(client: usize) -> Codec {
        if client.is_multiple_of(2) {
            Codec::Msgpack
        } else {
            Codec::Json
        }
    }
}

impl Shape {
    fn new(rng: &mut fastrand::Rng) -> Self {
        let public = rng.usize(1..=2);
        let private = rng.usize(0..=1);
        let rooms = (0..public + private).map(|index| RoomShape {
            name: RoomName::new(&format!("room{index}")).unwrap(),
            private: index >= public,
            old_events: match rng.usize(0..12) {
                0..6 => 0,
                6..8 => rng.usize(1..60),
                8..11 => rng.usize(60..400),
                _ => rng.usize(950..1_200),
            },
        });
        let rooms = rooms.collect();
        Self {
            nodes: rng.usize(1..=3),
            clients: rng.usize(2..=5),
            rooms,
            ring_events: pick(rng, &[2, 8, 32, 256]),
            outbox_bytes: pick(rng, &[600, 2_048, 16_384, 262_144]),
            room_idle_ms: pick(rng, &[50, 500, 30_000]),
            shards: rng.usize(1..=2),
            weather: if rng.bool() {
                Weather::default()
            } else {
                Weather::bad(rng)
            },
        }
    }

    fn act(&self, rng: &mut fastrand::Rng) -> Action {
        let client = rng.usize(0..self.clients);
        let room = rng.usize(0..self.rooms.len());
        match rng.usize(0..100) {
            0..45 => Action::Send {
                client,
                room,
                count: if rng.usize(0..8) == 0 { rng.usize(2..40) } else { 1 },
                bytes: if rng.usize(0..6) == 0 {
                    rng.usize(200..2_000)
                } else {
                    rng.usize(1..80)
                },
            },
            45..52 => Action::Edit { client, room },
            52..57 => Action::Delete { client, room },
            57..63 => Action::React {
                client,
                room,
                on: rng.usize(0..3) > 0,
            },
            63..68 => Action::Leave { client, room },
            68..76 => Action::Join { client, room },
            76..80 => Action::JoinAgain {
                client,
                room,
                newest: rng.bool().then(|| rng.u64(0..80)),
            },
            80..86 => Action::Stall {
                client,
                ms: rng.u64(50..1_500),
            },
            86..94 => Action::Disconnect { client },
            _ => match self.rooms.iter().position(|room| room.private) {
                Some(room) => Action::Remove {
                    client,
                    room,
                    away_ms: rng.u64(50..2_500),
                },
                None => Action::Disconnect { client },
            },
        }
    }

    fn fault(&self, rng: &mut fastrand::Rng) -> Action {
        let node = rng.usize(0..self.nodes);
        let ms = rng.u64(50..1_500);
        match rng.usize(0..20) {
            0..4 => Action::Crash {
                node,
                down_ms: rng.u64(20..1_500),
            },
            4..7 => Action::RoomFails { node },
            7 => Action::BusDown { ms },
            8 => Action::BusForgets,
            9..11 => Action::CutOff { node, ms },
            11..13 => Action::Storm {
                ms,
                weather: Weather::bad(rng),
            },
            _ => Action::Store {
                node,
                ms,
                trouble: pick(rng, &Trouble::ALL),
                share: pick(rng, &[0.1, 0.5, 1.0]),
            },
        }
    }
}

impl Weather {
    fn bad(rng: &mut fastrand::Rng) -> Self {
        let pick_share = |rng: &mut fastrand::Rng| pick(rng, &[0.0, 0.0, 0.1, 0.4, 1.0]);
        Self {
            drop: pick_share(rng),
            duplicate: pick_share(rng),
            delay_ms: pick(rng, &[1, 1, 20, 300]),
        }
    }
}

impl Trouble {
    const ALL: [Self; 7] = [
        Self::Refuses,
        Self::LosesAnswers,
        Self::CommitsLate,
        Self::Hangs,
        Self::Slow,
        Self::Paused,
        Self::Panics,
    ];
}

fn pick<T: Copy>(rng: &mut fastrand::Rng, from: &[T]) -> T {
    from[rng.usize(0..from.len())]
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:?}", self.shape)?;
        for Step { at_ms, action } in &self.steps {
            writeln!(f, "{at_ms:>7} ms  {action:?}")?;
        }
        Ok(())
    }
}
