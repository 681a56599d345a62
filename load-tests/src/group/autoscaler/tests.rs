//! A group in virtual time: instances take a while to serve and to warm up, load comes and goes.

use super::*;
use crate::group::GroupSettings;

/// A period is a minute here; all times are in periods.
const BOOT: u32 = 2;
const WARMUP: u32 = 3;
const LEAVING: u32 = 2;

/// What the stack's template says.
fn stack() -> Scaling {
    GroupSettings::of_stack().unwrap().scaling
}

struct World {
    autoscaler: Autoscaler,
    desired: u32,
    /// When each serves.
    instances: Vec<u32>,
    /// When each that leaves is gone.
    leaving: Vec<u32>,
    now: u32,
    sizes: Vec<u32>,
    alarms: usize,
}

impl World {
    fn new() -> Self {
        Self {
            autoscaler: Autoscaler::new(stack(), 2, 4),
            desired: 2,
            instances: vec![0, 0],
            leaving: Vec::new(),
            now: 100,
            sizes: vec![2],
            alarms: 0,
        }
    }

    /// Lets time pass under a load: processor use of all together, in percent of one instance, and connections of all.
    fn pass(&mut self, periods: u32, processor: f64, connections: f64) {
        for _ in 0..periods {
            self.now += 1;
            let now = self.now;
            self.leaving.retain(|gone| *gone > now);
            let serving: Vec<u32> = self.instances.iter().copied().filter(|at| *at <= now).collect();
            let warm = serving.iter().filter(|at| now - **at >= WARMUP).count();
            let served = f64::from(u32::try_from(serving.len()).unwrap());
            let readings = [
                (warm > 0).then(|| Reading {
                    mean: processor / served,
                    instances: u32::try_from(warm).unwrap(),
                }),
                Some(Reading {
                    mean: connections / served,
                    instances: u32::try_from(serving.len()).unwrap(),
                }),
            ];
            let fleet = Fleet {
                desired: self.desired,
                warming: u32::try_from(self.instances.len() - warm).unwrap(),
                leaving: u32::try_from(self.leaving.len()).unwrap(),
            };
            let outcome = self.autoscaler.observe(&readings, fleet);
            self.alarms += outcome.alarms.len();
            if let Some(Resize { from, to, .. }) = outcome.resize {
                assert_eq!(from, self.desired);
                assert!((2..=4).contains(&to), "{to}");
                self.desired = to;
                self.sizes.push(to);
                for _ in from..to {
                    self.instances.push(now + BOOT);
                }
                for _ in to..from {
                    self.instances.remove(0);
                    self.leaving.push(now + LEAVING);
                }
            }
        }
    }
}

#[test]
fn three_datapoints_above_a_target_let_it_grow_by_what_is_missing_and_no_more() {
    let mut world = World::new();
    world.pass(10, 60.0, 8_000.0);
    assert_eq!(world.sizes, [2]);
    world.pass(2, 60.0, 14_000.0);
    assert_eq!(world.sizes, [2], "not before the third");
    world.pass(1, 60.0, 14_000.0);
    assert_eq!(world.sizes, [2, 3]);
    world.pass(60, 60.0, 14_000.0);
    assert_eq!(world.sizes, [2, 3], "neither while it warms up nor later");
    assert_eq!(world.alarms, 1);
}

#[test]
fn it_grows_at_once_to_what_the_load_takes_and_not_above_the_most() {
    let mut world = World::new();
    world.pass(3, 600.0, 1_000.0);
    assert_eq!(world.sizes, [2, 4]);
    world.pass(60, 600.0, 1_000.0);
    assert_eq!(world.sizes, [2, 4]);
}

#[test]
fn instances_that_warm_up_are_not_asked_for_twice() {
    let mut world = World::new();
    // Three are enough: while the third warms up, the two others go on being above the target.
    world.pass(20, 190.0, 1_000.0);
    assert_eq!(world.sizes, [2, 3]);
}

#[test]
fn a_moment_above_the_target_changes_nothing() {
    let mut world = World::new();
    for _ in 0..20 {
        world.pass(2, 190.0, 20_000.0);
        world.pass(1, 100.0, 8_000.0);
    }
    assert_eq!(world.sizes, [2]);
}

#[test]
fn it_shrinks_one_by_one_and_only_when_every_policy_would_have_it() {
    let mut world = World::new();
    world.pass(3, 260.0, 19_000.0);
    world.pass(30, 260.0, 19_000.0);
    assert_eq!(world.sizes, [2, 4]);
    // Processor use has fallen, connections have not.
    world.pass(60, 20.0, 19_000.0);
    assert_eq!(world.sizes, [2, 4]);
    world.pass(14, 20.0, 1_000.0);
    assert_eq!(world.sizes, [2, 4], "fifteen datapoints");
    world.pass(1, 20.0, 1_000.0);
    assert_eq!(world.sizes, [2, 4, 3]);
    world.pass(LEAVING, 20.0, 1_000.0);
    assert_eq!(world.sizes, [2, 4, 3, 2], "the next one when the first is gone");
    world.pass(60, 20.0, 1_000.0);
    assert_eq!(world.sizes, [2, 4, 3, 2], "never below the least");
}

#[test]
fn it_does_not_shrink_to_what_would_be_too_small() {
    let mut world = World::new();
    world.pass(40, 60.0, 14_000.0);
    // In the mean of three below nine tenths of the target, and too many for two.
    world.pass(60, 60.0, 11_000.0);
    assert_eq!(world.sizes, [2, 3]);
}

#[test]
fn without_datapoints_nothing_is_done() {
    let mut autoscaler = Autoscaler::new(stack(), 2, 4);
    let fleet = Fleet {
        desired: 3,
        warming: 0,
        leaving: 0,
    };
    let at = |mean| Some(Reading { mean, instances: 3 });
    for _ in 0..100 {
        // Idle by the one, and nothing is known of the other.
        assert_eq!(autoscaler.observe(&[at(1.0), None], fleet), Outcome::default());
    }
    // A hole begins the count anew.
    for readings in [
        [at(90.0), at(1.0)],
        [at(90.0), at(1.0)],
        [None, at(1.0)],
        [at(90.0), at(1.0)],
    ] {
        assert_eq!(autoscaler.observe(&readings, fleet), Outcome::default());
    }
    autoscaler.observe(&[at(90.0), at(1.0)], fleet);
    let outcome = autoscaler.observe(&[at(90.0), at(1.0)], fleet);
    let resize = outcome.resize.unwrap();
    assert_eq!((resize.from, resize.to), (3, 4));
    assert!(
        resize.why.contains("CpuScaling") && resize.why.contains("90"),
        "{}",
        resize.why
    );
    assert_eq!(outcome.alarms, [resize.why]);
}
