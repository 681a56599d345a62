"""Dashboard, alert rules and documents name metrics that a node has; every panel shows something while people talk."""

import json
import math
import os
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..", "..")
OBSERVABILITY = os.path.join(ROOT, "infra", "observability")
RULES = os.path.realpath(os.path.join(OBSERVABILITY, "prometheus", "alerts.yml"))
sys.path.append(os.path.join(ROOT, "node", "tests", "clients"))

from node import Node  # noqa: E402
from prometheus import Prometheus  # noqa: E402

METRIC = re.compile(r"\bhubbub_[a-z0-9_]+\b")
# A word of that form that is no metric: the cookie.
NO_METRICS = {"hubbub_session"}
# What these tell of is so on a machine that has other work besides, from time to time: they wait for minutes.
OF_THE_MACHINE = {"HubbubNodeBusy", "HubbubNodeLate", "HubbubCommitsSlow", "HubbubAppendsWait"}


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def promtool(*arguments, folder=os.path.dirname(RULES)):
    return subprocess.run(
        ["promtool", *arguments], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60
    )


def dashboard():
    return json.loads(read(OBSERVABILITY, "grafana", "hubbub.json"))


def panels():
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


class Rules(unittest.TestCase):
    def test_they_are_well_formed_and_do_what_their_tests_say(self):
        for arguments in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"],
                          ["check", "config", "ec2.yml"]):
            checked = promtool(*arguments)
            self.assertEqual(checked.returncode, 0, checked.stdout)
            print(f"promtool {' '.join(arguments)}: {' '.join(checked.stdout.split())}")

    def test_each_alert_is_missed_by_the_tests_when_it_does_not_fire(self):
        # With expressions that never hold.
        rules, alerts = re.subn(r"( expr: )(?:>-\n(?: {10}.*\n)+|.*\n)", r"\1vector(0) == 1\n", read(RULES))
        names = re.findall(r"- alert: (\w+)", rules)
        self.assertEqual(len(names), alerts)
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("alerts.yml", rules), ("alerts.test.yml", read(os.path.dirname(RULES), "alerts.test.yml"))):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            checked = promtool("test", "rules", "alerts.test.yml", folder=folder)
        self.assertEqual(checked.returncode, 1, checked.stdout)
        missed = set(re.findall(r'alertname="(\w+)"', checked.stdout))
        self.assertEqual(set(names) - missed, set(), "no test sees them fire")

    def test_each_alert_says_what_it_means_and_how_bad_it_is(self):
        for block in re.split(r"\n\s+- alert: ", read(RULES))[1:]:
            with self.subTest(alert=block.split("\n")[0]):
                self.assertRegex(block, r"severity: (page|ticket)\n")
                self.assertRegex(block, r"summary: .+\n +description: ")


class Dashboard(unittest.TestCase):
    def test_each_panel_says_what_it_shows(self):
        seen = dashboard()
        self.assertEqual(len({panel["id"] for panel in seen["panels"]}), len(seen["panels"]))
        for panel in panels():
            with self.subTest(panel=panel["title"]):
                self.assertGreater(len(panel["description"]), 15)
                self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])
                self.assertEqual(panel["datasource"]["uid"], "${datasource}", "any Prometheus may be chosen")
                for target in panel["targets"]:
                    self.assertIn('job="$job"', target["expr"])

    def test_no_two_panels_overlap_and_none_is_wider_than_the_page(self):
        taken = set()
        for panel in dashboard()["panels"]:
            at = panel["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            self.assertFalse(cells & taken, panel["title"])
            self.assertLessEqual(at["x"] + at["w"], 24, panel["title"])
            taken |= cells


class Live(unittest.TestCase):
    """Two nodes on one Postgres and Redis, people who talk, and a Prometheus that looks."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="hubbub-observability-")
        cls.addClassCleanup(folder.cleanup)
        common = [f"store.url={os.environ['HUBBUB_TEST_POSTGRES_URL']}", f"bus.url={os.environ['HUBBUB_TEST_REDIS_URL']}",
                  "auth.guests=true", "rooms.create_on_join=true", "limits.handshakes_per_second_per_address=0"]
        cls.nodes, cls.scraped = [], []
        for name in ("a", "b"):
            own = os.path.join(folder.name, name)
            os.mkdir(own)
            node = Node(own, f"node.name={name}", *common)
            cls.addClassCleanup(node.kill)
            cls.nodes.append(node)
            cls.scraped.append(re.fullmatch(r"private on http://(\S+)\n", node.process.stdout.readline())[1])
        cls.prometheus = Prometheus(folder.name, cls.scraped, RULES)
        cls.addClassCleanup(cls.prometheus.end)

    def metrics(self):
        """All metrics of a node: name and type."""
        with urllib.request.urlopen(f"http://{self.scraped[0]}/metrics", timeout=10) as answer:
            return dict(re.findall(r"^# TYPE (\S+) (\S+)$", answer.read().decode(), re.MULTILINE))

    def named(self, text):
        """The metrics that a text names; of a histogram's series, the histogram."""
        there = self.metrics()
        names = set(METRIC.findall(text)) - NO_METRICS
        return {base if there.get(base := re.sub(r"_(bucket|sum|count)$", "", name)) == "histogram" else name for name in names}

    def test_what_is_named_is_there(self):
        texts = {"the dashboard": json.dumps(dashboard()), "the alert rules": read(RULES),
                 "the tests of the rules": read(os.path.dirname(RULES), "alerts.test.yml")}
        for name in ("README.md", "ARCHITECTURE.md", *(f"docs/{name}" for name in os.listdir(os.path.join(ROOT, "docs")))):
            if name.endswith(".md"):
                texts[name] = read(ROOT, name)
        there = set(self.metrics())
        for where, text in texts.items():
            with self.subTest(where=where):
                self.assertEqual(self.named(text) - there, set(), "are named and no node has them")
        self.assertGreater(len(self.named(texts["the dashboard"])), 20)
        # A name that nobody has is noticed.
        self.assertEqual(self.named("rate(hubbub_misspelt_total[5m])") - there, {"hubbub_misspelt_total"})

    def test_the_document_of_metrics_is_complete(self):
        rows = re.findall(r"^\| `(hubbub_\w+)(?:\{\w+\})?` \| (\w+) \| .+ \|$", read(ROOT, "docs", "metrics.md"), re.MULTILINE)
        self.assertEqual(dict(rows), self.metrics())

    def test_every_panel_and_every_rule_has_something_to_go_by(self):
        smoke = subprocess.Popen(
            [os.environ["HUBBUB_TEST_LOAD"], "smoke", "--connections", "20", "--messages", "2400", "--rate", "200",
             *(f"--target={node.url}" for node in self.nodes)],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        self.addCleanup(smoke.stdout.close)
        self.addCleanup(smoke.kill)
        # So that rates have something to go by.
        committed = "sum(rate(hubbub_events_committed_total[5s]))"
        self.prometheus.until(lambda: self.prometheus.values(committed)[:1] > [100])
        shown = 0
        for panel in panels():
            for target in panel["targets"]:
                with self.subTest(panel=panel["title"], expression=target["expr"]):
                    values = self.prometheus.values(self.filled(target["expr"]))
                    self.assertTrue(values, "nothing is shown")
                    self.assertFalse([value for value in values if math.isnan(value)], values)
                    shown += 1
        self.assertGreater(sum(self.prometheus.values(self.filled(panels()[1]["targets"][0]["expr"]))), 19)
        rules = [rule for group in self.prometheus.ask("rules")["groups"] for rule in group["rules"]]
        for rule in rules:
            self.assertEqual(rule["health"], "ok", rule)
        # Nobody is called for two nodes that work.
        active = {(rule["name"], rule["state"]) for rule in rules if rule["state"] != "inactive"}
        self.assertEqual(active - {(name, "pending") for name in OF_THE_MACHINE}, set())
        output, _ = smoke.communicate(timeout=60)
        self.assertEqual(smoke.returncode, 0, output)
        print(f"{shown} queries of the dashboard show something, {len(rules)} rules evaluate")

    @staticmethod
    def filled(expression):
        """As Grafana fills it in."""
        for variable, value in (("$job", "hubbub"), ("$instance", ".*"), ("$__rate_interval", "5s")):
            expression = expression.replace(variable, value)
        return expression


if __name__ == "__main__":
    unittest.main()
