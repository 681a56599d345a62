"""The templates as CloudFormation would see them, with parameters and conditions resolved.

What only exists once a stack is made stays symbolic: `{"Ref": "Vpc"}`, `{"Fn::GetAtt": ["Vpc", "CidrBlock"]}`, and inside
texts `${Vpc}` and `${Vpc.CidrBlock}`. Parameters that infra/deploy fills from an earlier stack's outputs get that output's
value, so that all stacks together are one graph.
"""

import copy
import importlib.machinery
import importlib.util
import itertools
import json
import pathlib
import re
import tempfile

import cfnlint.decode

INFRA = pathlib.Path(__file__).resolve().parents[2]
FOLDER = INFRA / "cloudformation"
STACKS = ("bootstrap", "foundation", "data", "service", "watch")
PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::NoValue": None,
}
IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/hubbub@sha256:" + "a" * 64
CHOSEN = {
    "GitHubRepository": "example/hubbub",
    "Image": IMAGE,
}
NOTHING = object()


def package():
    """The module of infra/package."""
    loader = importlib.machinery.SourceFileLoader("package", str(INFRA / "package"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("package", loader))
    loader.exec_module(module)
    return module


def packaged(name):
    """The text that infra/deploy sends."""
    return package().package((FOLDER / f"{name}.yaml").read_text())


def load(name):
    """The template as plain data, short forms of functions written out."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(packaged(name))
        file.flush()
        template, problems = cfnlint.decode.decode(file.name)
    assert not problems, problems
    return long_forms(json.loads(json.dumps(template)))


def long_forms(value):
    """`Fn::GetAtt` as a list, as guard wants it."""
    if isinstance(value, dict):
        if list(value) == ["Fn::GetAtt"] and isinstance(value["Fn::GetAtt"], str):
            return {"Fn::GetAtt": value["Fn::GetAtt"].split(".", 1)}
        return {key: long_forms(inner) for key, inner in value.items()}
    return [long_forms(inner) for inner in value] if isinstance(value, list) else value


def all_templates():
    """Fresh copies of the templates, to look at or to break."""
    return {name: load(name) for name in STACKS}


class Renderer:
    """One template with its parameters."""

    def __init__(self, name, template, parameters):
        self.template = template
        self.values = dict(PSEUDO, **{"AWS::StackName": f"hubbub-{name}", "AWS::StackId": f"arn:aws:cloudformation:eu-west-1:111122223333:stack/hubbub-{name}/1"})
        for key, parameter in template.get("Parameters", {}).items():
            value = parameters.get(key, parameter.get("Default", NOTHING))
            assert value is not NOTHING, f"{name} needs {key}, which nothing gives"
            self.values[key] = value
        self.conditions = {}

    def condition(self, name):
        if name not in self.conditions:
            self.conditions[name] = self.truth(self.template["Conditions"][name])
        return self.conditions[name]

    def truth(self, value):
        (function, argument), = value.items()
        match function:
            case "Condition":
                return self.condition(argument)
            case "Fn::Equals":
                left, right = (self.value(side) for side in argument)
                return str(left) == str(right)
            case "Fn::Not":
                return not self.truth(argument[0])
            case "Fn::And":
                return all(self.truth(part) for part in argument)
            case "Fn::Or":
                return any(self.truth(part) for part in argument)
            case "Fn::Contains":
                return self.value(argument[1]) in [self.value(part) for part in argument[0]]
        raise AssertionError(f"unknown condition {function}")

    def refusals(self):
        """What the template's Rules say against the parameters."""
        said = []
        for rule in self.template.get("Rules", {}).values():
            if "RuleCondition" not in rule or self.truth(rule["RuleCondition"]):
                said += [part["AssertDescription"] for part in rule["Assertions"] if not self.truth(part["Assert"])]
        return said

    def value(self, value):
        """`value` with what is known put in; None is AWS::NoValue."""
        if isinstance(value, list):
            parts = (self.value(inner) for inner in value)
            return [part for part in parts if part is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), = value.items()
            handler = {"Ref": self.ref, "Fn::If": self.chosen, "Fn::Sub": self.sub, "Fn::Join": self.join,
                       "Fn::Select": self.select, "Fn::GetAZs": lambda _: ["eu-west-1a", "eu-west-1b"],
                       "Fn::Base64": self.value, "Fn::GetAtt": self.getatt}.get(function)
            if handler:
                return handler(argument)
        rendered = {key: self.value(inner) for key, inner in value.items()}
        return {key: inner for key, inner in rendered.items() if inner is not None}

    def ref(self, name):
        if name in self.values:
            return copy.deepcopy(self.values[name])
        self.must_exist(name)
        return {"Ref": name}

    def getatt(self, argument):
        self.must_exist(argument[0])
        return {"Fn::GetAtt": argument}

    def must_exist(self, name):
        resource = self.template["Resources"].get(name)
        assert resource is not None, f"there is no {name}"
        condition = resource.get("Condition")
        assert condition is None or self.condition(condition), f"{name} is referred to where its condition is false"

    def chosen(self, argument):
        return self.value(argument[1] if self.condition(argument[0]) else argument[2])

    def sub(self, argument):
        text, extra = (argument, {}) if isinstance(argument, str) else argument

        def replaced(match):
            name = match.group(1)
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in extra:
                return text_of(self.value(extra[name]))
            if "." in name:
                return text_of(self.getatt(name.split(".", 1)))
            return text_of(self.ref(name))

        return re.sub(r"\$\{([^}]+)\}", replaced, text)

    def join(self, argument):
        return argument[0].join(text_of(self.value(part)) for part in argument[1])

    def select(self, argument):
        return self.value(argument[1])[int(argument[0])]

    def resources(self):
        """The resources that would be made, by name."""
        made = {}
        for name, resource in self.template["Resources"].items():
            if "Condition" not in resource or self.condition(resource["Condition"]):
                made[name] = {key: self.value(inner) for key, inner in resource.items() if key not in ("Metadata", "Condition")}
                made[name]["Metadata"] = resource.get("Metadata", {})
        return made

    def outputs(self):
        return {name: self.value(output["Value"]) for name, output in self.template.get("Outputs", {}).items()
                if "Condition" not in output or self.condition(output["Condition"])}


def text_of(value):
    """A value inside a text."""
    if isinstance(value, dict):
        (function, argument), = value.items()
        return "${" + (argument if function == "Ref" else ".".join(argument)) + "}"
    return str(value)


class System:
    """All stacks, made one after the other as infra/deploy does."""

    def __init__(self, templates, **parameters):
        self.templates = templates
        self.resources, self.outputs, self.owner, self.renderers = {}, {}, {}, {}
        given = {**CHOSEN, **parameters}
        for name in STACKS:
            renderer = Renderer(name, templates[name], {**given, **self.outputs})
            self.renderers[name] = renderer
            refusals = renderer.refusals()
            assert not refusals, refusals
            for resource, body in renderer.resources().items():
                assert resource not in self.resources, f"{resource} stands in two templates"
                self.resources[resource] = body
                self.owner[resource] = name
            # The stacks before it, then its own: an output must not hide another.
            outputs = renderer.outputs()
            clash = (outputs.keys() & self.outputs.keys())
            assert not clash, f"{clash} are outputs of two stacks"
            self.outputs |= outputs

    def of_type(self, kind):
        return {name: body for name, body in self.resources.items() if body["Type"] == kind}

    def properties(self, name):
        return self.resources[name].get("Properties", {})


def switches(template):
    """The parameters that are true or false, or one of a few words."""
    return {name: parameter["AllowedValues"] for name, parameter in template.get("Parameters", {}).items()
            if "AllowedValues" in parameter}


OPTIONAL = {
    "SshCidr": "203.0.113.0/24",
    "PrometheusSecurityGroup": "sg-0123456789abcdef0",
    "AlarmEmail": "chat@example.org",
    "RecoveryVaultArn": "arn:aws:backup:eu-central-1:111122223333:backup-vault:hubbub-recovery",
    "DBSnapshotIdentifier": "before",
    "RedisSnapshotName": "before",
    "Ec2KeyPair": "chat",
    "CertificateArn": "arn:aws:acm:eu-west-1:111122223333:certificate/1",
    "NodeSettings": "HUBBUB__AUTH__GUESTS=true HUBBUB__ROOMS__CREATE_ON_JOIN=true",
    "OidcProviderArn": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com",
}


def combinations(template):
    """Every combination of what the template's conditions ask for."""
    choices = dict(switches(template))
    for name in OPTIONAL:
        if name in template.get("Parameters", {}):
            choices[name] = ["", OPTIONAL[name]]
    names = sorted(choices)
    for values in itertools.product(*(choices[name] for name in names)):
        yield dict(zip(names, values, strict=True))
