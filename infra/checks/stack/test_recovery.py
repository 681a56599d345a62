"""The runbook in dry form, and its rehearsal on this machine."""

import asyncio
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from templates import IMAGE, INFRA

RECOVERY = INFRA / "recovery"
sys.path.insert(0, str(RECOVERY))
CASES = {
    "redis": ((), ["describe-replication-groups", "RedisGeneration=", "bus-down"]),
    "postgres": (("before",), ["db-snapshot-available", "--desired-capacity 0", "wait-for-no-instances", "--only data --allow-replacement",
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
