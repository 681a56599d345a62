//! What people do beside being there.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::time::{Instant, sleep_until};

use super::{Arrivals, Part, people::People};
use crate::{
    client::persistent::{Order, What, Write},
    measure::stamp,
};

/// A log or a file that somebody puts into a room: as much as a message may be (`protocol::limits::MAX_TEXT_BYTES`), less the
/// stamp.
const UPLOAD_BYTES: usize = 16_000;

type Activity = Pin<Box<dyn Future<Output = ()> + Send>>;
type Act = fn(&Arc<People>, &mut Rng, Instant);

/// Everything that goes on in a part, each in its own time.
pub(super) fn activities(people: &Arc<People>, part: Part, begun: Instant, rng: &mut Rng) -> Vec<Activity> {
    let talk = &people.setup.scenario.talk;
    let share = 1.0 / f64::from(people.setup.players);
    let writing = |times: f64| (part.rate.0 * times * share, part.rate.1 * times * share);
    let phones = f64::from(part.connections) * talk.phones * share;
    let sleeping = phones / (talk.awake_seconds + talk.asleep_seconds);
    let all: [(Act, (f64, f64)); 5] = [
        (write, writing(1.0)),
        (type_something, writing(talk.typing)),
        (mark_read, writing(talk.reads)),
        (read_back, writing(talk.history)),
        (fall_asleep, (sleeping, sleeping)),
    ];
    let activity = |(act, rate): (Act, (f64, f64))| -> Activity {
        let arrivals = Arrivals::new(begun, part.seconds, rate, rng.fork());
        Box::pin(go_on(Arc::clone(people), arrivals, act, rng.fork()))
    };
    all.map(activity).into_iter().collect()
}

async fn go_on(people: Arc<People>, arrivals: Arrivals, act: Act, mut rng: Rng) {
    for due in arrivals {
        sleep_until(due).await;
        act(&people, &mut rng, due);
    }
}

fn write(people: &Arc<People>, rng: &mut Rng, due: Instant) {
    let Some(member) = people.somebody(rng) else {
        return;
    };
    let Some(room) = rng.choice(&member.rooms) else {
        return;
    };
    let talk = &people.setup.scenario.talk;
    let number = people.next_said();
    let due_at = people.clock().of(due.into_std());
    let begin = format!("{number} by {}:", member.number);
    let text = |bytes: usize| -> Arc<str> {
        let rest = bytes.saturating_sub(begin.len()) / 3;
        stamp(due_at, &format!("{begin}{}", " la".repeat(rest))).into()
    };
    let length = rng.usize(0..=talk.text_bytes);
    let chance = rng.f64();
    let of = |share: f64, before: f64| (before..before + share).contains(&chance);
    let what = if of(talk.edits, 0.0) {
        What::EditLast(text(length))
    } else if of(talk.deletes, talk.edits) {
        What::DeleteLast
    } else if of(talk.reactions, talk.edits + talk.deletes) {
        What::React(if rng.bool() { "+1" } else { "♥" }.into(), rng.u32(0..4) > 0)
    } else if of(talk.uploads, talk.edits + talk.deletes + talk.reactions) {
        What::Say(text(UPLOAD_BYTES))
    } else {
        What::Say(text(length))
    };
    member.client.order(Order::Write(Write {
        room: room.clone(),
        cid: format!("{}-{number}", member.number).into(),
        what,
        due,
    }));
}

fn type_something(people: &Arc<People>, rng: &mut Rng, _: Instant) {
    if let Some(member) = people.somebody(rng)
        && let Some(room) = rng.choice(&member.rooms)
    {
        member.client.order(Order::Typing(room.clone()));
    }
}

fn mark_read(people: &Arc<People>, rng: &mut Rng, _: Instant) {
    if let Some(member) = people.somebody(rng)
        && let Some(room) = rng.choice(&member.rooms)
    {
        member.client.order(Order::MarkRead(room.clone()));
    }
}

/// A page of history over HTTP, with the credential of the socket.
fn read_back(people: &Arc<People>, rng: &mut Rng, due: Instant) {
    let Some(member) = people.somebody(rng) else {
        return;
    };
    let (Some(room), Some(token)) = (rng.choice(&member.rooms).cloned(), member.client.status().token())
    else {
        return;
    };
    let people = Arc::clone(people);
    let chance = rng.u64(..);
    tokio::spawn(async move { people.pages.read(&room, &token, due, chance).await });
}

/// A device that sleeps, for a time around the mean.
fn fall_asleep(people: &Arc<People>, rng: &mut Rng, _: Instant) {
    let mean = people.setup.scenario.talk.asleep_seconds;
    if let Some(member) = people.somebody(rng) {
        member.sleep(Duration::from_secs_f64(mean * (0.5 + rng.f64())));
    }
}
