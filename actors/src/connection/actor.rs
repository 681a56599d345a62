//! The connection actor: a thin shell around [`Session`].

use protocol::Command;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use super::{OpenRefusal, resume::Resume, session::Session};
use crate::room::{Joined, Room, SubscriberId};

pub(crate) enum ConnectionMsg {
    /// From the pump, one at a time.
    Command {
        id: Option<u32>,
        command: Command,
        taken: oneshot::Sender<()>,
    },
    /// A room has dealt with a join.
    Opened {
        room: Room,
        subscriber: SubscriberId,
        result: Result<Joined, OpenRefusal>,
    },
    /// A room was closed for this connection: its user may be there no longer. `told`: the event that says so is in
    /// the outbox.
    SentOut { subscriber: SubscriberId, told: bool },
    /// A room failed; `cursor` is the last `seq` that it put into the outbox.
    RoomLost { subscriber: SubscriberId, cursor: u64 },
    /// Rooms that have not answered by now are not resumed.
    ResumeDue,
}

pub(super) struct ConnectionActor;

/// Everything that a connection's actor begins with.
pub(super) struct Arguments {
    pub(super) session: Session,
    pub(super) resume: Option<Resume>,
    /// Told when the `welcome` is in the outbox.
    pub(super) welcomed: oneshot::Sender<()>,
}

impl Actor for ConnectionActor {
    type Msg = ConnectionMsg;
    type State = Session;
    type Arguments = Box<Arguments>;

    async fn pre_start(
        &self,
        myself: ActorRef<ConnectionMsg>,
        arguments: Box<Arguments>,
    ) -> Result<Session, ActorProcessingErr> {
        let Arguments {
            mut session,
            resume,
            welcomed,
        } = *arguments;
        session.begin(&myself, resume, welcomed);
        Ok(session)
    }

    async fn handle(
        &self,
        myself: ActorRef<ConnectionMsg>,
        message: ConnectionMsg,
        session: &mut Session,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ConnectionMsg::Command { id, command, taken } => {
                session.command(&myself, id, command);
                // The pump may be gone.
                let _ = taken.send(());
            }
            ConnectionMsg::Opened {
                room,
                subscriber,
                result,
            } => {
                session.opened(&myself, &room, subscriber, result);
            }
            ConnectionMsg::RoomLost { subscriber, cursor } => session.room_lost(&myself, subscriber, cursor),
            ConnectionMsg::SentOut { subscriber, told } => session.sent_out(&myself, subscriber, told),
            ConnectionMsg::ResumeDue => session.resume_due(),
        }
        Ok(())
    }
}
