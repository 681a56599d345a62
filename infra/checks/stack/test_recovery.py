"""The runbook in dry form, its rehearsal on this machine, and its commands against stand-ins."""

import asyncio
import base64
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from instance import Instance
from templates import IMAGE, INFRA
from test_instance import QUICK, user_data

RECOVERY = INFRA / "recovery"
sys.path.insert(0, str(RECOVERY))
CASES = {
    "redis": ((), ["describe-replication-groups", "RedisGeneration=", "bus-down"]),
    "postgres": (("before",), ["db-snapshot-available", "--desired-capacity 0", "wait-for-no-instances", "--only data --allow-replacement", "DBGeneration=",
                               "--only service", "new-epoch", "--desired-capacity 2", "smoke"]),
    "region": (("copy",), ["db-snapshot-available", "bootstrap.yaml", "--only foundation", "--only data", "--only service", "--desired-capacity 0",
                           "new-epoch", "--desired-capacity 2", "smoke", "--only watch"]),
}


class Runbook(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        # An account that can be read and nothing more.
        stand_in = pathlib.Path(self.folder.name) / "aws"
        stand_in.write_text(f'#!/bin/bash\necho "$*" >>{self.folder.name}/calls\ncase "$2" in describe-*|wait) echo something ;; *) exit 1 ;; esac\n')
        stand_in.chmod(0o755)

    def run_book(self, *arguments, **options):
        environment = {"PATH": f"{self.folder.name}:{os.environ['PATH']}", "AWS_REGION": "eu-west-1", "IMAGE": IMAGE}
        return subprocess.run([RECOVERY / "runbook", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60, **options)

    def test_dry(self):
        for case, (arguments, steps) in CASES.items():
            with self.subTest(case):
                ran = self.run_book(case, *arguments)
                self.assertEqual(ran.returncode, 0, ran.stderr)
                self.assertRegex(ran.stdout, r"RTO \d+ min, RPO ")
                places = [ran.stdout.find(step) for step in steps]
                self.assertNotIn(-1, places, steps[places.index(-1)] if -1 in places else "")
                self.assertEqual(places, sorted(places), "the steps stand in another order")
                self.assertIn("Nothing was done.", ran.stdout)
                print(f"  runbook {case}: {len(re.findall(r'^[0-9]+[.] ', ran.stdout, re.M))} steps")
        calls = (pathlib.Path(self.folder.name) / "calls").read_text().splitlines()
        self.assertEqual([call for call in calls if " describe-stacks " not in f" {call} "], [], "in dry form something was changed")

    def test_a_no_stops_it(self):
        ran = self.run_book("--run", "redis", input="no\n")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("stopped before step 2", ran.stdout)
        calls = (pathlib.Path(self.folder.name) / "calls").read_text()
        self.assertNotIn("create-change-set", calls)

    def test_wrong_usage(self):
        for arguments in ((), ("postgres",), ("redis", "extra"), ("fire",)):
            self.assertEqual(self.run_book(*arguments).returncode, 2, arguments)


# Notes each call, and fails at the one that FAIL_AT counts to.
STAND_IN = r"""#!/bin/bash
printf '%s %s\n' "${0##*/}" "$*" >>"$FOLDER/calls"
[ "$(wc -l <"$FOLDER/calls")" != "$FAIL_AT" ] || { echo "this is call $FAIL_AT" >&2; exit 254; }
case "${0##*/} $*" in
*"length(AutoScalingGroups"*) echo x >>"$FOLDER/asked"; echo $((3 - $(wc -l <"$FOLDER/asked"))) ;;
*describe-auto-scaling-groups*) printf 'lt-0123\t7\tsubnet-a,subnet-b\n' ;;
*describe-launch-template-versions*) cat "$FOLDER/user-data" ;;
*run-instances*) args=$*; place=${args#*file://}; cp "${place%% *}" "$FOLDER/started"; echo i-0fedcba9876543210 ;;
*filter-log-events*) cat "$FOLDER/log" ;;
*describe-stacks*) echo something ;;
esac
"""


class Account:
    """Programs that note their calls, and the recovery's own beside a deploy and a smoke that do so too."""

    def __init__(self, test):
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        shutil.copytree(RECOVERY, self.folder / "infra/recovery", ignore=shutil.ignore_patterns("__pycache__"))
        for place in ("programs/aws", "infra/deploy", "infra/smoke"):
            (self.folder / place).parent.mkdir(exist_ok=True)
            (self.folder / place).write_text(STAND_IN)
            (self.folder / place).chmod(0o755)
        self.says(user_data(), "the store's epoch is now 2; clients that come back start anew")

    def says(self, text, log):
        (self.folder / "user-data").write_text(base64.b64encode(text.encode()).decode())
        (self.folder / "log").write_text(log)

    def run(self, program, *arguments, answers="", fail_at=0, **environment):
        """The exit code and what was said; `calls` are those of this run."""
        for name in ("calls", "asked", "started"):
            (self.folder / name).unlink(missing_ok=True)
        known = {"PATH": f"{self.folder}/programs:{os.environ['PATH']}", "AWS_REGION": "eu-west-1", "FOLDER": str(self.folder), "FAIL_AT": str(fail_at), "DEPLOY_PAUSE": "0"}
        ran = subprocess.run([self.folder / "infra/recovery" / program, *arguments], env={**known, **environment}, input=answers, capture_output=True, text=True,
                             check=False, timeout=60)
        return ran.returncode, ran.stdout + ran.stderr

    def calls(self):
        calls = self.folder / "calls"
        return calls.read_text().splitlines() if calls.exists() else []


class Commands(unittest.TestCase):
    """What the runbook runs, carried out up to each point where it can fail."""

    def setUp(self):
        self.account = Account(self)

    def fails_everywhere(self, program, *arguments, **options):
        """Whichever call fails, that is the last one, and the exit code says so."""
        code, said = self.account.run(program, *arguments, **options)
        self.assertEqual(code, 0, said)
        whole = self.account.calls()
        for number in range(1, len(whole) + 1):
            with self.subTest(call=whole[number - 1]):
                code, said = self.account.run(program, *arguments, fail_at=number, **options)
                self.assertNotEqual(code, 0, said)
                self.assertIn(f"this is call {number}", said)
                self.assertEqual(len(self.account.calls()), number, "it went on")
        return whole

    def test_new_epoch(self):
        calls = self.fails_everywhere("new-epoch", "hubbub-service")
        print(f"  new-epoch: {len(calls)} calls, each failure ends it")
        (start,) = [call for call in calls if "run-instances" in call]
        for wanted in ("LaunchTemplateId=lt-0123,Version=7", "--subnet-id subnet-a ", "--instance-initiated-shutdown-behavior terminate"):
            self.assertIn(wanted, start)
        self.assertIn("instance-terminated --instance-ids i-0fedcba9876543210", calls[-2])
        self.assertIn("--log-group-name /hubbub/hubbub-service/node --log-stream-names i-0fedcba9876543210", calls[-1])

    def test_the_instance_of_new_epoch_does_that_and_ends(self):
        """The user data that it starts the instance with, executed."""
        code, said = self.account.run("new-epoch", "hubbub-service")
        self.assertEqual(code, 0, said)
        instance = Instance()
        self.addCleanup(instance.close)
        code, said = instance.run((self.account.folder / "started").read_text(), **QUICK)
        self.assertEqual(code, 0, said)
        (run,) = [call for call in instance.calls() if call.startswith("docker run")]
        self.assertTrue(run.endswith(" new-epoch"), run)
        self.assertEqual(instance.calls()[-1], "shutdown -h now")
        self.assertEqual([call for call in instance.calls() if "enable --now hubbub" in call or call.startswith("cfn-signal")], [])

    def test_new_epoch_is_not_believed_without_a_word_of_the_node(self):
        for log in ("", "no store at that address"):
            self.account.says(user_data(), log)
            code, said = self.account.run("new-epoch", "hubbub-service")
            self.assertEqual(code, 1)
            self.assertIn("has not said that a new epoch began", said)

    def test_new_epoch_starts_no_node(self):
        """With user data that it cannot change it would start a node, which writes into the old epoch."""
        self.account.says("#!/bin/bash\nsystemctl start hubbub\n", "")
        code, said = self.account.run("new-epoch", "hubbub-service")
        self.assertEqual(code, 1)
        self.assertIn("is not as infra/package makes it", said)
        self.assertEqual([call for call in self.account.calls() if "run-instances" in call], [])
        self.assertEqual(self.account.run("new-epoch")[0], 2)

    def test_the_runbook_is_carried_out(self):
        everything = {"IMAGE": IMAGE, "GITHUB_REPOSITORY": "example/hubbub", "OIDC_PROVIDER_ARN": "arn:aws:iam::111122223333:oidc-provider/x"}
        for case, (arguments, steps) in CASES.items():
            with self.subTest(case):
                calls = self.fails_everywhere("runbook", "--run", case, *arguments, answers="yes\n" * 9, **everything)
                told = "\n".join(calls)
                # The two programs of this folder are seen by what they call.
                steps = [{"wait-for-no-instances": "length(AutoScalingGroups", "new-epoch": "run-instances", "bootstrap.yaml": "hubbub-recovery-bootstrap"}.get(step, step) for step in steps]
                places = [told.find(step) for step in steps]
                self.assertNotIn(-1, places, steps[places.index(-1)] if -1 in places else "")
                self.assertEqual(places, sorted(places), "the steps stand in another order")
                other = "hubbub-recovery-" if case == "region" else "hubbub-"
                self.assertEqual({name for name in re.findall(r"hubbub-[a-z-]*?(?=service|data|bus-down)", told)}, {other})
                print(f"  runbook --run {case}: {len(calls)} calls, each failure ends it")
                self.stops_at_each_no(case, arguments, everything)

    def stops_at_each_no(self, case, arguments, everything):
        done = -1
        for yes in range(9):
            code, said = self.account.run("runbook", "--run", case, *arguments, answers="yes\n" * yes + "no\n", **everything)
            if code == 0:
                break
            self.assertEqual(code, 1, said)
            self.assertIn("nothing of it was done", said)
            self.assertGreater(len(self.account.calls()), done, "a yes led to nothing")
            done = len(self.account.calls())
        self.assertGreater(yes, 0, "nothing was asked")
        self.assertEqual(code, 0, "it asks more often than anybody answers")

    def test_another_region_needs_names(self):
        for missing in ("IMAGE", "GITHUB_REPOSITORY", "OIDC_PROVIDER_ARN"):
            given = {name: "x" for name in ("IMAGE", "GITHUB_REPOSITORY", "OIDC_PROVIDER_ARN") if name != missing}
            code, said = self.account.run("runbook", "--run", "region", "copy", **given)
            self.assertEqual(code, 2, said)
            self.assertIn(f"{missing} is not set", said)
            self.assertEqual(self.account.calls(), [])


class Drill(unittest.TestCase):
    def test_all_redis_and_postgres_lost(self):
        node = os.environ.get("HUBBUB_TEST_NODE")
        self.assertTrue(node, "HUBBUB_TEST_NODE is not set")
        from drill import drill

        figures = asyncio.run(drill(node))
        for disaster, found in figures.items():
            print(f"  {disaster}: " + ", ".join(f"{name} {figure}" for name, figure in found.items()))
        self.assertLess(figures["all Redis lost"]["longest way of a message (s)"], 5)
        lost = figures["Postgres lost and restored"]
        self.assertEqual(lost["lost, acknowledged before the dump"], 0)
        self.assertGreater(lost["kept"], 100)
        self.assertGreater(lost["lost, acknowledged after the dump"], 0, "nothing was written after the dump: the drill shows nothing")
        self.assertLess(lost["from the loss to everybody writing again (s)"], 90)


if __name__ == "__main__":
    unittest.main()
