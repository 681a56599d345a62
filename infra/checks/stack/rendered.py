"""Templates rendered for programs that want to see a finished one: as a document, with plausible names for what exists
only in an account."""

import json
import re

from templates import Renderer

ACCOUNT = "111122223333"
GIVEN = {
    "GitHubRepository": "example/hubbub",
    "Image": f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/hubbub@sha256:" + "a" * 64,
    "AmiId": "ami-0123456789abcdef0",
    "VpcId": "vpc-0123456789abcdef0",
    "PublicSubnetA": "subnet-0123456789abcdef0",
    "PublicSubnetB": "subnet-0123456789abcdef1",
    "DataSubnetA": "subnet-0123456789abcdef2",
    "DataSubnetB": "subnet-0123456789abcdef3",
    "LoadBalancerSecurityGroup": "sg-0123456789abcdef0",
    "NodeSecurityGroup": "sg-0123456789abcdef1",
    "PostgresSecurityGroup": "sg-0123456789abcdef2",
    "RedisSecurityGroup": "sg-0123456789abcdef3",
    "KeyArn": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef",
    "AlarmTopic": f"arn:aws:sns:eu-west-1:{ACCOUNT}:hubbub-foundation-AlarmTopic",
    "Boundary": f"arn:aws:iam::{ACCOUNT}:policy/hubbub-boundary",
    "PostgresAddress": "hubbub.abcdefghijkl.eu-west-1.rds.amazonaws.com",
    "PostgresIdentifier": "hubbub-data-postgres-0123456789ab",
    "PostgresSecret": f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:rds!db-01234567-89ab-cdef-0123-456789abcdef-abcdef",
    "PostgresUser": "hubbub",
    "RedisAddress": "master.hubbub-data-single.abcdef.euw1.cache.amazonaws.com",
    "RedisIdentifier": "hubbub-data-single",
    "RedisSecret": f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:hubbub-data/redis-abcdef",
    "RepositoryName": "hubbub",
    "GroupName": "hubbub-service",
    "LoadBalancerName": "app/hubbub-LoadB-0123456789AB/0123456789abcdef",
    "TargetGroupName": "targetgroup/hubbub-Targe-0123456789AB/0123456789abcdef",
    "NodeLogs": "/hubbub/hubbub-service/node",
}


def substituted(value, key=None):
    """Texts that name resources as `Fn::Sub`; user data is a program and no text with names in it."""
    if isinstance(value, str) and re.search(r"\$\{\w", value) and key != "UserData":
        return {"Fn::Sub": value}
    if isinstance(value, str) and key == "UserData":
        return re.sub(r"\$\{(\w[\w.]*)\}", r"$(\1)", value)
    if isinstance(value, dict):
        if list(value) == ["Fn::Sub"]:
            return value
        return {inner: substituted(part, inner) for inner, part in value.items()}
    return [substituted(part) for part in value] if isinstance(value, list) else value


def document(name, template, **chosen):
    """One template with its parameters and conditions resolved."""
    renderer = Renderer(name, template, {**GIVEN, **chosen})
    return {"AWSTemplateFormatVersion": "2010-09-09", "Description": name, "Resources": substituted(renderer.resources()),
            "Outputs": {key: {"Value": substituted(value)} for key, value in renderer.outputs().items()}}


def as_json(name, template, **chosen):
    return json.dumps(document(name, template, **chosen), indent=1)
