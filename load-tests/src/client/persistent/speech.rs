//! What a persistent client says: the rooms that it opens and leaves, its commands, its signs of life.

use std::sync::Arc;

use protocol::{Command, JoinFrom, RoomName};
use tokio::time::{Instant, timeout};

use super::{life::Life, link::Asked};
use crate::client::Error;

impl Life {
    /// Says all that is to be said.
    pub(super) async fn speak(&mut self, now: Instant) -> Result<(), Error> {
        self.join_rooms(now).await?;
        self.leave_rooms().await?;
        self.say_notes().await?;
        while self.writes.under_way() < self.plan.window {
            let Some(link) = &mut self.current else {
                return Ok(());
            };
            let Some(pending) = self.writes.next(now, |room| link.open.contains(room)) else {
                break;
            };
            let (room, cid) = match pending.room() {
                Some(room) => (room.clone(), Arc::<str>::from(pending.cid())),
                None => continue,
            };
            // Written down first: it may arrive although writing it seems to fail.
            self.scribe
                .write_with(link.number, || pending.as_sent(&self.scribe.clock()));
            let command = pending.command.clone();
            let again = pending.sent;
            self.writes.sent(pending);
            self.post(command, Asked::Write(room, cid)).await?;
            self.count(|counts| {
                counts.accepted += u64::from(!again);
                counts.repeated += u64::from(again);
            });
        }
        self.watch(now).await
    }

    async fn join_rooms(&mut self, now: Instant) -> Result<(), Error> {
        if self.joins.is_empty() {
            return Ok(());
        }
        let ready = self.joins.iter().filter(|(_, join)| join.at <= now);
        let ready: Vec<(RoomName, Instant)> = ready.map(|(room, join)| (room.clone(), join.due)).collect();
        for (room, due) in ready {
            if self.current.is_none() {
                return Ok(());
            }
            self.joins.remove(&room);
            let Some(place) = self.rooms.get(&room).copied() else {
                continue;
            };
            let from = place.position.map_or(place.first, JoinFrom::After);
            let command = Command::Join {
                room: room.clone(),
                from,
            };
            self.post(command, Asked::Join(room, from, due)).await?;
        }
        Ok(())
    }

    async fn say_notes(&mut self) -> Result<(), Error> {
        for note in std::mem::take(&mut self.notes) {
            let open = self.current.as_ref().map(|link| &link.open);
            if open.is_some_and(|open| note.room().is_some_and(|room| open.contains(room))) {
                self.post(note, Asked::Note).await?;
            }
        }
        Ok(())
    }

    async fn leave_rooms(&mut self) -> Result<(), Error> {
        let Some(link) = &mut self.current else {
            return Ok(());
        };
        let rooms = &self.rooms;
        let left: Vec<RoomName> = link.open.extract_if(|room| !rooms.contains_key(room)).collect();
        for room in left {
            self.status.left(&room);
            self.post(Command::Leave { room: room.clone() }, Asked::Leave(room))
                .await?;
        }
        Ok(())
    }

    /// Asks a silent node for a sign of life, and gives it up when none comes.
    async fn watch(&mut self, now: Instant) -> Result<(), Error> {
        let Some(link) = &mut self.current else {
            return Ok(());
        };
        if self.stalled {
            return Ok(());
        }
        if link.pinged.is_some_and(|since| since + self.plan.silence <= now) {
            return Err(Error::Timeout {
                what: "a sign of life".to_owned(),
                seconds: self.plan.silence.as_secs(),
            });
        }
        if link.pinged.is_none() && link.heard + self.plan.ping_after <= now {
            link.pinged = Some(now);
            self.post(Command::Ping, Asked::Ping).await?;
        }
        Ok(())
    }

    async fn post(&mut self, command: Command, asked: Asked) -> Result<(), Error> {
        let Some(link) = &mut self.current else {
            return Ok(());
        };
        let posted = timeout(self.plan.silence, link.client.post(command)).await;
        let id = posted.map_err(|_| Error::Timeout {
            what: "a command to be taken".to_owned(),
            seconds: self.plan.silence.as_secs(),
        })??;
        link.asked.insert(id, asked);
        Ok(())
    }
}
