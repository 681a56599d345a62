"""The workflows: linters have nothing to say, what must hold holds, planted faults are found, and the steps do what they say."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from workflows import Workflows

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))
GITHUB = os.path.join(ROOT, ".github")
TOOLS = os.path.dirname(sys.executable)
DIGEST = "sha256:" + "0123456789abcdef" * 4
REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

# A fault, and what notices it: our own checks, or a linter by name.
FAULTS = [
    ("an action by its tag", "build.yml", "@37fe631027851001ddb9b187196cc803df7f5f0e # v4.3.0", "@v4", "checks"),
    ("an action by its tag, for the linter", "build.yml", "@37fe631027851001ddb9b187196cc803df7f5f0e # v4.3.0", "@v4", "zizmor"),
    ("rights for every job", "ci.yml", "permissions: {}", "permissions: write-all", "zizmor"),
    ("rights that nobody asked for", "ci.yml", "permissions: {}\n", "", "checks"),
    ("a role for pull requests", "ci.yml", "      contents: read\n", "      contents: read\n      id-token: write\n", "checks"),
    ("a token that stays in the checkout", "deploy.yml", "          persist-credentials: false\n", "          fetch-depth: 1\n", "zizmor"),
    ("deploying after any build", "deploy.yml", "  workflow_call:\n", "  workflow_run: {workflows: [Build], types: [completed]}\n  workflow_call:\n", "zizmor"),
    ("deploying although the build failed", "build.yml", "    needs: image\n", "    needs: image\n    if: always()\n", "checks"),
    ("deploying what latest names", "build.yml", "digest: ${{ needs.image.outputs.digest }}\n    secrets", "digest: latest\n    secrets", "checks"),
    ("building what was not checked", "build.yml", "    needs: checks\n", "", "checks"),
    ("deployments that are cut off", "deploy.yml", "cancel-in-progress: false", "cancel-in-progress: true", "checks"),
    ("no environment", "deploy.yml", "      name: production\n", "      name: anything\n", "checks"),
    ("latest before the scan", "build.yml", ":${{ github.sha }}\n", ":latest\n", "checks"),
    ("no provenance", "build.yml", "          provenance: mode=max\n", "", "checks"),
    ("a secret in a script", "deploy.yml", "          account=$(", "          echo ${{ secrets.DB_USERNAME }}\n          account=$(", "zizmor"),
    ("an expression in a script", "deploy.yml", '[[ "$DIGEST"', '[[ "${{ inputs.digest }}"', "zizmor"),
    ("all secrets handed on", "build.yml", "    secrets:\n      AWS_REGION: ${{ secrets.AWS_REGION }}", "    secrets: inherit\n    x:\n      AWS_REGION: ${{ secrets.AWS_REGION }}", "checks"),
    ("keys that last", "deploy.yml", "          role-to-assume:", "          aws-access-key-id: x\n          role-to-assume:", "checks"),
    ("an output that no step has", "build.yml", "steps.digest.outputs.digest }}\n    steps", "steps.nothing.outputs.digest }}\n    steps", "actionlint"),
    ("an unquoted word in a script", "deploy.yml", '"::error::\'$DIGEST\' is no digest (sha256: and 64 hex digits)"', "$DIGEST", "actionlint"),
    ("a key that no workflow has", "ci.yml", "    timeout-minutes: 75\n", "    timeout: 75\n", "schema"),
    ("an input that the called workflow lacks", "build.yml", "      digest: ${{ needs.image.outputs.digest }}\n    secrets", "      image: ${{ needs.image.outputs.digest }}\n    secrets", "actionlint"),
]


def run(*arguments, folder=ROOT, **options):
    return subprocess.run(arguments, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, **options)


def tool(name, *arguments, folder=ROOT):
    environment = {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    return run(os.path.join(TOOLS, name), *arguments, folder=folder, env=environment)


def lint(name, folder):
    """A linter over the workflows of a checkout."""
    files = [f".github/workflows/{file}" for file in sorted(os.listdir(os.path.join(folder, ".github", "workflows")))]
    return {
        "zizmor": lambda: tool("zizmor", "--offline", "--persona=pedantic", "--no-progress", *files, folder=folder),
        "actionlint": lambda: tool("actionlint", *files, folder=folder),
        "schema": lambda: tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files, folder=folder),
        "yamllint": lambda: tool("yamllint", "--strict", "-c", os.path.join(ROOT, "infra/checks/yamllint.yaml"), ".github", folder=folder),
    }[name]()


class Linted(unittest.TestCase):
    def test_linters_have_nothing_to_say(self):
        for name in ("zizmor", "actionlint", "schema", "yamllint"):
            with self.subTest(linter=name):
                linted = lint(name, ROOT)
                self.assertEqual(linted.returncode, 0, linted.stdout)
                print(f"{name}: {(linted.stdout.strip().splitlines() or ['nothing to say'])[-1]}")
        scripts = [os.path.join(GITHUB, "scripts", name) for name in os.listdir(os.path.join(GITHUB, "scripts"))]
        linted = tool("shellcheck", "--enable=all", "--exclude=SC2250,SC2312,SC2292", *scripts)
        self.assertEqual(linted.returncode, 0, linted.stdout)

    def test_what_must_hold_holds(self):
        self.assertEqual(Workflows(os.path.join(GITHUB, "workflows")).problems(), [])

    def test_planted_faults_are_found(self):
        for fault, file, old, new, by in FAULTS:
            with self.subTest(fault=fault), tempfile.TemporaryDirectory() as folder:
                shutil.copytree(GITHUB, os.path.join(folder, ".github"))
                # What makes it a repository for the linters.
                os.mkdir(os.path.join(folder, ".git"))
                path = os.path.join(folder, ".github", "workflows", file)
                with open(path, encoding="utf-8") as planted:
                    text = planted.read()
                self.assertIn(old, text, "the fault cannot be planted")
                with open(path, "w", encoding="utf-8") as planted:
                    planted.write(text.replace(old, new, 1))
                if by == "checks":
                    found = "\n".join(Workflows(os.path.dirname(path)).problems())
                else:
                    linted = lint(by, folder)
                    found = linted.stdout if linted.returncode != 0 else ""
                self.assertTrue(found, f"{by} does not find it")
                print(f"planted: {fault} -> {by}: {self.first(found)}")

    @staticmethod
    def first(found):
        lines = [line for line in found.splitlines() if re.search(r"error|warning|help|: ", line) and "INFO" not in line]
        return (lines or found.splitlines())[0].strip()[:140]

    def test_the_document_names_every_secret(self):
        with open(os.path.join(ROOT, "docs", "delivery.md"), encoding="utf-8") as file:
            document = file.read()
        for secret in ("AWS_REGION", "AWS_ROLE_ARN", "ECR_REPOSITORY", "ECR_IMAGE_URI", "EC2_KEY_PAIR", "DB_USERNAME", "DB_PASSWORD"):
            self.assertRegex(document, rf"\| `{secret}` \|")


class Steps(unittest.TestCase):
    """What steps run, run as on a runner, with stand-ins for the programs that reach AWS."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.workflows = Workflows(os.path.join(GITHUB, "workflows"))
        os.mkdir(os.path.join(self.folder, "bin"))

    def stub(self, program, script):
        path = os.path.join(self.folder, "bin", program)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/bash\necho "{program} $*" >> "{self.folder}/calls"\n{script}\n')
        os.chmod(path, 0o755)

    def step(self, file, job, name, **environment):
        return self.bash("-c", self.workflows.step(file, job, name)["run"], **environment)

    def bash(self, *arguments, **environment):
        for name in ("output", "summary", "calls"):
            open(os.path.join(self.folder, name), "w", encoding="utf-8").close()
        environment = {
            "PATH": f"{self.folder}/bin{os.pathsep}{os.environ['PATH']}", "GITHUB_OUTPUT": f"{self.folder}/output",
            "GITHUB_STEP_SUMMARY": f"{self.folder}/summary", "GITHUB_SHA": "a" * 40, **environment,
        }
        return run("bash", "--noprofile", "--norc", "-eo", "pipefail", *arguments, folder=self.folder, env=environment)

    def read(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8") as file:
            return file.read()

    def test_a_setting_that_is_missing_is_named(self):
        settings = {"AWS_REGION": "eu-west-1", "AWS_ROLE_ARN": "arn", "ECR_REPOSITORY": "hubbub", "DIGEST": DIGEST}
        for file, job in (("build.yml", "image"), ("deploy.yml", "stack")):
            self.assertEqual(self.step(file, job, "Settings are there", **settings).returncode, 0)
            said = self.step(file, job, "Settings are there", **{**settings, "ECR_REPOSITORY": ""})
            self.assertEqual(said.returncode, 1)
            self.assertIn("ECR_REPOSITORY is neither", said.stdout)
        for wrong in ("latest", "", DIGEST + "0", "sha256:$(id)"):
            self.assertEqual(self.step("deploy.yml", "stack", "Settings are there", **{**settings, "DIGEST": wrong}).returncode, 1)

    def test_an_image_of_the_commit_is_taken_when_there_is_one(self):
        name = ("build.yml", "image", "Look for an image of this commit")
        self.stub("aws", f"echo {DIGEST}")
        self.assertEqual(self.step(*name, ECR_REPOSITORY="hubbub").returncode, 0)
        self.assertEqual(self.read("output"), f"digest={DIGEST}\n")
        self.assertIn(f"imageTag={'a' * 40}", self.read("calls"))
        self.stub("aws", "echo 'An error occurred (ImageNotFoundException) when calling DescribeImages' >&2; exit 254")
        self.assertEqual(self.step(*name, ECR_REPOSITORY="hubbub").returncode, 0)
        self.assertEqual(self.read("output"), "")
        self.stub("aws", "echo 'An error occurred (AccessDeniedException) when calling DescribeImages' >&2; exit 254")
        refused = self.step(*name, ECR_REPOSITORY="hubbub")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("AccessDenied", refused.stdout)

    def test_only_a_digest_is_handed_on(self):
        name = ("build.yml", "image", "The digest")
        self.assertEqual(self.step(*name, DIGEST=DIGEST).returncode, 0)
        self.assertEqual(self.read("output"), f"digest={DIGEST}\n")
        self.assertEqual(self.step(*name, DIGEST="").returncode, 1)

    def test_latest_names_the_digest(self):
        self.stub("docker", "")
        tagged = self.step("build.yml", "image", "Tag it latest", IMAGE=f"{REGISTRY}/hubbub", DIGEST=DIGEST)
        self.assertEqual(tagged.returncode, 0, tagged.stdout)
        self.assertIn(f"imagetools create --tag {REGISTRY}/hubbub:latest {REGISTRY}/hubbub@{DIGEST}", self.read("calls"))
        self.assertIn(DIGEST, self.read("summary"))

    def test_the_deployment_is_told_the_image_and_what_is_set(self):
        os.makedirs(os.path.join(self.folder, "infra"))
        self.stub("aws", "echo 123456789012")
        self.stub("deploy", "")
        os.rename(os.path.join(self.folder, "bin", "deploy"), os.path.join(self.folder, "infra", "deploy"))
        settings = {"AWS_REGION": "eu-west-1", "ECR_REPOSITORY": "team/hubbub", "DIGEST": DIGEST}
        for key, name, parameters in (("", "", ""), ("ops", "", " Ec2KeyPair=ops"), ("ops", "chat", " Ec2KeyPair=ops DBUsername=chat")):
            deployed = self.step("deploy.yml", "stack", "Deploy", **settings, EC2_KEY_PAIR=key, DB_USERNAME=name)
            self.assertEqual(deployed.returncode, 0, deployed.stdout)
            self.assertIn(f"deploy {REGISTRY}/team/hubbub@{DIGEST}{parameters}\n", self.read("calls"))

    def scan(self, counts, completes="exit 0", index='{"manifests": []}', findings="[]"):
        self.stub("docker", f"echo '{index}'")
        answer = f'{{"counts": {counts}, "basic": {findings}, "enhanced": null}}'
        self.stub("aws", f"case \"$*\" in *' wait '*) {completes};; *imageScanStatus*) echo '{{\"status\": \"FAILED\"}}';; *) echo '{answer}';; esac")
        return self.bash(os.path.join(GITHUB, "scripts", "scan-image"), f"{REGISTRY}/team/hubbub@{DIGEST}")

    def test_a_scan_without_serious_findings_passes(self):
        for counts, said in (("{}", "found nothing"), ("null", "found nothing"), ('{"LOW": 2, "MEDIUM": 1}', "2 LOW, 1 MEDIUM")):
            scanned = self.scan(counts)
            self.assertEqual(scanned.returncode, 0, scanned.stdout)
            self.assertIn(said, scanned.stdout)
        self.assertIn("--repository-name team/hubbub", self.read("calls"))

    def test_serious_findings_fail_and_are_listed(self):
        for counts in ('{"CRITICAL": 1}', '{"HIGH": 3}'):
            scanned = self.scan(counts, findings='[["HIGH", "CVE-1", "https://example.org/1"]]')
            self.assertEqual(scanned.returncode, 1, scanned.stdout)
            self.assertIn("HIGH  CVE-1  https://example.org/1", scanned.stdout)
            self.assertIn("::error::", scanned.stdout)

    def test_a_scan_that_does_not_complete_fails(self):
        scanned = self.scan("{}", completes="exit 255")
        self.assertEqual(scanned.returncode, 1, scanned.stdout)
        self.assertIn("FAILED", scanned.stdout)

    def test_of_an_index_the_machines_manifest_is_scanned(self):
        platform = '{"digest": "sha256:amd", "platform": {"os": "linux", "architecture": "amd64"}}'
        beside = '{"digest": "sha256:sbom", "platform": {"os": "unknown", "architecture": "unknown"}}'
        self.scan("{}", index=f'{{"manifests": [{beside}, {platform}]}}')
        self.assertIn("imageDigest=sha256:amd", self.read("calls"))
        self.assertNotIn(DIGEST, re.sub(r"docker .*", "", self.read("calls")))


if __name__ == "__main__":
    unittest.main()
