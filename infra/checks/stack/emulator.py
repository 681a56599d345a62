"""An AWS on this machine: MiniStack, with the types of resources that it lacks recorded and nothing more.

    python emulator.py      the address is in the environment: BIND_HOST, GATEWAY_PORT
"""

import itertools
import os

from ministack.app import main
from ministack.services.cloudformation import provisioners

NUMBERS = itertools.count(1)
# Attributes that templates ask of these types.
RECORDED = {
    "AWS::Backup::BackupSelection": {},
    "AWS::CloudWatch::CompositeAlarm": {"Arn": "arn:aws:cloudwatch:eu-west-1:000000000000:alarm:{AlarmName}"},
    "AWS::EC2::FlowLog": {},
    "AWS::EC2::NetworkAcl": {},
    "AWS::EC2::NetworkAclEntry": {},
    "AWS::EC2::SecurityGroupEgress": {},
    "AWS::EC2::SecurityGroupIngress": {},
    "AWS::EC2::SubnetNetworkAclAssociation": {},
    "AWS::IAM::OIDCProvider": {},
    "AWS::RDS::EventSubscription": {},
    "AWS::WAFv2::WebACLAssociation": {},
}


def recorder(attributes):
    """Handlers that give a resource a name and forget it when it is deleted."""

    def create(logical_id, properties, stack_name):
        made = {key: value.format(**properties) for key, value in attributes.items()}
        return properties.get("AlarmName") or f"{stack_name}-{logical_id}-{next(NUMBERS)}", made

    def update(physical_id, _before, properties, _stack_name, _logical_id=None):
        return physical_id, {key: value.format(**properties) for key, value in attributes.items()}

    return {"create": create, "update": update, "delete": lambda _physical_id, _properties: None}


# Attributes that MiniStack's own handlers leave out.
ADDED = {
    "AWS::RDS::DBInstance": {"MasterUserSecret.SecretArn": "arn:aws:secretsmanager:eu-west-1:000000000000:secret:rds!db-{name}"},
}


def except_for_formulas(handlers):
    """MiniStack's handlers for alarms, which know no metric math: those alarms are recorded."""
    record = recorder(RECORDED["AWS::CloudWatch::CompositeAlarm"])

    def create(logical_id, properties, stack_name):
        chosen = record if "Metrics" in properties else handlers
        return chosen["create"](logical_id, properties, stack_name)

    def update(physical_id, before, properties, stack_name, *rest):
        chosen = record if "Metrics" in properties else handlers
        return chosen["update"](physical_id, before, properties, stack_name, *rest)

    return {**handlers, "create": create, "update": update}


def adding(handler, attributes):
    """`handler` whose answer has these as well."""

    def call(*arguments):
        physical_id, made = handler(*arguments)
        return physical_id, {**{key: value.format(name=physical_id) for key, value in attributes.items()}, **made}

    return call


if __name__ == "__main__":
    # It listens on all interfaces unless told otherwise.
    assert os.environ["BIND_HOST"] == "127.0.0.1"
    for kind, attributes in RECORDED.items():
        provisioners._RESOURCE_HANDLERS.setdefault(kind, recorder(attributes))
    alarms = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]
    provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"] = except_for_formulas(dict(alarms))
    for kind, attributes in ADDED.items():
        handlers = provisioners._RESOURCE_HANDLERS[kind]
        for step in {"create", "update"} & handlers.keys():
            handlers[step] = adding(handlers[step], attributes)
    main()
