"""Draws the stacks, from the templates: infra/diagram.md. What is drawn, and from what to what, is read from subnets,
security groups, roles and actions there; nothing is drawn that no template has."""

import re

import network
from checks import attributes
from templates import INFRA, System, all_templates

PLACE = INFRA / "diagram.md"
HEAD = """# The stacks as a picture

Drawn from the templates, with `HighAvailability` and a certificate, by `UPDATE_DIAGRAM=1 infra/checks/stack/run test_diagram`; a
test says when it is not current. Arrows are what security groups, roles and actions allow, with the port.

```mermaid
"""
# The security group that stands for each thing.
WEARERS = {"LoadBalancerSecurityGroup": "LoadBalancer", "NodeSecurityGroup": "Group", "PostgresSecurityGroup": "Postgres", "RedisSecurityGroup": "Redis"}


def label(system, name):
    """What a thing is, in a line or two."""
    properties = system.properties(name)
    match name:
        case "LoadBalancer":
            listeners = sorted(body["Properties"]["Port"] for body in system.of_type("AWS::ElasticLoadBalancingV2::Listener").values())
            return f"load balancer<br/>listens on {', '.join(map(str, listeners))}<br/>idle {attributes(properties, 'LoadBalancerAttributes')['idle_timeout.timeout_seconds']} s"
        case "Group":
            machine = system.properties("LaunchTemplate")["LaunchTemplateData"]["InstanceType"]
            return f"nodes<br/>{properties['MinSize']} to {properties['MaxSize']} × {machine}"
        case "Postgres":
            return f"Postgres {properties['EngineVersion']}<br/>{properties['DBInstanceClass']}{', standby in the other zone' if properties['MultiAZ'] else ''}"
        case "Redis":
            return f"Redis {properties['EngineVersion']}<br/>{properties['NumNodeGroups']} shards × {properties['ReplicasPerNodeGroup'] + 1} × {properties['CacheNodeType']}"
    raise KeyError(name)


def subnets_of(system, name):
    """Where a thing stands."""
    properties = system.properties(name)
    inside = properties.get("Subnets") or properties.get("VPCZoneIdentifier")
    if not inside:
        group = properties.get("DBSubnetGroupName") or properties["CacheSubnetGroupName"]
        inside = system.properties(group["Ref"])["SubnetIds"]
    return tuple(subnet["Ref"] for subnet in inside)


def draw(system):
    """The picture as Mermaid's text."""
    lines = ["flowchart TB", '  internet(("internet"))']
    places = {}
    for name in WEARERS.values():
        places.setdefault(subnets_of(system, name), []).append(name)
    lines.append(f'  subgraph vpc["network {network_of(system)}"]')
    for number, (subnets, names) in enumerate(places.items()):
        cidrs = ", ".join(system.properties(subnet)["CidrBlock"] for subnet in subnets)
        way = "public" if network.reaches_internet(system, subnets[0]) else "no way out"
        lines.append(f'    subgraph subnets{number}["{way}: {cidrs}"]')
        lines += [f'      {name}["{label(system, name)}"]' for name in names]
        lines.append("    end")
    lines.append("  end")
    for group, name in WEARERS.items():
        for source, first, last in sorted(network.who_may_enter(system, group), key=str):
            port = str(first) if first == last else f"{first}–{last}"
            lines.append(f"  {WEARERS.get(source, 'internet')} -->|{port}| {name}")
    lines += around(system)
    return "\n".join(lines)


def network_of(system):
    (vpc,) = system.of_type("AWS::EC2::VPC").values()
    return vpc["Properties"]["CidrBlock"]


def around(system):
    """What stands beside the network: images, secrets, logs, alarms, backups, and who deploys."""
    lines = []
    granted = [action for policy in system.properties("NodeRole")["Policies"] for statement in policy["PolicyDocument"]["Statement"]
               for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])]
    for prefix, name, what, verb in (("ecr:BatchGetImage", "Images", "ECR: images", "pull"), ("secretsmanager:", "Secrets", "Secrets Manager", "read"),
                                     ("logs:Put", "Logs", "CloudWatch Logs", "write"), ("cloudwatch:Put", "Metrics", "CloudWatch metrics", "put")):
        if any(action.startswith(prefix) for action in granted):
            lines += [f'  {name}[("{what}")]', f"  Group -.->|{verb}| {name}"]
    alarms = len(system.of_type("AWS::CloudWatch::Alarm")) + len(system.of_type("AWS::CloudWatch::CompositeAlarm"))
    (topic,) = system.of_type("AWS::SNS::Topic")
    lines += [f'  Alarms["{alarms} alarms, a dashboard"]', f'  {topic}["SNS topic"]', "  Metrics --> Alarms", f"  Alarms --> {topic}"]
    days = system.properties("BackupPlan")["BackupPlan"]["BackupPlanRule"][0]["Lifecycle"]["DeleteAfterDays"]
    lines += [f'  BackupVault[("AWS Backup, {days} days")]', "  Postgres -.-> BackupVault"]
    lines += ['  GitHub["GitHub Actions"]', "  GitHub -.->|BuildRole| Images", '  CloudFormation["CloudFormation"]', "  GitHub -.->|DeployRole| CloudFormation",
              "  CloudFormation -.->|ExecutionRole| vpc"]
    for role in re.findall(r"\|(\w+Role)\|", "\n".join(lines)):
        system.properties(role)
    return lines


def page():
    """The whole of infra/diagram.md."""
    system = System(all_templates(), HighAvailability="true", CertificateArn="arn:aws:acm:eu-west-1:111122223333:certificate/1")
    return HEAD + draw(system) + "\n```\n"
