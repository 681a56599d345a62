"""Who may do what: trust of the roles, and rights of the role that CloudFormation acts by."""

import fnmatch

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from checks import check
from templates import Renderer, System, load

ISSUER = "token.actions.githubusercontent.com"
# The handlers' lists name what any use of a type may need. Nobody here uses these: another service's part of a shared type
# (WAF in front of Cognito, log groups into Firehose), tables of S3, VPC Lattice, fleets and the like.
UNUSED_SERVICES = {"amplify", "apigateway", "apprunner", "appsync", "bedrock-agentcore", "cognito-idp", "firehose", "managed-fleets",
                   "payments", "s3tables", "vpc-lattice", "vpce"}
# Single actions of services that are used: properties that no template has.
UNUSED_ACTIONS = {
    "backup-storage:mount",  # no action of IAM
    "autoscaling:attachloadbalancers", "autoscaling:detachloadbalancers",  # classic load balancers
    "ec2:associatesubnetcidrblock", "ec2:disassociatesubnetcidrblock",  # IPv6
    "ec2:associateverifiedaccessinstancewebacl", "ec2:disassociateverifiedaccessinstancewebacl", "ec2:getverifiedaccessinstancewebacl",
    "ec2:attachvpngateway", "ec2:detachvpngateway", "ec2:createvpcencryptioncontrol", "ec2:modifyvpctenancy",
    "ec2:createservicenetworkvpcendpointassociation", "ec2:get*",
    "elasticloadbalancing:createwebaclassociation", "elasticloadbalancing:deletewebaclassociation",  # by wafv2
    "elasticloadbalancing:modifycapacityreservation", "elasticloadbalancing:modifyippools",
    "iam:deleterolepermissionsboundary",  # a role never leaves its boundary
    "logs:createlogstream", "logs:putlogevents",
    "rds:addroletodbinstance", "rds:removerolefromdbinstance", "rds:createdbinstancereadreplica", "rds:promotereadreplica",
    "rds:startdbinstanceautomatedbackupsreplication", "rds:stopdbinstanceautomatedbackupsreplication",
    "rds:describedbclustersnapshots",  # misspelt in the schema
    "secretsmanager:removeregionsfromreplication", "secretsmanager:replicatesecrettoregions",
    "s3:createbucketmetadatatableconfiguration", "s3:deletebucketanalyticsconfiguration", "s3:deletebucketcors",
    "s3:deletebucketencryption", "s3:deletebucketlifecycle", "s3:deletebucketmetadatatableconfiguration",
    "s3:deletebucketmetricsconfiguration", "s3:deletebucketreplication", "s3:deletebucketwebsite", "s3:deleteobject", "s3:getobject",
    "s3:listallmybuckets", "s3:putaccelerateconfiguration", "s3:putanalyticsconfiguration", "s3:putbucketabac",
    "s3:putbucketcors", "s3:putbucketlogging", "s3:putbucketnotification", "s3:putbucketobjectlockconfiguration",
    "s3:putbucketreplication", "s3:putbucketwebsite", "s3:putintelligenttieringconfiguration", "s3:putinventoryconfiguration",
    "s3:putmetricsconfiguration", "s3:putobjectacl", "s3:putobjectlockconfiguration", "s3:putreplicationconfiguration",
    "s3:rest.put.object", "s3:updatebucketmetadataannotationtableconfiguration",
    "s3:updatebucketmetadatainventorytableconfiguration", "s3:updatebucketmetadatajournaltableconfiguration",
    "ssm:get*",
    "wafv2:getpermissionpolicy",
}


def listed(value):
    return value if isinstance(value, list) else [value]


def statements(system, role):
    """All that a role of these stacks is allowed."""
    properties = system.properties(role)
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    documents += [system.properties(arn["Ref"])["PolicyDocument"] for arn in properties.get("ManagedPolicyArns", []) if isinstance(arn, dict)]
    return [statement for document in documents for statement in listed(document["Statement"])]


def actions(system, role):
    return {action.lower() for statement in statements(system, role) for action in listed(statement["Action"])}


def needed(templates):
    """{action: type} that CloudFormation's handlers of the types in the four stacks need, what is not used left out."""
    wanted = {}
    for name in ("foundation", "data", "service", "watch"):
        for resource in templates[name]["Resources"].values():
            schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-west-1", resource["Type"]).schema
            for handler in schema.get("handlers", {}).values():
                for action in handler["permissions"]:
                    action = action.lower()
                    if action.split(":")[0] not in UNUSED_SERVICES and action not in UNUSED_ACTIONS:
                        wanted.setdefault(action, resource["Type"])
    return wanted


def covered(action, granted):
    """Whether one of the patterns allows `action`, which may be a pattern itself."""
    return action in granted or any(fnmatch.fnmatch(action, pattern) for pattern in granted)


def admits(document, claims):
    """Whether a trust policy lets in who shows a token of GitHub with these claims."""
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        if "Federated" not in statement["Principal"] or statement["Action"] != "sts:AssumeRoleWithWebIdentity":
            continue
        holds = True
        for operator, wanted in statement.get("Condition", {}).items():
            for key, values in wanted.items():
                claim = claims.get(key.removeprefix(ISSUER + ":"))
                match operator:
                    case "StringEquals":
                        holds = holds and claim in listed(values)
                    case "StringLike":
                        holds = holds and claim is not None and any(fnmatch.fnmatchcase(claim, value) for value in listed(values))
                    case _:
                        raise AssertionError(f"unknown operator {operator}")
        if holds:
            return True
    return False


def token(sub, aud="sts.amazonaws.com"):
    return {"sub": sub, "aud": aud}


@check
def only_main_builds_and_only_the_environment_deploys(templates):
    system = System(templates, GitHubRepository="example/hubbub")
    build, deploy = (system.properties(role)["AssumeRolePolicyDocument"] for role in ("BuildRole", "DeployRole"))
    main, production = token("repo:example/hubbub:ref:refs/heads/main"), token("repo:example/hubbub:environment:production")
    assert admits(build, main) and admits(deploy, production)
    assert not admits(build, production) and not admits(deploy, main), "one role does the other's work"
    for who in ("repo:example/hubbub:pull_request", "repo:example/hubbub:ref:refs/tags/v1", "repo:example/hubbub:ref:refs/heads/mainly",
                "repo:example/hubbub:environment:staging", "repo:example/hubbub-fork:ref:refs/heads/main", "repo:somebody/hubbub:ref:refs/heads/main",
                "repo:somebody/hubbub:environment:production", "repo:example/hubbub:ref:refs/heads/feature"):
        assert not admits(build, token(who)) and not admits(deploy, token(who)), f"{who} is let in"
    for claims, document in ((main, build), (production, deploy)):
        assert not admits(document, {**claims, "aud": "https://github.com/example"}), "a token for somebody else is taken"
        assert not admits(document, {"sub": claims["sub"]}), "a token for nobody is taken"


@check
def cloudformation_may_what_it_needs(templates):
    granted = actions(System(templates), "ExecutionRole")
    missing = {action: kind for action, kind in needed(templates).items() if not covered(action, granted)}
    assert not missing, f"the execution role lacks {missing}"


@check
def nobody_may_everything_of_a_service(templates):
    system = System(templates, OidcProviderArn="")
    for name, body in system.resources.items():
        if body["Type"] == "AWS::IAM::Role":
            granted = actions(system, name)
            assert not [action for action in granted if action == "*" or action.endswith(":*")], f"{name} has all of a service"
            for statement in statements(system, name):
                assert statement["Effect"] == "Allow" and "NotAction" not in statement and "NotResource" not in statement, name
    for statement in statements(system, "ExecutionRole"):
        writes = [action for action in listed(statement["Action"]) if not action.split(":")[1].startswith(("Describe", "List", "Get", "Mount"))]
        assert statement["Resource"] != "*" or not writes or "Condition" in statement, f"{statement['Sid']} writes anywhere"


@check
def made_roles_stay_within_the_boundary(templates):
    """CloudFormation can make no role that reaches further than itself: it must give each the boundary, and all have it."""
    system = System(templates)
    for name, body in system.of_type("AWS::IAM::Role").items():
        if system.owner[name] != "bootstrap":
            assert body["Properties"].get("PermissionsBoundary") == {"Ref": "Boundary"}, f"{name} has no boundary"
            assert "RoleName" not in body["Properties"], "the execution role knows roles by the stack's name"
    for statement in statements(system, "ExecutionRole"):
        makes = {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary"} & set(listed(statement["Action"]))
        if makes:
            assert statement["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": {"Ref": "Boundary"}}}, makes
        if "iam:PassRole" in listed(statement["Action"]):
            assert "iam:PassedToService" in statement["Condition"]["StringEquals"] and statement["Resource"] != "*"
    granted = actions(system, "ExecutionRole")
    assert not granted & {"iam:deleterolepermissionsboundary", "iam:createpolicyversion", "iam:createpolicy", "iam:createuser", "iam:createaccesskey"}
    most = {action.lower() for statement in system.properties("Boundary")["PolicyDocument"]["Statement"] for action in statement["Action"]}
    assert not [action for action in most if action.startswith(("iam:", "sts:", "organizations:", "cloudformation:", "ec2:run"))]
    for role in ("NodeRole", "FlowLogRole"):
        assert actions(system, role) <= most, f"the boundary takes {actions(system, role) - most} from {role}"


@check
def nodes_may_little(templates):
    system = System(templates)
    anywhere = {action for statement in statements(system, "NodeRole") if statement["Resource"] == "*" for action in listed(statement["Action"])}
    assert anywhere == {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData", "elasticloadbalancing:DescribeTargetHealth",
                        "ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
                        "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"}, anywhere
    (secrets,) = [statement for statement in statements(system, "NodeRole") if "secretsmanager:GetSecretValue" in listed(statement["Action"])]
    assert secrets["Resource"] == [{"Fn::GetAtt": ["Postgres", "MasterUserSecret.SecretArn"]}, {"Ref": "RedisSecret"}]


@check
def deployers_may_only_tell_cloudformation(templates):
    system = System(templates)
    for statement in statements(system, "DeployRole"):
        for action in listed(statement["Action"]):
            assert action.startswith("cloudformation:") or action == "iam:PassRole", action
        assert statement["Resource"] != "*"
    (policies,) = [statement for statement in statements(system, "DeployRole") if "cloudformation:SetStackPolicy" in listed(statement["Action"])]
    assert [arn.split(":stack/")[1] for arn in policies["Resource"]] == ["hubbub-foundation/*", "hubbub-data/*"], "what infra/deploy guards"
    assert not [action for action in actions(system, "BuildRole") if not action.startswith("ecr:")]


@check
def names_fit_the_rights(templates):
    """What rights are given on by name is named so."""
    system = System(templates)
    arns = [arn for statement in statements(system, "NodeRole") for arn in listed(statement["Resource"]) if isinstance(arn, str)]
    assert [arn for arn in arns if arn.endswith("autoScalingGroupName/" + system.properties("Group")["AutoScalingGroupName"])]
    assert [arn for arn in arns if arn.endswith("repository/${Images}")]
    assert system.properties("RedisSecret")["Name"].startswith("hubbub-data/")
    for kind in ("AWS::ElastiCache::User", "AWS::ElastiCache::UserGroup", "AWS::ElastiCache::ReplicationGroup"):
        for body in system.of_type(kind).values():
            name = next(body["Properties"][key] for key in ("UserId", "UserGroupId", "ReplicationGroupId") if key in body["Properties"])
            assert name.startswith("hubbub-data-") and len(name) <= 40, name
    for body in system.of_type("AWS::CloudWatch::Alarm").values():
        assert body["Properties"]["AlarmName"].startswith("${Group}-")


def managed_policies():
    """{name: document} of all policies in all templates, to be looked at by a linter for policies."""
    documents = {}
    templates = {name: load(name) for name in ("bootstrap", "foundation", "data", "service", "watch")}
    system = System(templates, OidcProviderArn="", CertificateArn="")
    for name, body in system.resources.items():
        if body["Type"] == "AWS::IAM::ManagedPolicy":
            documents[name] = body["Properties"]["PolicyDocument"]
        for policy in body.get("Properties", {}).get("Policies", []) if body["Type"] == "AWS::IAM::Role" else []:
            documents[f"{name}.{policy['PolicyName']}"] = policy["PolicyDocument"]
    return documents


__all__ = ["Renderer", "managed_policies"]
