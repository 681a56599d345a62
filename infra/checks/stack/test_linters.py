"""Other people's checkers over the templates, the policies and the scripts: none may have anything to say that is not
explained beside the resource that it is about."""

import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from cfnlint.api import ManualArgs, lint

import rendered
import rights
from templates import FOLDER, INFRA, OPTIONAL, STACKS, all_templates, combinations, load, packaged

BIN = pathlib.Path(sys.executable).parent
CHECKOV = os.environ["CHECKOV"]
GUARD = pathlib.Path(os.environ["GUARD"])
TEMPLATES = (*STACKS, "recovery-region")


def pairs(choices):
    return {frozenset(pair) for pair in itertools.combinations(sorted(choices.items()), 2)}


def covering(template):
    """Some of the combinations: together they have every pair of choices."""
    every = list(combinations(template))
    missing = set().union(*(pairs(one) for one in every))
    while missing:
        best = max(every, key=lambda one: len(pairs(one) & missing))
        missing -= pairs(best)
        yield best


class Linters(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        for name in TEMPLATES:
            (pathlib.Path(cls.folder.name) / f"{name}.yaml").write_text(packaged(name))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_in_folder(self, *command):
        return subprocess.run(command, cwd=self.folder.name, capture_output=True, text=True, check=False, timeout=300)

    def test_cfn_lint(self):
        ran = self.run_in_folder(BIN / "cfn-lint", "-r", "eu-west-1", "us-east-1", "--", *(f"{name}.yaml" for name in TEMPLATES))
        print(f"  cfn-lint: {len(TEMPLATES)} templates, {len(re.findall(r'^[EWI][0-9]{4} ', ran.stdout, re.M))} findings")
        self.assertEqual((ran.returncode, ran.stdout.strip()), (0, ""), ran.stdout)

    def test_cfn_lint_of_combinations(self):
        """Rendered, every pair of choices together at least once."""
        linted = 0
        for name, template in all_templates().items():
            for chosen in covering(template):
                with self.subTest(name, **chosen):
                    # W9006/W3045 and the like are about style that rendering makes; errors are what would not deploy.
                    found = [match for match in lint(rendered.as_json(name, template, **chosen), config=ManualArgs(regions=["eu-west-1"]))
                             if match.rule.id.startswith("E")]
                    self.assertEqual([(match.rule.id, match.message, match.path) for match in found], [])
                    linted += 1
        print(f"  cfn-lint: {linted} rendered combinations, 0 errors")
        self.assertGreater(linted, 15)

    def test_checkov(self):
        ran = self.run_in_folder(CHECKOV, "--skip-download", "--directory", ".", "--framework", "cloudformation", "--compact", "--output", "json")
        report = json.loads(ran.stdout)
        summary = report["summary"]
        failed = [(one["check_id"], one["resource"], one["check_name"]) for one in report["results"]["failed_checks"]]
        print(f"  checkov: {summary['passed']} passed, {summary['failed']} failed, {summary['skipped']} skipped with a reason")
        self.assertEqual(failed, [])
        self.assertEqual(summary["parsing_errors"], 0)
        self.assertGreater(summary["passed"], 100)
        for one in report["results"]["skipped_checks"]:
            self.assertGreater(len(one["check_result"]["suppress_comment"]), 8, one["check_id"])

    def test_checkov_of_image_and_workflows(self):
        ran = subprocess.run([CHECKOV, "--skip-download", "--file", INFRA.parent / "Dockerfile", *(INFRA.parent / ".github/workflows").glob("*.yml"), "--framework", "dockerfile",
                              "github_actions", "--compact", "--output", "json"], capture_output=True, text=True, check=False, timeout=300, cwd=INFRA.parent)
        reports = json.loads(ran.stdout)
        passed = sum(report["summary"]["passed"] for report in reports)
        failed = [(one["check_id"], pathlib.Path(one["file_path"]).name) for report in reports for one in report["results"]["failed_checks"]]
        print(f"  checkov: image and workflows, {passed} passed, {len(failed)} failed with a reason")
        self.assertEqual(set(failed) - EXPLAINED.keys(), set())
        self.assertEqual({report["check_type"] for report in reports}, {"dockerfile", "github_actions"})
        self.assertGreater(passed, 100)

    def test_control_tower(self):
        """Rendered with what production chooses: HighAvailability, a certificate. Each finding has its reason in the
        resource's `Metadata: guard`."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        reasons, used = {}, set()
        for name in TEMPLATES:
            template = load(name)
            document = rendered.document(name, template, HighAvailability="true", CertificateArn=OPTIONAL["CertificateArn"])
            for resource, body in document["Resources"].items():
                for rule, reason in body.pop("Metadata", {}).get("guard", {}).items():
                    reasons[resource, rule] = reason
            (pathlib.Path(folder.name) / f"{name}.json").write_text(json.dumps(document))
        ran = subprocess.run([GUARD / "bin/ubuntu/x86_64/cfn-guard", "validate", "--rules", GUARD / "rules/control-tower", "--data", folder.name,
                              "--show-summary", "none", "--output-format", "json", "--structured"], capture_output=True, text=True, check=False, timeout=300)
        passed, unexplained = 0, []
        for file in json.loads(ran.stdout):
            passed += len(file["compliant"])
            for rule in file["not_compliant"]:
                name = rule["Rule"]["name"]
                for resource in sorted(set(re.findall(r"/Resources/(\w+)", json.dumps(rule)))):
                    used.add((resource, name))
                    if (resource, name) not in reasons:
                        unexplained.append((pathlib.Path(file["name"]).name, resource, name))
        print(f"  Control Tower: {passed} rules passed, {len(used)} findings with a reason, {len(unexplained)} without")
        self.assertEqual(unexplained, [])
        self.assertEqual(set(reasons) - used, set(), "reasons for what is no finding")
        self.assertGreater(passed, 30)

    def test_parliament(self):
        documents, findings = rights.managed_policies(), []
        import parliament  # slow to load, and says much on standard error of its own

        for name, policy in documents.items():
            text = re.sub(r"\$\{(\w+)\.Arn\}", r"arn:aws:s3:::\1", json.dumps(rendered_arns(policy)))
            analyzed = parliament.analyze_policy_string(text)
            findings += [(name, finding.issue, str(finding.detail)) for finding in analyzed.findings if not is_explained(finding)]
        print(f"  parliament: {len(documents)} policies, {len(findings)} findings")
        self.assertEqual(findings, [])
        self.assertGreater(len(documents), 8)

    def test_shellcheck(self):
        scripts = [path for path in (*INFRA.glob("*"), *INFRA.glob("instance/*"), *INFRA.glob("recovery/*"), INFRA / "checks/stack/run")
                   if path.is_file() and path.read_bytes().startswith(b"#!") and b"bash" in path.read_bytes().splitlines()[0]]
        ran = subprocess.run([BIN / "shellcheck", *scripts], capture_output=True, text=True, check=False, timeout=60)
        user_data = pathlib.Path(self.folder.name) / "user-data"
        from checks import user_data as text_of_user_data

        user_data.write_text(text_of_user_data(all_templates()))
        whole = subprocess.run([BIN / "shellcheck", user_data], capture_output=True, text=True, check=False, timeout=60)
        print(f"  shellcheck: {len(scripts)} scripts and the user data as a whole, {ran.stdout.count('^--') + whole.stdout.count('^--')} findings")
        self.assertEqual((ran.returncode, ran.stdout), (0, ""), ran.stdout)
        self.assertEqual((whole.returncode, whole.stdout), (0, ""), whole.stdout)
        self.assertGreaterEqual(len(scripts), 5)


NEWER = {"elasticloadbalancing:GetLoadBalancerWebACL", "s3:GetBucketAbac", "logs:PutLogGroupDeletionProtection", "logs:PutBearerTokenAuthentication"}


EXPLAINED = {
    ("CKV_DOCKER_7", "Dockerfile"): "the bases are build arguments, pinned by digest",
    ("CKV_GHA_7", "deploy.yml"): "nothing is built there; the input is the digest of an image that build.yml made, to go back to it",
}


def is_explained(finding):
    """Rights on everything are judged action by action in rights.py; some actions are newer than parliament's list; public
    parameters have no account in their ARN; a boundary is compared as a text, as AWS' own examples do."""
    if finding.issue == "UNKNOWN_ACTION":
        return finding.detail.removeprefix("Unknown action ") in NEWER
    if finding.issue == "MISMATCHED_TYPE_BUT_USABLE":
        return "StringEquals requires a value of type String but given Arn" in str(finding.detail)
    if finding.issue == "RESOURCE_MISMATCH":
        return {one["action"] for one in finding.detail} == {"ssm:GetParameter", "ssm:GetParameters"}
    return finding.issue == "RESOURCE_STAR"


def rendered_arns(policy):
    """References as ARNs of the right kind."""
    if isinstance(policy, dict):
        if list(policy) == ["Fn::GetAtt"]:
            return ATTRIBUTES[".".join(policy["Fn::GetAtt"])]
        if list(policy) == ["Ref"]:
            return ATTRIBUTES[policy["Ref"]]
        return {key: rendered_arns(value) for key, value in policy.items()}
    return [rendered_arns(value) for value in policy] if isinstance(policy, list) else policy


LOG_GROUP = "arn:aws:logs:eu-west-1:111122223333:log-group:/hubbub/hubbub-service/node:*"
ATTRIBUTES = {
    "Key.Arn": rendered.GIVEN["KeyArn"],
    "Postgres.MasterUserSecret.SecretArn": rendered.GIVEN["PostgresSecret"],
    "RedisSecret": rendered.GIVEN["RedisSecret"],
    "NodeLogs.Arn": LOG_GROUP,
    "SystemLogs.Arn": LOG_GROUP,
    "FlowLogGroup.Arn": LOG_GROUP,
    "Images.Arn": "arn:aws:ecr:eu-west-1:111122223333:repository/hubbub",
    "ExecutionRole.Arn": "arn:aws:iam::111122223333:role/hubbub-cloudformation",
    "Boundary": rendered.GIVEN["Boundary"],
}

if __name__ == "__main__":
    unittest.main()
