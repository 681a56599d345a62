use super::*;

#[test]
fn every_built_in_scenario_is_one_and_bears_its_name() {
    for (name, text) in BUILT_IN {
        let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        assert_eq!(scenario.name, name);
        assert!(scenario.phases.iter().any(|phase| phase.measured), "{name}");
        assert!(scenario.most_connections() > 0, "{name}");
        let again: Scenario = rmp_serde::from_slice(&rmp_serde::to_vec_named(&scenario).unwrap()).unwrap();
        assert_eq!(again, scenario, "as it goes to the processes that play it");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let right = built_in("mixed").unwrap();
    for (from, to, says) in [
        ("phones = 0.3", "fones = 0.3", "unknown field `fones`"),
        ("phones = 0.3", "phones = 3", "3 is not from 0 to 1"),
        ("seconds = 8", "seconds = -8", "-8 is not from 0.01"),
        ("[0, 20]", "\"many\"", "a number, or [from, to]"),
        ("of_each = 2", "of_each = 0", "0 is not from 1 to 200"),
    ] {
        let wrong = right.replacen(from, to, 1);
        assert_ne!(wrong, right, "{from}");
        let line = 1 + wrong.lines().position(|line| line.contains(to)).unwrap();
        let error = format!("{:#}", Scenario::parse(&wrong).unwrap_err());
        assert!(
            error.contains(&format!("line {line},")) && error.contains(says),
            "{to}: {error}"
        );
    }
    let error = format!("{:#}", Scenario::find("no-such").unwrap_err());
    assert!(error.contains("no-such") && error.contains("fanout"), "{error}");
}

#[test]
fn a_scenario_is_brought_to_another_size() {
    let scenario = Scenario::find("mixed").unwrap();
    let fitted = scenario.clone().fitted(Fit {
        connections: Some(30),
        messages_per_second: Some(12.0),
        seconds: Some(17.0),
    });
    assert_eq!(fitted.most_connections(), 30);
    assert_eq!(fitted.phases[3].connections, Some(10));
    assert_eq!(fitted.phases[2].messages_per_second, Rate::constant(12.0));
    assert!((fitted.seconds() - 17.0).abs() < 1e-9);
    assert_eq!(
        (scenario.room_count(), fitted.room_count()),
        (30, 3),
        "as many people in a room as before"
    );
}

#[test]
fn a_repeated_phase_grows() {
    let scenario = Scenario::find("ramp").unwrap();
    let step = scenario.phases.last().unwrap();
    let third = step.played(2, 1000).unwrap();
    assert_eq!(third.name, "step 3");
    assert_eq!(third.messages_per_second, Rate::constant(225.0));
    assert_eq!(third.connections, None, "as many as before");
    assert_eq!(step.played(20, 1000), None);
    assert_eq!(scenario.phases[0].played(1, 0), None);
}

#[test]
fn a_phase_that_nothing_can_end_is_not_repeated() {
    let right = built_in("ramp").unwrap();
    let says = |from: &str, to: &str| {
        let wrong = right.replacen(from, to, 1);
        assert_ne!(wrong, right, "{from}");
        format!("{:#}", Scenario::parse(&wrong).unwrap_err())
    };
    let error = says("measured = true\n", "");
    assert!(
        error.contains("`step`") && error.contains("`measured`"),
        "{error}"
    );
    let goals = right
        .split("[goals]")
        .nth(1)
        .unwrap()
        .split("[[phase]]")
        .next()
        .unwrap();
    let error = says(goals, "\n");
    assert!(error.contains("`step`") && error.contains("[goals]"), "{error}");
}

#[test]
fn the_peak_counts_repetitions() {
    let text = "name = 'n'\ndescription = 'd'\n[goals]\nack_p99_ms = 5\n[[phase]]\nname = 'a'\nseconds = 1\nconnections = 100\n\
        [[phase]]\nname = 'b'\nseconds = 1\nmeasured = true\nrepeat = { at_most = 3, messages = 1.0, connections = 2.0 }";
    let scenario = Scenario::parse(text).unwrap();
    assert_eq!(
        (scenario.most_connections(), scenario.peak_connections()),
        (100, 400)
    );
}
