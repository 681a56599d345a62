use super::*;

fn person(id: &str) -> Person {
    Person {
        id: id.into(),
        name: id.to_uppercase().into(),
    }
}

fn whole(people: &[&str]) -> Whole {
    Whole {
        version: 1,
        count: people.len() as u64,
        users: people.iter().map(|id| person(id)).collect(),
    }
}

fn ids(people: &[Person]) -> Vec<&str> {
    people.iter().map(|person| &*person.id).collect()
}

#[test]
fn people_are_counted_not_connections() {
    let mut presence = Presence::default();
    presence.enter(&person("a"));
    presence.enter(&person("a"));
    presence.set_remote("n2".into(), whole(&["a", "b"]), Instant::now());
    assert_eq!(presence.count(), 2);
    presence.exit(&person("a"));
    assert_eq!(presence.count(), 2);
    presence.exit(&person("a"));
    assert_eq!(presence.count(), 2, "still on the other node");
    presence.set_remote("n2".into(), whole(&[]), Instant::now());
    assert_eq!(presence.count(), 0);
}

#[test]
fn a_node_that_falls_silent_is_forgotten() {
    let mut presence = Presence::default();
    let now = Instant::now();
    presence.set_remote("n2".into(), whole(&["b"]), now);
    assert!(!presence.expire(now + PICTURE_LIFETIME / 2));
    assert_eq!(presence.count(), 1);
    assert!(presence.expire(now + PICTURE_LIFETIME));
    assert_eq!(presence.count(), 0);
}

#[test]
fn a_node_that_is_gone_takes_its_people_with_it() {
    let mut presence = Presence::default();
    presence.enter(&person("a"));
    presence.set_remote("n2".into(), whole(&["a", "b"]), Instant::now());
    presence.set_remote("n3".into(), whole(&["c"]), Instant::now());
    presence.difference(9);
    assert!(!presence.forget_nodes(&["n4".into()]));
    assert!(presence.forget_nodes(&["n2".into(), "n4".into()]));
    let (joined, left) = presence.difference(9).unwrap().people.unwrap();
    assert_eq!((ids(&joined), ids(&left)), (vec![], vec!["b"]));
}

#[test]
fn only_a_persons_first_and_last_connection_are_news() {
    let mut presence = Presence::new();
    let mut after = |act: fn(&mut Presence)| {
        act(&mut presence);
        presence.news(9).is_some()
    };
    assert!(after(|p| p.enter(&person("a"))));
    assert!(!after(|p| p.enter(&person("a"))));
    assert!(!after(|p| {
        p.set_remote("n2".into(), whole(&["b"]), Instant::now());
    }));
    assert!(!after(|p| p.exit(&person("a"))));
    assert!(after(|p| p.exit(&person("a"))));
    assert!(!after(|p| {
        p.enter(&person("c"));
        p.exit(&person("c"));
    }));
}

/// Passes news from one node to another; what is asked for is sent.
fn pass(from: &mut Presence, to: &mut Presence, news: News, now: Instant) -> Heard {
    let heard = match news {
        News::Whole(whole) => to.set_remote("n1".into(), whole, now),
        News::Change(change) => to.change_remote(&"n1".into(), change, now),
    };
    if heard == Heard::Missed {
        to.set_remote("n1".into(), from.whole(u64::MAX), now);
    }
    heard
}

#[test]
fn of_many_people_only_what_changed_is_told() {
    let (mut here, mut there, mut now) = (Presence::new(), Presence::new(), Instant::now());
    for number in 0..10_000 {
        here.enter(&person(&format!("p{number}")));
    }
    let first = here.news(u64::MAX).unwrap();
    assert!(matches!(&first, News::Whole(whole) if whole.users.len() == 10_000));
    assert_eq!(pass(&mut here, &mut there, first.clone(), now), Heard::Changed);
    assert_eq!(
        pass(&mut here, &mut there, first, now),
        Heard::Known,
        "told twice"
    );

    here.enter(&person("new"));
    here.exit(&person("p7"));
    let news = here.news(u64::MAX).unwrap();
    let News::Change(change) = &news else {
        panic!("{news:?}")
    };
    assert_eq!(
        (ids(&change.joined), &change.left),
        (vec!["new"], &vec!["p7".into()])
    );
    assert_eq!(pass(&mut here, &mut there, news.clone(), now), Heard::Changed);
    assert_eq!(there.count(), 10_000);
    assert!(there.named().contains_key("new") && !there.named().contains_key("p7"));
    assert_eq!(pass(&mut here, &mut there, news, now), Heard::Known, "told twice");
    assert_eq!(there.count(), 10_000);

    // One is lost: the next one, be it only a renewal, shows it.
    here.enter(&person("lost"));
    drop(here.news(u64::MAX));
    now += Duration::from_secs(10);
    let renewal = here.renewal(u64::MAX);
    assert!(matches!(&renewal, News::Change(change) if change.joined.is_empty()));
    assert_eq!(pass(&mut here, &mut there, renewal.clone(), now), Heard::Missed);
    assert!(there.named().contains_key("lost"));
    assert_eq!(pass(&mut here, &mut there, renewal, now), Heard::Known, "by now");

    // Who knows nothing of a node asks it, and not again and again.
    let mut fresh = Presence::new();
    let News::Change(change) = here.renewal(u64::MAX) else {
        panic!()
    };
    let mut at = |now| fresh.change_remote(&"n1".into(), change.clone(), now);
    assert_eq!(
        [at(now), at(now), at(now + ASK_AGAIN_AFTER)],
        [Heard::Missed, Heard::Known, Heard::Missed]
    );
    assert_eq!(fresh.count(), 0);
}

#[test]
fn a_small_picture_that_was_lost_is_asked_for_when_it_is_renewed() {
    let (mut here, mut there, now) = (Presence::new(), Presence::new(), Instant::now());
    here.enter(&person("a"));
    let first = here.news(9).unwrap();
    assert_eq!(pass(&mut here, &mut there, first, now), Heard::Changed);
    here.enter(&person("lost"));
    drop(here.news(9));
    let renewal = here.renewal(9);
    assert_eq!(pass(&mut here, &mut there, renewal.clone(), now), Heard::Missed);
    assert_eq!(there.count(), 2);
    assert_eq!(pass(&mut here, &mut there, renewal, now), Heard::Known);
    // Nobody is here any more, and that is lost.
    here.exit(&person("a"));
    here.exit(&person("lost"));
    drop(here.news(9));
    let renewal = here.renewal(9);
    assert_eq!(pass(&mut here, &mut there, renewal.clone(), now), Heard::Changed);
    assert_eq!(there.count(), 0);
    assert_eq!(pass(&mut here, &mut there, renewal, now), Heard::Known);
}

#[test]
fn who_comes_back_under_another_name_is_news() {
    for others in [0, 40] {
        let (mut here, mut there, now) = (Presence::new(), Presence::new(), Instant::now());
        here.enter(&person("a"));
        for number in 0..others {
            here.enter(&person(&format!("p{number}")));
        }
        let first = here.news(99).unwrap();
        pass(&mut here, &mut there, first, now);
        there.difference(99);
        let renamed = Person {
            name: "Other".into(),
            ..person("a")
        };
        here.exit(&person("a"));
        here.enter(&renamed);
        let news = here.news(99).expect("another name");
        assert_eq!(pass(&mut here, &mut there, news, now), Heard::Changed);
        assert_eq!(there.named()["a"], renamed);
        let (joined, left) = there.difference(99).unwrap().people.unwrap();
        assert_eq!((joined, left), (vec![renamed.clone()], vec![]));
        // Back under the name that is known: nothing. Away and back twice, and away: gone.
        here.exit(&renamed);
        here.enter(&renamed);
        assert_eq!(here.news(99), None);
        here.exit(&renamed);
        here.enter(&person("a"));
        here.exit(&person("a"));
        let news = here.news(99).expect("gone");
        pass(&mut here, &mut there, news, now);
        assert!(!there.named().contains_key("a"));
        assert_eq!(there.count(), others);
    }
}

#[test]
fn above_the_limit_only_the_number_is_told() {
    let mut presence = Presence::new();
    for number in 0..30 {
        presence.enter(&person(&format!("p{number}")));
    }
    let numbered = |news: Option<News>| match news {
        Some(News::Whole(whole)) => (whole.count, whole.users.len()),
        other => panic!("{other:?}"),
    };
    assert_eq!(numbered(presence.news(20)), (30, 0));
    presence.exit(&person("p0"));
    assert_eq!(numbered(presence.news(20)), (29, 0));
    assert_eq!(numbered(Some(presence.renewal(20))), (29, 0));
    for number in 1..10 {
        presence.exit(&person(&format!("p{number}")));
    }
    assert_eq!(numbered(presence.news(20)), (20, 20), "names again");
}

#[test]
fn differences_name_people_up_to_the_limit() {
    let mut presence = Presence::default();
    presence.enter(&person("a"));
    let first = presence.difference(2).unwrap();
    assert_eq!((first.count, ids(&first.people.unwrap().0)), (1, vec!["a"]));
    assert_eq!(presence.difference(2), None);
    presence.enter(&person("b"));
    presence.enter(&person("c"));
    assert_eq!(
        presence.difference(2),
        Some(Difference {
            count: 3,
            people: None
        })
    );
    presence.exit(&person("a"));
    let back = presence.difference(2).unwrap();
    assert_eq!(
        ids(&back.people.unwrap().0),
        ["b", "c"],
        "below the limit again: everybody is named"
    );
}
