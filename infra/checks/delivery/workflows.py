"""What holds for the workflows beyond what linters know: who may do what, in which order, and with which image."""

import os
import re

import yaml

PINNED = re.compile(r"uses: (?P<action>[\w.-]+/[\w./-]+)@(?P<revision>[0-9a-f]{40}) # v\d+\.\d+\.\d+$")
# Which jobs may ask for a token to become a role in AWS.
MAY_BECOME_A_ROLE = {("build.yml", "image"), ("build.yml", "deploy"), ("deploy.yml", "stack")}
# Of the original's seven secrets these are used; docs/delivery.md says what replaced ECR_IMAGE_URI and DB_PASSWORD.
SECRETS = {"AWS_REGION", "AWS_ROLE_ARN", "ECR_REPOSITORY", "EC2_KEY_PAIR", "DB_USERNAME"}


class Workflows:
    def __init__(self, folder):
        self.texts = {}
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                self.texts[name] = file.read()
        self.parsed = {name: yaml.safe_load(text) for name, text in self.texts.items()}

    def triggers(self, name):
        # YAML 1.1 reads `on` as true.
        return self.parsed[name][True] or {}

    def jobs(self):
        return [(name, job, body) for name, parsed in self.parsed.items() for job, body in parsed["jobs"].items()]

    def step(self, file, job, name):
        """The one step of that name, or that uses that action."""
        found = [s for s in self.parsed[file]["jobs"][job]["steps"] if name in (s.get("name"), s.get("uses", "").split("@")[0])]
        return found[0] if len(found) == 1 else {}

    def problems(self):
        """What is wrong, in words; nothing when all is well."""
        return [problem for check in (self._pins, self._rights, self._jobs, self._build, self._deploy) for problem in check()]

    def _pins(self):
        revisions = {}
        for name, text in self.texts.items():
            for line in re.findall(r"uses: .*", text):
                if line.startswith("uses: ./"):
                    continue
                found = PINNED.fullmatch(line)
                if not found:
                    yield f"{name}: `{line}` is not pinned to a revision with its version behind it"
                elif revisions.setdefault(found["action"], found["revision"]) != found["revision"]:
                    yield f"{name}: {found['action']} is pinned to different revisions"

    def _rights(self):
        for name, parsed in self.parsed.items():
            if parsed.get("permissions") != {}:
                yield f"{name}: jobs have rights that they did not ask for"
            if "aws-access-key-id" in self.texts[name]:
                yield f"{name}: keys that last instead of a role"
            for secret in set(re.findall(r"secrets\.(\w+)", self.texts[name])) - SECRETS:
                yield f"{name}: the secret {secret} is none that docs/delivery.md knows"
            if "secrets: inherit" in self.texts[name]:
                yield f"{name}: hands on all secrets"
        for name, job, body in self.jobs():
            rights = body.get("permissions", {})
            becomes = rights.get("id-token") == "write"
            if becomes != ((name, job) in MAY_BECOME_A_ROLE):
                yield f"{name}: {job} {'may' if becomes else 'may not'} become a role in AWS"
            if set(rights) - {"contents", "id-token"} or rights.get("contents") != "read":
                yield f"{name}: {job} has the rights {rights}"

    def _jobs(self):
        for name, job, body in self.jobs():
            if "steps" not in body:
                continue
            if not body.get("timeout-minutes"):
                yield f"{name}: {job} may hang for six hours"
            if "latest" in body["runs-on"]:
                yield f"{name}: {job} runs on whatever is latest"
            for step in body["steps"]:
                if step.get("uses", "").startswith("actions/checkout@") and step.get("with", {}).get("persist-credentials") is not False:
                    yield f"{name}: {job} leaves its token in the checkout"
                if step.get("continue-on-error") or "always()" in str(step.get("if", "")):
                    yield f"{name}: {job} goes on after a failure"

    def _build(self):
        build = self.parsed["build.yml"]
        if self.triggers("build.yml") != {"push": {"branches": ["main"]}}:
            yield "build.yml: runs for something else than a push to main"
        if build["concurrency"].get("cancel-in-progress") is not False:
            yield "build.yml: a push of an image may be cut off"
        jobs = build["jobs"]
        if jobs["checks"].get("uses") != "./.github/workflows/ci.yml" or jobs["image"].get("needs") != "checks":
            yield "build.yml: an image is built of what was not checked"
        if "workflow_call" not in self.triggers("ci.yml") or "pull_request" not in self.triggers("ci.yml"):
            yield "ci.yml: does not check pull requests and main alike"
        push = self.step("build.yml", "image", "docker/build-push-action").get("with", {})
        if not (push.get("push") and push.get("sbom") and push.get("provenance") == "mode=max"):
            yield "build.yml: no SBOM or no provenance"
        if "${{ github.sha }}" not in push.get("tags", "") or "latest" in push.get("tags", ""):
            yield "build.yml: the image is not tagged with its commit alone before it was scanned"
        if "type=gha" not in push.get("cache-from", "") or "mode=max" not in push.get("cache-to", ""):
            yield "build.yml: the layer of dependencies is not kept"
        order = [step.get("name") for step in jobs["image"]["steps"]]
        if not 0 <= order.index("Scan it") < order.index("Tag it latest") == len(order) - 1:
            yield "build.yml: `latest` may name what was not scanned"
        deploy = jobs["deploy"]
        if deploy.get("needs") != "image" or "if" in deploy or deploy.get("uses") != "./.github/workflows/deploy.yml":
            yield "build.yml: deploys without having built"
        if deploy.get("with", {}).get("digest") != "${{ needs.image.outputs.digest }}":
            yield "build.yml: deploys something else than it built"

    def _deploy(self):
        for name in self.parsed:
            if {"workflow_run", "pull_request_target"} & set(self.triggers(name)):
                yield f"{name}: runs with this repository's rights on others' work"
        triggers = self.triggers("deploy.yml")
        if set(triggers) != {"workflow_call", "workflow_dispatch"}:
            yield "deploy.yml: is started by something else than a build or a person"
        for trigger in triggers.values():
            if not (trigger or {}).get("inputs", {}).get("digest", {}).get("required"):
                yield "deploy.yml: may deploy without being told what"
        deploy = self.parsed["deploy.yml"]
        if deploy["concurrency"] != {"group": "deploy-production", "cancel-in-progress": False}:
            yield "deploy.yml: two deployments may race, or one be cut off"
        if deploy["jobs"]["stack"].get("environment", {}).get("name") != "production":
            yield "deploy.yml: the environment does not guard it"
        if "infra/deploy" not in self.step("deploy.yml", "stack", "Deploy").get("run", ""):
            yield "deploy.yml: does not deploy as people do by hand"
