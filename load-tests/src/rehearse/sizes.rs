//! How many people it takes to bring a group from one size to the next, in full instances: what one has whose connections are
//! at the target.

use super::{Act, RehearseArgs, judge};
use crate::group::GroupSettings;

/// People of a group that has so many instances at rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shares {
    /// Too few for another instance.
    pub(super) at_rest: f64,
    /// As many as need one more.
    pub(super) crowded: f64,
}

impl Shares {
    pub(super) fn of(min: u32) -> Self {
        Self {
            at_rest: f64::from(min) * 0.6,
            crowded: f64::from(min) + 0.8,
        }
    }

    /// As many as keep so many instances: more than nine tenths of the target on each, and less than need another one.
    pub(super) fn full(instances: u32) -> f64 {
        f64::from(instances) - 0.3
    }
}

/// Refuses what cannot be played to its end, before anything is started.
pub(super) fn check(args: &RehearseArgs, group: &GroupSettings) -> anyhow::Result<()> {
    // By connections, and once more by processors.
    let growths = 1 + u32::from(args.plays(Act::Busy));
    let (min, max) = (group.min, group.max);
    anyhow::ensure!(
        min >= 2 && max >= min + growths,
        "this rehearsal grows {growths} times from 2 instances or more, and the group is of {min} to {max}: it takes a larger \
         MaxSize{}",
        if args.plays(Act::Busy) {
            ", or --skip busy"
        } else {
            ""
        }
    );
    anyhow::ensure!(
        !args.plays(Act::Zone) || group.scaling.zones >= 2,
        "the group has one zone only, and none would be left without it: --skip zone"
    );
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of people"
    )]
    let people = (args.deployment.connections_per_instance * Shares::of(min).crowded) as u32;
    judge::enough_people(
        "(--connections-per-instance) once the group has grown",
        people,
        (min + growths) as usize,
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        rehearse: RehearseArgs,
    }

    fn checked(line: &str, (min, max): (u32, u32), zones: u32) -> Result<(), String> {
        let args = Line::parse_from(["rehearse"].into_iter().chain(line.split_whitespace())).rehearse;
        let mut group = GroupSettings::of_stack().unwrap();
        (group.min, group.max, group.scaling.zones) = (min, max, zones);
        check(&args, &group).map_err(|error| error.to_string())
    }

    #[test]
    fn people_bring_a_group_of_any_size_to_the_next_one() {
        for min in 2..=10 {
            let shares = Shares::of(min);
            let (least, more) = (f64::from(min), f64::from(min + 1));
            assert!(shares.at_rest < 0.9 * least, "{min}: no reason to grow");
            assert!(
                shares.crowded > least && shares.crowded < more,
                "{min}: one more, and no second"
            );
            assert!(shares.crowded > 0.9 * more, "{min}: and it is kept");
            let (now, full) = (f64::from(min + 2), Shares::full(min + 2));
            assert!(full > 0.9 * now && full < now, "{min}: and so are two more");
        }
    }

    #[test]
    fn groups_that_cannot_grow_so_far_are_refused() {
        for sizes in [(2, 4), (3, 5), (2, 5)] {
            assert_eq!(checked("", sizes, 2), Ok(()), "{sizes:?}");
        }
        assert_eq!(checked("--skip busy", (2, 3), 2), Ok(()));
        for (line, sizes) in [("", (2, 3)), ("", (1, 4)), ("--skip busy", (4, 4))] {
            let refused = checked(line, sizes, 2).unwrap_err();
            assert!(refused.contains("MaxSize"), "{refused}");
        }
        assert!(checked("", (2, 4), 1).unwrap_err().contains("--skip zone"));
        assert_eq!(checked("--skip zone", (2, 4), 1), Ok(()));
        let refused = checked("--connections-per-instance 20", (2, 4), 2).unwrap_err();
        assert!(refused.contains("too few"), "{refused}");
    }
}
