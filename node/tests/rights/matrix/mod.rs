//! Every cell of the tables: allowed, or refused exactly as it says, and then nothing was written.

mod over_http;
mod over_socket;
mod stage;
mod table;

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use protocol::Codec;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{cast::Cast, on_both_stores, support::*};
use table::{Cell, cells};

on_both_stores! {
    every_cell_is_as_the_tables_say
}

/// Everybody who occurs in the tables, and who is needed beside them.
const CAST: [&str; 11] = [
    "stranger",
    "guest",
    "member",
    "muted",
    "moderator",
    "owner",
    "banned",
    "administrator",
    "keeper",
    "other",
    "newcomer",
];

/// Where cells are tried.
pub(crate) struct Scene {
    pub(crate) node: Node,
    pub(crate) cast: Cast,
    at_once: Semaphore,
}

/// Cells that are tried at the same time: not more than the store has connections for.
const AT_ONCE: usize = 8;

/// How somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Socket(Codec),
    Http,
}

/// What was tried of a cell, what came of it, and what should have.
pub(crate) struct Tried {
    pub(crate) what: String,
    pub(crate) is: String,
    pub(crate) said: &'static str,
}

async fn every_cell_is_as_the_tables_say(place: Place) {
    let begun = Instant::now();
    let node = place
        .node(&[
            "limits.sends_per_second_per_user=0",
            "limits.commands_per_second=0",
        ])
        .await;
    let cast = Cast::new(&place, &node, &CAST).await;
    let scene = Arc::new(Scene {
        node,
        cast,
        at_once: Semaphore::new(AT_ONCE),
    });
    let mut of_whom: BTreeMap<&str, Vec<Cell>> = BTreeMap::new();
    for cell in cells() {
        of_whom.entry(cell.who).or_default().push(cell);
    }
    let mut tasks = JoinSet::new();
    for (who, cells) in of_whom {
        for way in [Way::Socket(Codec::Json), Way::Socket(Codec::Msgpack), Way::Http] {
            tasks.spawn(try_all(Arc::clone(&scene), way, who, cells.clone()));
        }
    }
    let (mut tried, mut wrong) = (0, Vec::new());
    for (count, differences) in tasks.join_all().await {
        tried += count;
        wrong.extend(differences);
    }
    println!("{tried} operations in {:?}", begun.elapsed());
    wrong.sort();
    assert!(wrong.is_empty(), "{} differ: {wrong:#?}", wrong.len());
    assert!(tried > 2_000, "only {tried} were tried");
}

/// Tries somebody's cells one by one; how many operations these were, and what differed.
async fn try_all(scene: Arc<Scene>, way: Way, who: &'static str, cells: Vec<Cell>) -> (usize, Vec<String>) {
    let mut client = match way {
        Way::Http => None,
        Way::Socket(codec) => {
            let token = &scene.cast.who(who).token;
            Some(enter(&scene.node.socket().codec(codec).token(token)).await)
        }
    };
    let (mut count, mut wrong) = (0, Vec::new());
    for cell in cells {
        let _turn = scene.at_once.acquire().await.unwrap();
        let tried = match &mut client {
            Some(client) => over_socket::attempt(&scene, client, &cell).await,
            None => over_http::attempt(&scene, &cell).await,
        };
        count += tried.len();
        for Tried { what, is, said } in tried {
            if is != said {
                let Cell { table, operation, .. } = cell;
                wrong.push(format!(
                    "{table}: {operation} by {who} ({way:?}): {what}: {is}, not {said}"
                ));
            }
        }
    }
    (count, wrong)
}

/// What is said to who edits another's message, and may edit their own or not.
fn another(said: &'static str) -> &'static str {
    if said == "yes" { "forbidden" } else { said }
}
