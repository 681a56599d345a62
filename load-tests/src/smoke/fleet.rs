//! The clients: connecting them all, and letting them go at the same moment.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use protocol::JoinFrom;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    SmokeArgs,
    member::{Member, Outcome, work},
    script::Script,
};
use crate::client::{Client, Error, Options};

/// Clients from one local address: a node limits new connections by address.
const CLIENTS_PER_ADDRESS: usize = 100;
/// Handshakes under way at the same time.
const HANDSHAKES_AT_ONCE: usize = 32;

/// Connects all clients and joins each to its room. In the order of their numbers.
pub(super) async fn assemble(args: &SmokeArgs, script: &Arc<Script>) -> anyhow::Result<Vec<Member>> {
    let all = stream::iter(0..script.connections)
        .map(|number| {
            let options = options(args, script, number);
            let script = Arc::clone(script);
            async move {
                let room = script.room_name(script.room_of(number))?;
                let mut client = connect(&options, script.timeout)
                    .await
                    .with_context(|| format!("client {number} cannot connect"))?;
                client
                    .join(&room, JoinFrom::After(0))
                    .await
                    .with_context(|| format!("client {number} cannot join {room}"))?;
                let outcome = Outcome::new()?;
                anyhow::Ok(Member {
                    number,
                    client,
                    room,
                    outcome,
                })
            }
        })
        .buffered(HANDSHAKES_AT_ONCE)
        .try_collect();
    Box::pin(all).await
}

/// Lets all clients do their part of the script; when they began and what they saw.
pub(super) async fn perform(members: Vec<Member>, script: &Arc<Script>) -> (Instant, Vec<Member>) {
    let person = |member: &Member| member.client.welcome().map(|welcome| welcome.user.id.to_string());
    let people: Arc<[String]> = members
        .iter()
        .map(|member| person(member).unwrap_or_default())
        .collect();
    // Long enough for all tasks to be there.
    let start = Instant::now() + Duration::from_millis(100);
    let mut tasks = JoinSet::new();
    for member in members {
        tasks.spawn(work(member, Arc::clone(script), Arc::clone(&people), start));
    }
    (start, tasks.join_all().await)
}

/// Spread so that every room has clients on every target, and every target clients of every codec.
fn options(args: &SmokeArgs, script: &Script, number: usize) -> Options {
    let place_in_room = number / script.rooms;
    let target = &args.targets[place_in_room % args.targets.len()];
    let codecs = args.codec.codecs();
    let codec = codecs[place_in_room / args.targets.len() % codecs.len()];
    let options = Options::new(target)
        .codec(codec)
        .guest(&format!("smoke {number}"))
        .timeout(script.timeout);
    match source_address(target, number) {
        Some(address) => options.from_address(address),
        None => options,
    }
}

/// An address of its own for each [`CLIENTS_PER_ADDRESS`] clients, where the target is this machine.
fn source_address(target: &str, number: usize) -> Option<IpAddr> {
    let local = target.starts_with("ws://127.") || target.starts_with("ws://localhost:");
    let block = u8::try_from(number / CLIENTS_PER_ADDRESS % 250).ok()?;
    local.then_some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1 + block)))
}

/// Comes back as long as the node says that it is only too busy.
async fn connect(options: &Options, patience: Duration) -> Result<Client, Error> {
    let started = Instant::now();
    loop {
        match Client::connect(options).await {
            Err(Error::Upgrade(refused))
                if matches!(refused.status, 429 | 503) && started.elapsed() < patience =>
            {
                sleep(Duration::from_secs(refused.retry_after_seconds.unwrap_or(1))).await;
            }
            result => return result,
        }
    }
}
