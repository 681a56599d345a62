"""What must hold for the stacks, as functions of the templates: the tests run them on the real ones, test_mutations on
broken ones. Each raises AssertionError."""

import json
import re

import network
from templates import FOLDER, IMAGE, INFRA, OPTIONAL, STACKS, System, combinations, package, packaged, Renderer

CHECKS = {}
HA = {"HighAvailability": "true"}
ROOT = INFRA.parent


def check(function):
    """Registers a check under its name."""
    CHECKS[function.__name__] = function
    return function


def seconds(text):
    """ISO 8601, as far as CloudFormation's timeouts use it."""
    hours, minutes, rest = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?", text).groups(default="0")
    return int(hours) * 3600 + int(minutes) * 60 + int(rest)


def application(pattern, path):
    """A number of the application, from its source."""
    found = re.search(pattern, (ROOT / path).read_text())
    assert found, f"{path} has no {pattern}"
    return int(found.group(1).replace("_", ""))


def ping_seconds():
    return application(r"HEARTBEAT_MS: u64 = ([\d_]+)", "protocol/src/limits.rs") // 1000


def boot_setting(key):
    """What instance/boot sets for the node."""
    found = re.search(rf"^{key}=(\S+)$", (INFRA / "instance/boot").read_text(), re.M)
    assert found, f"instance/boot does not set {key}"
    return found.group(1)


def attributes(properties, key):
    return {pair["Key"]: pair["Value"] for pair in properties[key]}


# ---- 1 and 14: everything resolves, whatever is chosen ------------------------------------------------------------------


@check
def outputs_resolve(templates):
    """Every stack gets what it needs from those before it, and every output is of something that exists."""
    for parameters in ({}, HA, {"CostSaving": "true"}, OPTIONAL, {**OPTIONAL, **HA, "Waf": "true", "Replacement": "refresh"}):
        system = System(templates, **parameters)
        for name, value in system.outputs.items():
            assert value not in ("", None, {}), f"output {name} is empty"
    for wanted in ("Url", "WebSocketUrl", "GroupName", "LoadBalancerName", "PostgresAddress", "RedisAddress", "OutageAlarm",
                   "BuildRoleArn", "DeployRoleArn", "ExecutionRoleArn", "RepositoryUri"):
        assert wanted in system.outputs, f"no stack has the output {wanted}"


@check
def every_combination_renders(templates):
    """With every combination of what conditions ask for, nothing refers to what is not made."""
    outputs = System(templates).outputs
    for name in STACKS:
        for chosen in combinations(templates[name]):
            renderer = Renderer(name, templates[name], {"GitHubRepository": "a/b", "Image": "x", **outputs, **chosen})
            renderer.resources()
            renderer.outputs()


@check
def templates_are_small_enough(templates):
    """CloudFormation takes 51,200 bytes without a bucket to put the template into."""
    for name in (*STACKS, "recovery-region"):
        size = len(packaged(name).encode())
        assert size <= 51_200, f"{name} has {size} bytes"


# ---- 2, 3, 4: the network ------------------------------------------------------------------------------------------------


@check
def only_the_load_balancer_reaches_nodes(templates):
    """Internet -> load balancer -> nodes -> data, and no other way in or out."""
    system = System(templates)
    groups = {"LoadBalancerSecurityGroup", "NodeSecurityGroup", "PostgresSecurityGroup", "RedisSecurityGroup"}
    assert set(system.of_type("AWS::EC2::SecurityGroup")) == groups
    into = {group: network.who_may_enter(system, group) for group in groups}
    assert into["LoadBalancerSecurityGroup"] == {("0.0.0.0/0", 80, 80), ("0.0.0.0/0", 443, 443)}, into
    assert into["NodeSecurityGroup"] == {("LoadBalancerSecurityGroup", 8080, 8080)}, into
    assert into["PostgresSecurityGroup"] == {("NodeSecurityGroup", 5432, 5432)}, into
    assert into["RedisSecurityGroup"] == {("NodeSecurityGroup", 6379, 6379)}, into
    out = {group: network.where_may_go(system, group) for group in groups}
    nothing = {("127.0.0.1/32", 0, 65535)}
    assert out["LoadBalancerSecurityGroup"] - nothing == {("NodeSecurityGroup", 8080, 8080)}, out
    assert out["NodeSecurityGroup"] == {("0.0.0.0/0", 443, 443), ("PostgresSecurityGroup", 5432, 5432), ("RedisSecurityGroup", 6379, 6379)}, out
    assert out["PostgresSecurityGroup"] == out["RedisSecurityGroup"] == nothing, "without a rule a group lets everything out"


@check
def ssh_and_prometheus_only_by_parameter(templates):
    system = System(templates, SshCidr=OPTIONAL["SshCidr"], PrometheusSecurityGroup=OPTIONAL["PrometheusSecurityGroup"])
    more = network.who_may_enter(system, "NodeSecurityGroup") - {("LoadBalancerSecurityGroup", 8080, 8080)}
    assert more == {(OPTIONAL["SshCidr"], 22, 22), (OPTIONAL["PrometheusSecurityGroup"], 9090, 9090)}, more
    for world in ("0.0.0.0/0", "0.0.0.0/1"):
        refusals = Renderer("foundation", templates["foundation"], {"SshCidr": world, "Boundary": "x"}).refusals()
        assert refusals, f"SSH from {world} is not refused"


@check
def security_groups_are_worn(templates):
    """The rules are about those who wear the groups."""
    system = System(templates)
    assert system.properties("LoadBalancer")["SecurityGroups"] == [{"Ref": "LoadBalancerSecurityGroup"}]
    assert system.properties("LaunchTemplate")["LaunchTemplateData"]["SecurityGroupIds"] == [{"Ref": "NodeSecurityGroup"}]
    assert system.properties("Postgres")["VPCSecurityGroups"] == [{"Ref": "PostgresSecurityGroup"}]
    assert system.properties("Redis")["SecurityGroupIds"] == [{"Ref": "RedisSecurityGroup"}]
    target = system.properties("TargetGroup")
    assert (target["Port"], system.properties("Redis")["Port"]) == (8080, 6379)


@check
def acls_let_what_must_pass(templates):
    """Client to load balancer to node to data and back; nodes to the services of AWS and back."""
    system = System(templates)
    public, data = ("PublicSubnetA", "PublicSubnetB"), ("DataSubnetA", "DataSubnetB")
    for here in public:
        for port in (80, 443):
            assert network.acls_let(system, None, here, port, network.LOAD_BALANCER_PORTS), f"clients do not reach {here}:{port}"
        for there in public:
            assert network.acls_let(system, here, there, 8080, network.LOAD_BALANCER_PORTS), f"the load balancer in {here} does not reach nodes in {there}"
        for there in data:
            for port in (5432, 6379):
                assert network.acls_let(system, here, there, port, network.LINUX_PORTS), f"nodes in {here} do not reach {there}:{port}"
        assert network.acls_let(system, here, None, 443, network.LINUX_PORTS), f"nodes in {here} do not reach the services of AWS"
    for here in data:
        for there in data:
            assert network.acls_let(system, here, there, 6379, network.LOAD_BALANCER_PORTS), "replicas do not reach each other"


@check
def acls_stop_what_must_not(templates):
    """Even with every security group open, the world reaches no 22, 3389, 5432, 6379, 8080, 9090, and no data at all."""
    system = System(templates)
    for subnet in network.subnet_cidrs(system):
        acl = network.acl_of(system, subnet)
        for port in (22, 3389, 5432, 6379, 8080, 9090):
            assert not network.acl_lets(system, acl, False, network.WORLD, port), f"the world reaches {port} in {subnet}"
        if subnet.startswith("Data"):
            for port in (80, 443, 1024, 40000, 65535):
                assert not network.acl_lets(system, acl, False, network.WORLD, port), f"the world reaches {port} in {subnet}"
                assert not network.acl_lets(system, acl, True, network.WORLD, port), f"{subnet} reaches the world"


@check
def data_has_no_way_out(templates):
    """No route leads out of the data's subnets, and the data is in no others."""
    system = System(templates, **HA)
    for subnet in ("DataSubnetA", "DataSubnetB"):
        assert not network.reaches_internet(system, subnet), f"{subnet} has a route to somewhere"
        assert not system.properties(subnet).get("MapPublicIpOnLaunch"), f"{subnet} gives public addresses"
    for group in ("PostgresSubnets", "RedisSubnets"):
        assert system.properties(group)["SubnetIds"] == [{"Ref": "DataSubnetA"}, {"Ref": "DataSubnetB"}], group
    for subnet in ("PublicSubnetA", "PublicSubnetB"):
        assert network.reaches_internet(system, subnet), f"{subnet} has no way to the internet"
    zones = {json.dumps(body["Properties"]["AvailabilityZone"]) for body in system.of_type("AWS::EC2::Subnet").values()}
    assert len(zones) == 2, "the subnets are not in two zones"


# ---- 5, 6, 7, 8: load balancer and nodes ---------------------------------------------------------------------------------


@check
def the_group_is_two_to_four(templates):
    system = System(templates)
    group = system.properties("Group")
    assert (group["MinSize"], group["MaxSize"]) == (2, 4)
    assert "DesiredCapacity" not in group, "each deployment would undo what scaling has done"
    assert group["HealthCheckType"] == "ELB"
    assert group["VPCZoneIdentifier"] == [{"Ref": "PublicSubnetA"}, {"Ref": "PublicSubnetB"}]
    assert group["LaunchTemplate"] == {"LaunchTemplateId": {"Ref": "LaunchTemplate"}, "Version": {"Fn::GetAtt": ["LaunchTemplate", "LatestVersionNumber"]}}
    assert group["TargetGroupARNs"] == [{"Ref": "TargetGroup"}]
    machine = system.properties("LaunchTemplate")["LaunchTemplateData"]
    assert machine["InstanceType"] == "t2.micro"
    assert machine["MetadataOptions"]["HttpTokens"] == "required", "IMDSv1 is open"
    assert machine["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert machine["CreditSpecification"]["CpuCredits"] == "unlimited", "out of credits nodes look idle and are scaled in"
    assert all(disk["Ebs"]["Encrypted"] for disk in machine["BlockDeviceMappings"])


@check
def scaling_by_cpu_and_connections(templates):
    system = System(templates)
    tracking = [body["Properties"]["TargetTrackingConfiguration"] for body in system.of_type("AWS::AutoScaling::ScalingPolicy").values()]
    assert len(tracking) == 2
    (cpu,) = [one for one in tracking if "PredefinedMetricSpecification" in one]
    assert (cpu["TargetValue"], cpu["PredefinedMetricSpecification"]["PredefinedMetricType"]) == (70, "ASGAverageCPUUtilization")
    (people,) = [one["CustomizedMetricSpecification"] for one in tracking if "CustomizedMetricSpecification" in one]
    assert (people["Namespace"], people["MetricName"], people["Statistic"]) == ("Hubbub", "hubbub_connections", "Average")
    group = system.properties("Group")["AutoScalingGroupName"]
    assert people["Dimensions"] == [{"Name": "AutoScalingGroupName", "Value": group}]
    assert all(body["Properties"]["AutoScalingGroupName"] == group for body in system.of_type("AWS::AutoScaling::ScalingPolicy").values())
    assert f"GROUP={group}\n" in user_data(templates), "nodes measure under another name"


@check
def the_target_group_fits_the_application(templates):
    system = System(templates)
    target = system.properties("TargetGroup")
    assert target["HealthCheckPath"] == "/livez", "/readyz would make an outage of the database end every node"
    assert target["HealthCheckIntervalSeconds"] == 30
    assert target["UnhealthyThresholdCount"] in (2, 3)
    assert target["Port"] == 8080
    attributes_of_target = attributes(target, "TargetGroupAttributes")
    assert attributes_of_target["stickiness.enabled"] == "false"
    assert attributes_of_target["load_balancing.algorithm.type"] == "least_outstanding_requests"
    assert "slow_start.duration_seconds" not in attributes_of_target, "not together with least outstanding requests"
    balancer = attributes(system.properties("LoadBalancer"), "LoadBalancerAttributes")
    idle, ping = int(balancer["idle_timeout.timeout_seconds"]), ping_seconds()
    assert idle > 2 * ping and idle >= 120, f"idle timeout {idle} s, ping {ping} s"
    assert balancer["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert balancer["routing.http.desync_mitigation_mode"] in ("defensive", "strictest")


@check
def the_drain_has_time_everywhere(templates):
    """Settling and drain <= deregistration delay <= heartbeat of the hook; drain <= docker's stop timeout <= systemd's."""
    system = System(templates)
    drain = int(boot_setting("HUBBUB__DRAIN__SECONDS"))
    delay = int(attributes(system.properties("TargetGroup"), "TargetGroupAttributes")["deregistration_delay.timeout_seconds"])
    (hook,) = system.properties("Group")["LifecycleHookSpecificationList"]
    unit = (INFRA / "instance/hubbub.service").read_text()
    stop = int(re.search(r"--stop-timeout (\d+)", unit).group(1))
    stop_command = int(re.search(r"docker stop --time (\d+)", unit).group(1))
    systemd = int(re.search(r"TimeoutStopSec=(\d+)", unit).group(1))
    assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert hook["DefaultResult"] == "CONTINUE"
    assert f"--lifecycle-hook-name {hook['LifecycleHookName']} " in (INFRA / "instance/lifecycle").read_text()
    settle = int(re.search(r"HUBBUB_LIFECYCLE_SETTLE:-(\d+)", (INFRA / "instance/lifecycle").read_text()).group(1))
    assert settle + drain <= delay <= hook["HeartbeatTimeout"], (settle, drain, delay, hook["HeartbeatTimeout"])
    assert drain < stop == stop_command < systemd <= hook["HeartbeatTimeout"], (drain, stop, stop_command, systemd)


@check
def updates_are_one_by_one_with_signals(templates):
    group = System(templates).resources["Group"]
    rolling = group["UpdatePolicy"]["AutoScalingRollingUpdate"]
    assert (rolling["MinInstancesInService"], rolling["MaxBatchSize"]) == (1, 1)
    assert rolling.get("WaitOnResourceSignals") is True, "an instance would count as replaced before it serves"
    assert rolling["MinSuccessfulInstancesPercent"] == 100
    assert {"AlarmNotification", "AZRebalance", "ReplaceUnhealthy", "HealthCheck"} <= set(rolling["SuspendProcesses"]), "what would count against the update goes on beside it"
    signal = group["CreationPolicy"]["ResourceSignal"]
    assert signal["Count"] == group["Properties"]["MinSize"]
    boot = (INFRA / "instance/boot").read_text()
    longest = sum(int(limit) for limit in re.findall(r"^within (\d+)", boot, re.M))
    assert longest < seconds(signal["Timeout"]) and longest < seconds(rolling["PauseTime"]), f"a node may take {longest} s to say that it failed"
    assert "RESOURCE=Group\n" in user_data(templates), "the signal goes to another resource"
    refresh = System(templates, Replacement="refresh").resources["Group"]["UpdatePolicy"]
    assert "AutoScalingRollingUpdate" not in refresh, "the two exclude each other"
    preferences = refresh["AutoScalingInstanceRefresh"]["Preferences"]
    assert preferences["MinHealthyPercentage"] >= 100 and preferences["AlarmSpecification"]["Alarms"] == ["hubbub-service-outage"]
    assert System(templates).properties("Outage")["AlarmName"].replace("${Group}", group["Properties"]["AutoScalingGroupName"]) == "hubbub-service-outage"


@check
def certificate_turns_http_into_a_redirect(templates):
    system = System(templates, CertificateArn=OPTIONAL["CertificateArn"])
    (action,) = system.properties("HttpListener")["DefaultActions"]
    assert action["Type"] == "redirect" and action["RedirectConfig"]["Protocol"] == "HTTPS"
    secure = system.properties("HttpsListener")
    assert secure["Port"] == 443 and "TLS13" in secure["SslPolicy"]
    assert system.outputs["WebSocketUrl"].startswith("wss://")
    assert "HttpsListener" not in System(templates).resources


# ---- 9: the data -----------------------------------------------------------------------------------------------------------


@check
def the_data_is_kept(templates):
    for parameters, many in (({}, False), (HA, True)):
        system = System(templates, **parameters)
        postgres = system.properties("Postgres")
        assert postgres["MultiAZ"] is many
        assert postgres["PubliclyAccessible"] is False
        assert postgres["StorageEncrypted"] is True and postgres["KmsKeyId"]
        assert postgres["ManageMasterUserPassword"] is True and "MasterUserPassword" not in postgres
        assert postgres["BackupRetentionPeriod"] >= 14
        assert postgres["DeletionProtection"] is True
        assert system.resources["Postgres"]["DeletionPolicy"] == "Snapshot" == system.resources["Postgres"]["UpdateReplacePolicy"]
        redis = system.properties("Redis")
        assert redis["TransitEncryptionEnabled"] is True and redis["AtRestEncryptionEnabled"] is True
        assert redis["UserGroupIds"] == [{"Ref": "RedisUsers"}]
        assert redis["SnapshotRetentionLimit"] >= 1
        assert redis["MultiAZEnabled"] is many and redis["AutomaticFailoverEnabled"] is many
        assert system.properties("RedisParameters")["Properties"]["cluster-enabled"] == ("yes" if many else "no")
    assert redis["NumNodeGroups"] == 3 and redis["ReplicasPerNodeGroup"] == 1 and "NumCacheClusters" not in redis
    parameters = system.properties("PostgresParameters")["Parameters"]
    assert parameters["rds.force_ssl"] == "1" and parameters["synchronous_commit"] == "on"
    assert postgres["PreferredBackupWindow"] and system.properties("BackupPlan")
    copies = System(templates, RecoveryVaultArn=OPTIONAL["RecoveryVaultArn"]).properties("BackupPlan")["BackupPlan"]["BackupPlanRule"][0]
    assert copies["CopyActions"][0]["DestinationBackupVaultArn"] == OPTIONAL["RecoveryVaultArn"]
    restored = System(templates, DBSnapshotIdentifier="before", RedisSnapshotName="before")
    assert restored.properties("Postgres")["DBSnapshotIdentifier"] == "before"
    assert not {"DBName", "MasterUsername"} & restored.properties("Postgres").keys(), "RDS refuses them beside a snapshot"
    assert restored.properties("Redis")["SnapshotName"] == "before"


@check
def redis_users_may_only_what_nodes_do(templates):
    """The node's rights are those that the application says it needs; the default user has none."""
    system = System(templates)
    rights = set(system.properties("RedisNodeUser")["AccessString"].split())
    assert {"on", "~hubbub:*", "&hubbub:*", "-@all"} <= rights and not rights & {"+@all", "~*", "&*", "allkeys"}
    said = (ROOT / "node/src/bus/config.rs").read_text()
    needed = set(re.findall(r"\+[a-z|]+", said[said.index("A user with few rights"):said.index("pub url")].replace("`", " ")))
    assert len(needed) > 10 and needed <= rights, f"nodes need {needed - rights}"
    assert system.properties("RedisDefaultUser")["AccessString"].startswith("off ")
    assert {"Ref": "RedisDefaultUser"} in system.properties("RedisUsers")["UserIds"]


@check
def connections_fit_the_database(templates):
    """Pool times (most nodes + 1) stays below 80 of the 112 that a db.t3.micro takes; one more while nodes are replaced."""
    service = templates["service"]["Parameters"]
    pool, most = service["StorePoolSize"]["Default"], service["MaxSize"]["Default"]
    assert pool * (most + 1) < 80, (pool, most)
    assert service["MaxSize"]["MaxValue"] * pool < 100
    assert "POOL_SIZE=12\n" in user_data(templates)


# ---- 10: alarms --------------------------------------------------------------------------------------------------------------

ALARMS = {
    ("AWS/EC2", "CPUUtilization"), ("CWAgent", "mem_used_percent"), ("CWAgent", "disk_used_percent"), ("AWS/EC2", "CPUCreditBalance"),
    ("AWS/RDS", "CPUUtilization"), ("AWS/RDS", "FreeStorageSpace"), ("AWS/RDS", "FreeableMemory"), ("AWS/RDS", "DatabaseConnections"),
    ("AWS/ElastiCache", "CacheHitRate"), ("AWS/ElastiCache", "Evictions"), ("AWS/ElastiCache", "DatabaseMemoryUsagePercentage"),
    ("AWS/ElastiCache", "ReplicationLag"), ("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count"),
    ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"), ("AWS/ApplicationELB", "UnHealthyHostCount"),
    ("AWS/ApplicationELB", "RejectedConnectionCount"), ("Hubbub", "hubbub_commit_seconds"), ("Hubbub", "hubbub_bus_up"),
    ("Hubbub", "hubbub_store_up"), ("Hubbub", "hubbub_gap_fills_total"),
}
# What AWS emits of what is used here, by the dimension that says of what.
EMITTED = {
    ("AWS/EC2", "AutoScalingGroupName"): {"CPUUtilization", "CPUCreditBalance"},
    ("AWS/AutoScaling", "AutoScalingGroupName"): {"GroupDesiredCapacity"},
    ("AWS/RDS", "DBInstanceIdentifier"): {"CPUUtilization", "FreeStorageSpace", "FreeableMemory", "DatabaseConnections", "CPUCreditBalance", "WriteLatency"},
    ("AWS/ElastiCache", "CacheClusterId"): {"CacheHitRate", "Evictions", "DatabaseMemoryUsagePercentage", "EngineCPUUtilization", "ReplicationLag"},
    ("AWS/ApplicationELB", "LoadBalancer"): {"HTTPCode_ELB_5XX_Count", "HTTPCode_Target_5XX_Count", "RejectedConnectionCount", "TargetConnectionErrorCount", "ActiveConnectionCount"},
    ("AWS/ApplicationELB", "LoadBalancer,TargetGroup"): {"UnHealthyHostCount", "HealthyHostCount"},
}


def published():
    """Metrics that instance/metrics puts into CloudWatch."""
    source = (INFRA / "instance/metrics").read_text()
    return set(re.findall(r'"(hubbub_\w+)"', source[source.index("NAMES = ("):source.index("def read")]))


def agent_metrics():
    """Metrics that CloudWatch's agent emits with instance/agent.json; the plugin's name comes before what lacks it."""
    collected = json.loads((INFRA / "instance/agent.json").read_text())["metrics"]["metrics_collected"]
    return {name if name.startswith(plugin) else f"{plugin}_{name}" for plugin, body in collected.items() for name in body["measurement"]}


def watched(properties):
    """(namespace, name, dimensions) of every metric that an alarm looks at."""
    singles = [properties] if "MetricName" in properties else []
    singles += [metric["MetricStat"]["Metric"] for metric in properties.get("Metrics", []) if "MetricStat" in metric]
    return [(one["Namespace"], one["MetricName"], ",".join(sorted(dimension["Name"] for dimension in one["Dimensions"]))) for one in singles]


def is_emitted(namespace, name, dimensions):
    if namespace == "Hubbub":
        return name in published() and dimensions == "AutoScalingGroupName"
    if namespace == "CWAgent":
        return name in agent_metrics() and dimensions == "AutoScalingGroupName"
    return name in EMITTED.get((namespace, dimensions), ())


@check
def every_node_of_redis_is_watched(templates):
    """The names that ElastiCache gives nodes, for as many as there are."""
    for parameters, nodes in (({}, {"001"}), (HA, {f"{shard:04}-{node:03}" for shard in (1, 2, 3) for node in (1, 2)})):
        system = System(templates, **parameters)
        for name, body in system.of_type("AWS::CloudWatch::Alarm").items():
            metrics = [one["MetricStat"]["Metric"] for one in body["Properties"].get("Metrics", []) if "MetricStat" in one]
            if metrics:
                assert {one["Dimensions"][0]["Value"] for one in metrics} == {f"${{Redis}}-{node}" for node in nodes}, name
                formula = next(one["Expression"] for one in body["Properties"]["Metrics"] if "Expression" in one)
                assert set(re.findall(r"m\d", formula)) == {one["Id"] for one in body["Properties"]["Metrics"] if "MetricStat" in one}, name


@check
def there_is_an_alarm_of_every_kind(templates):
    system = System(templates, **HA)
    seen = {(namespace, name) for body in system.of_type("AWS::CloudWatch::Alarm").values() for namespace, name, _ in watched(body["Properties"])}
    assert ALARMS <= seen, f"no alarm for {ALARMS - seen}"


@check
def alarms_act_on_what_is_emitted(templates):
    for parameters in ({}, HA):
        system = System(templates, **parameters)
        alarms = {**system.of_type("AWS::CloudWatch::Alarm"), **system.of_type("AWS::CloudWatch::CompositeAlarm")}
        assert len(alarms) > 25
        for name, body in alarms.items():
            properties = body["Properties"]
            assert properties.get("AlarmActions") == [{"Ref": "AlarmTopic"}], f"{name} tells nobody"
            assert properties.get("ActionsEnabled", True), name
            assert properties["AlarmDescription"], name
            for metric in watched(properties):
                assert is_emitted(*metric), f"{name}: nothing emits {metric}"
        names = set(re.findall(r"\$\{(\w+)\}", system.properties("Outage")["AlarmRule"]))
        assert names and names <= alarms.keys(), names


@check
def alarm_topic_may_be_used(templates):
    """Alarms, events of RDS and of backups may publish to the topic, and may use its key."""
    system = System(templates)
    (statement,) = system.properties("AlarmTopicPolicy")["PolicyDocument"]["Statement"]
    wanted = {"cloudwatch.amazonaws.com", "events.rds.amazonaws.com", "backup.amazonaws.com"}
    assert wanted <= set(statement["Principal"]["Service"]) and statement["Action"] == "sns:Publish"
    key = [one for one in system.properties("Key")["KeyPolicy"]["Statement"] if one["Principal"] != "*" and wanted <= set(one["Principal"].get("Service", []))]
    assert key and "kms:GenerateDataKey" in key[0]["Action"]


@check
def the_dashboard_shows_what_is_emitted(templates):
    for parameters in ({}, HA):
        system = System(templates, **parameters)
        widgets = json.loads(system.properties("Dashboard")["DashboardBody"])["widgets"]
        assert len(widgets) > 8
        for widget in widgets:
            before = None
            for metric in widget["properties"].get("metrics", []):
                texts = [part for part in metric if isinstance(part, str)]
                if texts == ["..."]:
                    assert before
                    continue
                namespace, name, *pairs = before = texts
                assert is_emitted(namespace, name, ",".join(sorted(pairs[::2]))), f"nothing emits {texts}"


@check
def logs_are_kept_for_a_time(templates):
    system = System(templates)
    groups = system.of_type("AWS::Logs::LogGroup")
    assert len(groups) >= 4
    for name, body in groups.items():
        assert 7 <= body["Properties"]["RetentionInDays"] <= 90 and body["Properties"]["KmsKeyId"], name
        # As the key's policy and the execution role have it.
        assert body["Properties"]["LogGroupName"].startswith(("/hubbub/hubbub-", "/aws/rds/instance/hubbub-")), name
    (key,) = [one for one in system.properties("Key")["KeyPolicy"]["Statement"] if one.get("Sid") == "Logs"]
    for place in ("/hubbub/*", "/aws/rds/instance/*"):
        assert [arn for arn in key["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"] if arn.endswith(f":log-group:{place}")], place
    postgres = system.resources["Postgres"]
    exported = {f"/aws/rds/instance/{postgres['Properties']['DBInstanceIdentifier']}/{log}" for log in postgres["Properties"]["EnableCloudwatchLogsExports"]}
    before = {groups[name]["Properties"]["LogGroupName"] for name in postgres.get("DependsOn", []) if name in groups}
    assert exported <= before, f"RDS would make {exported - before} itself, to be kept for ever"
    unit = (INFRA / "instance/hubbub.service").read_text()
    assert "--log-driver awslogs" in unit and "awslogs-group=${NODE_LOGS}" in unit
    assert "NODE_LOGS=${NodeLogs}\n" in user_data(templates)
    assert boot_setting("HUBBUB__LOG__FORMAT") == "json"


# ---- 11 (what can be read of it; test_instance runs it): user data -------------------------------------------------------------


def user_data(templates, **parameters):
    return System(templates, **parameters).properties("LaunchTemplate")["LaunchTemplateData"]["UserData"]


@check
def user_data_is_small_and_holds_no_secret(templates):
    text = user_data(templates, **{name: OPTIONAL[name] for name in ("PrometheusSecurityGroup", "NodeSettings")})
    # What stands in the place of ${...} when the stack is made.
    real = re.sub(r"\$\{(TargetGroup|NodeLogs|SystemLogs|Postgres[\w.]*|Redis[\w.]*|RedisSecret)\}", "x" * 130, text)
    assert len(real.encode()) < 16_384, f"{len(real.encode())} bytes"
    for secret in ("resolve:secretsmanager", "MasterUserPassword", "PGPASSWORD", "AWS_SECRET"):
        assert secret not in text, secret
    settings = text[:text.index("END_OF_FILE\ninstall")]
    assert "PASSWORD" not in settings.upper(), "a password among the settings"
    parameters = {name for template in templates.values() for name in template.get("Parameters", {})}
    assert not [name for name in parameters if "password" in name.lower()], "a password as a parameter"
    for path in sorted((INFRA / "instance").iterdir()):
        if path.name != "boot":
            assert path.read_text() in text, f"{path.name} is not in the user data"


@check
def the_container_is_shut_in(templates):
    unit = (INFRA / "instance/hubbub.service").read_text()
    for flag in ("--read-only", "--cap-drop ALL", "--user 10001:10001", "--security-opt no-new-privileges", "--network host",
                 "--ulimit nofile=65536:65536", "--log-opt mode=non-blocking", "Restart=always"):
        assert flag in unit, f"hubbub.service has no {flag}"
    assert "169.254.169.254" in unit, "the container reaches the instance's credentials"
    assert boot_setting("HUBBUB__HTTP__TRUSTED_PROXIES").split(",") == [network.subnet_cidrs(System(templates))[name] for name in ("PublicSubnetA", "PublicSubnetB")]
    assert "PRIVATE_LISTEN=127.0.0.1:9090\n" in user_data(templates)
    assert "PRIVATE_LISTEN=0.0.0.0:9090\n" in user_data(templates, PrometheusSecurityGroup=OPTIONAL["PrometheusSecurityGroup"])


# ---- 12: an image is no reason to touch what is kept ---------------------------------------------------------------------------


@check
def an_image_changes_launch_template_and_group_alone(templates):
    other = IMAGE.replace("a" * 64, "b" * 64)
    before, after = System(templates, Image=IMAGE), System(templates, Image=other)
    changed = {name for name in before.resources if before.resources[name] != after.resources[name]}
    # The group's template version is an attribute that CloudFormation reads anew: it changes with the launch template.
    assert changed == {"LaunchTemplate"}, changed
    assert before.properties("Group")["LaunchTemplate"]["Version"] == {"Fn::GetAtt": ["LaunchTemplate", "LatestVersionNumber"]}
    assert {before.owner[name] for name in changed} == {"service"}
    image = [name for name, template in templates.items() if "Image" in template.get("Parameters", {})]
    assert image == ["service"], "another stack knows the image"
    pattern = templates["service"]["Parameters"]["Image"]["AllowedPattern"]
    assert re.match(pattern, other) and not re.match(pattern, other.split("@")[0] + ":latest")


@check
def nothing_stateful_lies_in_the_service(templates):
    stateful = {"AWS::RDS::DBInstance", "AWS::ElastiCache::ReplicationGroup", "AWS::KMS::Key", "AWS::SecretsManager::Secret", "AWS::Backup::BackupVault"}
    system = System(templates)
    for name, body in system.resources.items():
        assert system.owner[name] != "service" or body["Type"] not in stateful, name
    for name, template in templates.items():
        for resource, body in template["Resources"].items():
            if body["Type"] in stateful:
                assert "DeletionPolicy" in body and "UpdateReplacePolicy" in body, f"{name}: {resource} does not say what becomes of its data"


def stack_policy():
    return json.loads((FOLDER / "stack-policy.json").read_text())["Statement"]


def denied_by(policy, action, kind):
    """Whether a stack policy stops an update from doing this to a resource of this type."""
    allowed = False
    for statement in policy:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        kinds = statement.get("Condition", {}).get("StringEquals", {}).get("ResourceType", [kind])
        if kind in kinds and {action, "Update:*"} & set(actions):
            if statement["Effect"] == "Deny":
                return True
            allowed = True
    return not allowed


@check
def no_update_loses_what_is_kept(templates):
    """The stack policy denies what would lose data, and nothing else; its types are types that there are."""
    policy = stack_policy()
    kinds = {body["Type"] for name in ("foundation", "data") for body in templates[name]["Resources"].values()}
    kept = {"AWS::RDS::DBInstance", "AWS::KMS::Key", "AWS::Backup::BackupVault"}
    for kind in kept:
        for action in ("Update:Replace", "Update:Delete"):
            assert denied_by(policy, action, kind), f"{action} of {kind} is allowed"
    # Another shape or generation is another Redis: it may be replaced, and not left out.
    assert denied_by(policy, "Update:Delete", "AWS::ElastiCache::ReplicationGroup")
    assert not denied_by(policy, "Update:Replace", "AWS::ElastiCache::ReplicationGroup")
    assert not [kind for kind in kinds if denied_by(policy, "Update:Modify", kind)], "nothing could be changed any more"
    assert not denied_by(policy, "Update:Delete", "AWS::EC2::FlowLog"), "CostSaving could not be chosen"
    named = {kind for statement in policy for kind in statement.get("Condition", {}).get("StringEquals", {}).get("ResourceType", [])}
    assert named <= kinds, f"no stack that it is set on has {named - kinds}"
    for name, template in templates.items():
        if name in ("service", "watch"):
            assert not [one for one, body in template["Resources"].items() if body["Type"] in named], f"{name} has no policy"


@check
def instance_files_are_packaged(templates):
    """The mark is replaced once, and nothing of it is left."""
    text = packaged("service")
    assert "%{" not in text and text.count("within 240 healthy") == 1
    assert package().package("nothing to replace\n") == "nothing to replace\n"
