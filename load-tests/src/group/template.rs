//! The numbers of a group, read from the CloudFormation template that makes it.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_yaml_ng::Value;

use super::{
    GroupSettings,
    scaling::{Metric, Policy, Scaling},
    stack::{BOOT, DEREGISTRATION_LAG, HIGH_DATAPOINTS, LOW_DATAPOINTS, PERIOD},
};

/// What the scripts of a machine say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instance {
    pub(super) drain: Duration,
    pub(super) pause_before_drain: Duration,
}

/// The numbers of a template with one target group, one load balancer and one group; the error names what it lacks.
pub(super) fn parse(text: &str, instance: Instance) -> anyhow::Result<GroupSettings> {
    let template: Value = serde_yaml_ng::from_str(text)?;
    let parameters = template.get("Parameters").context("it has no Parameters")?;
    let size = |name: &str| {
        let default = parameters
            .get(name)
            .and_then(|parameter| parameter.get("Default"));
        Ok::<_, anyhow::Error>(u32::try_from(number(name, default)?)?)
    };
    let resources = template.get("Resources").context("it has no Resources")?;
    let field = |name: &str| find(resources, name);
    let seconds = |name: &str, value| Ok::<_, anyhow::Error>(Duration::from_secs(number(name, value)?));
    let count = |name: &str| Ok::<_, anyhow::Error>(u32::try_from(number(name, field(name))?)?);
    let delay = "deregistration_delay.timeout_seconds";
    let idle = "idle_timeout.timeout_seconds";
    let path = field("HealthCheckPath").and_then(Value::as_str);
    Ok(GroupSettings {
        min: size("MinSize")?,
        max: size("MaxSize")?,
        batch: count("MaxBatchSize")?,
        health_path: path.context("it has no HealthCheckPath")?.to_owned(),
        check_interval: seconds("HealthCheckIntervalSeconds", field("HealthCheckIntervalSeconds"))?,
        healthy_threshold: count("HealthyThresholdCount")?,
        unhealthy_threshold: count("UnhealthyThresholdCount")?,
        deregistration_delay: seconds(delay, attribute(resources, delay))?,
        deregistration_lag: DEREGISTRATION_LAG,
        pause_before_drain: instance.pause_before_drain,
        idle_timeout: seconds(idle, attribute(resources, idle))?,
        drain: instance.drain,
        boot: BOOT,
        scaling: scaling(parameters, resources)?,
    })
}

/// What the group's size follows.
fn scaling(parameters: &Value, resources: &Value) -> anyhow::Result<Scaling> {
    let seconds = |name: &str| {
        let value = number(name, find(resources, name))?;
        Ok::<_, anyhow::Error>(Duration::from_secs(value))
    };
    let subnets = find(resources, "VPCZoneIdentifier").and_then(Value::as_sequence);
    let zones = subnets
        .context("it has no VPCZoneIdentifier with a list of subnets")?
        .len();
    let mut policies = Vec::new();
    for (name, resource) in resources.as_mapping().into_iter().flatten() {
        if resource.get("Type").and_then(Value::as_str) == Some("AWS::AutoScaling::ScalingPolicy") {
            let name = name.as_str().unwrap_or_default();
            let read = policy(name, resource, parameters);
            policies.push(read.with_context(|| format!("the policy {name}"))?);
        }
    }
    anyhow::ensure!(!policies.is_empty(), "it has no AWS::AutoScaling::ScalingPolicy");
    Ok(Scaling {
        policies,
        period: PERIOD,
        high_datapoints: HIGH_DATAPOINTS,
        low_datapoints: LOW_DATAPOINTS,
        warmup: seconds("DefaultInstanceWarmup")?,
        grace: seconds("HealthCheckGracePeriod")?,
        zones: u32::try_from(zones)?,
    })
}

fn policy(name: &str, resource: &Value, parameters: &Value) -> anyhow::Result<Policy> {
    let kind = find(resource, "PolicyType").and_then(Value::as_str);
    anyhow::ensure!(
        kind == Some("TargetTrackingScaling"),
        "it is no TargetTrackingScaling, which is all that is known here"
    );
    let metric = match find(resource, "PredefinedMetricType").and_then(Value::as_str) {
        Some("ASGAverageCPUUtilization") => Metric::Processor,
        Some(other) => bail!("the metric {other} is not known here"),
        None => {
            let statistic = find(resource, "Statistic").and_then(Value::as_str);
            anyhow::ensure!(statistic == Some("Average"), "its Statistic is not Average");
            let name = find(resource, "MetricName").and_then(Value::as_str);
            Metric::Node(name.context("it has no MetricName")?.to_owned())
        }
    };
    let target = resolved(find(resource, "TargetValue"), parameters);
    #[allow(clippy::cast_precision_loss, reason = "a target is far below 2^53")]
    let target = number("TargetValue", target)? as f64;
    Ok(Policy {
        name: name.to_owned(),
        metric,
        target,
    })
}

/// A value, or the default of the parameter that it refers to.
fn resolved<'v>(value: Option<&'v Value>, parameters: &'v Value) -> Option<&'v Value> {
    match value {
        Some(Value::Tagged(tagged)) if tagged.tag == "Ref" => {
            parameters.get(tagged.value.as_str()?)?.get("Default")
        }
        other => other,
    }
}

/// A number, or a text that is one, as attributes are.
fn number(name: &str, value: Option<&Value>) -> anyhow::Result<u64> {
    match value {
        Some(Value::Number(number)) => number
            .as_u64()
            .with_context(|| format!("{name} is no whole number")),
        Some(Value::String(text)) => text.parse().with_context(|| format!("{name} is no whole number")),
        Some(_) => bail!("{name} is no number"),
        None => bail!("it has no {name}"),
    }
}

/// The first value under this key, at any depth.
fn find<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Mapping(map) => {
            let here = map.get(key);
            here.or_else(|| map.values().find_map(|value| find(value, key)))
        }
        Value::Sequence(all) => all.iter().find_map(|value| find(value, key)),
        Value::Tagged(tagged) => find(&tagged.value, key),
        _ => None,
    }
}

/// The value of an attribute in a list of `{Key, Value}`, at any depth.
fn attribute<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Mapping(map) if map.get("Key").and_then(Value::as_str) == Some(key) => map.get("Value"),
        Value::Mapping(map) => map.values().find_map(|value| attribute(value, key)),
        Value::Sequence(all) => all.iter().find_map(|value| attribute(value, key)),
        Value::Tagged(tagged) => attribute(&tagged.value, key),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: Instance = Instance {
        drain: Duration::from_secs(9),
        pause_before_drain: Duration::from_secs(4),
    };

    const TEMPLATE: &str = "
Parameters:
  MinSize: {Type: Number, Default: 3}
  MaxSize: {Type: Number, Default: '5'}
  Most: {Type: Number, Default: 70}
Resources:
  LoadBalancer:
    Properties:
      LoadBalancerAttributes:
        - !If [Full, {Key: access_logs.s3.enabled, Value: 'true'}, !Ref AWS::NoValue]
        - {Key: idle_timeout.timeout_seconds, Value: '130'}
  TargetGroup:
    Properties:
      HealthCheckPath: /somewhere
      HealthCheckIntervalSeconds: 10
      HealthyThresholdCount: 4
      UnhealthyThresholdCount: 5
      TargetGroupAttributes: [{Key: deregistration_delay.timeout_seconds, Value: '20'}]
  Group:
    UpdatePolicy: {AutoScalingRollingUpdate: !If [Refresh, !Ref AWS::NoValue, {MaxBatchSize: 2}]}
    Properties: {VPCZoneIdentifier: [!Ref A, !Ref B, !Ref C], DefaultInstanceWarmup: 7, HealthCheckGracePeriod: 8}
  Busy:
    Type: AWS::AutoScaling::ScalingPolicy
    Properties:
      PolicyType: TargetTrackingScaling
      TargetTrackingConfiguration:
        TargetValue: 60
        PredefinedMetricSpecification: {PredefinedMetricType: ASGAverageCPUUtilization}
  Crowded:
    Type: AWS::AutoScaling::ScalingPolicy
    Properties:
      PolicyType: TargetTrackingScaling
      TargetTrackingConfiguration:
        TargetValue: !Ref Most
        CustomizedMetricSpecification: {MetricName: people, Statistic: Average}
";

    #[test]
    fn numbers_are_found_wherever_they_stand() {
        let settings = parse(TEMPLATE, INSTANCE).unwrap();
        let expected = GroupSettings {
            min: 3,
            max: 5,
            batch: 2,
            health_path: "/somewhere".into(),
            check_interval: Duration::from_secs(10),
            healthy_threshold: 4,
            unhealthy_threshold: 5,
            deregistration_delay: Duration::from_secs(20),
            deregistration_lag: DEREGISTRATION_LAG,
            pause_before_drain: Duration::from_secs(4),
            idle_timeout: Duration::from_secs(130),
            drain: Duration::from_secs(9),
            boot: BOOT,
            scaling: Scaling {
                policies: vec![
                    Policy {
                        name: "Busy".into(),
                        metric: Metric::Processor,
                        target: 60.0,
                    },
                    Policy {
                        name: "Crowded".into(),
                        metric: Metric::Node("people".into()),
                        target: 70.0,
                    },
                ],
                warmup: Duration::from_secs(7),
                grace: Duration::from_secs(8),
                zones: 3,
                period: PERIOD,
                high_datapoints: HIGH_DATAPOINTS,
                low_datapoints: LOW_DATAPOINTS,
            },
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn a_number_that_is_missing_is_named() {
        let error = parse(&TEMPLATE.replace("HealthyThresholdCount: 4", ""), INSTANCE).unwrap_err();
        assert!(error.to_string().contains("HealthyThresholdCount"), "{error:#}");
        let error = parse(&TEMPLATE.replace("'130'", "soon"), INSTANCE).unwrap_err();
        assert!(error.to_string().contains("idle_timeout"), "{error:#}");
        for (there, instead, named) in [
            ("TargetTrackingScaling", "StepScaling", "Busy"),
            ("ASGAverageCPUUtilization", "Other", "Other"),
            ("!Ref Most", "!Ref None", "TargetValue"),
            ("HealthCheckGracePeriod: 8", "Other: 8", "HealthCheckGracePeriod"),
            ("MaxBatchSize", "Other", "MaxBatchSize"),
        ] {
            let error = parse(&TEMPLATE.replace(there, instead), INSTANCE).unwrap_err();
            assert!(format!("{error:#}").contains(named), "{error:#}");
        }
    }
}
