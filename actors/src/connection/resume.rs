//! How a session begins: the rooms that `hello` resumes, and the `welcome` that waits for them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use protocol::{
    ErrorCode, RoomName, ServerFrame,
    limits::{HEARTBEAT_MS, MAX_FRAME_BYTES},
    server::{Resumed, Welcome},
};
use ractor::ActorRef;
use tokio::sync::oneshot;

use super::{
    actor::ConnectionMsg,
    session::{AskedBy, Session, Slot, Status},
};
use crate::room::{Begin, Joined, Rooms};

/// Rooms that have not answered a resume by then are `overloaded`.
const RESUME_TIMEOUT: Duration = Duration::from_secs(5);

/// What `hello` asked to resume.
pub(super) struct Resume {
    pub(super) rooms: Vec<(String, u64)>,
    pub(super) epoch: Option<String>,
}

/// A `welcome` that waits for the rooms that are resumed.
pub(super) struct Pending {
    pub(super) frame: Welcome,
    pub(super) welcomed: Option<oneshot::Sender<()>>,
}

impl Session {
    /// Begins to resume rooms. The `welcome` is sent when all have answered, at once if there are none.
    pub(super) fn begin(
        &mut self,
        myself: &ActorRef<ConnectionMsg>,
        resume: Option<Resume>,
        welcomed: oneshot::Sender<()>,
    ) {
        if let Some(pending) = &mut self.welcome {
            pending.welcomed = Some(welcomed);
        }
        if let Some(resume) = resume {
            let same_epoch = resume
                .epoch
                .is_none_or(|epoch| *epoch == *self.rooms.context().clock.epoch());
            for (name, seq) in resume.rooms {
                let begin = if same_epoch {
                    Begin::After(seq)
                } else {
                    Begin::Reset
                };
                match RoomName::new(&name) {
                    Ok(name) => self.open_room(myself, &name, begin, false, AskedBy::Resume),
                    Err(_) => self.resume_refused(&name, ErrorCode::BadRequest),
                }
            }
            myself.send_after(RESUME_TIMEOUT, || ConnectionMsg::ResumeDue);
        }
        self.send_welcome_if_complete();
    }

    /// Rooms that have not answered in time are not resumed.
    pub(super) fn resume_due(&mut self) {
        let late: Vec<RoomName> = self
            .open
            .iter()
            .filter(|(_, slot)| {
                matches!(
                    &slot.status,
                    Status::Opening {
                        asked_by: AskedBy::Resume,
                        ..
                    }
                )
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in late {
            if let Some(slot) = self.take(&name) {
                slot.room.leave(slot.subscriber, None);
            }
            self.resume_refused(name.as_str(), ErrorCode::Overloaded);
        }
        self.send_welcome_if_complete();
    }

    pub(super) fn resumed(&mut self, name: &RoomName, joined: &Joined) {
        if let Some(rooms) = self
            .welcome
            .as_mut()
            .and_then(|pending| pending.frame.rooms.as_mut())
        {
            let reset = joined.reset.then_some(true);
            rooms.insert(
                name.to_string(),
                Resumed {
                    head: joined.head,
                    role: joined.role.into(),
                    reset,
                },
            );
        }
        self.send_welcome_if_complete();
    }

    pub(super) fn resume_refused(&mut self, name: &str, code: ErrorCode) {
        if let Some(pending) = &mut self.welcome {
            pending
                .frame
                .refused
                .get_or_insert_with(BTreeMap::new)
                .insert(name.to_owned(), code);
        }
    }

    /// Sends the `welcome` once every room has answered, and then lets the rooms begin.
    pub(super) fn send_welcome_if_complete(&mut self) {
        let waits = |slot: &Slot| {
            matches!(
                &slot.status,
                Status::Opening {
                    asked_by: AskedBy::Resume,
                    ..
                }
            )
        };
        if self.open.values().any(waits) {
            return;
        }
        if let Some(Pending { mut frame, welcomed }) = self.welcome.take() {
            frame.time = self.rooms.context().clock.now_ms();
            self.outbox.answer(&ServerFrame::Welcome(frame));
            for slot in self.open.values() {
                slot.room.start(slot.subscriber);
            }
            if let Some(welcomed) = welcomed {
                let _ = welcomed.send(());
            }
        }
    }
}

/// The `welcome` of a session, without what is known only when its rooms have answered.
pub(super) fn welcome(rooms: &Rooms, opening: &super::Opening) -> Welcome {
    let context = rooms.context();
    Welcome {
        id: opening.id,
        node: Arc::clone(&context.settings.node),
        session: format!("{:016x}", fastrand::u64(..)).into(),
        user: opening.user.person.clone(),
        token: opening.token.clone(),
        epoch: context.clock.epoch(),
        heartbeat_ms: HEARTBEAT_MS,
        max_frame: MAX_FRAME_BYTES as u64,
        time: 0,
        rooms: opening.resume.as_ref().map(|_| BTreeMap::new()),
        refused: None,
    }
}
