use super::*;

const LEASE: Duration = Duration::from_secs(5);
const SECOND: Duration = Duration::from_secs(1);

fn balancer() -> Balancer {
    let settings = Rebalance {
        percent: 10,
        per_second: 30,
    };
    Balancer::new(settings, LEASE)
}

/// What is asked of each of so many steps, a second each, while nothing changes.
fn steps(balancer: &mut Balancer, begun: &mut Instant, load: Load<'_>, count: usize) -> Vec<usize> {
    let mut step = || {
        *begun += SECOND;
        balancer.step(load, *begun)
    };
    (0..count).map(|_| step()).collect()
}

fn total(balancer: &mut Balancer, load: Load<'_>, count: usize) -> usize {
    steps(balancer, &mut Instant::now(), load, count).iter().sum()
}

fn load(own: u64, others: &[u64]) -> Load<'_> {
    Load {
        own,
        asked: 0,
        others,
    }
}

#[test]
fn what_is_clearly_above_the_mean_is_given_away_at_the_rate() {
    let asked = steps(
        &mut balancer(),
        &mut Instant::now(),
        load(2_000, &[2_000, 2_000, 0]),
        9,
    );
    assert_eq!(
        asked,
        [0, 0, 0, 0, 0, 30, 30, 30, 30],
        "after it has lasted a while"
    );
}

#[test]
fn near_the_mean_nobody_is_asked() {
    assert_eq!(total(&mut balancer(), load(1_090, &[1_000, 910]), 60), 0);
    assert_eq!(
        total(&mut balancer(), load(14, &[6, 7]), 60),
        0,
        "few connections"
    );
    assert_eq!(
        total(&mut balancer(), load(128, &[75, 97]), 60),
        0,
        "chance alone makes such differences"
    );
    assert_eq!(total(&mut balancer(), load(500, &[]), 60), 0, "alone");
}

#[test]
fn a_node_that_lacks_many_gets_them_from_all_that_have_more_than_the_mean() {
    let mut others = vec![1_000; 48];
    others.push(0);
    assert!(
        total(&mut balancer(), load(1_000, &others), 10) > 0,
        "2 % above the mean"
    );
    assert_eq!(
        total(&mut balancer(), load(0, &[1_000; 9]), 60),
        0,
        "and none of its own"
    );
}

#[test]
fn never_below_the_mean() {
    let others = [0, 0];
    let mut balancer = balancer();
    let mut now = Instant::now();
    let (mut own, mut asked) = (300, 0);
    for _ in 0..60 {
        let load = Load {
            own,
            asked,
            others: &others,
        };
        asked += steps(&mut balancer, &mut now, load, 1)[0] as u64;
        assert!(own - asked >= 100);
    }
    assert_eq!(asked, 200, "those who were asked and stay count as gone");
    // They go, and are seen by nobody for a moment.
    own = 100;
    assert_eq!(steps(&mut balancer, &mut now, load(own, &others), 5), [0; 5]);
}

#[test]
fn where_asking_has_no_effect_it_pauses_longer_each_time() {
    let mut balancer = balancer();
    let asked = steps(&mut balancer, &mut Instant::now(), load(400, &[0]), 3_600);
    let pauses: Vec<usize> = asked
        .split(|asked| *asked > 0)
        .map(<[usize]>::len)
        .filter(|pause| *pause > 0)
        .collect();
    assert_eq!(pauses[1..6], [59, 119, 239, 479, 959], "{pauses:?}");
    let total: usize = asked.iter().sum();
    assert!(
        total < 400 * 8,
        "in an hour everybody is asked a few times: {total}"
    );
}

#[test]
fn who_comes_from_a_failed_node_is_no_sign_that_asking_has_no_effect() {
    let (mut balancer, mut now) = (balancer(), Instant::now());
    let before = steps(&mut balancer, &mut now, load(90, &[50, 50]), 8);
    assert!(before.iter().sum::<usize>() > 0, "{before:?}");
    let after = steps(&mut balancer, &mut now, load(180, &[5, 5]), 8);
    assert_eq!(after, [30; 8], "it goes on");
}

#[test]
fn while_a_fleet_comes_nobody_is_asked_and_nobody_closed() {
    let (mut balancer, mut now) = (balancer(), Instant::now());
    for own in (0..=15_000).step_by(1_000) {
        // It gets more of them than the others.
        let others = [own / 2; 3];
        assert_eq!(steps(&mut balancer, &mut now, load(own, &others), 1), [0]);
        assert_eq!(balancer.is_steady(), own == 0, "{own}");
    }
    let behind = steps(&mut balancer, &mut now, load(15_000, &[7_500; 3]), 20);
    // Until those seconds are forgotten in which the mean was more than a tenth off.
    assert_eq!(behind[..8], [0; 8], "{behind:?}");
    assert_eq!(behind[8..], [30; 12], "{behind:?}");
    assert!(balancer.is_steady());
    // Everybody is cut off.
    assert_eq!(steps(&mut balancer, &mut now, load(9_000, &[500; 3]), 1), [0]);
    assert!(!balancer.is_steady());
}

#[test]
fn it_can_be_switched_off() {
    let settings = Rebalance {
        percent: 0,
        per_second: 30,
    };
    let mut off = Balancer::new(settings, LEASE);
    assert_eq!(total(&mut off, load(2_000, &[0]), 60), 0);
}
