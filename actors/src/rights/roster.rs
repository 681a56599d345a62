//! What a room is like and who is what in it, as its log says.

use std::{collections::HashMap, sync::Arc};

use protocol::{Event, EventBody, MemberChange, RoomChange, RoomName, event::RoomValue};

use super::{Membership, NO_END, Role, RoomRights, Visibility};
use crate::{context::User, ports::Change};

/// Follows a room's log. Every event says what is so from then on, so that events which the roster knows already do no
/// harm.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    room: Option<RoomName>,
    rights: RoomRights,
    members: HashMap<Arc<str>, Membership>,
}

impl Roster {
    /// A roster as the store has it.
    pub fn new(rights: RoomRights, members: impl IntoIterator<Item = Membership>) -> Self {
        let members = members
            .into_iter()
            .map(|member| (Arc::clone(member.id()), member));
        Self {
            room: None,
            rights,
            members: members.collect(),
        }
    }

    /// The same for the room of that name, in which credentials may give roles.
    #[must_use]
    pub fn of(self, room: RoomName) -> Self {
        Self {
            room: Some(room),
            ..self
        }
    }

    /// What `user` has as a role: by the room's log, or by their credential while they are not banned.
    pub(super) fn role(&self, user: &User, now_ms: u64) -> Option<Role> {
        let known = self.get(&user.person.id);
        let given = self.room.as_ref().and_then(|room| user.roles.get(room)).copied();
        let given = given.filter(|_| !known.is_some_and(|known| known.is_banned(now_ms)));
        known.and_then(|known| known.role).max(given)
    }

    /// What the room is like.
    pub fn rights(&self) -> RoomRights {
        self.rights
    }

    /// What is known of somebody.
    pub fn get(&self, id: &str) -> Option<&Membership> {
        self.members.get(id)
    }

    /// Everybody of whom something is known, in no order.
    pub fn members(&self) -> impl Iterator<Item = &Membership> {
        self.members.values()
    }

    /// Whether the room can keep whom a change is about: at most `limit` members and invited people, and twice as many
    /// with those who are banned or muted, so that order can be kept in a full room.
    pub fn has_place(&self, change: &Change, limit: usize) -> bool {
        let Change::Member { change, who, .. } = change else {
            return true;
        };
        let takes_part = |member: &Membership| member.role.is_some() || member.invited;
        let known = self.get(&who.id);
        let can_be_kept = known.is_some() || self.members.len() < limit.saturating_mul(2);
        match change {
            MemberChange::Invited | MemberChange::Joined => {
                let taken = || self.members.values().filter(|member| takes_part(member)).count();
                can_be_kept && (known.is_some_and(takes_part) || taken() < limit)
            }
            MemberChange::Banned | MemberChange::Muted => can_be_kept,
            _ => true,
        }
    }

    /// Whether a change would take the role from the only owner while others have one.
    pub fn would_lose_its_owner(&self, change: &Change) -> bool {
        let Change::Member {
            change, who, role, ..
        } = change
        else {
            return false;
        };
        let takes = match change {
            MemberChange::Left | MemberChange::Removed | MemberChange::Banned => true,
            MemberChange::Role => role.as_deref() != Some(Role::Owner.as_str()),
            _ => false,
        };
        let others = || self.members.values().filter(|member| member.id() != &who.id);
        takes
            && self
                .get(&who.id)
                .is_some_and(|member| member.role == Some(Role::Owner))
            && others().any(|member| member.role.is_some())
            && others().all(|member| member.role != Some(Role::Owner))
    }

    /// Takes over what an event says. Returns whether it says anything about rights.
    pub fn apply(&mut self, event: &Event) -> bool {
        match &event.body {
            EventBody::Member {
                change,
                who,
                role,
                until,
                ..
            } => {
                let member = self
                    .members
                    .entry(Arc::clone(&who.id))
                    .or_insert_with(|| Membership::new(who.clone()));
                member.person = who.clone();
                change_member(member, *change, role.as_deref(), *until);
                if member.is_empty() {
                    self.members.remove(&who.id);
                }
                true
            }
            EventBody::Room { change, value } => self.change_room(*change, value),
            _ => false,
        }
    }

    /// Takes over a change of the room itself. Returns whether it is about rights.
    pub fn change_room(&mut self, change: RoomChange, value: &RoomValue) -> bool {
        match (change, value) {
            (RoomChange::Visibility, RoomValue::Text(word)) => {
                if let Some(visibility) = Visibility::parse(word) {
                    self.rights.visibility = visibility;
                }
            }
            (RoomChange::Archived, RoomValue::Switch(on)) => self.rights.archived = *on,
            (RoomChange::SlowMode, RoomValue::Number(seconds)) => self.rights.slow_mode_seconds = *seconds,
            _ => return false,
        }
        true
    }
}

fn change_member(member: &mut Membership, change: MemberChange, role: Option<&str>, until: Option<u64>) {
    match change {
        MemberChange::Invited => member.invited = member.role.is_none(),
        MemberChange::Joined => {
            member.role = role.and_then(Role::parse).or(member.role).or(Some(Role::Member));
            member.invited = false;
        }
        MemberChange::Left | MemberChange::Removed => {
            member.role = None;
            member.invited = false;
        }
        MemberChange::Role => member.role = role.and_then(Role::parse),
        MemberChange::Banned => {
            member.role = None;
            member.invited = false;
            member.banned_until = Some(end(until));
        }
        MemberChange::Unbanned => member.banned_until = None,
        MemberChange::Muted => member.muted_until = Some(end(until)),
        MemberChange::Unmuted => member.muted_until = None,
    }
}

fn end(until: Option<u64>) -> u64 {
    until.map_or(NO_END, |until| until.min(NO_END))
}

#[cfg(test)]
mod tests {
    use protocol::Person;

    use super::*;

    fn person(id: &str) -> Person {
        Person {
            id: id.into(),
            name: id.into(),
        }
    }

    fn event(body: EventBody) -> Event {
        Event {
            seq: 1,
            user: person("mod"),
            at: 1,
            cid: None,
            body,
        }
    }

    fn member(change: MemberChange, role: Option<Role>, until: Option<u64>) -> Event {
        event(EventBody::Member {
            change,
            who: person("ada"),
            role: role.map(|role| role.as_str().into()),
            until,
            reason: None,
        })
    }

    #[test]
    fn a_membership_from_invitation_to_ban() {
        let mut roster = Roster::default();
        assert!(roster.apply(&member(MemberChange::Invited, None, None)));
        assert!(roster.get("ada").unwrap().invited);
        roster.apply(&member(MemberChange::Joined, None, None));
        let ada = roster.get("ada").unwrap();
        assert_eq!((ada.role, ada.invited), (Some(Role::Member), false));
        roster.apply(&member(MemberChange::Role, Some(Role::Owner), None));
        assert_eq!(roster.get("ada").unwrap().role, Some(Role::Owner));
        roster.apply(&member(MemberChange::Muted, None, Some(50)));
        roster.apply(&member(MemberChange::Banned, None, None));
        let ada = roster.get("ada").unwrap();
        assert_eq!(ada.role, None);
        assert!(ada.is_banned(u64::MAX >> 12) && ada.is_muted(49) && !ada.is_muted(50));
        roster.apply(&member(MemberChange::Unbanned, None, None));
        roster.apply(&member(MemberChange::Unmuted, None, None));
        assert!(roster.get("ada").is_none(), "nothing is left to know");
    }

    #[test]
    fn a_role_can_be_taken_away_and_joining_with_a_role_is_one_event() {
        let mut roster = Roster::default();
        roster.apply(&member(MemberChange::Joined, Some(Role::Owner), None));
        roster.apply(&member(MemberChange::Joined, None, None));
        assert_eq!(
            roster.get("ada").unwrap().role,
            Some(Role::Owner),
            "joining again changes nothing"
        );
        roster.apply(&member(MemberChange::Left, None, None));
        assert!(roster.get("ada").is_none());
    }

    #[test]
    fn a_room_has_so_many_places() {
        let change = |change, id: &str| Change::Member {
            change,
            who: person(id),
            role: None,
            until: None,
            reason: None,
        };
        let mut roster = Roster::default();
        let mut known = |id: &str, role, muted_until| {
            let person = person(id);
            let member = Membership {
                role,
                muted_until,
                ..Membership::new(person)
            };
            roster.members.insert(id.into(), member);
            roster.clone()
        };
        known("ada", Some(Role::Owner), None);
        known("bob", Some(Role::Member), None);
        let quiet = known("cy", None, Some(NO_END));
        for (kind, id, limit, has) in [
            (MemberChange::Joined, "new", 2, false),
            (MemberChange::Joined, "new", 3, true),
            (MemberChange::Invited, "new", 2, false),
            (MemberChange::Joined, "ada", 2, true),
            (MemberChange::Joined, "cy", 2, false),
            (MemberChange::Joined, "cy", 3, true),
            (MemberChange::Banned, "new", 2, true),
            (MemberChange::Muted, "new", 1, false),
            (MemberChange::Banned, "bob", 1, true),
            (MemberChange::Left, "new", 1, true),
        ] {
            assert_eq!(
                quiet.has_place(&change(kind, id), limit),
                has,
                "{kind:?} {id} {limit}"
            );
        }
    }

    #[test]
    fn the_room_itself() {
        let mut roster = Roster::default();
        let changes = [
            (RoomChange::Visibility, RoomValue::Text("private".into()), true),
            (RoomChange::Archived, RoomValue::Switch(true), true),
            (RoomChange::SlowMode, RoomValue::Number(30), true),
            (RoomChange::Title, RoomValue::Text("New".into()), false),
        ];
        for (change, value, about_rights) in changes {
            assert_eq!(
                roster.apply(&event(EventBody::Room { change, value })),
                about_rights,
                "{change:?}"
            );
        }
        let rights = RoomRights {
            visibility: Visibility::Private,
            archived: true,
            slow_mode_seconds: 30,
        };
        assert_eq!(roster.rights(), rights);
    }
}
