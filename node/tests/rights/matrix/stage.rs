//! A room for one cell.

use actors::{
    ports::Change,
    rights::{Role, Visibility},
};
use protocol::{MemberChange, RoomChange, RoomName, event::RoomValue};

use super::{Scene, Tried, table::Cell};
use crate::cast::{Kept, said};

/// The reaction that the person has given to [`Stage::second`].
pub(super) const GIVEN: &str = "👍";

/// A room with everybody in it as the tables name them.
pub(super) struct Stage<'a> {
    scene: &'a Scene,
    pub(super) room: RoomName,
    /// Two messages of the person whom the cell is about, and one of somebody else.
    pub(super) first: u64,
    pub(super) second: u64,
    pub(super) others: u64,
    /// The token of an invite link.
    pub(super) link: String,
    pub(super) tried: Vec<Tried>,
}

/// What an operation that is allowed writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writes {
    Nothing,
    OneEvent,
}

impl<'a> Stage<'a> {
    pub(super) async fn set(scene: &'a Scene, cell: &Cell) -> Self {
        let cast = &scene.cast;
        let room = match cell.table {
            "Direct rooms" => {
                let people = [("other", Role::Member), ("member", Role::Member)];
                cast.room(Visibility::Direct, &people).await
            }
            "Private rooms" => cast.room(Visibility::Private, &PEOPLE).await,
            "Public rooms" | "Archived rooms" => cast.room(Visibility::Public, &PEOPLE).await,
            other => panic!("docs/rights.md has a table that is of no kind of room: {other}"),
        };
        let messages = vec![
            (cell.who, said("mine")),
            (cell.who, said("mine, too")),
            ("other", said("another's")),
        ];
        let seqs = cast.write(&room, messages).await;
        let (target, emoji, on) = (seqs[1], GIVEN.into(), true);
        let mut rest = vec![(cell.who, Change::React { target, emoji, on })];
        if cell.table != "Direct rooms" {
            rest.push(("keeper", to(cast.person("muted"), MemberChange::Muted)));
            rest.push(("keeper", to(cast.person("banned"), MemberChange::Banned)));
        }
        if cell.table == "Archived rooms" {
            let change = RoomChange::Archived;
            let value = RoomValue::Switch(true);
            rest.push(("keeper", Change::Room { change, value }));
        }
        cast.write(&room, rest).await;
        Self {
            scene,
            link: cast.link(&room, "keeper").await,
            room,
            first: seqs[0],
            second: seqs[1],
            others: seqs[2],
            tried: Vec::new(),
        }
    }

    pub(super) async fn kept(&self) -> Kept {
        self.scene.cast.kept(&self.room).await
    }

    /// Notes what came of an operation, and checks what it wrote: nothing, if it was refused.
    pub(super) async fn note(
        &mut self,
        what: &str,
        is: &str,
        said: &'static str,
        writes: Writes,
        before: Kept,
    ) {
        let after = self.kept().await;
        let (head, now) = (before.record.head, after.record.head);
        let written = match (is, writes) {
            ("yes", Writes::OneEvent) => now == head + 1,
            ("yes", Writes::Nothing) => now == head,
            _ => before == after,
        };
        let is = if written {
            is.to_owned()
        } else {
            format!("{is}, and from {before:?} it came to {after:?}")
        };
        self.tried.push(Tried {
            what: what.to_owned(),
            is,
            said,
        });
    }
}

const PEOPLE: [(&str, Role); 6] = [
    ("keeper", Role::Owner),
    ("other", Role::Member),
    ("member", Role::Member),
    ("muted", Role::Member),
    ("moderator", Role::Moderator),
    ("owner", Role::Owner),
];

fn to(who: protocol::Person, change: MemberChange) -> Change {
    Change::Member {
        change,
        who,
        role: None,
        until: None,
        reason: None,
    }
}
