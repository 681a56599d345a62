//! What AWS says of the deployment's group: its size, its activities, and the alarms of its policies.
#![allow(
    clippy::large_futures,
    reason = "the SDK's requests are large, and there are three of them every ten seconds"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use aws_config::BehaviorVersion;
use aws_sdk_autoscaling::types::{Activity, AutoScalingGroup, LifecycleState};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::time::sleep;

use crate::rehearse::Watch;

/// How often AWS is asked; it has new datapoints once a minute.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// Activities that are asked for at once, the newest first.
const ACTIVITIES: i32 = 50;

/// See the module's documentation.
pub(super) struct Sight {
    scaling: aws_sdk_autoscaling::Client,
    watching: aws_sdk_cloudwatch::Client,
    group: String,
    /// Activities that were told, with how each stood.
    told: BTreeSet<(String, String)>,
    alarms: BTreeMap<String, String>,
}

impl Sight {
    /// Of this group, with the credentials and the region of the environment. What happened before is not told.
    ///
    /// # Errors
    /// When AWS does not answer, or there is no such group.
    pub(super) async fn new(group: &str) -> anyhow::Result<Self> {
        let tls = Provider::Rustls(CryptoMode::Ring);
        let http = aws_smithy_http_client::Builder::new().tls_provider(tls);
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http.build_https());
        let config = config.load().await;
        let mut sight = Self {
            scaling: aws_sdk_autoscaling::Client::new(&config),
            watching: aws_sdk_cloudwatch::Client::new(&config),
            group: group.to_owned(),
            told: BTreeSet::new(),
            alarms: BTreeMap::new(),
        };
        sight.group().await?;
        for activity in sight.activities().await? {
            sight.told.insert(standing(&activity));
        }
        sight.alarms = sight.states().await?;
        Ok(sight)
    }

    /// Tells what happens, until it is stopped.
    pub(super) async fn follow(mut self, watch: Arc<Watch>) {
        let mut silent = false;
        loop {
            match self.look(&watch).await {
                Ok(()) => silent = false,
                Err(error) if !silent => {
                    silent = true;
                    watch.mark("fault", &format!("{error:#}"));
                }
                Err(_) => {}
            }
            sleep(ASK_EVERY).await;
        }
    }

    async fn look(&mut self, watch: &Watch) -> anyhow::Result<()> {
        let group = self.group().await?;
        let serving = group.instances().iter();
        let serving = serving.filter(|of| of.lifecycle_state() == Some(&LifecycleState::InService));
        let serving = i32::try_from(serving.count()).unwrap_or(i32::MAX);
        watch.value("instances", "in service, by AWS", "", f64::from(serving));
        let desired = group.desired_capacity().unwrap_or_default();
        watch.value("instances", "desired", "", f64::from(desired));
        // The oldest first.
        for activity in self.activities().await?.into_iter().rev() {
            if self.told.insert(standing(&activity)) {
                let (kind, text) = words(&activity);
                watch.mark(kind, &text);
            }
        }
        for (alarm, state) in self.states().await? {
            if self.alarms.insert(alarm.clone(), state.clone()).as_ref() != Some(&state) {
                watch.mark("alarm", &format!("{alarm} is {state}"));
            }
        }
        Ok(())
    }

    async fn group(&self) -> anyhow::Result<AutoScalingGroup> {
        let asked = self.scaling.describe_auto_scaling_groups();
        let answer = asked.auto_scaling_group_names(&self.group).send().await;
        let answer =
            answer.context("AWS does not tell of the group (autoscaling:DescribeAutoScalingGroups)")?;
        let found = answer.auto_scaling_groups().first().cloned();
        found.with_context(|| format!("there is no auto-scaling group {} in this region", self.group))
    }

    /// The newest first.
    async fn activities(&self) -> anyhow::Result<Vec<Activity>> {
        let asked = self.scaling.describe_scaling_activities();
        let asked = asked.auto_scaling_group_name(&self.group).max_records(ACTIVITIES);
        let answer = asked.send().await;
        let answer = answer
            .context("AWS does not tell of the group's activities (autoscaling:DescribeScalingActivities)")?;
        Ok(answer.activities().to_vec())
    }

    /// The alarms of target tracking, and how each stands.
    async fn states(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let prefix = format!("TargetTracking-{}-", self.group);
        let answer = self
            .watching
            .describe_alarms()
            .alarm_name_prefix(prefix)
            .send()
            .await;
        let answer = answer.context("AWS does not tell of the alarms (cloudwatch:DescribeAlarms)")?;
        let alarms = answer.metric_alarms().iter().filter_map(|alarm| {
            let state = alarm.state_value()?.as_str().to_owned();
            Some((alarm.alarm_name()?.to_owned(), state))
        });
        Ok(alarms.collect())
    }
}

/// Which activity, and how it stands.
fn standing(activity: &Activity) -> (String, String) {
    let status = activity.status_code().map_or("", |status| status.as_str());
    (
        activity.activity_id().unwrap_or_default().to_owned(),
        status.to_owned(),
    )
}

fn words(activity: &Activity) -> (&'static str, String) {
    let what = activity.description().unwrap_or("an activity");
    let kind = if what.starts_with("Launching") {
        "launch"
    } else if what.starts_with("Terminating") {
        "terminate"
    } else {
        "scale"
    };
    let (_, status) = standing(activity);
    (kind, format!("{what}: {status}"))
}
