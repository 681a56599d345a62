//! A method for each command, with the answer's fields unpacked.

use std::time::Instant;

use protocol::{Command, Event, JoinFrom, Page, Person, RoomName, ServerFrame, server::Done};

use super::{
    Client, Error,
    connection::{unexpected, within},
};

/// Where and when something was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Its place in the room.
    pub seq: u64,
    /// Unix milliseconds by the store's clock.
    pub at: u64,
}

/// Each sends one command and waits for its answer, as [`Client::request`] does.
///
/// # Errors
/// As [`Client::request`]; also when the answer lacks what belongs to it.
impl Client {
    /// Opens a room on this connection.
    pub async fn join(&mut self, room: &RoomName, from: JoinFrom) -> Result<Done, Error> {
        let room = room.clone();
        let done = self.done(Command::Join { room, from }).await?;
        match done {
            Done {
                room: Some(_),
                title: Some(_),
                head: Some(_),
                role: Some(_),
                members: Some(_),
                ..
            } => Ok(done),
            other => Err(unexpected("join", &ServerFrame::Ok(other))),
        }
    }

    /// Closes a room on this connection.
    pub async fn leave(&mut self, room: &RoomName) -> Result<(), Error> {
        let room = room.clone();
        self.done(Command::Leave { room }).await.map(drop)
    }

    /// Sends a message with a `cid` that was never used before.
    pub async fn say(&mut self, room: &RoomName, text: &str) -> Result<Committed, Error> {
        let cid = format!("{:016x}", fastrand::u64(..));
        self.send(room, &cid, text, None).await
    }

    /// Sends a message.
    pub async fn send(
        &mut self,
        room: &RoomName,
        cid: &str,
        text: &str,
        reply_to: Option<u64>,
    ) -> Result<Committed, Error> {
        self.commit(Command::Send {
            room: room.clone(),
            cid: cid.into(),
            text: text.into(),
            reply_to,
        })
        .await
    }

    /// Replaces the text of a message.
    pub async fn edit(
        &mut self,
        room: &RoomName,
        cid: &str,
        seq: u64,
        text: &str,
    ) -> Result<Committed, Error> {
        self.commit(Command::Edit {
            room: room.clone(),
            cid: cid.into(),
            seq,
            text: text.into(),
        })
        .await
    }

    /// Deletes a message.
    pub async fn delete(&mut self, room: &RoomName, cid: &str, seq: u64) -> Result<Committed, Error> {
        self.commit(Command::Delete {
            room: room.clone(),
            cid: cid.into(),
            seq,
        })
        .await
    }

    /// Gives a reaction or withdraws it.
    pub async fn react(
        &mut self,
        room: &RoomName,
        cid: &str,
        seq: u64,
        emoji: &str,
        on: bool,
    ) -> Result<Committed, Error> {
        self.commit(Command::React {
            room: room.clone(),
            cid: cid.into(),
            seq,
            emoji: emoji.into(),
            on,
        })
        .await
    }

    /// A page of the log and whether there is more in that direction.
    pub async fn history(&mut self, room: &RoomName, page: Page) -> Result<(Vec<Event>, bool), Error> {
        let room = room.clone();
        match self.done(Command::History { room, page }).await? {
            Done {
                events: Some(events),
                more: Some(more),
                ..
            } => Ok((events, more)),
            other => Err(unexpected("history", &ServerFrame::Ok(other))),
        }
    }

    /// Moves the read marker.
    pub async fn mark_read(&mut self, room: &RoomName, seq: u64) -> Result<(), Error> {
        let room = room.clone();
        self.done(Command::Read { room, seq }).await.map(drop)
    }

    /// Says that this person types.
    pub async fn typing(&mut self, room: &RoomName) -> Result<(), Error> {
        let room = room.clone();
        self.done(Command::Typing { room }).await.map(drop)
    }

    /// How many people are in the room, and who.
    pub async fn presence(&mut self, room: &RoomName) -> Result<(u64, Vec<Person>), Error> {
        let room = room.clone();
        match self.done(Command::Presence { room }).await? {
            Done {
                count: Some(count),
                users: Some(users),
                ..
            } => Ok((count, users)),
            other => Err(unexpected("presence", &ServerFrame::Ok(other))),
        }
    }

    /// The store's clock, in Unix milliseconds.
    pub async fn ping(&mut self) -> Result<u64, Error> {
        match self.request(Command::Ping).await? {
            ServerFrame::Pong { time, .. } => Ok(time),
            other => Err(unexpected("ping", &other)),
        }
    }

    /// The next `count` events of the room, or more if one frame carries more. Frames of other kinds and rooms are kept.
    pub async fn take_events(&mut self, room: &RoomName, count: usize) -> Result<Vec<Event>, Error> {
        let mut taken: Vec<Event> = Vec::with_capacity(count);
        let started = Instant::now();
        let limit = self.time_limit();
        while taken.len() < count {
            let what = format!("events of {room}, {} of {count} are here", taken.len());
            let left = limit.saturating_sub(started.elapsed());
            let more = self.wait_for(&what, |frame| match frame {
                ServerFrame::Events { room: of, events } if of == room => Some(events.clone()),
                _ => None,
            });
            taken.extend(within(left, &what, more).await?);
        }
        Ok(taken)
    }

    async fn commit(&mut self, command: Command) -> Result<Committed, Error> {
        let op = command.op();
        match self.done(command).await? {
            Done {
                seq: Some(seq),
                at: Some(at),
                ..
            } => Ok(Committed { seq, at }),
            other => Err(unexpected(op, &ServerFrame::Ok(other))),
        }
    }

    async fn done(&mut self, command: Command) -> Result<Done, Error> {
        let op = command.op();
        match self.request(command).await? {
            ServerFrame::Ok(done) => Ok(done),
            other => Err(unexpected(op, &other)),
        }
    }
}
