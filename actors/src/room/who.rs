//! A live room: who is here, as members and other nodes are told.

use std::{sync::Arc, time::Duration};

use protocol::{NodeMessage, ServerFrame, server::Done};
use tokio::time::Instant;

use super::{
    actor::{Cx, RoomMsg},
    members::{Live, publish},
    presence::{Change, Heard, News, PICTURE_LIFETIME, Whole},
};
use crate::answer::Answer;

/// Members are told who came and went at most this often.
const PRESENCE_PACE: Duration = Duration::from_secs(1);
/// A node that is late tells it less often, as of all it does this can best wait: so many times as long as it is late.
const PATIENCE: u32 = 8;
/// Even then it is told this often.
const LONGEST_PACE: Duration = Duration::from_secs(10);
/// This node's picture is sent at least this often, well within the lifetime that it has with the others.
const RENEW_EVERY: Duration = PICTURE_LIFETIME.checked_div(3).unwrap();

/// A picture that other nodes want is sent after this; who opens a room waits a little longer for it.
const PICTURE_AFTER: Duration = Duration::from_millis(40);

impl Live {
    /// Says who is in the room over the whole cluster, which is known a moment after this node begins to follow it.
    pub(super) fn tell_presence_to(&mut self, cx: &Cx<'_>, answer: Answer) {
        if self.pictured {
            answer.done(Done::presence(None, self.presence.count(), self.presence.users()));
        } else {
            self.follow(cx);
            self.asking.push(answer);
        }
    }

    pub(super) fn pictures_due(&mut self, cx: &Cx<'_>) {
        if !self.is_followed() {
            return;
        }
        self.pictured = true;
        for answer in std::mem::take(&mut self.asking) {
            self.tell_presence_to(cx, answer);
        }
        for join in std::mem::take(&mut self.opening.for_pictures) {
            self.open(cx, join, true);
        }
        if !self.is_followed() {
            self.unfollow(cx);
        }
    }

    /// Tells members (and other nodes) soon; changes within a second are told together.
    pub(super) fn presence_changed(&mut self, cx: &Cx<'_>) {
        if !self.presence_due {
            self.presence_due = true;
            let pace = PRESENCE_PACE + PATIENCE * cx.context.lag.last();
            cx.after(pace.min(LONGEST_PACE), RoomMsg::PresenceDue(self.generation));
        }
    }

    /// People on these nodes are gone with them. Members have waited for it as long as the leases lasted: they are told
    /// at once, unless they were told something within the last second.
    pub(super) fn nodes_gone(&mut self, cx: &Cx<'_>, nodes: &[Arc<str>]) {
        if self.presence.forget_nodes(nodes) {
            self.presence_due = true;
            self.presence_is_due(cx);
        }
    }

    /// Tells what is due, but nothing within a second of what was told before; what is told already is not due any more.
    pub(super) fn presence_is_due(&mut self, cx: &Cx<'_>) {
        let since = self.presence_told.map_or(PRESENCE_PACE, |told| told.elapsed());
        match PRESENCE_PACE.checked_sub(since).filter(|wait| !wait.is_zero()) {
            _ if !self.presence_due => {}
            Some(wait) => cx.after(wait, RoomMsg::PresenceDue(self.generation)),
            None => self.tell_presence(cx),
        }
    }

    fn tell_presence(&mut self, cx: &Cx<'_>) {
        self.presence_due = false;
        if self.subscribers.is_empty() {
            return;
        }
        let now = Instant::now();
        self.presence.expire(now);
        let limit = cx.context.settings.presence_people;
        // The others need not hear again what they told this node.
        if let Some(news) = self.presence.news(limit) {
            self.publish_news(cx, news, false);
        }
        if let Some(difference) = self.presence.difference(limit) {
            let (joined, left) = difference.people.unzip();
            let count = difference.count;
            self.broadcast(
                ServerFrame::Presence {
                    room: cx.room.name().clone(),
                    count,
                    joined,
                    left,
                },
                None,
            );
            self.presence_told = Some(now);
        }
    }

    /// Renews this node's picture, unless the others were told something meanwhile, and forgets those of the other nodes
    /// that were not renewed.
    pub(super) fn renew_presence(&mut self, cx: &Cx<'_>) {
        if !self.is_followed() {
            self.renewing = false;
            return;
        }
        let quiet = self.others_told.map_or(RENEW_EVERY, |told| told.elapsed());
        if quiet >= RENEW_EVERY {
            let news = self.presence.renewal(cx.context.settings.presence_people);
            self.publish_news(cx, news, false);
        }
        if self.presence.expire(Instant::now()) {
            self.presence_changed(cx);
        }
        self.forget_absent(cx.context.clock.now_ms());
        let next = RENEW_EVERY.checked_sub(quiet).filter(|next| !next.is_zero());
        cx.after(
            next.unwrap_or(RENEW_EVERY),
            RoomMsg::PresenceRenew(self.generation),
        );
    }

    /// Begins to renew this node's picture, unless that is going on.
    pub(super) fn keep_renewing(&mut self, cx: &Cx<'_>) {
        if !self.renewing {
            self.renewing = true;
            cx.after(RENEW_EVERY, RoomMsg::PresenceRenew(self.generation));
        }
    }

    /// What another node tells of its people, or asks about those of this one.
    pub(super) fn take_picture(&mut self, cx: &Cx<'_>, node: Arc<str>, message: NodeMessage) {
        let now = Instant::now();
        match message {
            NodeMessage::Presence {
                version,
                count,
                users,
                ask,
                ..
            } => {
                let whole = Whole {
                    version,
                    count,
                    users,
                };
                if self.presence.set_remote(node, whole, now) == Heard::Changed {
                    self.presence_changed(cx);
                }
                if ask {
                    self.picture_wanted(cx);
                }
            }
            NodeMessage::PresenceChange {
                base,
                version,
                joined,
                left,
                ..
            } => {
                let change = Change {
                    base,
                    version,
                    joined,
                    left,
                };
                match self.presence.change_remote(&node, change, now) {
                    Heard::Known => {}
                    Heard::Changed => self.presence_changed(cx),
                    Heard::Missed => {
                        let room = cx.room.name().clone();
                        publish(cx.context, &NodeMessage::PresenceAsk { room, of: node }, None);
                    }
                }
            }
            NodeMessage::PresenceAsk { of, .. } if *of == *cx.context.settings.node => {
                self.picture_wanted(cx);
            }
            _ => {}
        }
    }

    /// Another node wants this one's picture. Many that want it in the same moment get one.
    pub(super) fn picture_wanted(&mut self, cx: &Cx<'_>) {
        if !self.picture_due {
            self.picture_due = true;
            cx.after(PICTURE_AFTER, RoomMsg::PictureDue(self.generation));
        }
    }

    pub(super) fn send_picture(&mut self, cx: &Cx<'_>) {
        self.picture_due = false;
        self.tell_others(cx, false);
    }

    /// Sends this node's picture of the room to the other nodes; with `ask` they send theirs.
    pub(super) fn tell_others(&mut self, cx: &Cx<'_>, ask: bool) {
        let whole = self.presence.whole(cx.context.settings.presence_people);
        self.publish_news(cx, News::Whole(whole), ask);
    }

    fn publish_news(&mut self, cx: &Cx<'_>, news: News, ask: bool) {
        self.others_told = Some(Instant::now());
        let room = cx.room.name().clone();
        let message = match news {
            News::Whole(whole) => NodeMessage::Presence {
                room,
                version: whole.version,
                count: whole.count,
                users: whole.users,
                ask,
            },
            News::Change(change) => NodeMessage::PresenceChange {
                room,
                base: change.base,
                version: change.version,
                joined: change.joined,
                left: change.left,
            },
        };
        publish(cx.context, &message, None);
    }
}
