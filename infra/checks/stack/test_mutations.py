"""Faults that stacks of this kind have, planted one at a time: each must turn the check red that is there for it."""

import contextlib
import copy
import unittest
from unittest import mock

import checks
import rights  # noqa: F401  registers its checks
from checks import CHECKS
from templates import all_templates


def resource(templates, name):
    (found,) = [template["Resources"][name] for template in templates.values() if name in template["Resources"]]
    return found


def properties(templates, name):
    return resource(templates, name)["Properties"]


def attribute(templates, name, key, pair, value):
    for attribute in properties(templates, name)[key]:
        if attribute.get("Key") == pair:
            attribute["Value"] = value


def statement(templates, role, sid):
    body = properties(templates, role)
    document = body["PolicyDocument"] if "PolicyDocument" in body else body["Policies"][0]["PolicyDocument"]
    (found,) = [one for one in document["Statement"] if one.get("Sid") == sid]
    return found


def subject(templates, role, value):
    trust = properties(templates, role)["AssumeRolePolicyDocument"]["Statement"][0]
    trust["Condition"] = {"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"},
                          "StringLike": {"token.actions.githubusercontent.com:sub": value}}


def rolling(templates):
    return resource(templates, "Group")["UpdatePolicy"]["AutoScalingRollingUpdate"]["Fn::If"][2]


# fault: (what is done, the check that must turn red)
FAULTS = {
    "nodes open to the world on 8080": (
        lambda t: properties(t, "NodeSecurityGroup")["SecurityGroupIngress"].append({"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "CidrIp": "0.0.0.0/0"}),
        "only_the_load_balancer_reaches_nodes"),
    "Postgres open to the whole network": (
        lambda t: properties(t, "PostgresSecurityGroup")["SecurityGroupIngress"][0].update({"CidrIp": "10.0.0.0/16", "SourceSecurityGroupId": None}),
        "only_the_load_balancer_reaches_nodes"),
    "SSH from anywhere taken as a parameter": (
        lambda t: t["foundation"].pop("Rules"),
        "ssh_and_prometheus_only_by_parameter"),
    "Redis wears the nodes' security group": (
        lambda t: properties(t, "Redis").update(SecurityGroupIds=[{"Ref": "NodeSecurityGroup"}]) or t["data"]["Parameters"].update(NodeSecurityGroup={"Type": "String"}),
        "security_groups_are_worn"),
    "no answers to clients through the ACL": (
        lambda t: properties(t, "PublicOutHigh")["PortRange"].update(From=32768, To=60999),
        "acls_let_what_must_pass"),
    "ACL lets the world to all high ports": (
        lambda t: properties(t, "PublicInAnswers")["PortRange"].update(From=1024, To=65535),
        "acls_stop_what_must_not"),
    "data subnet with a route to the internet": (
        lambda t: t["foundation"]["Resources"].update(Out={"Type": "AWS::EC2::Route", "Properties": {
            "RouteTableId": {"Ref": "DataRoutes"}, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": {"Ref": "InternetGateway"}}}),
        "data_has_no_way_out"),
    "both subnets in one zone": (
        lambda t: [properties(t, f"{kind}SubnetB").update(AvailabilityZone={"Fn::Select": [0, {"Fn::GetAZs": ""}]}) for kind in ("Public", "Data")],
        "data_has_no_way_out"),
    "health by EC2 alone": (
        lambda t: properties(t, "Group").update(HealthCheckType="EC2"),
        "the_group_is_two_to_four"),
    "IMDSv1": (
        lambda t: properties(t, "LaunchTemplate")["LaunchTemplateData"]["MetadataOptions"].update(HttpTokens="optional"),
        "the_group_is_two_to_four"),
    "standard credits": (
        lambda t: properties(t, "LaunchTemplate")["LaunchTemplateData"]["CreditSpecification"].update(CpuCredits="standard"),
        "the_group_is_two_to_four"),
    "no scaling by connections": (
        lambda t: t["service"]["Resources"].pop("ConnectionScaling"),
        "scaling_by_cpu_and_connections"),
    "idle timeout as short as a ping": (
        lambda t: attribute(t, "LoadBalancer", "LoadBalancerAttributes", "idle_timeout.timeout_seconds", "45"),
        "the_target_group_fits_the_application"),
    "health check that an outage of the database fails": (
        lambda t: properties(t, "TargetGroup").update(HealthCheckPath="/readyz"),
        "the_target_group_fits_the_application"),
    "wrong port of the target group": (
        lambda t: properties(t, "TargetGroup").update(Port=80),
        "security_groups_are_worn"),
    "deregistration shorter than the drain": (
        lambda t: attribute(t, "TargetGroup", "TargetGroupAttributes", "deregistration_delay.timeout_seconds", "30"),
        "the_drain_has_time_everywhere"),
    "hook that ends before the drain": (
        lambda t: properties(t, "Group")["LifecycleHookSpecificationList"][0].update(HeartbeatTimeout=30),
        "the_drain_has_time_everywhere"),
    "rolling update without signals": (
        lambda t: rolling(t).update(WaitOnResourceSignals=False),
        "updates_are_one_by_one_with_signals"),
    "two at a time": (
        lambda t: rolling(t).update(MaxBatchSize=2),
        "updates_are_one_by_one_with_signals"),
    "created with one signal of two": (
        lambda t: resource(t, "Group")["CreationPolicy"]["ResourceSignal"].update(Count=1),
        "updates_are_one_by_one_with_signals"),
    "less patience than a node needs to fail": (
        lambda t: rolling(t).update(PauseTime="PT5M"),
        "updates_are_one_by_one_with_signals"),
    "plain HTTP beside a certificate": (
        lambda t: properties(t, "HttpListener").update(DefaultActions=[{"Type": "forward", "TargetGroupArn": {"Ref": "TargetGroup"}}]),
        "certificate_turns_http_into_a_redirect"),
    "public Postgres": (
        lambda t: properties(t, "Postgres").update(PubliclyAccessible=True),
        "the_data_is_kept"),
    "backups of a day": (
        lambda t: properties(t, "Postgres").update(BackupRetentionPeriod=1),
        "the_data_is_kept"),
    "Postgres goes with its stack": (
        lambda t: resource(t, "Postgres").update(DeletionPolicy="Delete"),
        "the_data_is_kept"),
    "commits that are answered before they are on disk": (
        lambda t: properties(t, "PostgresParameters")["Parameters"].update(synchronous_commit="off"),
        "the_data_is_kept"),
    "Redis without TLS": (
        lambda t: properties(t, "Redis").update(TransitEncryptionEnabled=False),
        "the_data_is_kept"),
    "Redis' user lacks what nodes do": (
        lambda t: properties(t, "RedisNodeUser").update(AccessString="on ~hubbub:* &hubbub:* -@all +get +set"),
        "redis_users_may_only_what_nodes_do"),
    "more connections than Postgres takes": (
        lambda t: t["service"]["Parameters"]["StorePoolSize"].update(Default=30),
        "connections_fit_the_database"),
    "no alarm for evictions": (
        lambda t: t["watch"]["Resources"].pop("RedisEvictions"),
        "there_is_an_alarm_of_every_kind"),
    "alarm without an action": (
        lambda t: properties(t, "BusDown").pop("AlarmActions"),
        "alarms_act_on_what_is_emitted"),
    "alarm on a metric that nothing emits": (
        lambda t: properties(t, "NodeMemory").update(MetricName="MemoryUtilization"),
        "alarms_act_on_what_is_emitted"),
    "dashboard of a metric that nothing emits": (
        lambda t: properties(t, "Dashboard").update(DashboardBody={"Fn::Sub": [properties(t, "Dashboard")["DashboardBody"]["Fn::Sub"][0].replace("hubbub_rooms", "hubbub_chambers"),
                                                                               properties(t, "Dashboard")["DashboardBody"]["Fn::Sub"][1]]}),
        "the_dashboard_shows_what_is_emitted"),
    "a topic that alarms may not publish to": (
        lambda t: properties(t, "AlarmTopicPolicy")["PolicyDocument"]["Statement"][0].update(Principal={"Service": ["events.rds.amazonaws.com"]}),
        "alarm_topic_may_be_used"),
    "logs kept for ever": (
        lambda t: properties(t, "NodeLogs").update(RetentionInDays=3653),
        "logs_are_kept_for_a_time"),
    "log of Postgres that RDS makes, for ever": (
        lambda t: resource(t, "Postgres").update(DependsOn=["PostgresLogs"]),
        "logs_are_kept_for_a_time"),
    "log of another database than there is": (
        lambda t: properties(t, "Postgres").update(DBInstanceIdentifier="hubbub"),
        "logs_are_kept_for_a_time"),
    "key that the logs of Postgres may not use": (
        lambda t: next(one for one in properties(t, "Key")["KeyPolicy"]["Statement"] if one["Sid"] == "Logs")["Condition"]["ArnLike"][
            "kms:EncryptionContext:aws:logs:arn"].pop(),
        "logs_are_kept_for_a_time"),
    "something to be kept where no policy guards it": (
        lambda t: t["watch"]["Resources"].update(Copy={"Type": "AWS::Backup::BackupVault", "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}),
        "no_update_loses_what_is_kept"),
    "deployer who takes the policy off any stack": (
        lambda t: statement(t, "DeployRole", "GuardWhatIsKept")["Resource"].append({"Fn::Sub": "arn:${AWS::Partition}:cloudformation:${AWS::Region}:${AWS::AccountId}:stack/*"}),
        "deployers_may_only_tell_cloudformation"),
    "database password as a parameter": (
        lambda t: t["data"]["Parameters"].update(DBPassword={"Type": "String", "NoEcho": True, "Default": ""}),
        "user_data_is_small_and_holds_no_secret"),
    "metrics open to the network without being asked": (
        lambda t: t["service"]["Conditions"].update(HasPrometheus={"Fn::Equals": ["a", "a"]}),
        "the_container_is_shut_in"),
    "image in the name of something stateful": (
        lambda t: properties(t, "TargetGroup").update(Name={"Ref": "Image"}),
        "an_image_changes_launch_template_and_group_alone"),
    "deployed by a tag": (
        lambda t: t["service"]["Parameters"]["Image"].update(AllowedPattern=".*"),
        "an_image_changes_launch_template_and_group_alone"),
    "output of what may not exist": (
        lambda t: t["service"]["Outputs"].update(Secure={"Value": {"Ref": "HttpsListener"}}),
        "outputs_resolve"),
    "condition that leaves a reference behind": (
        lambda t: resource(t, "AccessLogsPolicy").pop("Condition"),
        "every_combination_renders"),
    "any workflow of the repository deploys": (
        lambda t: subject(t, "DeployRole", "repo:example/hubbub:*"),
        "only_main_builds_and_only_the_environment_deploys"),
    "tokens for anybody": (
        lambda t: properties(t, "BuildRole")["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]["StringEquals"].pop("token.actions.githubusercontent.com:aud"),
        "only_main_builds_and_only_the_environment_deploys"),
    "CloudFormation lacks an action": (
        lambda t: statement(t, "ExecuteNodes", "Group")["Action"].remove("autoscaling:PutLifecycleHook"),
        "cloudformation_may_what_it_needs"),
    "all of EC2": (
        lambda t: statement(t, "ExecuteNetwork", "Network").update(Action=["ec2:*"]),
        "nobody_may_everything_of_a_service"),
    "roles without a boundary": (
        lambda t: statement(t, "ExecuteIdentity", "MakeRolesOnlyWithinTheBoundary").pop("Condition"),
        "made_roles_stay_within_the_boundary"),
    "nodes read every secret": (
        lambda t: statement(t, "NodeRole", "ReadTwoSecrets").update(Resource="*"),
        "nodes_may_little"),
    "key without a word on what becomes of it": (
        lambda t: resource(t, "Key").pop("DeletionPolicy"),
        "nothing_stateful_lies_in_the_service"),
}


# Takes as long as all others together: only for what it is there to find.
SLOW = "every_combination_renders"


def red(templates, expected=SLOW):
    """The checks that fail on these templates."""
    failed = []
    for name, check in CHECKS.items():
        if name == SLOW != expected:
            continue
        try:
            check(templates)
        except (AssertionError, KeyError, TypeError, ValueError):
            failed.append(name)
    return failed


class Mutations(unittest.TestCase):
    def test_a_stack_policy_with_a_fault_is_found(self):
        """It is no template, so it is broken by itself."""
        real, templates = checks.stack_policy(), all_templates()
        faults = {
            "denies nothing": real[:1],
            "denies replacing alone": [real[0], {**real[1], "Action": "Update:Replace"}, real[2]],
            "forgets the database": [real[0], {**real[1], "Condition": {"StringEquals": {"ResourceType": ["AWS::KMS::Key", "AWS::Backup::BackupVault"]}}}, real[2]],
            "allows nothing": real[1:],
            "keeps Redis as it is": [*real[:2], {**real[2], "Action": "Update:*"}],
        }
        with mock.patch("checks.stack_policy") as policy:
            for fault, broken in {"": real, **faults}.items():
                policy.return_value = broken
                found = contextlib.nullcontext() if broken is real else self.assertRaises(AssertionError, msg=fault)
                with found:
                    checks.no_update_loses_what_is_kept(templates)
        print(f"  stack policy: {len(faults)} faults planted, each found")

    def test_every_fault_is_found(self):
        real = all_templates()
        self.assertEqual(red(real), [], "the templates as they are")
        for fault, (plant, expected) in FAULTS.items():
            with self.subTest(fault):
                broken = copy.deepcopy(real)
                plant(broken)
                failed = red(broken, expected)
                print(f"  {fault:52} {', '.join(sorted(failed, key=lambda name: name != expected)) or 'NOT FOUND'}")
                self.assertIn(expected, failed)
        print(f"  {len(FAULTS)} faults planted")


if __name__ == "__main__":
    unittest.main()
