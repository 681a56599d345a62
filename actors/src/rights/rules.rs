//! The rules.

use protocol::ErrorCode;

use super::{Role, Roster, Visibility};
use crate::context::{Scopes, Standing, User};

/// Something that somebody wants to do in a room. `&str` is the id of whom it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    /// See the room, open it, read its history and who is there, keep a read marker.
    Read,
    /// Send a message, say that one types.
    Send,
    /// Edit one's own message, react.
    Amend,
    /// Delete one's own message.
    Delete,
    /// Delete anybody's message.
    DeleteAny,
    /// Become a member.
    Join,
    /// Become a member by an invite link of the room.
    JoinByLink,
    /// Be a member no longer.
    Leave,
    /// Invite somebody.
    Invite(&'a str),
    /// Make, see and revoke invite links.
    InviteLinks,
    /// Send somebody out.
    Kick(&'a str),
    /// Ban somebody from the room, or end that.
    Ban(&'a str),
    /// Mute somebody in the room, or end that.
    Mute(&'a str),
    /// Give somebody another role.
    SetRole(&'a str, Role),
    /// Say what the room is about.
    SetTopic,
    /// Slow the room down.
    SetSlowMode,
    /// Give the room another title.
    SetTitle,
    /// Say who can see the room.
    SetVisibility(Visibility),
    /// Make the room read-only, or end that.
    SetArchived,
}

/// What somebody is in a room, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Cannot see the room.
    Outside,
    /// Not a member of a public room, and not signed up.
    Guest,
    /// Not a member of a public room.
    Visitor,
    Member,
    Moderator,
    Owner,
    Administrator,
}

/// Whether `user` may do this in the room now.
///
/// # Errors
/// With the code of the refusal. In this order: `not_found` for who cannot see the room, `banned`, `forbidden`,
/// `archived`, `muted`.
pub fn decide(operation: Operation<'_>, user: &User, roster: &Roster, now_ms: u64) -> Result<(), ErrorCode> {
    let known = roster.get(&user.person.id);
    let rank = rank(user, roster, now_ms);
    let at_the_door = match operation {
        Operation::Join => known.is_some_and(|member| member.invited),
        Operation::JoinByLink => true,
        _ => false,
    };
    if rank == Rank::Outside && !at_the_door {
        return Err(ErrorCode::NotFound);
    }
    if rank < Rank::Member && known.is_some_and(|member| member.is_banned(now_ms)) {
        return Err(ErrorCode::Banned);
    }
    if !in_scope(operation, user.scopes) || !is_allowed(operation, user, rank, roster) {
        return Err(ErrorCode::Forbidden);
    }
    if roster.rights().archived && !is_possible_in_archive(operation) {
        return Err(ErrorCode::Archived);
    }
    let muted = rank < Rank::Administrator && known.is_some_and(|member| member.is_muted(now_ms));
    if muted && matches!(operation, Operation::Send | Operation::Amend) {
        return Err(ErrorCode::Muted);
    }
    Ok(())
}

impl Roster {
    /// The word for what `user` is in the room: `owner`, `moderator`, `member` or `guest`.
    pub fn role_of(&self, user: &User, now_ms: u64) -> &'static str {
        let role = self.role(user, now_ms);
        match (role, user.standing) {
            (_, Standing::Administrator) if self.rights().visibility != Visibility::Direct => "owner",
            (Some(role), _) => role.as_str(),
            (None, Standing::Guest) => "guest",
            (None, _) => "member",
        }
    }
}

fn rank(user: &User, roster: &Roster, now_ms: u64) -> Rank {
    let visibility = roster.rights().visibility;
    if user.standing == Standing::Administrator && visibility != Visibility::Direct {
        return Rank::Administrator;
    }
    match roster.role(user, now_ms) {
        Some(role) => of_role(Some(role)),
        None if visibility != Visibility::Public => Rank::Outside,
        None if user.is_guest() => Rank::Guest,
        None => Rank::Visitor,
    }
}

fn of_role(role: Option<Role>) -> Rank {
    match role {
        None => Rank::Visitor,
        Some(Role::Member) => Rank::Member,
        Some(Role::Moderator) => Rank::Moderator,
        Some(Role::Owner) => Rank::Owner,
    }
}

fn in_scope(operation: Operation<'_>, scopes: Scopes) -> bool {
    match operation {
        Operation::Read => scopes.read,
        Operation::Send | Operation::Amend | Operation::Delete => scopes.write,
        _ => scopes.moderate,
    }
}

fn is_allowed(operation: Operation<'_>, user: &User, rank: Rank, roster: &Roster) -> bool {
    let visibility = roster.rights().visibility;
    let direct = visibility == Visibility::Direct;
    let above = |id: &str| *user.person.id != *id && rank > of_role(roster.get(id).and_then(|m| m.role));
    match operation {
        Operation::Read | Operation::Send | Operation::Amend | Operation::Delete => true,
        Operation::Leave => !direct && rank >= Rank::Member,
        Operation::Join | Operation::JoinByLink => !direct && !user.is_guest(),
        Operation::SetTopic | Operation::SetTitle if direct => true,
        _ if direct => false,
        Operation::DeleteAny | Operation::InviteLinks | Operation::SetTopic | Operation::SetSlowMode => {
            rank >= Rank::Moderator
        }
        Operation::Invite(_) => rank >= Rank::Moderator,
        Operation::Kick(id) | Operation::Ban(id) | Operation::Mute(id) => {
            rank >= Rank::Moderator && above(id)
        }
        // Owners decide about each other's role, and about their own.
        Operation::SetRole(..) | Operation::SetTitle | Operation::SetArchived => rank >= Rank::Owner,
        Operation::SetVisibility(to) => rank >= Rank::Owner && to != Visibility::Direct,
    }
}

/// An archived room can be read and left, and its owners can bring it back.
fn is_possible_in_archive(operation: Operation<'_>) -> bool {
    matches!(
        operation,
        Operation::Read | Operation::Leave | Operation::SetArchived
    )
}

/// What somebody is told who may not do something in a room.
pub fn refusal_text(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NotFound => "there is no such room that you may see",
        ErrorCode::Banned => "you are banned from this room",
        ErrorCode::Muted => "you are muted in this room",
        ErrorCode::Archived => "the room is archived: it can be read, but not written to",
        _ => "you may not do this in this room",
    }
}
