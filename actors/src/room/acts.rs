//! A live room: what is checked before something is written.

use std::{collections::HashSet, sync::Arc};

use protocol::{ErrorCode, Event, EventBody, MemberChange, RoomChange, event::RoomValue, server::Done};

use super::{
    actor::{Cx, Write},
    commands::deny,
    members::Live,
};
use crate::{
    answer::Answer,
    context::User,
    ports::Change,
    rights::{self, Operation, Role, Visibility},
};

/// In slow mode, somebody whose message was not committed may try again after this many milliseconds.
const SLOW_MODE_RETRY_MS: u64 = 2_000;

impl Live {
    /// Whether `user` may do this here now.
    pub(super) fn decide(&self, cx: &Cx<'_>, user: &User, operation: Operation<'_>) -> Result<(), ErrorCode> {
        rights::decide(operation, user, &self.roster, cx.context.clock.now_ms())
    }

    /// Follows what events say about the room and its people, up to the first that is about rights. Returns how many
    /// were looked at, and whether the last one is.
    pub(super) fn take_note(&mut self, events: &[Arc<Event>]) -> (usize, bool) {
        for (index, event) in events.iter().enumerate() {
            if self.note(event) {
                return (index + 1, true);
            }
        }
        (events.len(), false)
    }

    /// Follows what an event says about the room and its people. Returns whether rights are concerned.
    pub(super) fn note(&mut self, event: &Event) -> bool {
        match &event.body {
            EventBody::Room {
                change: RoomChange::Title,
                value: RoomValue::Text(title),
            } => {
                self.title = Arc::clone(title);
                false
            }
            EventBody::Message { .. } => {
                let due_ms = event.at.saturating_add(self.slow_mode_ms());
                if due_ms > event.at {
                    self.write_again_at.insert(Arc::clone(&event.user.id), due_ms);
                }
                false
            }
            _ => {
                let slow_mode_ms = self.slow_mode_ms();
                let about_rights = self.roster.apply(event);
                if self.slow_mode_ms() != slow_mode_ms {
                    self.write_again_at.clear();
                }
                about_rights
            }
        }
    }

    /// Slow mode goes by who wrote last, also before the room was read.
    pub(super) fn remember_writers(&mut self, events: &[Event]) {
        if self.slow_mode_ms() > 0 {
            for event in events
                .iter()
                .filter(|event| matches!(event.body, EventBody::Message { .. }))
            {
                self.note(event);
            }
        }
    }

    fn slow_mode_ms(&self) -> u64 {
        self.roster.rights().slow_mode_seconds.saturating_mul(1_000)
    }

    /// Checks a write. Gives the answer back if it is to be written.
    pub(super) fn admit(&mut self, cx: &Cx<'_>, write: &mut Write, answer: Answer) -> Option<Answer> {
        let user = Arc::clone(&write.user);
        if let Err(code) = self.decide(cx, &user, operation(write)) {
            deny(answer, code, cx.room.name());
            return None;
        }
        match &mut write.change {
            Change::Delete { any_author, .. } => {
                *any_author = self.decide(cx, &user, Operation::DeleteAny).is_ok();
            }
            Change::Message { .. } => {
                if let Err(retry_after_ms) = self.pace(cx, &user) {
                    let message = "the room is in slow mode; try again with the same cid";
                    answer.refuse_for_now(ErrorCode::RateLimited, message, retry_after_ms);
                    return None;
                }
            }
            _ => {}
        }
        if self.is_so_already(&write.change) {
            answer.done(Done::default());
            return None;
        }
        if let Err((code, message)) = self.check_members(cx, &write.change) {
            answer.refuse(code, message);
            return None;
        }
        Some(answer)
    }

    /// Slow mode: lets one message of `user` through and then, until it is known what became of it, no other.
    ///
    /// # Errors
    /// With the milliseconds until they may write.
    fn pace(&mut self, cx: &Cx<'_>, user: &User) -> Result<(), u64> {
        let pause_ms = self.slow_mode_ms();
        if pause_ms == 0 || self.decide(cx, user, Operation::SetSlowMode).is_ok() {
            return Ok(());
        }
        let now_ms = cx.context.clock.now_ms();
        let due_ms = self.write_again_at.get(&user.person.id).copied().unwrap_or(0);
        if now_ms < due_ms {
            // What is known here of the store's clock may be some milliseconds behind it.
            return Err((due_ms - now_ms).min(pause_ms));
        }
        let due_ms = now_ms.saturating_add(pause_ms.min(SLOW_MODE_RETRY_MS));
        self.write_again_at.insert(Arc::clone(&user.person.id), due_ms);
        Ok(())
    }

    /// Whether nothing would change. Messages and what refers to them is the store's to judge.
    fn is_so_already(&self, change: &Change) -> bool {
        match change {
            Change::Member {
                change,
                who,
                role,
                until,
                ..
            } => {
                let known = self.roster.get(&who.id);
                let member = known.is_some_and(|known| known.role.is_some());
                match change {
                    MemberChange::Invited => member || known.is_some_and(|known| known.invited),
                    MemberChange::Joined => member,
                    MemberChange::Role => {
                        known.and_then(|known| known.role).map(Role::as_str) == role.as_deref()
                    }
                    MemberChange::Banned => {
                        known.and_then(|known| known.banned_until) == Some(until.unwrap_or(rights::NO_END))
                    }
                    MemberChange::Unbanned => known.is_none_or(|known| known.banned_until.is_none()),
                    MemberChange::Muted => {
                        known.and_then(|known| known.muted_until) == Some(until.unwrap_or(rights::NO_END))
                    }
                    MemberChange::Unmuted => known.is_none_or(|known| known.muted_until.is_none()),
                    MemberChange::Left => !member && known.is_none_or(|known| !known.invited),
                    // Who is here without being a member is sent out, too.
                    MemberChange::Removed => false,
                }
            }
            Change::Room { change, value } => {
                let rights = self.roster.rights();
                match (change, value) {
                    (RoomChange::Title, RoomValue::Text(title)) => *title == self.title,
                    (RoomChange::Visibility, RoomValue::Text(word)) => **word == *rights.visibility.as_str(),
                    (RoomChange::Archived, RoomValue::Switch(on)) => *on == rights.archived,
                    (RoomChange::SlowMode, RoomValue::Number(seconds)) => {
                        *seconds == rights.slow_mode_seconds
                    }
                    _ => false,
                }
            }
            _ => false,
        }
    }

    /// What a change of membership needs beside the right to make it.
    fn check_members(&self, cx: &Cx<'_>, change: &Change) -> Result<(), (ErrorCode, &'static str)> {
        if !self.roster.has_place(change, cx.context.settings.room_members) {
            let message = "the room is full: it keeps no more people";
            return Err((ErrorCode::Conflict, message));
        }
        let Change::Member { change, who, .. } = change else {
            return Ok(());
        };
        let known = self.roster.get(&who.id);
        let held = known.and_then(|known| known.role);
        let public = self.roster.rights().visibility == Visibility::Public;
        match change {
            MemberChange::Role if held.is_none() => {
                Err((ErrorCode::NotFound, "they are no member of the room"))
            }
            MemberChange::Removed
                if !public && held.is_none() && !known.is_some_and(|known| known.invited) =>
            {
                Err((ErrorCode::NotFound, "they are no member of the room"))
            }
            _ => Ok(()),
        }
    }

    /// Forgets notes on people who are gone, so that they do not pile up.
    pub(super) fn forget_absent(&mut self, now_ms: u64) {
        let here: HashSet<&str> = self.subscribers.iter().map(|s| &*s.user.person.id).collect();
        self.marks.retain(|id, _| here.contains(&**id));
        self.write_again_at.retain(|_, due_ms| now_ms < *due_ms);
    }
}

/// What a write is, by the rules.
fn operation(write: &Write) -> Operation<'_> {
    match &write.change {
        Change::Message { .. } => Operation::Send,
        Change::Edit { .. } | Change::React { .. } => Operation::Amend,
        Change::Delete { .. } => Operation::Delete,
        Change::Member {
            change, who, role, ..
        } => match change {
            MemberChange::Joined if write.by_link => Operation::JoinByLink,
            MemberChange::Joined => Operation::Join,
            MemberChange::Left => Operation::Leave,
            MemberChange::Invited => Operation::Invite(&who.id),
            MemberChange::Removed => Operation::Kick(&who.id),
            MemberChange::Banned | MemberChange::Unbanned => Operation::Ban(&who.id),
            MemberChange::Muted | MemberChange::Unmuted => Operation::Mute(&who.id),
            MemberChange::Role => {
                let role = role.as_deref().and_then(Role::parse).unwrap_or(Role::Owner);
                Operation::SetRole(&who.id, role)
            }
        },
        Change::Room { change, value } => match (change, value) {
            (RoomChange::Title, _) => Operation::SetTitle,
            (RoomChange::Topic, _) => Operation::SetTopic,
            (RoomChange::SlowMode, _) => Operation::SetSlowMode,
            (RoomChange::Archived, _) => Operation::SetArchived,
            (RoomChange::Visibility, RoomValue::Text(word)) => {
                Operation::SetVisibility(Visibility::parse(word).unwrap_or(Visibility::Direct))
            }
            (RoomChange::Visibility, _) => Operation::SetVisibility(Visibility::Direct),
        },
    }
}
