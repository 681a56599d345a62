//! The files of the stack that a group's numbers stand in: the template, and the scripts of its machines. There is no other
//! place for a number that one of them has.

use std::{borrow::Cow, fs, path::Path, time::Duration};

use anyhow::Context;

use super::{
    GroupSettings,
    template::{self, Instance},
};

/// What no file of the stack says. AWS' own: how long a load balancer takes until all of it knows that a target leaves (some
/// seconds), from one datapoint to the next, and how many of them target tracking goes by. And what a small machine takes
/// from its start to its node: packages and image.
pub(super) const DEREGISTRATION_LAG: Duration = Duration::from_secs(5);
pub(super) const PERIOD: Duration = Duration::from_secs(60);
pub(super) const HIGH_DATAPOINTS: usize = 3;
pub(super) const LOW_DATAPOINTS: usize = 15;
pub(super) const BOOT: Duration = Duration::from_secs(60);

/// A file by its name and its text.
struct File {
    name: String,
    text: Cow<'static, str>,
}

/// All of them.
struct Stack {
    template: File,
    boot: File,
    lifecycle: File,
}

macro_rules! built_in {
    ($path:literal) => {
        File {
            name: $path.to_owned(),
            text: Cow::Borrowed(include_str!(concat!("../../../", $path))),
        }
    };
}

impl GroupSettings {
    /// The numbers of the stack as they were when this was built.
    ///
    /// # Errors
    /// When one of its files lacks a number; the message names both.
    pub fn of_stack() -> anyhow::Result<Self> {
        Stack::built_in().settings()
    }

    /// The numbers of this template and of the scripts in `../instance` beside it, where there is such a folder; without a
    /// template, and without the folder, those of the stack as they were when this was built.
    ///
    /// # Errors
    /// When a file cannot be read, the template is no YAML, or one lacks a number; the message names the file and the number.
    pub fn read(template: Option<&Path>) -> anyhow::Result<Self> {
        match template {
            Some(template) => Stack::read(template)?.settings(),
            None => Self::of_stack(),
        }
    }
}

impl Stack {
    fn built_in() -> Self {
        Self {
            template: built_in!("infra/cloudformation/service.yaml"),
            boot: built_in!("infra/instance/boot"),
            lifecycle: built_in!("infra/instance/lifecycle"),
        }
    }

    fn read(template: &Path) -> anyhow::Result<Self> {
        let built_in = Self::built_in();
        let template_file = File::read(template)?;
        let folder = template.parent().map(|folder| folder.join("../instance"));
        Ok(match folder.filter(|folder| folder.is_dir()) {
            Some(folder) => Self {
                template: template_file,
                boot: File::read(&folder.join("boot"))?,
                lifecycle: File::read(&folder.join("lifecycle"))?,
            },
            None => Self {
                template: template_file,
                ..built_in
            },
        })
    }

    fn settings(&self) -> anyhow::Result<GroupSettings> {
        let instance = Instance {
            drain: self.boot.seconds("HUBBUB__DRAIN__SECONDS=")?,
            pause_before_drain: self.lifecycle.seconds("HUBBUB_LIFECYCLE_SETTLE:-")?,
        };
        template::parse(&self.template.text, instance)
            .with_context(|| format!("{} is no template of a group", self.template.name))
    }
}

impl File {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        Ok(Self {
            name,
            text: text.into(),
        })
    }

    /// The number behind this in a script.
    fn seconds(&self, before: &str) -> anyhow::Result<Duration> {
        let found = self.text.split_once(before).map(|(_, behind)| {
            let end = behind.find(|c: char| !c.is_ascii_digit());
            &behind[..end.unwrap_or(behind.len())]
        });
        let number = found.and_then(|digits| digits.parse().ok());
        let number = number.with_context(|| format!("{} has no number behind {before}", self.name))?;
        Ok(Duration::from_secs(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another number in a file of the stack.
    fn changed(file: impl Fn(&mut Stack) -> &mut File, there: &str, instead: &str) -> GroupSettings {
        let mut stack = Stack::built_in();
        let file = file(&mut stack);
        assert!(file.text.contains(there), "{} has {there}", file.name);
        file.text = file.text.replace(there, instead).into();
        stack.settings().unwrap()
    }

    #[test]
    fn no_number_is_copied() {
        let seconds = Duration::from_secs;
        let template = |there: &str, instead: &str| changed(|stack| &mut stack.template, there, instead);
        assert_eq!(
            template("Default: 2, MinValue: 2", "Default: 3, MinValue: 2").min,
            3
        );
        assert_eq!(
            template("Default: 4, MinValue: 2", "Default: 5, MinValue: 2").max,
            5
        );
        assert_eq!(template("MaxBatchSize: 1", "MaxBatchSize: 2").batch, 2);
        assert_eq!(template("/livez", "/alive").health_path, "/alive");
        let interval = template("HealthCheckIntervalSeconds: 30", "HealthCheckIntervalSeconds: 20");
        assert_eq!(interval.check_interval, seconds(20));
        let healthy = template(
            "HealthyThresholdCount: 2\n      U",
            "HealthyThresholdCount: 3\n      U",
        );
        assert_eq!(healthy.healthy_threshold, 3);
        let unhealthy = template("UnhealthyThresholdCount: 2", "UnhealthyThresholdCount: 4");
        assert_eq!(unhealthy.unhealthy_threshold, 4);
        let delay = "deregistration_delay.timeout_seconds, Value: ";
        let delayed = template(&format!("{delay}\"75\""), &format!("{delay}\"90\""));
        assert_eq!(delayed.deregistration_delay, seconds(90));
        let idle = "idle_timeout.timeout_seconds, Value: ";
        let idle = template(&format!("{idle}\"120\""), &format!("{idle}\"60\""));
        assert_eq!(idle.idle_timeout, seconds(60));
        let grace = template("HealthCheckGracePeriod: 420", "HealthCheckGracePeriod: 300");
        assert_eq!(grace.scaling.grace, seconds(300));
        let warmup = template("DefaultInstanceWarmup: 180", "DefaultInstanceWarmup: 90");
        assert_eq!(warmup.scaling.warmup, seconds(90));
        let zones = "VPCZoneIdentifier: [!Ref PublicSubnetA, ";
        assert_eq!(
            template(zones, &format!("{zones}!Ref C, ")).scaling.zones,
            3,
            "a zone more"
        );
        let targets = |settings: &GroupSettings| -> Vec<f64> {
            let policies = settings.scaling.policies.iter();
            policies.map(|policy| policy.target).collect()
        };
        let processor = template("TargetValue: 70", "TargetValue: 55");
        let connections = template("Default: 5000", "Default: 4000");
        assert_eq!(targets(&processor)[0], 55.0);
        assert_eq!(targets(&connections)[1], 4_000.0);

        let drain = changed(|stack| &mut stack.boot, "DRAIN__SECONDS=60", "DRAIN__SECONDS=45");
        assert_eq!(drain.drain, seconds(45));
        let settle = changed(|stack| &mut stack.lifecycle, "SETTLE:-10", "SETTLE:-15");
        assert_eq!(settle.pause_before_drain, seconds(15));
    }

    #[test]
    fn a_file_without_its_number_is_named_with_it() {
        let mut stack = Stack::built_in();
        stack.boot.text = "HUBBUB__DRAIN__SECONDS=$LATER".into();
        let error = format!("{:#}", stack.settings().unwrap_err());
        assert!(
            error.contains("instance/boot") && error.contains("HUBBUB__DRAIN__SECONDS"),
            "{error}"
        );

        let mut stack = Stack::built_in();
        stack.template.text = stack.template.text.replace("MaxBatchSize", "Other").into();
        let error = format!("{:#}", stack.settings().unwrap_err());
        assert!(
            error.contains("service.yaml") && error.contains("MaxBatchSize"),
            "{error}"
        );
    }

    #[test]
    fn scripts_beside_a_template_are_read_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (stack, machines) = (
            folder.path().join("cloudformation"),
            folder.path().join("instance"),
        );
        fs::create_dir(&stack).unwrap();
        let template = stack.join("service.yaml");
        fs::write(&template, &*Stack::built_in().template.text).unwrap();
        assert_eq!(
            GroupSettings::read(Some(&template)).unwrap(),
            GroupSettings::of_stack().unwrap()
        );

        fs::create_dir(&machines).unwrap();
        fs::write(machines.join("boot"), "HUBBUB__DRAIN__SECONDS=33\n").unwrap();
        let error = GroupSettings::read(Some(&template)).unwrap_err();
        assert!(error.to_string().contains("lifecycle"), "{error:#}");
        fs::write(
            machines.join("lifecycle"),
            "SETTLE=${HUBBUB_LIFECYCLE_SETTLE:-7}\n",
        )
        .unwrap();
        let settings = GroupSettings::read(Some(&template)).unwrap();
        assert_eq!(
            (settings.drain, settings.pause_before_drain),
            (Duration::from_secs(33), Duration::from_secs(7))
        );
    }
}
