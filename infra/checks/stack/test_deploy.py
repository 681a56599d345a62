"""infra/deploy, end to end, against an AWS on this machine."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

from templates import INFRA

HERE = pathlib.Path(__file__).parent
POLICY = json.loads((INFRA / "cloudformation/stack-policy.json").read_text())
FIRST, SECOND = (f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/hubbub@sha256:{letter * 64}" for letter in "ab")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Deployments(unittest.TestCase):
    """One story, told in order: the account is empty at its beginning and at its end."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        port = free_port()
        home = {**{key: value for key, value in os.environ.items() if not key.startswith("AWS_")}, "HOME": cls.folder.name,
                "TMPDIR": cls.folder.name}
        cls.log = (pathlib.Path(cls.folder.name) / "emulator.log").open("w")
        # Nor does it find a Docker to start databases in.
        cls.emulator = subprocess.Popen([sys.executable, "-B", HERE / "emulator.py"], cwd=cls.folder.name, stdout=cls.log, stderr=cls.log, env={
            **home, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "MINISTACK_REGION": "eu-west-1", "DOCKER_HOST": "unix:///nowhere"})
        cls.addClassCleanup(cls.end)
        cls.environment = {
            **home, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", "SMOKE": "off", "DEPLOY_PAUSE": "1"}
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline and cls.emulator.poll() is None, "the emulator does not answer"
                time.sleep(0.3)
        cls.aws("cloudformation", "deploy", "--stack-name", "hubbub-bootstrap", "--template-file", str(INFRA / "cloudformation/bootstrap.yaml"),
                "--capabilities", "CAPABILITY_NAMED_IAM", "--parameter-overrides", "GitHubRepository=example/hubbub")

    @classmethod
    def end(cls):
        cls.emulator.terminate()
        cls.emulator.wait(20)
        cls.log.close()
        cls.folder.cleanup()

    @classmethod
    def aws(cls, *arguments):
        ran = subprocess.run(["aws", *arguments], env=cls.environment, capture_output=True, text=True, check=False, timeout=300)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def ask(self, *arguments):
        return json.loads(self.aws(*arguments, "--output", "json"))

    def deploy(self, *arguments, code=0, **environment):
        ran = subprocess.run([INFRA / "deploy", *arguments], env={**self.environment, **environment}, capture_output=True, text=True,
                             check=False, timeout=600)
        shown = " ".join(arguments).replace("a" * 64, "aaaa…").replace("b" * 64, "bbbb…")
        print(f"  $ infra/deploy {shown}")
        for line in (ran.stdout + ran.stderr).splitlines():
            if line.strip() and not line.startswith("    Add"):
                print(f"    {line[:180]}")
        print(f"    exit code {ran.returncode}")
        self.assertEqual(ran.returncode, code, ran.stdout + ran.stderr)
        return ran.stdout + ran.stderr

    def identities(self):
        """{stack and logical id: physical id} of everything there is."""
        found = {}
        for part in ("foundation", "data", "service", "watch"):
            for one in self.ask("cloudformation", "describe-stack-resources", "--stack-name", f"hubbub-{part}")["StackResources"]:
                found[part, one["LogicalResourceId"]] = one["PhysicalResourceId"]
        return found

    def test_story(self):
        self.wrong_usage_changes_nothing()
        self.a_cluster_is_made()
        self.a_new_image_changes_launch_template_and_group_alone()
        self.what_must_not_be_is_refused()
        self.what_is_meant_is_replaced()
        self.everything_goes()

    def wrong_usage_changes_nothing(self):
        self.assertIn("no image by its digest", self.deploy("hubbub:latest", code=2))
        self.assertIn("no template has the parameter", self.deploy(FIRST, "Colour=blue", code=2))
        self.assertIn("AWS_REGION", self.deploy(FIRST, code=2, AWS_REGION=""))
        self.assertIn("bootstrap", self.deploy(FIRST, code=1, STACK_NAME="elsewhere"))
        stacks = [one["StackName"] for one in self.ask("cloudformation", "describe-stacks")["Stacks"]]
        self.assertEqual(stacks, ["hubbub-bootstrap"])

    def a_cluster_is_made(self):
        summary, output = (pathlib.Path(self.folder.name) / name for name in ("summary", "output"))
        said = self.deploy(FIRST, "NodeSettings=HUBBUB__AUTH__GUESTS=true HUBBUB__ROOMS__CREATE_ON_JOIN=true", GITHUB_STEP_SUMMARY=str(summary), GITHUB_OUTPUT=str(output))
        for part in ("foundation", "data", "service", "watch"):
            self.assertIn(f"hubbub-{part}: CREATE_COMPLETE", said)
        (group,) = self.ask("autoscaling", "describe-auto-scaling-groups")["AutoScalingGroups"]
        self.assertEqual((group["MinSize"], group["MaxSize"], group["HealthCheckType"]), (2, 4, "ELB"))
        (database,) = self.ask("rds", "describe-db-instances")["DBInstances"]
        self.assertEqual((database["PubliclyAccessible"], database["StorageEncrypted"], database["BackupRetentionPeriod"]), (False, True, 14))
        self.assertEqual(self.launch_template(), ("1", FIRST))
        self.assertIn("HUBBUB__ROOMS__CREATE_ON_JOIN=true", self.user_data("1"))
        self.assertRegex(output.read_text(), r"url=http://\S+\nimage=\S+a\n")
        self.assertIn("| WebSocketUrl | `ws://", summary.read_text())
        for stack in self.ask("cloudformation", "describe-stacks")["Stacks"]:
            if stack["StackName"] != "hubbub-bootstrap":
                self.assertTrue(stack["EnableTerminationProtection"], stack["StackName"])
        for part in ("foundation", "data"):
            self.assertEqual(self.stack_policy(part), POLICY, part)
        self.assertEqual(self.stack_policy("service"), None)

    def stack_policy(self, part):
        said = self.aws("cloudformation", "get-stack-policy", "--stack-name", f"hubbub-{part}", "--query", "StackPolicyBody", "--output", "text").strip()
        return json.loads(said) if said not in ("", "None") else None

    def user_data(self, version):
        (template,) = self.ask("ec2", "describe-launch-templates")["LaunchTemplates"]
        versions = self.ask("ec2", "describe-launch-template-versions", "--launch-template-id", template["LaunchTemplateId"], "--versions", version)
        import base64

        return base64.b64decode(versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]["UserData"]).decode()

    def launch_template(self):
        """The version that the group starts, and its image."""
        (group,) = self.ask("autoscaling", "describe-auto-scaling-groups")["AutoScalingGroups"]
        version = group["LaunchTemplate"]["Version"]
        return version, re.search(r"^IMAGE=(.*)$", self.user_data(version), re.M).group(1)

    def a_new_image_changes_launch_template_and_group_alone(self):
        before = self.identities()
        # Somebody has taken the policy off by hand.
        open_to_all = '{"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}]}'
        self.aws("cloudformation", "set-stack-policy", "--stack-name", "hubbub-data", "--stack-policy-body", open_to_all)
        said = self.deploy(SECOND)
        self.assertEqual(self.stack_policy("data"), POLICY)
        self.assertEqual(set(re.findall(r"^    (?:Modify|Add|Remove)\t(\w+)", said, re.M)), {"LaunchTemplate", "Group"})
        for part in ("foundation", "data", "watch"):
            self.assertIn(f"hubbub-{part}: nothing to do", said)
        self.assertEqual(self.identities(), before, "something was made anew")
        self.assertEqual(self.launch_template(), ("2", SECOND))
        self.assertIn("HUBBUB__ROOMS__CREATE_ON_JOIN=true", self.user_data("2"), "what was not given kept its value")
        self.assertEqual(self.deploy(SECOND).count("nothing to do"), 4)

    def what_must_not_be_is_refused(self):
        before = self.identities()
        self.assertIn("SshCidr must not be the whole internet", self.deploy("--only", "foundation", SECOND, "SshCidr=0.0.0.0/0", code=1))
        self.assertIn("MaxSize must not be below MinSize", self.deploy("--only", "service", SECOND, "MinSize=4", "MaxSize=3", code=1))
        self.assertIn("would lose Postgres", self.deploy("--only", "data", SECOND, "DBSnapshotIdentifier=before", code=1))
        self.assertEqual(self.identities(), before)

    def what_is_meant_is_replaced(self):
        """As the runbook restores Postgres: the policy is lifted for that, and back afterwards."""
        before = self.identities()
        noted = self.stand_in_for_aws()
        said = self.deploy("--only", "data", "--allow-replacement", SECOND, "DBSnapshotIdentifier=before", "DBGeneration=2", PATH=f"{noted.parent}:{self.environment['PATH']}")
        self.assertIn("hubbub-data: UPDATE_COMPLETE", said)
        order = [call for call in noted.read_text().splitlines() if call.startswith(("set-stack-policy", "execute-change-set"))]
        self.assertEqual([call.split()[0] for call in order], ["set-stack-policy", "set-stack-policy", "execute-change-set", "set-stack-policy"])
        self.assertEqual(["stack-policy.json" in call for call in order], [True, False, False, True])
        self.assertEqual(self.stack_policy("data"), POLICY)
        changed = {key[1] for key, identity in self.identities().items() if before.get(key) != identity}
        self.assertLessEqual({"Postgres", "PostgresLogs", "PostgresUpgradeLogs"}, changed)
        self.assertNotIn("Redis", changed)

    def stand_in_for_aws(self):
        """A folder's `calls`: what was asked of CloudFormation by the `aws` in it, which passes all on."""
        folder = pathlib.Path(self.folder.name) / "noting"
        folder.mkdir()
        program = folder / "aws"
        program.write_text(f'#!/bin/bash\necho "${{*:2}}" >>{folder}/calls\nexec {shutil.which("aws")} "$@"\n')
        program.chmod(0o755)
        return folder / "calls"

    def everything_goes(self):
        self.deploy("--delete")
        self.assertNotIn("hubbub-service", self.aws("cloudformation", "describe-stacks"))
        self.assertIn("hubbub-data", self.aws("cloudformation", "describe-stacks"))
        self.deploy("--delete-everything")
        stacks = [one["StackName"] for one in self.ask("cloudformation", "describe-stacks")["Stacks"]]
        self.assertEqual(stacks, ["hubbub-bootstrap"])


if __name__ == "__main__":
    unittest.main()
