//! Cells tried on a connection: what has a command.

use load_tests::client::{Client, Error};
use protocol::{Command, JoinFrom, Page, client::PageBound};

use super::{
    Scene, Tried,
    stage::{GIVEN, Stage, Writes},
    table::Cell,
};

/// Opens the room and does what the cell is about; empty if there is no command for it.
pub(super) async fn attempt(scene: &Scene, client: &mut Client, cell: &Cell) -> Vec<Tried> {
    let operations = [
        "read",
        "send",
        "edit, react",
        "delete one's own",
        "delete another's",
    ];
    if !operations.contains(&cell.operation) {
        return Vec::new();
    }
    let mut stage = Stage::set(scene, cell).await;
    let room = stage.room.clone();
    let join = Command::Join {
        room: room.clone(),
        from: JoinFrom::Newest(50),
    };
    let early = join_needed(cell, &stage);
    request(
        &mut stage,
        client,
        "before joining",
        early,
        "not_joined",
        Writes::Nothing,
    )
    .await;
    request(&mut stage, client, "join", join, cell.read, Writes::Nothing).await;
    for (what, command, said, writes) in commands(cell, &stage) {
        request(&mut stage, client, what, command, said, writes).await;
    }
    client.leave(&room).await.unwrap();
    stage.tried
}

/// A command that a room must be open for.
fn join_needed(cell: &Cell, stage: &Stage<'_>) -> Command {
    let (room, seq) = (stage.room.clone(), stage.first);
    match cell.operation {
        "read" => Command::Read { room, seq },
        "send" => Command::Typing { room },
        "edit, react" => Command::Edit {
            room,
            cid: "early".into(),
            seq,
            text: "early".into(),
        },
        _ => Command::Delete {
            room,
            cid: "early".into(),
            seq,
        },
    }
}

type Step = (&'static str, Command, &'static str, Writes);

fn commands(cell: &Cell, stage: &Stage<'_>) -> Vec<Step> {
    let room = || stage.room.clone();
    // Who is not let in has nothing open.
    let said = if cell.read == "yes" {
        cell.said
    } else {
        "not_joined"
    };
    let send = |cid: &str, reply_to| Command::Send {
        room: room(),
        cid: cid.into(),
        text: "a word".into(),
        reply_to,
    };
    let edit = |cid: &str, seq| Command::Edit {
        room: room(),
        cid: cid.into(),
        seq,
        text: "another word".into(),
    };
    let delete = |cid: &str, seq| Command::Delete {
        room: room(),
        cid: cid.into(),
        seq,
    };
    let react = |cid: &str, seq, on| Command::React {
        room: room(),
        cid: cid.into(),
        seq,
        emoji: GIVEN.into(),
        on,
    };
    let page = Page {
        bound: PageBound::Newest,
        limit: 50,
    };
    let one = Writes::OneEvent;
    match cell.operation {
        "read" => vec![
            (
                "history",
                Command::History { room: room(), page },
                cell.said,
                Writes::Nothing,
            ),
            (
                "presence",
                Command::Presence { room: room() },
                cell.said,
                Writes::Nothing,
            ),
            (
                "read",
                Command::Read { room: room(), seq: 1 },
                said,
                Writes::Nothing,
            ),
        ],
        "send" => vec![
            ("send", send("one", None), said, one),
            ("reply", send("two", Some(stage.others)), said, one),
            ("typing", Command::Typing { room: room() }, said, Writes::Nothing),
        ],
        "edit, react" => vec![
            ("edit", edit("one", stage.first), said, one),
            (
                "edit another's",
                edit("two", stage.others),
                super::another(said),
                one,
            ),
            ("react", react("three", stage.others, true), said, one),
            ("withdraw", react("four", stage.second, false), said, one),
        ],
        "delete one's own" => vec![("delete", delete("one", stage.first), said, one)],
        _ => vec![("delete another's", delete("one", stage.others), said, one)],
    }
}

async fn request(
    stage: &mut Stage<'_>,
    client: &mut Client,
    what: &str,
    command: Command,
    said: &'static str,
    writes: Writes,
) {
    let before = stage.kept().await;
    let is = match client.request(command).await {
        Ok(_) => "yes".to_owned(),
        Err(Error::Refused(refused)) => refused.code.as_str().to_owned(),
        Err(other) => panic!("{what}: {other}"),
    };
    stage.note(what, &is, said, writes, before).await;
}
