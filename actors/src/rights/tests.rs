//! The rules against the tables of `docs/rights.md`.

use protocol::{ErrorCode, Person};

use super::*;
use crate::context::{Credential, Scopes, Standing, User};

const NOW_MS: u64 = 1_000;

fn user(standing: Standing) -> User {
    User {
        person: person("asking"),
        standing,
        scopes: Scopes::ALL,
        credential: Credential::default(),
        roles: Arc::default(),
    }
}

fn person(id: &str) -> Person {
    Person {
        id: id.into(),
        name: id.into(),
    }
}

/// Who asks, as the table's columns name them, and what is known of them in the room.
fn asking(column: &str) -> Option<(User, Membership)> {
    let standing = match column {
        "guest" => Standing::Guest,
        "administrator" => Standing::Administrator,
        _ => Standing::Registered,
    };
    let mut known = Membership::new(person("asking"));
    match column {
        "member" => known.role = Some(Role::Member),
        "muted" => (known.role, known.muted_until) = (Some(Role::Member), Some(NOW_MS + 1)),
        "moderator" => known.role = Some(Role::Moderator),
        "owner" => known.role = Some(Role::Owner),
        "banned" => known.banned_until = Some(NO_END),
        "stranger" | "guest" | "administrator" => {}
        _ => return None,
    }
    Some((user(standing), known))
}

fn operation(row: &str) -> Operation<'static> {
    match row {
        "read" => Operation::Read,
        "send" => Operation::Send,
        "edit, react" => Operation::Amend,
        "delete one's own" => Operation::Delete,
        "delete another's" => Operation::DeleteAny,
        "become a member" => Operation::Join,
        "become one by link" => Operation::JoinByLink,
        "leave" => Operation::Leave,
        "invite" => Operation::Invite("other"),
        "invite links" => Operation::InviteLinks,
        "send out" => Operation::Kick("other"),
        "ban" => Operation::Ban("other"),
        "mute" => Operation::Mute("other"),
        "give a role" => Operation::SetRole("other", Role::Moderator),
        "topic" => Operation::SetTopic,
        "title" => Operation::SetTitle,
        "slow mode" => Operation::SetSlowMode,
        "visibility" => Operation::SetVisibility(Visibility::Private),
        "archive" => Operation::SetArchived,
        other => panic!("docs/rights.md has a row that is no operation: {other}"),
    }
}

fn room(heading: &str) -> RoomRights {
    let (visibility, archived) = match heading {
        "Public rooms" => (Visibility::Public, false),
        "Private rooms" => (Visibility::Private, false),
        "Direct rooms" => (Visibility::Direct, false),
        "Archived rooms" => (Visibility::Public, true),
        other => panic!("docs/rights.md has a table that is of no kind of room: {other}"),
    };
    RoomRights {
        visibility,
        archived,
        slow_mode_seconds: 0,
    }
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn the_rules_are_as_the_tables_say() {
    let text = include_str!("../../../docs/rights.md");
    let mut heading = "";
    let mut columns = Vec::new();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            (heading, columns) = (name, Vec::new());
        }
        if !line.starts_with("| ") || !heading.ends_with(" rooms") {
            continue;
        }
        let row = cells(line);
        if columns.is_empty() {
            columns = row;
            continue;
        }
        for (column, said) in columns.iter().zip(&row).skip(1).filter(|(_, said)| **said != "–") {
            let (user, known) = asking(column).unwrap_or_else(|| panic!("nobody is called {column}"));
            let mut other = Membership::new(person("other"));
            other.role = Some(Role::Member);
            let roster = Roster::new(room(heading), [known, other]);
            let mut decided = decide(operation(row[0]), &user, &roster, NOW_MS);
            if operation(row[0]) == Operation::DeleteAny {
                // Whose message it is is looked at last.
                decided = decide(Operation::Delete, &user, &roster, NOW_MS).and(decided);
            }
            let is = match decided {
                Ok(()) => "yes",
                Err(code) => code.as_str(),
            };
            checked += 1;
            if is != *said {
                wrong.push(format!("{heading}: {} by {column}: {is}, not {said}", row[0]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 500, "only {checked} cells were found");
}

fn with_role(role: Option<Role>) -> (User, Roster) {
    let mut known = Membership::new(person("asking"));
    known.role = role;
    (
        user(Standing::Registered),
        Roster::new(room("Private rooms"), [known]),
    )
}

#[test]
fn nobody_acts_on_those_who_stand_as_high() {
    for (own, others, allowed) in [
        (Role::Moderator, Role::Member, true),
        (Role::Moderator, Role::Moderator, false),
        (Role::Moderator, Role::Owner, false),
        (Role::Owner, Role::Moderator, true),
        (Role::Owner, Role::Owner, false),
    ] {
        let mut known = [
            Membership::new(person("asking")),
            Membership::new(person("other")),
        ];
        known[0].role = Some(own);
        known[1].role = Some(others);
        let roster = Roster::new(room("Public rooms"), known);
        for operation in [
            Operation::Kick("other"),
            Operation::Ban("other"),
            Operation::Mute("other"),
        ] {
            let decided = decide(operation, &user(Standing::Registered), &roster, NOW_MS);
            assert_eq!(decided.is_ok(), allowed, "{own:?} {operation:?} {others:?}");
        }
    }
    let (user, roster) = with_role(Some(Role::Owner));
    assert_eq!(
        decide(Operation::Ban("asking"), &user, &roster, NOW_MS),
        Err(ErrorCode::Forbidden),
        "oneself"
    );
}

#[test]
fn who_is_invited_may_join_and_nothing_else() {
    let mut known = Membership::new(person("asking"));
    known.invited = true;
    let roster = Roster::new(room("Private rooms"), [known]);
    let user = user(Standing::Registered);
    assert_eq!(decide(Operation::Join, &user, &roster, NOW_MS), Ok(()));
    for operation in [Operation::Read, Operation::Send, Operation::Leave] {
        assert_eq!(
            decide(operation, &user, &roster, NOW_MS),
            Err(ErrorCode::NotFound),
            "{operation:?}"
        );
    }
}

#[test]
fn bans_and_mutes_end() {
    let mut known = Membership::new(person("asking"));
    known.banned_until = Some(NOW_MS);
    known.muted_until = Some(NOW_MS);
    let roster = Roster::new(room("Public rooms"), [known]);
    let user = user(Standing::Registered);
    assert_eq!(
        decide(Operation::Send, &user, &roster, NOW_MS - 1),
        Err(ErrorCode::Banned)
    );
    assert_eq!(decide(Operation::Send, &user, &roster, NOW_MS), Ok(()));
}

#[test]
fn a_credential_may_give_roles_and_a_ban_ends_that() {
    let name = protocol::RoomName::new("ops").unwrap();
    let mut user = user(Standing::Registered);
    user.roles = Arc::new([(name.clone(), Role::Moderator)].into());
    let here = Roster::new(room("Private rooms"), []).of(name.clone());
    assert_eq!(decide(Operation::InviteLinks, &user, &here, NOW_MS), Ok(()));
    assert_eq!(here.role_of(&user, NOW_MS), "moderator");
    let elsewhere = Roster::new(room("Private rooms"), []).of(protocol::RoomName::new("board").unwrap());
    assert_eq!(
        decide(Operation::Read, &user, &elsewhere, NOW_MS),
        Err(ErrorCode::NotFound)
    );
    let mut known = Membership::new(person("asking"));
    known.banned_until = Some(NO_END);
    let banned = Roster::new(room("Private rooms"), [known]).of(name);
    assert_eq!(
        decide(Operation::Read, &user, &banned, NOW_MS),
        Err(ErrorCode::NotFound)
    );
}

#[test]
fn a_credential_does_what_it_is_good_for() {
    let (mut user, roster) = with_role(Some(Role::Owner));
    user.scopes = Scopes {
        read: true,
        write: false,
        moderate: false,
        manage: false,
    };
    assert_eq!(decide(Operation::Read, &user, &roster, NOW_MS), Ok(()));
    for operation in [Operation::Send, Operation::Delete, Operation::SetTitle] {
        assert_eq!(
            decide(operation, &user, &roster, NOW_MS),
            Err(ErrorCode::Forbidden),
            "{operation:?}"
        );
    }
}
